"""Walks the files of a context in the order that BuildKit's protocol asks for.

Depth first, siblings in the byte order of their names, every folder before what is in it. The context's own folder is
not an entry.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyship.context.ignore import Matcher
from tinyship.errors import ContextError


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder, link or special file of a context.

    Args:
        path: relative, with ``/``; bytes that are not UTF-8 as surrogates.
        full: where it lies.
        stat: of itself, not of what it links to.
    """

    path: str
    full: str
    stat: os.stat_result


def walk(root: Path, *matchers: Matcher) -> Iterator[Entry]:
    """The entries below a folder that are not ignored, and the folders above them.

    What vanishes meanwhile is left out, and so are sockets, which no archive can hold.

    Args:
        root: the context's folder.
        matchers: each says what is ignored.

    Raises:
        ContextError: a folder cannot be read; names it.
    """
    held: list[Entry] = []
    for entry, ignored in _walk(str(root), "", matchers):
        while held and not entry.path.startswith(f"{held[-1].path}/"):
            held.pop()
        if not ignored:
            yield from held
            held.clear()
            yield entry
        elif stat.S_ISDIR(entry.stat.st_mode):
            held.append(entry)


def _walk(folder: str, prefix: str, matchers: tuple[Matcher, ...]) -> Iterator[tuple[Entry, bool]]:
    """Entries, each with whether it is ignored; ignored files are not given, ignored folders only where it matters."""
    for found in _scan(folder, prefix):
        path = prefix + found.name
        ignoring = [matcher for matcher in matchers if matcher.ignores(path)]
        try:
            is_folder = found.is_dir(follow_symlinks=False)
            if ignoring and not (is_folder and all(matcher.may_reopen(path) for matcher in ignoring)):
                continue
            status = found.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISSOCK(status.st_mode):
            continue
        yield Entry(path, found.path, status), bool(ignoring)
        if is_folder:
            yield from _walk(found.path, f"{path}/", matchers)


def _scan(folder: str, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ContextError(
            f"the folder {prefix.rstrip('/') or folder} of the context cannot be read: {error.strerror}",
            hint="Make it readable, or name it in .dockerignore.",
        ) from error
