"""The program `tinyship`: the tasks without a tasks.py, with the config of the project around the current folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tinyship
from tinyship import Project
from tinyship.cli import program
from tinyship.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import Repository

TOML = '[project]\nname = "foo"\n[tool.tinyship]\nimage = "lacion/toml"\npush.to = ["localhost:5000"]\n'
Run = Callable[..., tuple[str, str, int]]


@pytest.fixture
def project(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project at version 1.0.0 whose config is yet to be written; we stand in a folder below it."""
    root = repository.root
    (root / "src").mkdir()
    (root / "src" / "pyproject.toml").write_text('[project]\nname = "part"\ndependencies = ["tinyship"]\n')
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / ".gitignore").write_text("*.yaml\n/pyproject.toml\n.tinyship\n")
    repository.commit()
    repository.git("tag", "v1.0.0")
    monkeypatch.chdir(root / "src")
    return root


@pytest.fixture
def ship(capsys: pytest.CaptureFixture[str]) -> Run:
    """The program: what it wrote to standard output and error, and its exit code."""

    def run(*words: str) -> tuple[str, str, int]:
        code = 0
        try:
            program().run(["tinyship", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return *capsys.readouterr(), code

    return run


def test_config_of_yaml(project: Path, ship: Run) -> None:
    """The invoke.yaml of a folder above is the config, and a tasks.py is not asked for."""
    (project / "invoke.yaml").write_text("tinyship: {image: lacion/foo}\n")
    out, err, code = ship("config", "--json")
    assert json.loads(out)["images"][0]["image"]["value"] == "lacion/foo"
    assert (err, code) == ("", 0)


def test_config_of_pyproject(project: Path, ship: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """[tool.tinyship] is the config; a pyproject.toml without it, between here and there, is passed by."""
    (project / "pyproject.toml").write_text(TOML)
    monkeypatch.chdir(project)
    assert ship("config") == (
        "setting  from            value\n"
        "image    pyproject.toml  lacion/toml\n"
        "push.to  pyproject.toml  localhost:5000\n",
        "",
        0,
    )


def test_yaml_wins_over_pyproject(project: Path, ship: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are sources: key by key the value of invoke.yaml, and a variable over that."""
    (project / "pyproject.toml").write_text(TOML + 'network = "none"\n')
    (project / "invoke.yaml").write_text("tinyship: {image: lacion/yaml, push: {smoke: true}}\n")
    monkeypatch.setenv("TINYSHIP_NETWORK", "host")
    monkeypatch.chdir(project)
    (image,) = json.loads(ship("config", "--json")[0])["images"]
    assert {key: (entry["value"], entry["from"]) for key, entry in image.items()} == {
        "image": ("lacion/yaml", "invoke.yaml"),
        "push.to": (["localhost:5000"], "pyproject.toml"),
        "push.smoke": (True, "invoke.yaml"),
        "network": ("host", "TINYSHIP_NETWORK"),
    }


def test_pyproject_for_invoke_and_scripts(project: Path) -> None:
    """Beside a tasks.py, and for `Project.load`, [tool.tinyship] counts as well."""
    (project / "pyproject.toml").write_text(TOML)
    (project / "tasks.py").write_text("import tinyship\nns = tinyship.collection()\n")
    words = [sys.executable, "-m", "invoke", "config", "--json"]
    done = subprocess.run(words, cwd=project / "src", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["images"][0]["image"] == {"value": "lacion/toml", "from": "pyproject.toml"}
    assert Project.load(project / "src").images[0].settings.image == "lacion/toml"


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        (
            "[tool.tinyship]\nimage = 'a/b'\nrelaese = {}\n",
            "`tinyship.relaese` is no setting; the nearest is `release`",
        ),
        ("[tool.tinyship]\n", "`tinyship.image` is missing"),
        ("[tool]\ntinyship = 1\n", "`tinyship` is `1`, but a section is expected"),
        ("[tool.tinyship]\nimage = 'a/b'\nnetwork = 2020-01-01\n", "`tinyship.network` is"),
        ("[tool.tinyship\n", "cannot be read"),
    ],
)
def test_errors_of_pyproject(project: Path, ship: Run, monkeypatch: pytest.MonkeyPatch, toml: str, why: str) -> None:
    """What is wrong in pyproject.toml is one line that names it, and exit code 2."""
    (project / "pyproject.toml").write_text(toml)
    monkeypatch.chdir(project)
    out, err, code = ship("config")
    assert (out, err.count("\n"), code) == ("", 1, 2)
    assert err.startswith("error: pyproject.toml")
    assert why in err


def test_no_config(project: Path, ship: Run) -> None:
    """Without a config, the error says how to come by one."""
    out, err, code = ship("release", "--dry")
    assert (out, code) == ("", 2)
    assert "there is no section `tinyship` in the config" in err
    assert "tinyship init" in err
    with pytest.raises(ConfigError, match=r"\[tool\.tinyship\]"):
        Project.load(project)


def test_broken_yaml(project: Path, ship: Run) -> None:
    """A config that cannot be read is an error of one line, without a traceback."""
    (project / "invoke.yaml").write_text("tinyship: {\n")
    out, err, code = ship("config")
    assert (out, err.count("\n"), code) == ("", 1, 2)
    assert "invoke.yaml" in err


def test_version_help_and_listing(project: Path, ship: Run) -> None:
    """The program says what it is and what it can do, without a config."""
    assert ship("--version") == (f"tinyship {tinyship.__version__}\n", "", 0)
    for words in (("--help",), ()):
        out, _, code = ship(*words)
        assert out.startswith("Usage: tinyship [--core-opts] <subcommand>")
        assert "release.make (release)" in out
        assert code == 0
    (listed,) = map(json.loads, ship("--list", "--list-format", "json")[0].splitlines())
    parts = {part["name"] for part in listed["collections"]}
    assert parts == {"base", "build", "release", "push", "clean", "size", "config"}
    manual = " ".join(ship("--help", "release")[0].split())
    assert "Usage: tinyship [--core-opts] release [--options]" in manual
    assert "is pushed as `tinyship push` does it." in manual
    assert "invoke" not in ship("--help", "release.plan")[0]


def test_dry(project: Path, ship: Run) -> None:
    """`--dry` plans, in the project's root."""
    (project / "pyproject.toml").write_text(TOML)
    out, err, code = ship("--dry", "release", "--json", "push", "--json")
    release, push = (json.loads(line)["plans"][0] for line in out.splitlines())
    assert (release["image"], release["version"], push["image"]) == ("lacion/toml", "1.0.0", "lacion/toml")
    assert (err, code) == ("", 0)
    assert not (project / ".tinyship").exists()


def test_exit_codes(project: Path, ship: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is 1, what Invoke rejects 1, an interrupt 130, before a task has begun as inside of it."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (project / "pyproject.toml").write_text(TOML)
    _, err, code = ship("release.show")
    assert "`tinyship release` comes first" in err
    assert code == 1
    assert ship("nonsense")[1:] == ("No idea what 'nonsense' is!\n", 1)
    monkeypatch.setattr("tinyship.settings.load.load", interrupted)
    assert ship("config") == ("", "interrupted\n", 130)
    monkeypatch.setattr("invoke.executor.Executor.execute", interrupted)
    assert ship("config") == ("", "interrupted\n", 130)


def test_completion(project: Path, ship: Run) -> None:
    """The scripts for shells are for this program, and complete its tasks."""
    assert "tinyship" in ship("--print-completion-script", "bash")[0]
    assert "release" in ship("--complete", "--", "tinyship rel")[0].split()
    assert "--allow-dirty" in ship("--complete", "--", "tinyship push --")[0].split()


def test_config_of_another_file(project: Path, ship: Run, tmp_path: Path) -> None:
    """`-f FILE` wins over the project's files, as it does for Invoke."""
    (project / "pyproject.toml").write_text(TOML)
    (tmp_path / "other.yaml").write_text("tinyship: {image: lacion/other}\n")
    (image,) = json.loads(ship("-f", str(tmp_path / "other.yaml"), "config", "--json")[0])["images"]
    assert image["image"]["value"] == "lacion/other"


@pytest.mark.parametrize("words", [["--help"], ["--list"], ["--help", "release"]])
def test_reader_that_left(words: list[str], project: Path) -> None:
    """`tinyship --help | head -1` is no error, and says nothing."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tinyship", *words],
            cwd=project,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(write)
    assert (done.stderr, done.returncode) == ("", 0)


def test_script_is_declared(project: Path) -> None:
    """The package installs the program, and `python -m tinyship` is it too."""
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = declared["tinyship"].partition(":")
    assert callable(getattr(import_module(module), function))
    done = subprocess.run([sys.executable, "-m", "tinyship", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tinyship {tinyship.__version__}\n"


def test_schema_for_editors(project: Path, ship: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`config.schema` prints or writes the JSON Schema, whatever the config is, and tells the line that names it."""
    (project / "invoke.yaml").write_text("tinyship: {nothing: 1}\n")
    monkeypatch.chdir(project / "src")
    schema, err, code = ship("config.schema")
    assert (json.loads(schema)["title"], err, code) == ("The settings of tinyship", "", 0)
    where = "the first line of invoke.yaml for editors: # yaml-language-server: $schema"
    assert ship("--dry", "config.schema", "--to", "../.tinyship/x.json") == (
        f"would write ../.tinyship/x.json\n{where}=.tinyship/x.json\n",
        "",
        0,
    )
    assert not (project / ".tinyship").exists()
    assert ship("config.schema", "--to", "../.tinyship/x.json")[2] == 0
    assert (project / ".tinyship" / "x.json").read_text() == schema
    assert (project / ".tinyship" / ".gitignore").read_text() == "*\n"
    assert ship("config.schema", "--to", "x.json") == (f"wrote x.json\n{where}=src/x.json\n", "", 0)
    out, err, code = ship("config.schema", "--to", "nowhere/x.json")
    assert (out, code) == ("", 1)
    assert "nowhere/x.json cannot be written: No such file or directory" in err
