"""Selects the entries of a folder that BuildKit asks for: includes, excludes, and paths with the links on their way.

Source: github.com/tonistiigi/fsutil (filter.go, followlinks.go), and buildkit, session/filesync.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote_plus

from tinyship.context.ignore import Matcher
from tinyship.context.pattern import glob
from tinyship.context.walk import Entry, Known, unreadable, walk
from tinyship.engine.buildkit.channel import Headers
from tinyship.errors import ContextError

_WILDCARD = re.compile(r"(?:[^\\*?\[]|\\.)*[*?\[]", re.DOTALL)
_MOST_LINKS = 40
"""As many links on the way to one file as Linux follows."""


def entries(root: Path, headers: Headers, known: Known | None = None, *, hidden: Sequence[str] = ()) -> Iterator[Entry]:
    """The entries of a folder that BuildKit asks for.

    Args:
        root: the folder.
        headers: of the call; include patterns, exclude patterns and paths to follow are in them.
        known: what somebody has looked at before; see ``context.scout``.
        hidden: patterns that stand before those that BuildKit read in an ignore file.

    Raises:
        ContextError: a pattern is none, or a folder cannot be read; names it.
    """
    paths = values(headers, "followpaths")
    if paths and reads_only(headers, paths):
        return _plain_files(root, paths)
    filters: list[Matcher | _Included] = [Matcher((*hidden, *map(_unspoilt, values(headers, "exclude-patterns"))))]
    included = list(values(headers, "include-patterns"))
    if paths:
        included += followed(root, paths)
        if "." in included:  # the folder itself, which is all there is
            included = []
    if included:
        filters.append(_Included(Matcher(included)))
    return walk(root, *filters, known=known)


def reads_only(headers: Headers, paths: Sequence[str]) -> bool:
    """Whether the frontend asks for a Dockerfile and its ignore file, to read them itself."""
    name = next(iter(headers.get("dir-name", ())), "")
    alone = not headers.keys() & {"include-patterns", "exclude-patterns"} and not any("/" in path for path in paths)
    return alone and (name == "dockerfile" or set(paths) == {".dockerignore"})


def _plain_files(root: Path, names: Sequence[str]) -> Iterator[Entry]:
    """Files by their names, whatever characters these have, and by their contents, even where links lead out.

    With a link that leads out of the folder BuildKit could do nothing: an ignore file would count for none, and all
    that it names would be sent.
    """
    for name in sorted(set(names), key=os.fsencode):
        full = os.path.realpath(root / name)
        try:
            status = os.stat(full)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(name, error) from error
        if stat.S_ISREG(status.st_mode):
            yield Entry(name, full, status)


def values(headers: Headers, name: str) -> tuple[str, ...]:
    """The values of a header, decoded where the engine had to encode what is not ASCII."""
    found = headers.get(name, ())
    if next(iter(headers.get(f"{name}-encoded", ())), "0") not in {"1", "t", "T", "true", "TRUE", "True"}:
        return found
    return tuple(unquote_plus(value, errors="surrogateescape") for value in found)


def _unspoilt(pattern: str) -> str:
    """A pattern whose bytes that are no UTF-8 became replacement characters in the engine: as a class, they match."""
    return pattern if "[" in pattern or "\\" in pattern else pattern.replace("\ufffd", "[\ufffd]")


class _Included:
    """Leaves out what include patterns do not name."""

    def __init__(self, patterns: Matcher) -> None:
        self._patterns = patterns

    def ignores(self, path: str) -> bool:
        return not self._patterns.ignores(path)

    def may_reopen(self, directory: str) -> bool:
        return self._patterns.may_ignore(directory)

    def may_ignore(self, directory: str) -> bool:
        return self._patterns.may_reopen(directory)


def followed(root: Path, paths: Sequence[str]) -> list[str]:
    """Paths as include patterns: each itself, or the first link on its way and, in the same manner, where that leads.

    A link never leads out of the folder: what is above it, and the root of the file system, is the folder itself.
    fsutil follows each link once only, here it is followed for every path that goes through it.

    Args:
        root: the folder.
        paths: relative to it; their parts may have wildcards.
    """
    found: list[str] = []
    todo = [(posixpath.normpath(path.lstrip("/") or "."), 0) for path in paths]
    seen = set()
    while todo:
        path, links = todo.pop()
        if path in seen or links > _MOST_LINKS:
            continue
        seen.add(path)
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            targets = _targets(root, above)
            if targets:
                found.append(above)
                rest = parts[depth:]
                todo += [
                    (posixpath.normpath("/".join([target, *rest])).lstrip("/") or ".", links + 1) for target in targets
                ]
                break
        else:
            found.append(path)
    return found


def _targets(root: Path, path: str) -> list[str]:
    """Where the links lead to that a path names, from the folder's ``/``; none where it names no link."""
    parent, _, base = path.rpartition("/")
    if not _WILDCARD.match(base):
        names = [base]
    else:
        try:
            matches = re.compile(glob(base), re.DOTALL).fullmatch
            names = sorted(name for name in os.listdir(root / parent) if matches(name))  # noqa: PTH208
        except (OSError, ContextError):
            return []
    targets = []
    for name in names:
        try:
            target = os.readlink(root / parent / name)  # noqa: PTH115
        except (OSError, ValueError):
            continue
        targets.append(posixpath.normpath(posixpath.join("/", parent, target)))
    return targets
