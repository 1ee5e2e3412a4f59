"""The git tags that are versions, each with its commit and date, the highest version first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from tinyship import versions
from tinyship.git import gittags
from tinyship.git.repository import around, run

if TYPE_CHECKING:
    from tinyship.settings.schema import Version

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


def read(root: Path, version: Version, *, merged: str = "") -> tuple[VersionTag, ...]:
    """The version tags of the repository around a folder, the highest version first; none where there is none.

    Args:
        root: a folder of the repository.
        version: which tags count, and how they are ordered.
        merged: a commit; only tags on it or on what it was made of.

    Raises:
        GitError: git is missing or refuses.
    """
    repository = around(root)
    if repository is None:
        return ()
    pattern, prefix = gittags.pattern(version)
    with repository:
        options = (f"--merged={merged}",) if merged else ()
        lines = run(repository, "for-each-ref", f"--format={_FORMAT}", *options, "refs/tags").splitlines()
    found = []
    for line in lines:
        name, own, own_date, peeled, peeled_date = line.split("\0")
        date = peeled_date or own_date
        if date and fnmatchcase(name, pattern):  # a tag of something that is no commit has no such date
            found.append(VersionTag(name, name.removeprefix(prefix), peeled or own, _date(date)))
    return tuple(sorted(found, key=lambda tag: versions.order(tag.version, version.scheme), reverse=True))


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:  # git takes any year and any time zone
        return ""
