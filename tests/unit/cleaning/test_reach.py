"""Which commits git's tags and branches reach."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyship.cleaning import reach
from tinyship.cleaning.retention import Git
from tinyship.errors import GitError
from tinyship.git import quickgit
from tinyship.git import repository as repository_module

if TYPE_CHECKING:
    from tests.conftest import Repository

DESCENDED = "a tag or a branch descends from its commit"


@pytest.fixture
def commits(repository: Repository) -> list[str]:
    """Five commits: a tagged one, a plain one, the end of main; an annotated tag's aside; one that is lost."""
    made = [repository.commit("one"), repository.commit("two"), repository.commit("three")]
    repository.git("tag", "v1.0.0", made[0])
    repository.git("checkout", "-q", "--detach")
    made.append(repository.commit("four"))
    repository.git("tag", "-a", "-m", "annotated", "größe/v2.0.0")
    made.append(repository.commit("lost"))
    repository.git("checkout", "-q", "main")
    return made


def test_named(repository: Repository, commits: list[str]) -> None:
    """A tag's own commit and a branch's end; not what lies between, and not what nothing names."""
    assert reach.read(repository.root, "named", commits) == Git(
        {
            commits[0]: "the tag v1.0.0 names its commit",
            commits[2]: "the branch main ends at its commit",
            commits[3]: "the tag größe/v2.0.0 names its commit",
        }
    )


def test_all(repository: Repository, commits: list[str]) -> None:
    """What lies between, too; never what is lost, and never what git does not know. A tag may name a file."""
    repository.git("tag", "file", f"{commits[0]}:file.txt")
    found = reach.read(repository.root, "all", [*commits, "0" * 40]).reached
    assert found[commits[1]] == DESCENDED
    assert found.keys() == set(commits[:4])
    lost = reach.read(repository.root, "all", commits[4:]).reached
    assert lost == {}


def test_none(repository: Repository, commits: list[str]) -> None:
    """Git is not asked."""
    assert reach.read(repository.root, "none", commits) == Git()


def test_a_detached_head(repository: Repository, commits: list[str]) -> None:
    """What is checked out counts."""
    repository.git("checkout", "-q", commits[4])
    assert reach.read(repository.root, "named", commits[4:]).reached == {commits[4]: "HEAD is at its commit"}


def test_a_branch_of_a_remote(repository: Repository, commits: list[str], tmp_path: Path) -> None:
    """Whoever works there may want it."""
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.root), str(clone))
    repository.commit("later")
    subprocess.run(["git", "-C", str(clone), "reset", "-q", "--hard", "HEAD~1"], check=True)
    found = reach.read(clone, "named", commits[2:3]).reached
    assert found == {commits[2]: "the branch origin/main ends at its commit"} or "origin/HEAD" in found[commits[2]]


def test_a_shallow_clone(repository: Repository, commits: list[str], tmp_path: Path) -> None:
    """It is said that history is cut off."""
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", "--no-tags", f"file://{repository.root}", str(clone))
    found = reach.read(clone, "named", commits)
    assert found.cut_off
    assert found.reached.keys() == {commits[2]}


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is reached where there is none, and no git is needed to tell."""
    monkeypatch.setattr(repository_module, "around", None)
    assert reach.read(tmp_path, "all", ["0" * 40]) == Git()


def test_an_empty_repository(repository: Repository) -> None:
    """No commit, no tag."""
    assert reach.read(repository.root, "all", ["0" * 40]) == Git()


def test_git_refuses(repository: Repository, commits: list[str]) -> None:
    """What cannot be known is not taken for nothing."""
    (repository.root / ".git" / "packed-refs").write_text("nonsense\n")
    with pytest.raises(GitError):
        reach.read(repository.root, "named", commits)


def test_named_needs_no_library(repository: Repository, commits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says the same with GitPython and without, in a repository as it mostly is."""
    with monkeypatch.context() as patched:
        patched.setattr(quickgit, "answers", lambda *_: None)
        usual = reach.read(repository.root, "named", commits)
    monkeypatch.setattr(repository_module, "around", None)
    assert reach.read(repository.root, "named", commits) == usual
    assert usual.reached


def test_a_commit_that_nothing_but_head_names(repository: Repository) -> None:
    """As in a checkout of a commit alone, where there are no refs."""
    commit = repository.commit()
    repository.git("checkout", "-q", "--detach")
    repository.git("branch", "-q", "-D", "main")
    assert reach.read(repository.root, "named", [commit]).reached == {commit: "HEAD is at its commit"}
