"""Walks the files of a context in the order that BuildKit's protocol asks for.

Depth first, siblings in the byte order of their names, every folder before what is in it. The context's own folder is
not an entry.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from tinyship.context.names import shown
from tinyship.errors import ContextError
from tinyship.running import cancelling

# Something else may stand where a file was: a pipe must not block us, and a link must not lead us elsewhere.
_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_HINT = "Make it readable, or name it in .dockerignore."


class Entry(NamedTuple):
    """A file, folder, link or special file of a context; a tuple, because there are many.

    Args:
        path: relative, with ``/``; bytes that are not UTF-8 as surrogates.
        full: where it lies.
        stat: of itself, not of what it links to.
    """

    path: str
    full: str
    stat: os.stat_result


class Filter(Protocol):
    """Says what a walk leaves out."""

    def ignores(self, path: str) -> bool:
        """Whether a path is left out."""

    def may_reopen(self, directory: str) -> bool:
        """Whether something below a folder that is left out could be wanted all the same."""

    def may_ignore(self, directory: str) -> bool:
        """Whether something below a folder that is wanted could be left out all the same."""


Known = Callable[[str], "list[os.DirEntry[str]] | None"]
"""Gives what is in a folder, in order, where that is known already."""


def walk(root: Path, *filters: Filter, known: Known | None = None) -> Iterator[Entry]:
    """The entries below a folder that are not ignored, and the folders above them.

    What vanishes meanwhile is left out, and so are sockets, which no archive can hold.

    Args:
        root: the context's folder.
        filters: each says what is ignored.
        known: what somebody has looked at before; see ``context.scout``.

    Raises:
        ContextError: a folder cannot be read; names it.
    """

    def scan(folder: str, path: str, *, held: bool) -> list[os.DirEntry[str]]:
        found = known(folder) if known else None
        return _scan(folder, path, held=held) if found is None else found

    held: list[Entry] = []  # ignored folders that we are in, and that have not been given
    levels = [("", iter(scan(str(root), "", held=False)), filters)]
    while levels:
        prefix, level, asked = levels[-1]
        found = next(level, None)
        if found is None:
            levels.pop()
            if held and f"{held[-1].path}/" == prefix:
                held.pop()
            continue
        path = prefix + found.name
        ignoring = [one for one in asked if one.ignores(path)] if asked else []
        try:
            is_folder = found.is_dir(follow_symlinks=False)
            if ignoring and not (is_folder and all(one.may_reopen(path) for one in ignoring)):
                continue
            entry = Entry(path, found.path, found.stat(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(path, error) from error
        if stat.S_ISSOCK(entry.stat.st_mode):
            continue
        if ignoring:
            held.append(entry)
        else:
            yield from held
            held.clear()
            yield entry
        if is_folder:
            below = tuple(one for one in asked if one in ignoring or one.may_ignore(path))
            levels.append((f"{path}/", iter(scan(found.path, path, held=bool(ignoring))), below))


def in_order(entries: Iterable[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    """Siblings in the byte order of their names."""
    return sorted(entries, key=lambda entry: entry.name.encode("utf-8", "surrogateescape"))


def _scan(folder: str, path: str, *, held: bool) -> list[os.DirEntry[str]]:
    """What is in a folder, in order; nothing where it is gone, or is ignored and locked."""
    cancelling.check()
    try:
        with os.scandir(folder) as entries:
            return in_order(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if held and isinstance(error, PermissionError):
            return []
        raise unlistable(path or folder, error) from error


def open_file(entry: Entry) -> IO[bytes] | None:
    """Open a regular file, without a buffer; None where it is gone, or something else has taken its place.

    Raises:
        ContextError: it cannot be read; names it.
    """
    try:
        descriptor = os.open(entry.full, _OPENING)
    except PermissionError as error:
        raise unreadable(entry.path, error) from error
    except OSError as error:
        if _is_regular(entry.full):
            raise unreadable(entry.path, error) from error
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb", buffering=0)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)  # surrogates need no Path
    except OSError:
        return False


def read_link(entry: Entry) -> str | None:
    """Where a link leads to; None where it is gone, or something else has taken its place.

    Raises:
        ContextError: it cannot be read; names it.
    """
    try:
        return os.readlink(entry.full)  # noqa: PTH115  surrogates need no Path
    except PermissionError as error:
        raise unreadable(entry.path, error) from error
    except OSError:
        return None


def unreadable(path: str, error: OSError) -> ContextError:
    """The error for what cannot be read."""
    return ContextError(f"{shown(path)} cannot be read: {error.strerror}", hint=_HINT)


def unlistable(folder: str, error: OSError) -> ContextError:
    """The error for a folder that cannot be read."""
    return ContextError(f"the folder {shown(folder)} of the context cannot be read: {error.strerror}", hint=_HINT)
