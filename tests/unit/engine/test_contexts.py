"""The Docker CLI's contexts: found without its config file, and never passed over in silence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tinyship.engine import contexts
from tinyship.engine.connect import connect
from tinyship.engine.contexts import DockerContext
from tinyship.errors import EngineUnreachable


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the CLI's config, empty; no variable says anything else."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


def lay(folder: Path, name: str, text: str, *certificates: str) -> Path:
    """Make a context of a file's text; returns the file."""
    number = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / number / "meta.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    for one in certificates:
        there = folder / "contexts" / "tls" / number / "docker" / one
        there.parent.mkdir(parents=True, exist_ok=True)
        there.touch()
    return file


def text(host: str, **more: bool) -> str:
    """The text of a context."""
    return json.dumps({"Name": "there", "Metadata": {}, "Endpoints": {"docker": {"Host": host, **more}}})


def test_which_is_chosen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable comes before the config; `default` is none."""
    assert contexts.chosen() == ""
    folder.mkdir()
    (folder / "config.json").write_text('{"currentContext": "there"}')
    assert contexts.chosen() == "there"
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    assert contexts.chosen() == "elsewhere"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert contexts.chosen() == ""


def test_without_a_config_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context is found where there is no config.json beside it, in either folder."""
    lay(folder, "there", text("tcp://10.0.0.1:2375"))
    assert contexts.find("there") == DockerContext("tcp://10.0.0.1:2375")
    monkeypatch.delenv("DOCKER_CONFIG")
    lay(Path.home() / ".docker", "ü b", text("ssh://ship@example.com"))
    assert contexts.find("ü b").host == "ssh://ship@example.com"


@pytest.mark.parametrize(
    ("files", "there"),
    [
        ((), ()),
        (("ca.pem",), ("ca.pem",)),
        (("ca.pem", "cert.pem", "key.pem"), ("ca.pem", "cert.pem", "key.pem")),
        (("ca.pem", "cert.pem"), ("ca.pem",)),
    ],
)
def test_certificates(folder: Path, files: tuple[str, ...], there: tuple[str, ...]) -> None:
    """Those that it has; a certificate without its key is of no use."""
    lay(folder, "there", text("tcp://10.0.0.1:2376", SkipTLSVerify=True), *files)
    found = contexts.find("there")
    assert tuple(file.name for file in (found.ca, found.cert, found.key) if file) == there
    assert not found.verify
    assert bool(found.tls) == bool(there)


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"Endpoints": {}}', '{"Endpoints": {"docker": 1}}', "\ufeff"])
def test_damaged(folder: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not said to be missing: the error names its file, and the way out."""
    file = lay(folder, "there", broken)
    monkeypatch.setenv("DOCKER_CONTEXT", "there")
    with pytest.raises(EngineUnreachable) as caught:
        connect()
    assert "the Docker context `there` is damaged" in caught.value.message
    assert str(file) in caught.value.message
    assert "docker context create there" in caught.value.hint


def test_missing_or_not_to_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for and not there is an error, and not the default engine."""
    monkeypatch.setenv("DOCKER_CONTEXT", "there")
    with pytest.raises(EngineUnreachable, match="there is no Docker context `there`"):
        connect()
    lay(folder, "there", text("")).unlink()
    number = hashlib.sha256(b"there").hexdigest()
    (folder / "contexts" / "meta" / number / "meta.json").mkdir()
    with pytest.raises(EngineUnreachable, match="cannot be read"):
        connect()


def test_a_context_without_a_host_is_the_default_socket(folder: Path) -> None:
    """As for the CLI."""
    lay(folder, "there", text(""))
    assert contexts.find("there").host == contexts.DEFAULT


def test_the_variable_of_the_host_comes_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST is taken, whatever the context is like."""
    lay(folder, "there", "{")
    monkeypatch.setenv("DOCKER_CONTEXT", "there")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnreachable, match=r"none\.sock \(from DOCKER_HOST\): no such socket"):
        connect()
