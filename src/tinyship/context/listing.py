"""What a context holds, file by file, so that two looks at it can be compared: what differs, and whether it moved."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tinyship.context.walk import Entry, open_file, walk
from tinyship.errors import ContextError


class Listed(NamedTuple):
    """An entry; a tuple, because there are many.

    Args:
        path: relative, with ``/``.
        held: its kind and permissions, and a digest of its content, or where it leads to: all that decides an image.
        stamp: what the file system says of it, which moves with every change: the time of its last change of any kind,
            and its number.
        sent: by which BuildKit tells whether it has a file already: its size, and the time of its content.
    """

    path: str
    held: str
    stamp: tuple[int, int]
    sent: tuple[int, int]


@dataclass(frozen=True)
class Listing:
    """What a context held when it was looked at."""

    entries: tuple[Listed, ...]

    @cached_property
    def digest(self) -> str:
        """The same for the same names, kinds, permissions, links and contents; times and owners decide nothing."""
        return digest_of(self.entries)

    @cached_property
    def moment(self) -> str:
        """Another one after every change, even one that was taken back."""
        stamps = "\0".join(f"{entry.path}\0{entry.stamp}" for entry in self.entries)
        return hashlib.sha256(stamps.encode("utf-8", "surrogateescape")).hexdigest()

    def held(self) -> dict[str, str]:
        """What each path held."""
        return {entry.path: entry.held for entry in self.entries}


def take(entries: Iterable[Entry]) -> Listing:
    """Look at entries, in their order.

    Raises:
        OSError: a file cannot be read.
    """
    return Listing(tuple(_listed(entries)))


def digest_of(entries: Iterable[Listed]) -> str:
    """The digest of some entries."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.path}\0{entry.held}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """A digest of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_path(root: Path, path: str) -> str:
    """A digest of a file or folder and all that is in it; empty where it is missing or cannot be read."""
    full = root / path
    try:
        below = walk(full) if full.is_dir() and not full.is_symlink() else ()
        return take([Entry(path, str(full), full.lstat()), *below]).digest
    except (OSError, ContextError):
        return ""


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What differs: paths, in order, each with what became of it: ``changed``, ``is new``, ``is gone``."""
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            yield path, "is new"
        elif path not in after:
            yield path, "is gone"
        elif before[path] != after[path]:
            yield path, "changed"


def _listed(entries: Iterable[Entry]) -> Iterator[Listed]:
    for entry in entries:
        found = entry.stat
        mode = found.st_mode
        held = f"{mode:o}"
        if stat.S_ISLNK(mode):
            held = f"{held} {os.readlink(entry.full)}"  # noqa: PTH115  surrogates need no Path
        elif stat.S_ISREG(mode):
            if (file := open_file(entry)) is None:
                raise FileNotFoundError(errno.ENOENT, "it went away", entry.path)
            with file:
                held = f"{held} {hashlib.file_digest(file, 'sha256').hexdigest()}"  # type: ignore[arg-type]
        yield Listed(entry.path, held, (found.st_ctime_ns, found.st_ino), (found.st_size, found.st_mtime_ns))
