"""What git said and is kept: the same as git says now, whatever happens to a repository meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyship.git import quickgit, revision
from tinyship.kept import notes, unmoved
from tinyship.settings.schema import Version

if TYPE_CHECKING:
    from tests.conftest import Repository

FROM_GIT = Version()


@pytest.fixture
def released(repository: Repository) -> Repository:
    """A repository with a tag on HEAD and one before it, of which what git says is kept."""
    repository.commit("first")
    repository.git("tag", "v0.9.0")
    repository.commit("second")
    repository.git("tag", "v1.0.0")
    repository.git("remote", "add", "origin", "https://example.com/lacion/foo.git")
    (repository.root / ".git" / "info" / "exclude").write_text(".tinyship\n")
    kept(repository.root)
    return repository


def kept(root: Path, version: Version = FROM_GIT) -> None:
    """Keep what git says, and see that it is kept."""
    (root / ".tinyship").mkdir(exist_ok=True)
    unmoved.keep(root, version)
    found = unmoved.read(root, version)
    assert found.is_kept
    assert found.revision == revision.read(root, version)


def is_kept(root: Path, version: Version = FROM_GIT) -> bool:
    """Whether what is kept is taken; it has to be what git says."""
    found = unmoved.read(root, version)
    assert found.revision == revision.read(root, version)
    return found.is_kept


@pytest.mark.parametrize(
    "words",
    [
        ("tag", "v1.1.0"),
        ("tag", "-a", "-m", "annotated", "v1.1.0"),
        ("tag", "-d", "v1.0.0"),
        ("tag", "-f", "v1.0.0", "HEAD~1"),
        ("commit", "-q", "--allow-empty", "-m", "third"),
        ("commit", "-q", "--amend", "--allow-empty", "-m", "other"),
        ("reset", "-q", "--hard", "HEAD~1"),
        ("checkout", "-q", "-b", "other"),
        ("checkout", "-q", "--detach"),
        ("remote", "set-url", "origin", "https://example.com/lacion/bar.git"),
        ("remote", "remove", "origin"),
        ("remote", "rename", "origin", "upstream"),
        ("config", "log.excludeDecoration", "refs/tags/*"),
        ("branch", "v1.0.0"),
        ("replace", "HEAD", "HEAD~1"),
    ],
    ids=" ".join,
)
def test_moves(released: Repository, words: tuple[str, ...]) -> None:
    """Whatever moves a ref, HEAD or a setting has git asked again."""
    released.git(*words)
    assert not is_kept(released.root)
    kept(released.root)


@pytest.mark.parametrize("words", [("pack-refs", "--all"), ("gc", "-q"), ("update-index", "--refresh")], ids=" ".join)
def test_stays(released: Repository, words: tuple[str, ...]) -> None:
    """Where git keeps its refs and objects is of no matter."""
    released.git(*words)
    assert is_kept(released.root)


def _edit(root: Path) -> None:
    (root / "file.txt").write_text("edited")


def _add(root: Path) -> None:
    (root / "new folder").mkdir()
    (root / "new folder" / "ä.txt").write_text("new")


def _stage(root: Path) -> None:
    (root / "file.txt").rename(root / "moved.txt")
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)


@pytest.mark.parametrize("change", [_edit, _add, _stage])
def test_tree(released: Repository, change: Callable[[Path], None]) -> None:
    """The state of the tree is never kept: it is looked at each time."""
    assert not unmoved.read(released.root, FROM_GIT).revision.dirty
    change(released.root)
    assert is_kept(released.root)
    found = unmoved.read(released.root, FROM_GIT).revision
    assert found.dirty
    assert found.changes


def test_dirty_is_not_kept(released: Repository) -> None:
    """What is kept while the tree is dirty is true of a clean one as well."""
    released.git("tag", "v1.1.0")
    _edit(released.root)
    kept(released.root)
    released.git("checkout", "-q", "--", ".")
    assert is_kept(released.root)
    assert unmoved.read(released.root, FROM_GIT).revision.changes == ()


def test_behind_a_tag(released: Repository) -> None:
    """A version that counts commits since a tag is kept, and read anew once an older tag comes nearer."""
    released.commit("third")
    kept(released.root)
    released.git("tag", "v1.0.1", "HEAD~1")
    assert not is_kept(released.root)


def test_shallow(released: Repository, tmp_path: Path) -> None:
    """Of a history that is cut off nothing is kept: it may grow without a ref that moves."""
    released.commit("third")
    root = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{released.root}", root], check=True)
    (root / ".tinyship").mkdir()
    unmoved.keep(root, FROM_GIT)
    assert not is_kept(root)


def test_grafts(released: Repository) -> None:
    """Neither where another file says what came before a commit."""
    (released.root / ".git" / "info" / "grafts").write_text(released.git("rev-parse", "HEAD") + "\n")
    assert not is_kept(released.root)


def test_worktree(released: Repository, tmp_path: Path) -> None:
    """A worktree has its own HEAD, and shares the tags."""
    root = tmp_path / "worktree"
    released.git("worktree", "add", "-q", "--detach", str(root), "HEAD~1")
    kept(root)
    released.git("tag", "v0.9.1", "HEAD~1")
    assert not is_kept(root)


def test_submodule(released: Repository, tmp_path: Path) -> None:
    """A submodule is a repository of its own."""
    outer = tmp_path / "outer"
    subprocess.run(["git", "init", "-q", "-b", "main", outer], check=True)
    words = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(released.root), "inner")
    subprocess.run(["git", *words], cwd=outer, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "outer"], cwd=outer, check=True)
    inner = outer / "inner"
    kept(inner)
    subprocess.run(["git", "tag", "v9.0.0"], cwd=outer, check=True)
    assert is_kept(inner)
    subprocess.run(["git", "tag", "v9.0.0"], cwd=inner, check=True)
    assert not is_kept(inner)


def test_alternates(released: Repository, tmp_path: Path) -> None:
    """Objects may lie in another repository."""
    root = tmp_path / "borrowing"
    subprocess.run(["git", "clone", "-q", "--shared", released.root, root], check=True)
    kept(root)
    subprocess.run(["git", "tag", "v2.0.0"], cwd=root, check=True)
    assert not is_kept(root)


def test_folder_below(released: Repository) -> None:
    """A project in a folder of a repository has its own answers, and sees changes elsewhere in the tree."""
    root = released.root / "below"
    root.mkdir()
    kept(root)
    _edit(released.root)
    assert is_kept(root)
    assert " M file.txt" in unmoved.read(root, FROM_GIT).revision.changes


def test_moved_elsewhere(released: Repository, tmp_path: Path) -> None:
    """A project that lies elsewhere now says where it is."""
    root = tmp_path / "elsewhere"
    released.root.rename(root)
    assert not is_kept(root)


@pytest.mark.parametrize(
    "name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES"]
)
def test_sent_elsewhere(released: Repository, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Variables that send git elsewhere leave all to GitPython."""
    value = {"GIT_DIR": released.root / ".git", "GIT_WORK_TREE": released.root, "GIT_INDEX_FILE": ".git/index"}
    monkeypatch.setenv(name, str(value.get(name, "")))
    assert not is_kept(released.root)


