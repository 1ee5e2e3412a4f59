"""The commits between two releases: which they are, what their prefixes say, and how little others' words may do."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyship.errors import GitError
from tinyship.git import changes
from tinyship.git.changes import of_message

if TYPE_CHECKING:
    from tests.conftest import Repository


@pytest.mark.parametrize(
    ("message", "kind", "scope", "text"),
    [
        ("feat: a thing", "features", "", "a thing"),
        ("Fix(api): a thing", "fixes", "api", "a thing"),
        ("fix!: a thing", "breaking", "", "a thing"),
        ("chore(deps)!: a thing", "breaking", "deps", "a thing"),
        ("docs: a thing", "others", "", "a thing"),
        ("fix: a thing\n\nBREAKING CHANGE: all is new", "breaking", "", "a thing"),
        ("a thing\n\nBREAKING-CHANGE: all is new", "breaking", "", "a thing"),
        ("fix: a thing\n\nNo BREAKING CHANGE: it stays", "fixes", "", "a thing"),
        ("engine: a thing", "others", "", "engine: a thing"),
        ("fixes: a thing", "others", "", "fixes: a thing"),
        ("feat:no space", "others", "", "feat:no space"),
        ("", "others", "", ""),
    ],
)
def test_prefixes(message: str, kind: str, scope: str, text: str) -> None:
    """What the convention says, and nothing that only looks like it."""
    found = of_message("a" * 40, message.split("\n"))
    assert (found.kind, found.scope, found.text) == (kind, scope, text)


def test_control_codes_are_gone() -> None:
    """Neither a message nor a name can do anything to a terminal."""
    found = of_message("a" * 40, ["fix: \x1b]0;title\x07red\t \x1b[31mink"], author="A\x1b[2J\u202eB")
    assert (found.subject, found.author) == ("fix: red ink", "AB")


def test_range(repository: Repository, tmp_path: Path) -> None:
    """The latest first, merges left out, what came before left out."""
    first = repository.commit("feat: first")
    repository.commit("fix: second")
    repository.git("checkout", "-q", "-b", "side", first)
    repository.git("commit", "-q", "--allow-empty", "-m", "docs: side")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "a merge", "side")
    last = repository.git("rev-parse", "HEAD")
    found = changes.read(repository.root, first, last)
    assert {change.subject for change in found.commits} == {"fix: second", "docs: side"}
    assert (found.more, found.conventional, found.cut) == (0, True, False)
    assert {change.author for change in found.commits} == {""}
    assert {change.author for change in changes.read(repository.root, "", last, authors=True).commits} == {"Test"}
    limited = changes.read(repository.root, "", last, most=1)
    assert (len(limited.commits), limited.more) == (1, 2)


def test_half_is_not_most(repository: Repository) -> None:
    """Commits are grouped only where more than half have a prefix; none have where there are none."""
    repository.commit("feat: first")
    last = repository.commit("second")
    assert not changes.read(repository.root, "", last).conventional
    assert changes.read(repository.root, last, last) == changes.Changes((), 0, False, False)


def test_messages_as_git_keeps_them(repository: Repository) -> None:
    """Settings of git's, odd bytes and bodies of many lines change nothing; no name of a file is taken for one."""
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "color.ui", "always")
    repository.git("config", "log.decorate", "full")
    first = repository.commit("first")
    repository.git("config", "i18n.commitEncoding", "ISO-8859-1")
    (repository.root / "message").write_bytes(b"fix: caf\xe9\n\nbody\n\nBREAKING CHANGE: all\n")
    (repository.root / first).write_text("a file that is called like the commit")
    repository.git("commit", "-q", "--allow-empty", "-F", "message")
    repository.git("config", "i18n.commitEncoding", "UTF-8")
    repository.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", "")
    (nothing, coffee) = changes.read(repository.root, first, repository.git("rev-parse", "HEAD")).commits
    assert (coffee.subject, coffee.kind) == ("fix: café", "breaking")
    assert nothing.subject == ""
    assert coffee.commit == repository.git("rev-parse", "HEAD~1")


def test_bytes_that_are_no_text(repository: Repository) -> None:
    """A message that is in no encoding can be printed all the same."""
    repository.commit("first")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    done = subprocess.run(
        ["git", "commit-tree", tree],
        cwd=repository.root,
        input=b"odd \xff\xfe bytes\n",
        capture_output=True,
        check=True,
    )
    (found,) = changes.read(repository.root, "", done.stdout.decode().strip()).commits
    assert found.subject.encode("utf-8").startswith(b"odd ")


def test_shallow_clone(repository: Repository, tmp_path: Path) -> None:
    """A range that ends where the clone does says so; one that lies in it does not."""
    for text in ("first", "second", "third"):
        repository.commit(text)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=2", f"file://{repository.root}", clone], check=True)
    head = repository.git("rev-parse", "HEAD")
    assert changes.read(clone, "", head).cut
    assert not changes.read(clone, repository.git("rev-parse", "HEAD~1"), head).cut


def test_no_repository(tmp_path: Path) -> None:
    """Without git's history there are no changes to tell of."""
    with pytest.raises(GitError, match="no git repository"):
        changes.read(tmp_path, "", "HEAD")
