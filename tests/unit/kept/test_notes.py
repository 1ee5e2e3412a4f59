"""Sizes as git notes: written by many at once, merged with those of others, never in the way of what is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.kept.test_history import DIGEST, ENTRY

from tinyship.errors import GitError
from tinyship.kept import history, notes
from tinyship.kept.history import Entry, Found

if TYPE_CHECKING:
    from tests.conftest import Repository


def git(root: Path, *words: str) -> str:
    """Run git in a folder, and return what it wrote."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def entry(version: str, commit: str, **fields: str) -> Entry:
    """A release of a commit."""
    return replace(ENTRY, version=version, commit=commit, **fields)  # type: ignore[arg-type]  # all of these are texts


def versions(root: Path) -> set[str]:
    """Those in the notes, none of which may be odd."""
    found = notes.read(root)
    assert not found.notices
    return {one.version for one in found.entries}


def refs(root: Path) -> list[str]:
    """All refs outside of branches and remotes."""
    every = git(root, "for-each-ref", "--format=%(refname)").split()
    return [ref for ref in every if not ref.startswith(("refs/heads/", "refs/remotes/", "refs/tags/"))]


@pytest.fixture
def bare(repository: Repository, tmp_path: Path) -> Path:
    """A remote that `repository`, with a commit, knows as origin."""
    path = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(path))
    repository.commit("first")
    repository.git("remote", "add", "origin", str(path))
    repository.git("push", "-q", "origin", "HEAD:main")
    return path


@pytest.fixture
def clone(bare: Path, tmp_path: Path) -> Path:
    """A second clone of that remote."""
    git(tmp_path, "clone", "-q", str(bare), "clone")
    return tmp_path / "clone"


def test_comes_back_as_it_was(repository: Repository) -> None:
    """What is written is what is read; it is one line of JSON on the commit, and no ref is left over."""
    made = entry("1.0.0", repository.commit(), digest=DIGEST)
    notes.add(repository.root, made)
    assert notes.read(repository.root) == Found((made,))
    assert repository.git("notes", "--ref=tinyship", "show", made.commit) == history.as_line(made)
    assert refs(repository.root) == [notes.REF]
    assert repository.git("status", "--short") == ""


def test_nothing_there(repository: Repository, tmp_path: Path) -> None:
    """No notes, no commit, and no repository at all are an empty history."""
    assert notes.read(repository.root) == Found()
    repository.commit()
    assert notes.read(repository.root) == Found()
    outside = tmp_path / "outside"
    outside.mkdir()
    assert notes.read(outside) == Found()
    notes.add(outside, ENTRY)
    for act in (notes.fetch, notes.push):
        with pytest.raises(GitError, match="in no git repository"):
            act(outside, "origin")


def test_commit_that_is_not_there(repository: Repository) -> None:
    """A commit that this clone lacks, as a shallow one lacks most, may have a note; what is no commit may not."""
    repository.commit()
    notes.add(repository.root, entry("1", "a" * 40))
    assert versions(repository.root) == {"1"}
    with pytest.raises(GitError, match="`git notes` failed"):
        notes.add(repository.root, entry("1", "HEAD~5"))
    assert refs(repository.root) == [notes.REF]


def test_one_line_for_each_image_and_version(repository: Repository) -> None:
    """A release again replaces its line if it is later, and its line only."""
    commit = repository.commit()
    first = entry("1", commit, recorded="2026-01-01T00:00:00+00:00")
    second = replace(first, recorded="2026-01-02T00:00:00+00:00", digest=DIGEST)
    other = replace(first, image="lacion/bar")
    for one in (first, other, second, first, second):
        notes.add(repository.root, one)
    assert repository.git("notes", "--ref=tinyship", "show", commit).splitlines() == [
        history.as_line(other),
        history.as_line(second),
    ]
    assert set(notes.read(repository.root).entries) == {second, other}


def test_the_same_again_changes_nothing(repository: Repository) -> None:
    """An entry that is there makes no commit."""
    made = entry("1", repository.commit())
    notes.add(repository.root, made)
    tip = repository.git("rev-parse", notes.REF)
    notes.add(repository.root, made)
    assert repository.git("rev-parse", notes.REF) == tip


