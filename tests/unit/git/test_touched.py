"""Which files are not what they were: every test asks a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyship.errors import ConfigError, GitError
from tinyship.git import touched

if TYPE_CHECKING:
    from tests.conftest import Repository


def write(repository: Repository, **files: str) -> None:
    """Write files; `__` in a name is a slash."""
    for name, text in files.items():
        path = repository.root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def paths(repository: Repository, since: str = "HEAD", folder: str = ".") -> dict[str, str]:
    """What differs."""
    return dict(touched.find(repository.root / folder, since).paths)


@pytest.fixture
def history(repository: Repository) -> Repository:
    """A repository with a commit."""
    write(repository, api__main="1", api__old="old old old old", web__index="1", gone="1")
    repository.commit("first")
    return repository


def test_nothing(history: Repository) -> None:
    """A clean tree at the revision itself."""
    assert paths(history) == {}


def test_committed_staged_changed_and_new(history: Repository) -> None:
    """All of them count, from whatever folder one asks; what git ignores does not."""
    write(history, api__main="2")
    history.git("mv", "api/old", "web/new")
    history.git("commit", "-aqm", "second")
    write(history, web__index="2", staged="1", odd__ü="1", ignored="1")
    (history.root / "a\nb").write_text("1")
    history.git("add", "staged")
    (history.root / "gone").unlink()
    (history.root / ".gitignore").write_text("ignored\n")
    wanted = {
        "api/main": "changed", "api/old": "removed", "web/new": "added", "web/index": "changed", "staged": "added",
        "odd/ü": "added", "gone": "removed", ".gitignore": "added", "a\nb": "added",
    }  # fmt: skip
    assert paths(history, "HEAD~1") == wanted
    assert paths(history, "HEAD~1", folder="api") == wanted


def test_modes_and_links(history: Repository) -> None:
    """A mode and what a link leads to are changes; a time is none."""
    (history.root / "link").symlink_to("gone")
    history.commit("link")
    (history.root / "api" / "main").chmod(0o755)
    (history.root / "link").unlink()
    (history.root / "link").symlink_to("web")
    (history.root / "web" / "index").touch()
    assert paths(history) == {"api/main": "changed", "link": "changed"}


def test_what_was_taken_back_is_no_change(history: Repository) -> None:
    """What counts is what is there, not how often it was touched."""
    write(history, api__main="2")
    history.commit("there")
    write(history, api__main="1", file__txt="x")
    (history.root / "file.txt").write_text("first")
    history.git("add", "-A")
    history.git("commit", "-qm", "and back")
    assert paths(history, "HEAD~2") == {"file/txt": "added"}


def test_since_histories_parted(history: Repository) -> None:
    """What others did to the branch that is named is no change of ours."""
    history.git("checkout", "-qb", "feature")
    write(history, api__main="ours")
    history.commit("ours")
    history.git("checkout", "-q", "main")
    write(history, web__index="theirs")
    history.commit("theirs")
    history.git("checkout", "-q", "feature")
    found = touched.find(history.root, "main")
    assert dict(found.paths) == {"api/main": "changed", "file.txt": "changed"}
    assert found.since == history.git("rev-parse", "main~1")
    assert found.root == history.root.resolve()


def test_tags_and_configured_gits(history: Repository, environment: Path) -> None:
    """Annotated tags are revisions; a user's taste for diffs changes nothing."""
    history.git("tag", "-am", "text", "v1")
    history.git("config", "diff.noprefix", "true")
    history.git("config", "diff.renames", "copies")
    history.git("config", "diff.relative", "true")
    history.git("config", "diff.external", "false")
    history.git("config", "status.showUntrackedFiles", "no")
    write(history, api__copy="old old old old", api__main="2")
    assert paths(history, "v1", folder="api") == {"api/copy": "added", "api/main": "changed"}


def test_repositories_inside(history: Repository, tmp_path: Path) -> None:
    """A repository that git does not know is one path; so is a submodule that has changes."""
    inner = history.root / "inner"
    inner.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=inner, check=True)
    (inner / "file").write_text("1")
    assert paths(history) == {"inner": "added"}


@pytest.mark.parametrize("name", ["nothing", "origin/nothing", "", " ", "--all", "HEAD~7", "HEAD:api", "v1..v2"])
def test_no_such_revision(history: Repository, name: str) -> None:
    """It is named, with what may get it."""
    with pytest.raises(ConfigError, match=r"git knows no `|is empty") as caught:
        paths(history, name)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    if name == "origin/nothing":
        assert caught.value.hint == "`git fetch origin nothing` may get it."


def test_no_repository(tmp_path: Path) -> None:
    """Without one, nothing can be compared."""
    with pytest.raises(GitError, match="is in no git repository"):
        touched.find(tmp_path, "main")


def test_shallow_clones(history: Repository, tmp_path: Path) -> None:
    """What is cut off is said to be, whether the revision is missing or where histories part; HEAD itself is there."""
    history.git("tag", "v1")
    history.git("checkout", "-qb", "feature")
    for name in ("one", "two"):
        history.commit(name)
    clone = tmp_path / "clone"
    words = ["git", "clone", "-q", "--depth", "1", "--branch", "feature", f"file://{history.root}", str(clone)]
    subprocess.run(words, check=True)
    assert dict(touched.find(clone, "HEAD").paths) == {}
    for name in ("v1", "HEAD~1"):
        with pytest.raises(GitError, match=f"is a shallow one, and has no `{name}`") as caught:
            touched.find(clone, name)
        assert "git fetch --unshallow" in caught.value.hint
    fetch = ["git", "fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"]
    subprocess.run(fetch, cwd=clone, check=True)
    with pytest.raises(GitError, match="ends before it meets that of `origin/main`") as caught:
        touched.find(clone, "origin/main")
    assert "git fetch --unshallow" in caught.value.hint
    subprocess.run(["git", "fetch", "-q", "--unshallow"], cwd=clone, check=True)
    assert dict(touched.find(clone, "origin/main").paths) == {"file.txt": "changed"}


def test_histories_that_never_met(history: Repository) -> None:
    """Two roots have no commit in common."""
    history.git("checkout", "-q", "--orphan", "other")
    history.commit("other")
    with pytest.raises(GitError, match="have no commit in common"):
        paths(history, "main")


def test_texts_of_then(history: Repository) -> None:
    """What a file held; nothing where it was none, or was outside."""
    write(history, api__main="2", new="1")
    (history.root / "link").symlink_to("gone")
    found = touched.find(history.root, "HEAD")
    root = history.root.resolve()
    assert found.text(root / "api" / "main") == b"1"
    assert [found.text(root / name) for name in ("new", "api", "link")] == [None] * 3
    assert found.text(root.parent / "main") is None
