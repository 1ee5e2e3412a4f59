"""Layers as tars, however they are compressed: told by their first bytes, since names and media types lie.

Sources: RFC 1952 (gzip; several members make one file), RFC 8878 (zstd; several frames make one file).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from tinyship.sizes.feed import PIECE
from tinyship.sizes.tar import Damaged, sound

_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4", b"PK\x03\x04": "zip", b"(\xb5/\xfd": "zstd"}
_HEAD = 512
_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
"""How zstd frames begin that hold no data; zstd:chunked puts such a one first."""


def kind(head: bytes) -> str:
    """``gzip``, ``zstd``, the name of another compression, or ``""`` for none that is known.

    Args:
        head: the first 512 bytes, where there are so many: a tar may begin with a name that looks like a compression.
    """
    if sound(head):
        return ""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(_SKIPPABLE):
        return "zstd"
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), "")


def of_media_type(media_type: str) -> str:
    """What a media type of a layer says: ``gzip``, ``zstd``, or ``""`` for none."""
    return next((name for name in ("gzip", "zstd") if media_type.endswith((f"+{name}", f".{name}"))), "")


def plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes without their compression, in pieces of at most a megabyte, whatever a bomb would make of them.

    Raises:
        Damaged: the compression is not known here, or its data makes no sense.
    """
    stream = iter(pieces)
    head = b""
    for piece in stream:
        head += piece
        if len(head) >= _HEAD:
            break
    how, whole = kind(head), chain((head,), stream)
    if how == "gzip":
        return _gunzip(whole)
    if how == "zstd":
        return _unzstd(whole)
    if how:
        raise Damaged(f"it is compressed with {how}; gzip, zstd and none are what images have")
    return whole


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    state = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for piece in pieces:
            data = piece
            while data:
                if state.eof:
                    data = data.lstrip(b"\0")  # padding
                    if not data:
                        break
                    state = zlib.decompressobj(wbits=31)
                begun = True
                if out := state.decompress(data, PIECE):
                    yield out
                data = state.unused_data if state.eof else state.unconsumed_tail
        while not state.eof:
            out = state.decompress(state.unconsumed_tail, PIECE)
            if not out:
                break
            yield out
    except zlib.error as error:
        raise Damaged(f"its gzip data is damaged: {error}") from None
    if begun and not state.eof:
        raise Damaged("its gzip data is cut short")


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    source: Any = _File(pieces)
    try:
        with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as reader:
            while out := reader.read(PIECE):
                yield out
    except zstandard.ZstdError as error:
        raise Damaged(f"its zstd data is damaged: {error}") from None


class _File:
    """Pieces as a file that can be read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, count: int = -1) -> bytes:
        """At most that many bytes; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        found, self._rest = self._rest[:count], self._rest[count:]
        return found