def test_notes_of_others(repository: Repository) -> None:
    """Lines that are not ours stay as they are, beside ours and on other commits, and are told of."""
    other = repository.commit("other")
    commit = repository.commit("ours")
    text = b'  reviewed by nobody  \n\n\n{"schema":2,"image":"x"}\n\xff\xfe no end of line'
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=repository.root, input=text, capture_output=True, check=True
    )
    for one in (commit, other):
        repository.git("notes", f"--ref={notes.REF}", "add", "-C", blob.stdout.decode().strip(), one)
    made = entry("1", commit)
    notes.add(repository.root, made)
    words = ["git", "notes", f"--ref={notes.REF}", "show"]
    here = subprocess.run([*words, commit], cwd=repository.root, capture_output=True, check=True).stdout
    there = subprocess.run([*words, other], cwd=repository.root, capture_output=True, check=True).stdout
    assert here == text + b"\n" + history.as_line(made).encode() + b"\n"
    assert there == text
    found = notes.read(repository.root)
    assert found.entries == (made,)
    assert f"on {commit[:7]}: lines 1, 5: no entry" in " ".join(found.notices)
    assert f"on {other[:7]}: line 4: written by a newer tinyship" in " ".join(found.notices)


def test_notes_that_are_far_from_ours(repository: Repository) -> None:
    """A note of megabytes, one that is no text, and a tree of something else do not keep ours from being read."""
    commits = [repository.commit(str(number)) for number in range(9)]
    huge = repository.root / "huge"
    huge.write_bytes(b"x" * 3_000_000)
    blob = repository.git("hash-object", "-w", str(huge))
    repository.git("notes", f"--ref={notes.REF}", "add", "-C", blob, commits[0])
    for commit in commits[1:8]:
        repository.git("notes", f"--ref={notes.REF}", "add", "-m", "odd", commit)
    made = entry("1", commits[8])
    notes.add(repository.root, made)
    found = notes.read(repository.root)
    assert found.entries == (made,)
    assert len(found.notices) == 6
    assert "more notes" in found.notices[-1]


def test_ref_of_something_else(repository: Repository) -> None:
    """A ref of this name that is a branch of files is no history; where it is no commit at all, git says so."""
    commit = repository.commit()
    repository.git("update-ref", notes.REF, commit)
    assert notes.read(repository.root) == Found()
    made = entry("1", commit)
    notes.add(repository.root, made)
    assert notes.read(repository.root) == Found((made,))
    assert "file.txt" in repository.git("ls-tree", "--name-only", notes.REF).split()
    repository.git("update-ref", notes.REF, repository.git("hash-object", "-w", "file.txt"))
    with pytest.raises(GitError):
        notes.read(repository.root)


