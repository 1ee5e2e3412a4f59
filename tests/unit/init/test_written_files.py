"""`tinyship init`: what it says, what it writes, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyship.cli import program
from tinyship.errors import Refused
from tinyship.init import project

MAKEFILE = "package:\n\tdocker build -t registry.example.com/lacion/foo:$(TAG) .\nlogin:\n\tdocker login -p hunter2\n"
Run = Callable[..., tuple[str, str, int]]
NAMES = ["Dockerfile", ".dockerignore", "tasks.py", "invoke.yaml", ".gitignore"]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program in a folder: what it wrote to standard output and error, and its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[str, str, int]:
        code = 0
        try:
            program().run(["tinyship", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return *capsys.readouterr(), code

    return run


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """A Go program with a Makefile."""
    (tmp_path / "go.mod").write_text("module github.com/lacion/foo\n\ngo 1.23\n")
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    return tmp_path


def test_writes_what_is_missing(go: Path, init: Run) -> None:
    """The files, what was carried over with its line, and what was not."""
    out, err, code = init("init")
    assert (err, code) == ("", 0)
    assert [line.removeprefix("wrote ") for line in out.splitlines() if line.startswith("wrote")] == NAMES
    assert all((go / name).is_file() for name in NAMES)
    rows = [line.split() for line in out.splitlines()]
    assert ["image", "Makefile:2", "lacion/foo"] in rows
    assert ["push.to", "Makefile:2", "registry.example.com"] in rows
    assert any(row[:2] == ["Makefile:2", "$(TAG)"] for row in rows)
    assert any(row[:3] == ["Makefile:4", "docker", "login"] for row in rows)
    assert "hunter2" not in out
    assert init("config", "--json")[2] == 0
    assert "release.make (release)" in init("--list")[0]


def test_never_overwrites(go: Path, init: Run) -> None:
    """What is there stays as it is, byte for byte; a second run changes nothing."""
    init("init")
    before = {path.name: path.read_bytes() for path in go.iterdir() if path.is_file()}
    (go / "invoke.yaml").write_bytes(before["invoke.yaml"] + b"# mine\n")
    out, _, code = init("init")
    assert [line.removeprefix("kept ") for line in out.splitlines() if line.startswith("kept")] == NAMES
    assert "wrote" not in out
    assert code == 0
    after = {path.name: path.read_bytes() for path in go.iterdir() if path.is_file()}
    assert after == {**before, "invoke.yaml": before["invoke.yaml"] + b"# mine\n"}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("tasks/__init__.py", "tasks.py"),
        ("invoke.json", "invoke.yaml"),
        ("invoke.yml", "invoke.yaml"),
        ("Dockerfile", "Dockerfile"),
    ],
)
def test_other_forms_of_a_file_count(go: Path, init: Run, name: str, kept: str) -> None:
    """A package of tasks is a tasks.py, and a config of another form a config."""
    (go / name).parent.mkdir(exist_ok=True)
    (go / name).write_text("{}" if "invoke" in name else "")
    init("init")
    assert not (go / kept).exists() or kept == name
    assert (go / name).read_text() == ("{}" if "invoke" in name else "")


def test_section_in_pyproject_is_a_config(tmp_path: Path, init: Run) -> None:
    """Who has [tool.tinyship] needs no invoke.yaml."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "foo"\n[tool.tinyship]\nimage = "a/b"\n')
    (tmp_path / "main.py").write_text("")
    assert "kept pyproject.toml" in init("init")[0]
    assert not (tmp_path / "invoke.yaml").exists()


def test_lacking_lines_are_said(go: Path, init: Run) -> None:
    """Ignore files that are there stay, and what they lack is said, but not what they have."""
    (go / ".gitignore").write_text("*.o\n__pycache__\n")
    (go / ".dockerignore").write_text("bin\n")
    out, _, _ = init("init")
    assert ".gitignore should have the line .tinyship/" in out
    assert "should have the line __pycache__" not in out
    assert ".dockerignore should have the line .git" in out
    assert (go / ".gitignore").read_text() == "*.o\n__pycache__\n"


def test_dry(go: Path, init: Run) -> None:
    """With `--dry` the texts are shown, and nothing is written."""
    before = sorted(path.name for path in go.iterdir())
    for words in (("--dry", "init"), ("init", "--dry")):
        out, _, code = init(*words)
        assert "would write invoke.yaml" in out
        assert "  |   image: lacion/foo" in out
        assert code == 0
    assert sorted(path.name for path in go.iterdir()) == before


def test_json(go: Path, init: Run) -> None:
    """One line of JSON: each setting and each unclear line with its place, each file with its text."""
    out, err, code = init("init", "--json")
    (data,) = map(json.loads, out.splitlines())
    assert {"key": "image", "value": "lacion/foo", "file": "Makefile", "line": 2} in data["carried"]
    assert {"line": 2, "file": "Makefile", "text": "$(TAG)"}.items() <= data["unclear"][0].items()
    assert {file["name"]: file["text"] for file in data["files"]} == {name: (go / name).read_text() for name in NAMES}
    assert all(file["written"] and not file["kept"] for file in data["files"])
    assert (err, code) == ("", 0)


def test_text(go: Path, init: Run) -> None:
    """With `--text` what is written is shown as well."""
    assert "  |   image: lacion/foo" in init("init", "--text")[0]


def test_empty_folder(tmp_path: Path, init: Run) -> None:
    """Where there is nothing, the settings are a beginning, and that there is no Dockerfile is said."""
    out, _, code = init("init")
    assert code == 0
    assert "there is no such Dockerfile" in out
    assert not (tmp_path / "Dockerfile").exists()
    assert init("config")[2] == 0


def test_folder_that_cannot_be_written(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is an error of one line."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    proposal = project.look(go)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(Refused, match="Dockerfile cannot be written: No space left"):
        project.write(proposal)


def test_file_that_came_meanwhile_stays(go: Path) -> None:
    """Between the look and the writing, others may have written."""
    proposal = project.look(go)
    (go / "tasks.py").write_text("mine\n")
    assert "tasks.py" not in project.write(proposal)
    assert (go / "tasks.py").read_text() == "mine\n"
