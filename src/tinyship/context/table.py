"""The packed form of what is in the folders of a context: one table, no object per file.

A table is a row per folder. A row is a head (the lengths below, the folder's mode), the folder's path, the names in it
that are no folders, joined by zeros, their modes, and the digests of what is in them.
"""

from __future__ import annotations

import os
import stat
import struct
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, NamedTuple

from msgspec import Struct

DIGEST = 32
_HEAD = struct.Struct("<IIII")
_MODE = 4

Kind = Literal["new", "gone", "content", "mode", "link", "kind", "rules"]


class Change(Struct, frozen=True):
    """What became of a path.

    Args:
        path: relative, with ``/``; bytes that are not UTF-8 as surrogates; empty for ``rules``.
        kind: ``kind`` where a file became a folder, link or the like, ``rules`` where other things are ignored.
    """

    path: str
    kind: Kind


class Changes(Struct, frozen=True):
    """What differs between two tables.

    Args:
        first: some of it.
        count: of all of it.
    """

    first: tuple[Change, ...]
    count: int


class Row(NamedTuple):
    """A folder; all but its mode as bytes.

    Args:
        path: relative, empty for the context's own folder.
        mode: of the folder itself.
        names: of what is in it, joined by zeros.
        modes: four bytes each.
        digests: ``DIGEST`` bytes each.
        start: where the row begins in its table.
        end: where the next one begins.
        files: how many names.
    """

    path: bytes
    mode: int
    names: bytes
    modes: memoryview
    digests: memoryview
    start: int
    end: int
    files: int

    def members(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Name, mode and digest of each."""
        modes = self.modes.cast("I")
        for number, name in enumerate(self.names.split(b"\0") if self.files else ()):
            yield name, modes[number], bytes(self.digests[number * DIGEST : number * DIGEST + DIGEST])


def head(path: bytes, mode: int, names: bytes, count: int) -> bytes:
    """How a row begins: all of it that can be told without looking into files."""
    return b"".join((_HEAD.pack(len(path), mode, count, len(names)), path, names))


def body(modes: Iterable[int], digests: Iterable[bytes]) -> bytes:
    """How a row ends."""
    return array("I", modes).tobytes() + b"".join(digests)


def body_length(count: int) -> int:
    """The length of what is behind the head of a row."""
    return count * (_MODE + DIGEST)


def row(table: memoryview, start: int) -> Row:
    """The row that begins somewhere.

    Raises:
        struct.error: there is none.
    """
    path_length, mode, count, names_length = _HEAD.unpack_from(table, start)
    path = start + _HEAD.size
    names = path + path_length
    modes = names + names_length
    digests = modes + count * _MODE
    end = digests + count * DIGEST
    return Row(
        bytes(table[path:names]),
        mode,
        bytes(table[names:modes]),
        table[modes:digests],
        table[digests:end],
        start,
        end,
        count,
    )


def rows(table: memoryview) -> Iterator[Row]:
    """All rows of a table."""
    start = 0
    while start < len(table):
        found = row(table, start)
        yield found
        start = found.end


def changes(before: bytes, after: bytes, most: int, *, rules: bool = False) -> Changes:
    """What differs between two tables.

    Args:
        most: of the changes to give.
        rules: whether the rules of what is ignored differ, which is a change of its own.
    """
    found = iter(_changes(before, after, rules=rules))
    first = tuple(islice(found, most))
    return Changes(first, len(first) + sum(1 for _ in found))


def _changes(before: bytes, after: bytes, *, rules: bool) -> Iterator[Change]:
    if rules:
        yield Change("", "rules")
    old, new = memoryview(before), memoryview(after)
    known = {found.path: found.start for found in rows(old)}
    for found in rows(new):
        start = known.pop(found.path, None)
        if start is None:
            yield from _all(found, "new")
            continue
        was = row(old, start)
        if old[was.start : was.end] != new[found.start : found.end]:
            yield from _in_row(was, found)
    for start in known.values():
        yield from _all(row(old, start), "gone")


def _all(found: Row, kind: Kind) -> Iterator[Change]:
    yield Change(os.fsdecode(found.path), kind)
    for name, _, _ in found.members():
        yield Change(_joined(found.path, name), kind)


def _in_row(before: Row, after: Row) -> Iterator[Change]:
    if before.mode != after.mode:
        yield Change(os.fsdecode(after.path), "mode")
    known = {name: (mode, digest) for name, mode, digest in before.members()}
    for name, mode, digest in after.members():
        was = known.pop(name, None)
        if was is None:
            yield Change(_joined(after.path, name), "new")
        elif was != (mode, digest):
            yield Change(_joined(after.path, name), _kind(was, (mode, digest)))
    for name in known:
        yield Change(_joined(after.path, name), "gone")


def _kind(before: tuple[int, bytes], after: tuple[int, bytes]) -> Kind:
    if stat.S_IFMT(before[0]) != stat.S_IFMT(after[0]):
        return "kind"
    if before[1] == after[1]:
        return "mode"
    return "link" if stat.S_ISLNK(after[0]) else "content"


def _joined(folder: bytes, name: bytes) -> str:
    return os.fsdecode(folder + b"/" + name if folder else name)