def test_thousands_of_notes(repository: Repository) -> None:
    """Git spreads many notes over folders; each is found, and a new one goes where the others are."""
    commit = repository.commit()
    stream = [f"commit {notes.REF}\ncommitter Test <test@example.com> 1700000000 +0000\ndata 0\n"]
    for number in range(3000):
        digits = f"{number * 7919:040x}"[::-1]
        line = history.as_line(entry(f"{number}", digits))
        stream.append(f"M 644 inline {digits[:2]}/{digits[2:]}\ndata {len(line)}\n{line}\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.root, input="".join(stream).encode(), check=True)
    notes.add(repository.root, entry("new", commit))
    assert len(versions(repository.root)) == 3001
    assert repository.git("notes", f"--ref={notes.REF}", "show", commit)


def test_without_an_identity(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine where git knows no user writes notes all the same, under no person's name; else it is the user's."""
    commit = repository.commit()
    notes.add(repository.root, entry("1", commit))
    assert repository.git("log", "-1", "--format=%cn %ce", notes.REF) == "Test test@example.com"
    monkeypatch.setenv("HOME", str(tmp_path))
    repository.git("config", "user.useConfigOnly", "true")
    notes.add(repository.root, entry("2", commit))
    assert repository.git("log", "-1", "--format=%cn %ce %an", notes.REF) == "tinyship tinyship@localhost tinyship"


WRITER = """
import sys
from pathlib import Path
from tests.unit.kept.test_notes import entry
from tinyship.kept import notes
root, writer, commits = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
for number in range(5):
    for commit in commits:
        notes.add(root, entry(f"{writer}.{number}.{commit[:7]}", commit))
"""


def test_many_processes(repository: Repository) -> None:
    """8 processes that write on one commit and on others lose no entry, and leave no ref behind."""
    commits = [repository.commit(str(number)) for number in range(3)]
    words = [sys.executable, "-c", WRITER, str(repository.root)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    running = [
        subprocess.Popen([*words, str(writer), commits[0], commits[1 + writer % 2]], env=environment)
        for writer in range(8)
    ]
    assert [process.wait(timeout=200) for process in running] == [0] * 8
    assert len(versions(repository.root)) == 80
    assert refs(repository.root) == [notes.REF]


def test_lock_of_a_crash(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that a dead process left is waited for, but not for ever."""
    commit = repository.commit()
    (repository.root / ".git" / "refs" / "notes").mkdir()
    (repository.root / ".git" / f"{notes.REF}.lock").touch()
    monkeypatch.setattr(notes, "_PATIENCE", 0.1)
    monkeypatch.setattr(notes, "_LOCKS", ())
    with pytest.raises(GitError, match="update-ref") as caught:
        notes.add(repository.root, entry("1", commit))
    assert "File exists" in caught.value.said
    assert refs(repository.root) == []


def test_worktree_and_detached_head(repository: Repository, tmp_path: Path) -> None:
    """Notes are the repository's: what a worktree with a detached HEAD writes, the others read."""
    commit = repository.commit()
    repository.git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    notes.add(tmp_path / "tree", entry("1", commit))
    assert versions(repository.root) == {"1"}
    (repository.root / "below").mkdir()
    assert versions(repository.root / "below") == {"1"}


def test_submodule(repository: Repository, tmp_path: Path) -> None:
    """A project in a submodule has its notes there, and not in the repository around it."""
    inner = repository.commit("inner")
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository.root), "part")
    notes.add(outer / "part", entry("1", inner))
    assert versions(outer / "part") == {"1"}
    assert notes.read(outer) == Found()
    assert notes.read(repository.root) == Found()


def test_push_and_fetch(repository: Repository, clone: Path) -> None:
    """What one clone pushes, another fetches; a remote without notes, and one with ours, are nothing to do."""
    notes.fetch(repository.root, "origin")
    assert notes.read(repository.root) == Found()
    made = entry("1", repository.git("rev-parse", "HEAD"))
    notes.add(repository.root, made)
    notes.fetch(repository.root, "origin")
    for _ in range(2):
        notes.push(repository.root, "origin")
    for _ in range(2):
        notes.fetch(clone, "origin")
    assert notes.read(clone) == Found((made,))
    assert refs(clone) == refs(repository.root) == [notes.REF]
    assert not (clone / ".git" / "FETCH_HEAD").exists()


def test_two_clones(repository: Repository, clone: Path, bare: Path) -> None:
    """Both write, on one commit and on different ones, and push one after the other: the remote has all."""
    first = repository.git("rev-parse", "HEAD")
    second = repository.commit("second")
    for one in (entry("a", first), entry("b", second)):
        notes.add(repository.root, one)
    notes.add(clone, entry("c", first))
    notes.push(repository.root, "origin")
    notes.push(clone, "origin")
    assert versions(clone) == {"a", "b", "c"}
    notes.push(repository.root, "origin")
    notes.fetch(repository.root, "origin")
    assert versions(repository.root) == {"a", "b", "c"}
    assert git(bare, "notes", f"--ref={notes.REF}", "show", first).count("\n") == 1


