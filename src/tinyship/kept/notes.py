"""The history of sizes as git notes, so that it travels with the repository: ``refs/notes/tinyship``.

A note is on the commit of a release and has one line for each image and version, as in ``history.jsonl``, so that notes
merge as sets of lines (``cat_sort_uniq``). Lines of others stay. Every change is made on a private ref and put in place
by a compare-and-swap, because ``git notes`` itself would overwrite what another process wrote meanwhile.
Source: git-notes(1), git-update-ref(1).
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from tinyship.errors import GitError
from tinyship.git import quickgit
from tinyship.git.repository import around, run, run_bytes
from tinyship.git.revision import SHORT
from tinyship.kept import history
from tinyship.kept.history import Entry, Found
from tinyship.running import cancelling

REF = "refs/notes/tinyship"
_LONGEST = 1_000_000
_SHOWN = 5
_PUSHES = 8
_PATIENCE = 60.0
_LOCAL = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
_LOCKS = ("-c", "core.filesRefLockTimeout=5000", "-c", "core.packedRefsTimeout=10000")
_MOVED = ("fetch first", "non-fast-forward", "stale info", "cannot lock ref", "failed to update ref", "incorrect old")


def read(root: Path) -> Found:
    """The entries in the notes of the repository around a folder; none where there is no repository.

    Raises:
        GitError: git is missing or refuses.
    """
    if quickgit.ask(root, *_tip_of(REF)) == "":
        return Found()
    with _opened(root) as repository:
        tip = _tip(repository, REF) if repository else ""
        if not tip:
            return Found()
        entries: list[Entry] = []
        notices: list[str] = []
        for commit, text in _texts(repository, tip):
            where = f"the note of {REF} on {commit[:SHORT]}"
            if text is None:
                notices.append(f"{where}: no entries of a history, but more than 1 MB; left as it is, and left out")
                continue
            found = history.parse(text, where)
            entries += found.entries
            notices += found.notices
    more = len(notices) - _SHOWN
    said = (*notices[:_SHOWN], f"and {more} more notes of {REF} are like this") if more > 0 else tuple(notices)
    return Found(history.union(entries), said)


def add(root: Path, entry: Entry) -> None:
    """Put an entry into the note on its commit, whoever else writes notes meanwhile.

    Raises:
        GitError: there is no such commit here, or git refuses.
    """
    with _opened(root) as repository:
        if not repository:
            return

        def has(ref: str) -> bool:
            there = _note(repository, ref, entry.commit)
            return _with_entry(there, entry) == there

        def change(ref: str, is_new: bool) -> None:
            before = b"" if is_new else _note(repository, ref, entry.commit)
            text = _with_entry(before, entry)
            if text == before:
                return
            identity = _identity(repository)
            blob = run(repository, "hash-object", "-w", "--stdin", stdin=text).strip()
            words = ("notes", f"--ref={ref}", "add", "--force", f"--reuse-message={blob}", entry.commit)
            run(repository, *words, environment=identity)

        _change(repository, change, has=has)


def fetch(root: Path, remote: str) -> None:
    """Merge a remote's notes into ours; nothing of either side is lost.

    Raises:
        GitError: there is no repository, the remote cannot be reached, or git refuses.
    """
    with _opened(root) as repository:
        if not repository:
            raise GitError(f"{root} is in no git repository, so there are no notes to fetch")
        _fetch(repository, remote)


def push(root: Path, remote: str) -> None:
    """Send our notes to a remote, with what it has that we lack merged in first where it has.

    Raises:
        GitError: there is no repository, the remote cannot be reached or refuses, or its notes move all the time.
    """
    with _opened(root) as repository:
        if not repository:
            raise GitError(f"{root} is in no git repository, so there are no notes to push")
        for attempt in range(1, _PUSHES + 1):
            try:
                words = ("push", "--quiet", "--no-follow-tags", "--recurse-submodules=no", remote, f"{REF}:{REF}")
                run(repository, *words, **_online(repository))
                return
            except GitError as error:
                if attempt == _PUSHES or not any(word in error.said for word in _MOVED):
                    raise
            _pause(attempt)
            _fetch(repository, remote)


@contextmanager
def _opened(root: Path) -> Iterator[Any]:
    repository = around(root)
    try:
        yield repository
    finally:
        if repository:
            repository.close()


def _fetch(repository: Any, remote: str) -> None:
    identity = _identity(repository)
    landing = f"refs/tinyship/{secrets.token_hex(8)}"
    # An empty map of refs, because one that is configured for notes would overwrite ours.
    words = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-filter", "--no-recurse-submodules", "--refmap=")
    try:
        try:
            run(repository, "fetch", *words, remote, f"+{REF}:{landing}", **_online(repository))
        except GitError as error:
            if "couldn't find remote ref" in error.said:
                return
            raise

        def change(ref: str, is_new: bool) -> None:
            merge = ("notes", f"--ref={ref}", "merge", "--quiet", "--strategy=cat_sort_uniq", landing)
            run(repository, *merge, environment=identity)

        _change(repository, change)
    finally:
        _drop(repository, landing)


def _change(
    repository: Any, change: Callable[[str, bool], None], *, has: Callable[[str], bool] = lambda _: False
) -> None:
    """Let ``change`` work on a private copy of the ref, and swap it in; again where another was faster.

    Args:
        change: gets the private ref, and whether it is not there yet because there are no notes.
        has: whether a ref has already what is to come into it; asked where there are notes.
    """
    given_up = time.monotonic() + _PATIENCE
    for attempt in count(1):
        before = _tip(repository, REF)
        if before and has(REF):
            return
        private = f"{REF}-{secrets.token_hex(8)}"
        try:
            if before:
                run(repository, *_LOCKS, "update-ref", private, before)
            change(private, not before)
            after = _tip(repository, private)
            if after == before or _swap(repository, before, after, last=time.monotonic() > given_up):
                return
        finally:
            _drop(repository, private)
        _pause(attempt)


def _swap(repository: Any, before: str, after: str, *, last: bool) -> bool:
    """Whether the ref was what it was before, and now is what it should be."""
    try:
        run(repository, *_LOCKS, "update-ref", REF, after, before or "0" * len(after))
    except GitError as error:
        others_have_it = _tip(repository, REF) != before or "File exists" in error.said
        if last or not others_have_it:
            raise
        return False
    return True


def _drop(repository: Any, ref: str) -> None:
    with suppress(GitError):  # it is not there, or stays, and is in nobody's way
        run(repository, *_LOCKS, "update-ref", "-d", ref)


def _tip(repository: Any, ref: str) -> str:
    """The commit that a ref names; empty where there is no such ref."""
    return run(repository, *_tip_of(ref)).strip()


def _tip_of(ref: str) -> tuple[str, ...]:
    return ("for-each-ref", "--format=%(objectname)", ref)


def _note(repository: Any, ref: str, commit: str) -> bytes:
    """The text of a note; empty where there is none."""
    try:
        blob = run(repository, "notes", f"--ref={ref}", "list", commit).strip()
    except GitError as error:
        if "no note found" in error.said:
            return b""
        raise
    return run_bytes(repository, "cat-file", "blob", blob, environment=_LOCAL)


def _with_entry(text: bytes, entry: Entry) -> bytes:
    """A note's text with an entry in place of older ones about the same release; all other lines as they are."""
    kept = []
    for line in text.removesuffix(b"\n").split(b"\n") if text else ():
        try:
            known = history.of_line(line)
        except history.Unreadable:
            kept.append(line)
            continue
        if known.key != entry.key:
            kept.append(line)
        else:
            (entry,) = history.union([known], [entry])
    return b"\n".join([*kept, history.as_line(entry).encode(), b""])


