"""The git tags that are versions: which are, what they are called, and the version that they give a commit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tinyship import versions
from tinyship.errors import GitError
from tinyship.git.repository import run

if TYPE_CHECKING:
    from tinyship.settings.schema import Version

SHORT = 7
_DEFAULT = "v*"
_DESCRIBED = re.compile(r"(.+)-(\d+)-g([0-9a-f]+)")
_OTHER = "`--version` or `version.literal` names another"


class Found(Struct, frozen=True):
    """The version of a commit, the tag on it that it is (empty where there is none), and what should be said of it."""

    version: str
    tag: str
    notices: tuple[str, ...] = ()


def pattern(version: Version) -> tuple[str, str]:
    """The glob of tags that are versions, and what stands before the version in each.

    A digit follows what stands before the first ``*``, so that ``v*`` does not mean ``vendor``.
    """
    glob = version.tag or _DEFAULT
    wildcard = re.search(r"[*?\[]", glob)
    if not wildcard:
        return glob, ""
    beginning, rest = glob[: wildcard.start()], glob[wildcard.start() :]
    return (f"{beginning}[0-9]{rest}" if rest.startswith("*") else glob), beginning


def ordered(tags: Iterable[str], version: Version) -> tuple[str, ...]:
    """Tags with the highest version first; what is no version comes last."""
    names, prefix = tuple(tags), pattern(version)[1]
    if len(names) < 2:
        return names  # the libraries that read versions need not be loaded
    return tuple(sorted(names, key=lambda tag: versions.order(tag.removeprefix(prefix), version.scheme), reverse=True))


def listing(version: Version) -> tuple[str, ...]:
    """What git is asked for the tags that are versions."""
    return ("tag", "--list", pattern(version)[0])


def every(said: str, version: Version) -> tuple[str, ...]:
    """The versions that the tags of a repository name, the highest first, without what stands before them.

    Args:
        said: what git says to ``listing``.
    """
    prefix = pattern(version)[1]
    return tuple(name.removeprefix(prefix) for name in ordered(filter(None, said.split("\n")), version))


def given(name: str, tags: tuple[str, ...], version: Version) -> Found:
    """A version that is not git's: the tag on the commit that says the same, or what to say of tags that do not.

    Args:
        name: the version.
        tags: those on the commit.
        version: which tags count.
    """
    glob, prefix = pattern(version)
    here = [tag for tag in tags if fnmatchcase(tag, glob)]
    same = next((tag for tag in here if tag.removeprefix(prefix) == name), "")
    if same or not here:
        return Found(name, same)
    return Found(name, "", (f"HEAD has the tag {here[0]}, but the version is given, and is {name}",))


def find(repository: Any, commit: str, tags: tuple[str, ...], version: Version, *, branch: str, shallow: bool) -> Found:
    """The version of a commit: its highest tag's, or the nearest one's behind it with the number of commits between.

    Args:
        repository: as ``repository.around`` opened it.
        commit: the full commit.
        tags: those on the commit.
        version: which tags count, and how they are ordered.
        branch: that is checked out; only to be told apart from a tag of its name.
        shallow: whether history is cut off.
    """
    glob, prefix = pattern(version)
    here = ordered((tag for tag in tags if fnmatchcase(tag, glob)), version)
    namesake = _namesake(repository, branch, here) if fnmatchcase(branch, glob) else ()
    if here:
        several = (
            f"HEAD has {len(here)} version tags, {', '.join(here)}: the first is the highest and is the version; "
            f"{_OTHER}",
        )
        return Found(here[0].removeprefix(prefix), here[0], (*(several if len(here) > 1 else ()), *namesake))
    cut = (
        "the clone is shallow: older tags may be missing, and with them the true version; "
        "`git fetch --unshallow --tags` gets them",
    )
    notices = (*(cut if shallow else ()), *namesake)
    try:
        described = run(
            repository, "describe", "--tags", "--long", f"--abbrev={SHORT}", f"--match={glob}", commit
        ).strip()
    except GitError:
        name = f"0.0.0-g{commit[:SHORT]}"
        why = f"no version tag (`{version.tag or _DEFAULT}`) is reached from HEAD, so the version is {name}; {_OTHER}"
        return Found(name, "", (why, *notices))
    match = _DESCRIBED.fullmatch(described)
    if not match:
        raise GitError(f"`git describe` says `{described}`, which cannot be understood")
    # Of several tags on that commit, git describe takes any.
    there = run(repository, "tag", "--points-at", f"refs/tags/{match[1]}^{{}}", "--list", glob).split()
    nearest = next(iter(ordered(there, version)), match[1])
    name = f"{nearest.removeprefix(prefix)}-{match[2]}-g{match[3][:SHORT]}"
    commits = "1 commit" if match[2] == "1" else f"{match[2]} commits"
    why = f"HEAD is {commits} after the tag {nearest}, so the version is {name}, which is no release; {_OTHER}"
    return Found(name, "", (why, *notices))


def _namesake(repository: Any, branch: str, here: tuple[str, ...]) -> tuple[str, ...]:
    """What should be said of a branch that has the name of a tag."""
    if branch in here:
        return (f"{branch} is a tag and a branch: versions come from tags alone",)
    if not run(repository, "tag", "--list", branch).strip():
        return ()
    return (
        f"HEAD is the branch {branch}, and the tag of that name is on another commit: versions come from tags alone; "
        f"`git checkout refs/tags/{branch}` goes there",
    )