def test_release_again_in_another_clone(repository: Repository, clone: Path) -> None:
    """Of two lines about one release that a merge brought together, the later one counts, and replaces both."""
    first = entry("1", repository.git("rev-parse", "HEAD"), recorded="2026-01-01T00:00:00+00:00", digest=DIGEST)
    second = replace(first, recorded="2026-01-02T00:00:00+00:00", digest="")
    third = replace(first, recorded="2026-01-03T00:00:00+00:00")
    assert history.as_line(second) < history.as_line(first), "a merge sorts them the wrong way round"
    notes.add(repository.root, second)
    notes.add(clone, first)
    notes.push(repository.root, "origin")
    notes.push(clone, "origin")
    assert git(clone, "notes", f"--ref={notes.REF}", "show", first.commit).count("\n") == 1
    assert notes.read(clone) == Found((second,))
    notes.add(clone, third)
    assert git(clone, "notes", f"--ref={notes.REF}", "show", first.commit) == history.as_line(third)


def test_remote_that_moves_meanwhile(repository: Repository, clone: Path, tmp_path: Path) -> None:
    """Others push between our fetch and our push, three times; in the end all of it is there."""
    commit = repository.git("rev-parse", "HEAD")
    other = tmp_path / "other.py"
    other.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.kept.test_notes import entry\n"
        "from tinyship.kept import notes\n"
        "for name in [name for name in os.environ if name.startswith('GIT_')]: del os.environ[name]\n"
        f"counter, clone = Path({str(tmp_path / 'count')!r}), Path({str(clone)!r})\n"
        "count = len(counter.read_text()) if counter.exists() else 0\n"
        "counter.write_text('x' * (count + 1))\n"
        "if count < 3:\n"
        f"    notes.add(clone, entry(f'other{{count}}', {commit!r}))\n"
        "    notes.push(clone, 'origin')\n"
    )
    hook = repository.root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nPYTHONPATH={Path(__file__).parents[3]} exec {sys.executable} {other}\n")
    hook.chmod(0o755)
    notes.add(repository.root, entry("ours", commit))
    notes.push(repository.root, "origin")
    assert len((tmp_path / "count").read_text()) == 4
    notes.fetch(clone, "origin")
    assert versions(clone) == versions(repository.root) == {"ours", "other0", "other1", "other2"}


