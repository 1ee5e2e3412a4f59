"""The git tags that are versions: which they are, of which commits, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tinyship import revision, tags
from tinyship.repository import around, run

_FORMAT = "%00".join(
    f"%({name})"
    for name in (
        "refname:strip=2",
        "objectname",
        "committerdate:iso-strict",
        "*objectname",
        "*committerdate:iso-strict",
    )
)


@dataclass(frozen=True, slots=True)
class VersionTag:
    """A git tag that is a version.

    Args:
        name: of the tag.
        version: the name without its prefix.
        commit: that it is on.
        date: of the commit, RFC 3339; empty where it is none that can be read.
    """

    name: str
    version: str
    commit: str
    date: str


def read(root: Path, glob: str, *, merged: str = "") -> tuple[VersionTag, ...]:
    """The version tags of the repository around a folder, the highest version first; none where there is none.

    Args:
        root: a folder of the repository.
        glob: of the settings, ``v*`` where empty.
        merged: a commit; only tags on it or on what it was made of.

    Raises:
        GitError: git is missing or refuses.
    """
    repository = around(root)
    if repository is None:
        return ()
    pattern, prefix = revision._pattern(glob or "v*")
    with repository:
        options = (f"--merged={merged}",) if merged else ()
        lines = run(repository, "for-each-ref", f"--format={_FORMAT}", *options, "refs/tags").splitlines()
    found = []
    for line in lines:
        name, own, own_date, peeled, peeled_date = line.split("\0")
        date = peeled_date or own_date
        if date and fnmatchcase(name, pattern):  # a tag of something that is no commit has no such date
            found.append(VersionTag(name, name.removeprefix(prefix), peeled or own, _date(date)))
    return tuple(sorted(found, key=lambda tag: order(tag.version), reverse=True))


def order(version: str) -> tuple[Any, ...]:
    """What versions are sorted by, the lowest first."""
    return revision._order(version)


def is_final(version: str) -> bool:
    """Whether a version is no pre-release, and none between two tags."""
    return tags.is_final(version)


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:  # git takes any year and any time zone
        return ""
