"""How many bytes of a program are symbols and debugging information, which it runs without.

Source: the System V ABI, "Object Files" (ELF header, section header table); what counts is what ``strip`` removes.
"""

from __future__ import annotations

import struct

MAGIC = b"\x7fELF"

_EDGE = 1 << 17
_SYMBOLS = 2
_RELOCATABLE = 1
_HEADERS = {1: "HHIIIIIHHHHHH", 2: "HHIQQQIHHHHHH"}
_SECTIONS = {1: "IIIIIIIIII", 2: "IIQQQQIIQQ"}


class Edges:
    """The first and the last 128 kB of a file that passes in pieces: where its section headers and their names are.

    Args:
        size: of the file, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = b""
        self._tail = b""

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        if len(self._head) < _EDGE:
            self._head += piece[: _EDGE - len(self._head)]
        self._tail = piece[-_EDGE:] if len(piece) >= _EDGE else (self._tail + piece)[-_EDGE:]

    def strippable(self) -> int:
        """Bytes that ``strip`` would remove."""
        return strippable(self._head, self._tail, self._size)


def strippable(head: bytes, tail: bytes, size: int) -> int:
    """Bytes of a program that ``strip`` would remove; 0 where that cannot be told.

    Args:
        head: how the file begins.
        tail: how it ends.
        size: of the file, in bytes.
    """
    try:
        return _strippable(head, tail, size)
    except (struct.error, IndexError, KeyError):
        return 0


def _strippable(head: bytes, tail: bytes, size: int) -> int:
    wide, order = head[4], {1: "<", 2: ">"}[head[5]]
    kind, *_, where, _, _, _, _, width, count, names = struct.unpack_from(order + _HEADERS[wide], head, 16)
    if kind == _RELOCATABLE or not where or not count:  # an object file's symbols are what it is linked by
        return 0
    table = _part(head, tail, size, where, width * count)
    sections = [struct.unpack_from(order + _SECTIONS[wide], table, number * width) for number in range(count)]
    texts = _part(head, tail, size, sections[names][4], sections[names][5]) if names < count else b""
    total = 0
    for name, sort, _, _, _, length, link, *_ in sections:
        if sort == _SYMBOLS:
            total += length + (sections[link][5] if link < count else 0)
        elif texts[name:].startswith((b".debug_", b".zdebug_")):
            total += length
    return min(total, size)


def _part(head: bytes, tail: bytes, size: int, offset: int, length: int) -> bytes:
    """Bytes of the file, where they are in what was kept of it; none where they are not."""
    if offset + length <= len(head):
        return head[offset : offset + length]
    begin = offset - (size - len(tail))
    return tail[begin : begin + length] if begin >= 0 else b""