def test_writers_while_notes_are_merged(repository: Repository, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that is written here while a merge is on its way is not lost by it."""
    commit = repository.git("rev-parse", "HEAD")
    notes.add(clone, entry("theirs", commit))
    notes.push(clone, "origin")
    notes.add(repository.root, entry("ours", commit))
    real = notes._swap
    late = iter(["late1", "late2"])

    def swap(*words: object, **options: object) -> bool:
        if version := next(late, ""):
            with monkeypatch.context() as patch:
                patch.setattr(notes, "_swap", real)
                notes.add(repository.root, entry(version, commit))
        return real(*words, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(notes, "_swap", swap)
    notes.fetch(repository.root, "origin")
    assert versions(repository.root) == {"ours", "theirs", "late1", "late2"}


def test_refs_that_are_configured_to_be_overwritten(repository: Repository, clone: Path) -> None:
    """`+refs/notes/*:refs/notes/*`, which many have in their config, does not make a fetch lose ours."""
    commit = repository.git("rev-parse", "HEAD")
    notes.add(clone, entry("theirs", commit))
    notes.push(clone, "origin")
    repository.git("config", "--add", "remote.origin.fetch", "+refs/notes/*:refs/notes/*")
    notes.add(repository.root, entry("ours", commit))
    notes.fetch(repository.root, "origin")
    assert versions(repository.root) == {"ours", "theirs"}


def test_shallow_clone(repository: Repository, bare: Path, tmp_path: Path) -> None:
    """A clone of depth 1 has all notes, its own among them, and stays shallow."""
    first = repository.git("rev-parse", "HEAD")
    notes.add(repository.root, entry("1", first))
    notes.push(repository.root, "origin")
    second = repository.commit("second")
    repository.git("push", "-q", "origin", "HEAD:main")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{bare}", "shallow")
    shallow = tmp_path / "shallow"
    notes.add(shallow, entry("2", second))
    notes.push(shallow, "origin")
    assert versions(shallow) == {"1", "2"}
    assert git(shallow, "rev-list", "--count", "HEAD") == "1"
    notes.fetch(repository.root, "origin")
    assert versions(repository.root) == {"1", "2"}


def test_partial_clone(repository: Repository, bare: Path, tmp_path: Path) -> None:
    """A clone that leaves out file contents has those of the notes, and reads them without asking the remote."""
    git(bare, "config", "uploadpack.allowFilter", "true")
    notes.add(repository.root, entry("1", repository.git("rev-parse", "HEAD")))
    notes.push(repository.root, "origin")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{bare}", "partial")
    notes.fetch(tmp_path / "partial", "origin")
    bare.rename(tmp_path / "away.git")
    assert versions(tmp_path / "partial") == {"1"}


def test_partial_clone_that_lacks_the_notes(repository: Repository, bare: Path, tmp_path: Path) -> None:
    """Notes that git left out of a clone, and would ask the remote for, are not asked for."""
    git(bare, "config", "uploadpack.allowFilter", "true")
    notes.add(repository.root, entry("1", repository.git("rev-parse", "HEAD")))
    notes.push(repository.root, "origin")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{bare}", "partial")
    git(partial, "fetch", "-q", "origin", f"{notes.REF}:{notes.REF}")
    packs = sorted((partial / ".git" / "objects" / "pack").iterdir())
    with suppress(GitError):  # what git does about it depends on its version
        assert notes.read(partial) == Found()
    assert sorted((partial / ".git" / "objects" / "pack").iterdir()) == packs
    notes.fetch(partial, "origin")


@pytest.mark.parametrize("act", [notes.fetch, notes.push])
def test_remote_that_cannot_be_reached(repository: Repository, act: object) -> None:
    """A remote that is not there, that is down, or that refuses, is an error that says which, without credentials."""
    notes.add(repository.root, entry("1", repository.commit()))
    repository.git("remote", "add", "down", "https://user:secret@127.0.0.1:9/x.git")
    for remote, why in (("nowhere", "'nowhere' does not appear"), ("down", "unable to access")):
        with pytest.raises(GitError, match=why) as caught:
            act(repository.root, remote)  # type: ignore[operator]  # one of the two
        assert "secret" not in str(caught.value) + caught.value.said
    assert refs(repository.root) == [notes.REF]


def test_push_that_is_refused(repository: Repository, bare: Path) -> None:
    """A remote that takes no notes from us is asked once."""
    notes.add(repository.root, entry("1", repository.git("rev-parse", "HEAD")))
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho x >> {bare}/asked\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError, match="pre-receive hook declined"):
        notes.push(repository.root, "origin")
    assert (bare / "asked").read_text() == "x\n"


def test_remote_that_always_moves(
    repository: Repository, clone: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some tries a push gives up, with what the remote said."""
    hook = bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\necho x >> {bare}/asked\ntouch {bare}/$1.lock\n")
    hook.chmod(0o755)
    (bare / "refs" / "notes").mkdir(parents=True)
    monkeypatch.setattr(notes, "_PUSHES", 3)
    notes.add(repository.root, entry("1", repository.git("rev-parse", "HEAD")))
    with pytest.raises(GitError, match="`git push` failed") as caught:
        notes.push(repository.root, "origin")
    assert any(word in caught.value.said for word in notes._MOVED)
    assert (bare / "asked").read_text() == "x\n" * 3


@pytest.fixture
def online(repository: Repository) -> Iterator[object]:
    """A repository as `notes` opens it."""
    repository.commit()
    with notes._opened(repository.root) as opened:
        yield opened


def test_nothing_is_asked_at_the_terminal(
    repository: Repository, online: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No password is asked for, unless the user has an own command for SSH, which is theirs."""
    assert notes._online(online)["environment"] == {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    }
    with monkeypatch.context() as patch:
        patch.setenv("GIT_SSH_COMMAND", "mine")
        assert "GIT_SSH_COMMAND" not in notes._online(online)["environment"]
    repository.git("config", "core.sshCommand", "mine")
    assert "GIT_SSH_COMMAND" not in notes._online(online)["environment"]
