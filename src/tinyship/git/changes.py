"""The commits between two releases, and what they are by their prefixes.

Source: Conventional Commits 1.0.0, sections "Summary" and "Specification"; its list of types is that of
@commitlint/config-conventional.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tinyship.codes import without_codes
from tinyship.errors import GitError
from tinyship.git.repository import around, run

Kind: TypeAlias = Literal["breaking", "features", "fixes", "others"]
KINDS: tuple[Kind, ...] = ("breaking", "features", "fixes", "others")

_TYPES = "build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test"
_PREFIX = re.compile(rf"({_TYPES})(?:\(([^()]*)\))?(!)?: +(\S.*)", re.I)
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE: ", re.M)
_FORMAT = "%H%n%aN%n%cI%n%s%n%b"


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit changed, in the words of who made it, without control codes.

    Args:
        commit: the full commit.
        date: of the commit, RFC 3339.
        author: their name; empty where it was not asked for.
        subject: the first line of the message.
        kind: by its prefix: ``fix(api)!: text`` is breaking.
        scope: ``api`` of that; empty where there is none.
        text: of that; the whole subject where there is no such prefix.
    """

    commit: str
    date: str
    author: str
    subject: str
    kind: Kind
    scope: str
    text: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a range of commits, the latest first, without merges.

    Args:
        commits: the latest.
        more: the number of those that were left out.
        conventional: most of them say by a prefix what they are.
        cut: the range ends where a shallow clone does, so that commits are missing.
    """

    commits: tuple[Change, ...]
    more: int
    conventional: bool
    cut: bool

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """Those of one kind."""
        return tuple(change for change in self.commits if change.kind == kind)


def read(root: Path, since: str, until: str, *, most: int = 0, authors: bool = False) -> Changes:
    """What was committed in ``until`` and was not in ``since``.

    Args:
        root: a folder of the repository.
        since: a commit; all that there is where empty.
        until: a commit.
        most: of the latest that are told of; all where 0.
        authors: ask for their names, too.

    Raises:
        GitError: there is no repository, or git is missing or refuses.
    """
    repository = around(root)
    if repository is None:
        raise GitError(f"{root} is in no git repository, so there are no changes to tell of")
    wanted = (until, *((f"^{since}",) if since else ()), "--")
    with repository:
        every = run(repository, "rev-list", "--no-merges", *wanted).split()
        limit = (f"--max-count={most}",) if most else ()
        words = ("log", "-z", "--no-merges", "--no-show-signature", "--no-color", "--encoding=UTF-8", *limit)
        text = run(repository, *words, f"--format={_FORMAT}", *wanted)
        boundary = _boundary(Path(repository.common_dir))
    found = tuple(_change(entry, authors=authors) for entry in text.split("\0") if entry)
    prefixed = sum(1 for change in found if _PREFIX.fullmatch(change.subject))
    return Changes(
        commits=found,
        more=len(every) - len(found),
        conventional=prefixed * 2 > len(found),
        cut=not boundary.isdisjoint(every),
    )


def of_message(commit: str, message: Sequence[str], *, date: str = "", author: str = "") -> Change:
    """A change from the lines of a commit's message, its subject the first of them."""
    subject = " ".join(without_codes(message[0]).split()) if message else ""
    body = "\n".join(message[1:])
    match = _PREFIX.fullmatch(subject)
    type_, scope, mark, text = match.groups(default="") if match else ("", "", "", subject)
    kinds: dict[str, Kind] = {"feat": "features", "fix": "fixes"}
    kind: Kind = "breaking" if mark or _BREAKING.search(body) else kinds.get(type_.lower(), "others")
    return Change(commit, date, " ".join(without_codes(author).split()), subject, kind, scope.strip(), text)


def _change(entry: str, *, authors: bool) -> Change:
    # What is no UTF-8 must not become something that no terminal can be sent.
    clean = entry.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    commit, author, date, *message = clean.split("\n")
    return of_message(commit, message, date=date, author=author if authors else "")


def _boundary(folder: Path) -> set[str]:
    """The commits at which a shallow clone ends."""
    try:
        return set((folder / "shallow").read_text(encoding="ascii").split())
    except OSError:
        return set()