def test_versions(released: Repository) -> None:
    """Each way to have a version has its own answer; that of a file is what the file says now."""
    file = Version(file="VERSION")
    (released.root / "VERSION").write_text("3.0\n")
    kept(released.root, file)
    (released.root / "VERSION").write_text("3.1\n")
    assert not is_kept(released.root, file)
    kept(released.root, Version(tag="api/v*"))
    assert is_kept(released.root)


def test_not_utf_8(released: Repository) -> None:
    """A tag may be of any bytes."""
    subprocess.run([b"git", b"tag", b"v1.0.0-\xff"], cwd=released.root, check=True)
    kept(released.root)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"scheme": 1}', '{"scheme": 1, "digest": "", "revision": {}}'])
def test_unreadable(released: Repository, text: str) -> None:
    """A file that is of no use is as good as none."""
    (file,) = (released.root / ".tinyship").glob("git-*.json")
    file.write_text(text)
    assert not is_kept(released.root)


def test_of_no_use(released: Repository) -> None:
    """What is kept of a version that is given for one run goes after a month; what is of use stays."""
    folder = released.root / ".tinyship"
    for number in range(3):
        kept(released.root, Version(literal=f"2.0.{number}"))
    old = time.time() - 31 * 86_400
    for file in folder.glob("git-*"):
        os.utime(file, (old, old))
    unmoved.of_use(released.root, FROM_GIT)
    kept(released.root, Version(literal="3.0.0"))
    assert len(list(folder.glob("git-*"))) == 2
    assert is_kept(released.root)


def test_of_another_scheme(released: Repository) -> None:
    """What was kept by a version of tinyship that looked elsewhere is not taken."""
    (file,) = (released.root / ".tinyship").glob("git-*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "scheme": 0}))
    assert not is_kept(released.root)


@pytest.mark.parametrize("name", ["file.txt", "new", "new/one/file", "größe/\udcff"])
def test_the_tree_comes_with_it(released: Repository, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The state of the tree is what git says when it is asked for that alone, and git is asked for it once."""
    file = released.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("changed")
    wanted = revision.state(released.root)[1]
    asked: list[tuple[str, ...]] = []
    ask = quickgit.answers

    def counted(root: Path, *questions: tuple[str, ...]) -> tuple[str, ...] | None:
        asked.extend(questions)
        return ask(root, *questions)

    monkeypatch.setattr(quickgit, "answers", counted)
    found = unmoved.read(released.root, FROM_GIT)
    assert found.is_kept
    assert found.tree == wanted
    assert [words for words in asked if words == revision.EVERY_FILE] == [revision.EVERY_FILE]
    assert found.revision == revision.read(released.root, FROM_GIT)


def test_needs_no_library(released: Repository) -> None:
    """Where nothing moved, GitPython is not loaded: neither for the revision nor for the state of the tree."""
    _edit(released.root)
    script = (
        "import sys; from pathlib import Path\n"
        "from tinyship.git import revision\n"
        "from tinyship.kept import notes, unmoved\n"
        "from tinyship.settings.schema import Version\n"
        "root = Path(sys.argv[1])\n"
        "assert unmoved.read(root, Version()).is_kept\n"
        "print(*revision.state(root), *revision.known_versions(root, Version()), *notes.read(root).entries)\n"
        "assert 'git' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script, released.root], capture_output=True, text=True, check=True)
    commit = released.git("rev-parse", "HEAD")
    assert done.stdout.split() == [*revision.state(released.root), "1.0.0", "0.9.0"]
    assert revision.state(released.root)[0] == commit


def test_note_of_a_push_moves_nothing(released: Repository) -> None:
    """The note that a push writes leaves what is kept true, so that the next one loads no GitPython; a tag does not."""
    released.git("notes", f"--ref={notes.REF}", "add", "-m", "sizes", "HEAD")
    program = "import sys, pathlib\nfrom tinyship.kept import unmoved\nfrom tinyship.settings.schema import Version\n"
    asked = "print(unmoved.read(pathlib.Path('.'), Version()).is_kept, 'git' in sys.modules)"
    words = [sys.executable, "-c", program + asked]
    done = subprocess.run(words, cwd=released.root, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
    released.git("tag", "other")
    assert not is_kept(released.root)
