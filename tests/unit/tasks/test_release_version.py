"""`release --version`: a version for one run, from the command line and from Python, before Invoke's own flag."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from invoke.program import Program

from tinyship import Project
from tinyship.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import Repository

ROOT = "import tinyship\nns = tinyship.collection()\n"
NESTED = (
    "import tinyship\nfrom invoke import Collection\n"
    "ns = Collection(tinyship.collection('ship'), tinyship.collection('boat'))\n"
)


@pytest.fixture
def project(repository: Repository) -> Repository:
    """A project at version 1.0.0."""
    (repository.root / "tasks.py").write_text(ROOT)
    (repository.root / "invoke.yaml").write_text("tinyship: {image: lacion/foo, push: {to: [registry.example.com]}}\n")
    (repository.root / "Dockerfile").write_text("FROM scratch\n")
    (repository.root / ".gitignore").write_text("__pycache__\n.tinyship\n")
    repository.commit()
    repository.git("tag", "v1.0.0")
    return repository


def plans(project: Repository, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """What a dry run says that it would do."""
    Program().run(["inv", "--search-root", str(project.root), "--dry", *words], exit=False)
    return [plan for line in capsys.readouterr().out.splitlines() for plan in json.loads(line)["plans"]]


@pytest.mark.parametrize("words", [("--version", "2.0.1"), ("--version=2.0.1",), ("--version", "v2.0.1")])
def test_version_of_a_run(project: Repository, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """The version is the given one, and the image is tagged with it."""
    (plan,) = plans(project, capsys, "release", *words, "--json")
    assert plan["version"] == "2.0.1"
    assert "lacion/foo:2.0.1" in [action["target"] for action in plan["actions"]]
    assert plan["notices"] == ["HEAD has the tag v1.0.0, but the version is given, and is 2.0.1"]


def test_without_it_the_version_is_that_of_git(project: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """The flag is for one run alone."""
    plans(project, capsys, "release", "--version", "2.0.1", "--json")
    (plan,) = plans(project, capsys, "release", "--json")
    assert plan["version"] == "1.0.0"


def test_it_is_its_own_tasks_alone(project: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Between other tasks and in a mount below the root, the flag belongs to the release before it."""
    (project.root / "tasks.py").write_text(NESTED)
    project.commit("nested")
    project.git("tag", "v1.0.1")
    words = ("ship.release", "--json", "--version=2.0.1", "boat.release", "--json", "--version", "3.0", "ship.release")
    versions = [plan["version"] for plan in plans(project, capsys, *words, "--json")]
    assert versions == ["2.0.1", "3.0", "1.0.1"]


def test_flag_of_invoke_itself_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """Before any task, `--version` and `-V` are Invoke's."""
    for flag in ("--version", "-V"):
        Program(version="1.2.3").run(["inv", flag], exit=False)
        assert "1.2.3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--version", "nightly"), "`nightly`, is none: a version begins with numbers, like 2.0.1"),
        (("--version=",), "the version that is given is empty"),
    ],
)
def test_no_version(project: Repository, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str) -> None:
    """What is no version, an unset variable of a script among it, ends the run as a wrong setting does."""
    with pytest.raises(SystemExit) as caught:
        Program().run(["inv", "--search-root", str(project.root), "--dry", "release", *words])
    assert caught.value.code == ConfigError.exit_code
    assert why in capsys.readouterr().err


def test_version_of_a_run_in_python(project: Repository) -> None:
    """`plan` and `release` of a project take a version too; with a push, the tags are that version's."""
    loaded = Project.load(project.root)
    release, push = loaded.plan(push=True, version="v2.0.1")
    assert (release.version, push.version) == ("2.0.1", "2.0.1")
    assert "registry.example.com/lacion/foo:2.0.1" in [action.target for action in push.actions]
    assert loaded.plan()[0].version == "1.0.0"
    with pytest.raises(ConfigError, match="is empty"):
        loaded.release(version="")


def test_config_says_where_the_version_is_from(project: Repository) -> None:
    """The literal alone is from the flag; the rest of the section is from where it was."""
    (project.root / "invoke.yaml").write_text("tinyship: {image: lacion/foo, version: {tag: 'v*', scheme: semver}}\n")
    (image,) = Project.load(project.root).versioned("2.0.1").images
    assert image.origins["version.literal"] == "--version"
    assert image.origins["version.scheme"].endswith("invoke.yaml")
    assert (image.settings.version.literal, image.settings.version.tag) == ("2.0.1", "v*")