def _texts(repository: Any, tip: str) -> Iterator[tuple[str, bytes | None]]:
    """Each note of a commit of notes: what it is on, and its text; None for one that is too long to be ours."""
    blobs: list[tuple[str, str]] = []
    for line in run(repository, "ls-tree", "-r", "-z", "--long", tip, environment=_LOCAL).split("\0"):
        fields, _, path = line.partition("\t")
        _, kind, blob, size = fields.split() if fields else ("", "", "", "")
        commit = path.replace("/", "")
        if kind == "blob" and size.isdigit() and len(commit) == len(blob):
            if int(size) > _LONGEST:
                yield commit, None
            else:
                blobs.append((commit, blob))
    asked = "".join(f"{blob}\n" for _, blob in blobs)
    found = run_bytes(repository, "cat-file", "--batch", stdin=asked.encode(), environment=_LOCAL)
    at = 0
    for commit, _ in blobs:
        end = found.index(b"\n", at)
        _, _, size = found[at:end].decode().partition(" blob ")
        if size:  # else it says "missing", in a partial clone
            yield commit, found[end + 1 : end + 1 + int(size)]
            end += int(size) + 1
        at = end + 1


def _identity(repository: Any) -> Mapping[str, str]:
    """Variables that name a committer, for a git that knows none."""
    found: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        try:
            run(repository, "var", f"GIT_{role}_IDENT")
        except GitError:
            found |= {f"GIT_{role}_NAME": "tinyship", f"GIT_{role}_EMAIL": "tinyship@localhost"}
    return found


def _online(repository: Any) -> dict[str, Any]:
    """Options of a command that may use the network: it asks nothing at the terminal, and does not wait for ever."""
    environment = {"GIT_TERMINAL_PROMPT": "0"}
    if not os.environ.keys() & {"GIT_SSH", "GIT_SSH_COMMAND"} and not _configured(repository, "core.sshCommand"):
        environment["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
    return {"environment": environment, "timeout": None if sys.platform == "win32" else _PATIENCE}


def _configured(repository: Any, key: str) -> str:
    try:
        return run(repository, "config", "--get", key).strip()
    except GitError:
        return ""


def _pause(attempt: int) -> None:
    cancelling.sleep(random.uniform(0, min(0.02 * 2 ** min(attempt, 6), 1.0)))  # noqa: S311  nothing secret about it
