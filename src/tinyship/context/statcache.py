"""Remembers the digests of files with what the file system said of them, so that most need not be read again.

A digest holds for as long as size, times, inode, device and mode are what they were. Where a file was so young when it
was read that it could have been written again within the same tick of the clock, that is not remembered.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

from msgspec import Struct

from tinyship import state
from tinyship.context import table
from tinyship.context.table import Row
from tinyship.errors import TinyshipError

_MAGIC = b"tslook1\n"
_LENGTH = struct.Struct("<Q")
_LOOK = struct.Struct("=QQQqqq")
_FIELDS = attrgetter("st_mode", "st_ino", "st_dev", "st_size", "st_mtime_ns", "st_ctime_ns")
LOOK = _LOOK.size
_YOUNG = 100_000_000  # in nanoseconds: a few ticks of a kernel's clock
_YOUNG_COARSE = 2_000_000_000  # the coarsest clock that a file system has, FAT's
_COARSE = 1_000_000  # a time without anything below a millisecond
_YOUNG_ELSEWHERE = 60_000_000_000  # another file system may be another machine's, with a clock of its own
_MOST = (1 << 64) - 1
_EARLIEST = -(1 << 63)


def look(status: os.stat_result) -> bytes:
    """What the file system says of a file, packed; equal only where nothing was done to it."""
    try:
        return _LOOK.pack(*_FIELDS(status))
    except struct.error:  # a time beyond 64 bits
        return _LOOK.pack(status.st_mode, _MOST, _MOST, -2, -2, -2)


def mode(look: bytes) -> int:
    """The mode that is in a look."""
    return int(_LOOK.unpack(look)[0])


def never(mode: int) -> bytes:
    """A look that no file ever has."""
    return _LOOK.pack(mode, _MOST, _MOST, -1, -1, -1)


class Clock:
    """Says whether a file is old enough for its look to tell more than its content.

    Args:
        root: the project's folder; what its file system takes for the time counts too. None where nothing may be
            written there.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._now: int | None = None
        self._device = -1

    def start(self) -> None:
        """Take the time, once; what is looked at must be looked at later."""
        if self._now is not None:
            return
        self._now = time.time_ns()
        if self._root is None:
            return
        try:
            probe = state.folder(self._root) / f"clock.{os.getpid()}.{threading.get_ident()}"
            try:
                probe.write_bytes(b"")
                status = probe.stat()
            finally:
                probe.unlink(missing_ok=True)
        except (OSError, TinyshipError):
            return
        self._now = min(self._now, status.st_mtime_ns)
        self._device = status.st_dev

    def is_old(self, status: os.stat_result) -> bool:
        """Whether a file that was looked at after the start would have another look if it were written to."""
        if self._now is None or sys.platform == "win32":  # which does not tell when a file was changed
            return False
        young = _YOUNG if status.st_ctime_ns % _COARSE else _YOUNG_COARSE
        young = young if status.st_dev == self._device else _YOUNG_ELSEWHERE
        times = (status.st_mtime_ns, status.st_ctime_ns)
        return min(times) >= _EARLIEST and max(times) < self._now - young


class Known(Struct, frozen=True):
    """A folder as it was.

    Args:
        row: of the table.
        looks: of what is in it, one behind the other.
    """

    row: Row
    looks: memoryview

    def digests(self) -> dict[bytes, tuple[bytes, bytes]]:
        """Look and digest by name."""
        looks = self.looks
        return {
            name: (bytes(looks[number * LOOK : number * LOOK + LOOK]), digest)
            for number, (name, _, digest) in enumerate(self.row.members())
        }


class Cache:
    """What was looked at the last time, read in the order of a walk.

    Args:
        rows: the table.
        looks: at each name of it, in its order.
    """

    def __init__(self, rows: bytes = b"", looks: memoryview | None = None) -> None:
        self.rows = rows
        self._table = memoryview(rows)
        self._looks = memoryview(b"") if looks is None else looks
        self._at = 0
        self._look_at = 0
        self._index: dict[bytes, tuple[int, int]] | None = None

    def same(self, head: bytes, looks: bytes, count: int) -> tuple[memoryview, memoryview] | None:
        """Row and looks of the next folder, where it begins so and all that is in it looks so."""
        start, look_start = self._at, self._look_at
        end, look_end = start + len(head) + table.body_length(count), look_start + len(looks)
        if self._table[start : start + len(head)] != head or self._looks[look_start:look_end] != looks:
            return None
        self._at, self._look_at = end, look_end
        return self._table[start:end], self._looks[look_start:look_end]

    def find(self, path: bytes) -> Known | None:
        """A folder wherever it is; the one behind it is the next."""
        if self._index is None:
            self._index = dict(self._places())
        if path not in self._index:
            return None
        start, look_start = self._index[path]
        found = table.row(self._table, start)
        self._at, self._look_at = found.end, look_start + found.files * LOOK
        return Known(found, self._looks[look_start : self._look_at])

    def _places(self) -> Iterator[tuple[bytes, tuple[int, int]]]:
        look_start = 0
        for found in table.rows(self._table):
            yield found.path, (found.start, look_start)
            look_start += found.files * LOOK


def load(root: Path, name: str) -> Cache:
    """What is remembered under a name; nothing where that is not there, or is damaged."""
    content = state.checked(root, name, _MAGIC)
    if content is None or len(content) < _LENGTH.size:
        return Cache()
    end = _LENGTH.size + _LENGTH.unpack_from(content)[0]
    return Cache(bytes(content[_LENGTH.size : end]), content[end:])


def save(root: Path, name: str, rows: bytes, looks: bytes) -> None:
    """Remember it; where that cannot be written, the next time only takes longer."""
    with suppress(TinyshipError):
        state.keep_checked(root, name, _MAGIC, b"".join((_LENGTH.pack(len(rows)), rows, looks)))
