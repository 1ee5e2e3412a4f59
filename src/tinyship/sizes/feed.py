"""A stream of bytes that is read in measured pieces: what a tar reader stands on. Nothing is read twice or kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PIECE = 1 << 20
"""Bytes that are asked of a file at once, and that a piece of a large file has at most."""


class Truncated(Exception):
    """The stream ended where more was promised."""


class Feed:
    """Pieces of any length, handed out as the reader wants them.

    Args:
        pieces: the stream; pieces may be empty.
    """

    __slots__ = ("_at", "_before", "_buffer", "_pieces")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = b""
        self._at = 0
        self._before = 0  # bytes of the stream before those at hand

    @property
    def total(self) -> int:
        """Bytes that came from the stream so far, those that nobody took yet included."""
        return self._before + len(self._buffer)

    @property
    def position(self) -> int:
        """Bytes that were taken so far."""
        return self._before + self._at

    def take(self, count: int) -> bytes:
        """Exactly that many bytes.

        Raises:
            Truncated: the stream has fewer.
        """
        end = self._at + count
        if end > len(self._buffer):
            self._fill(count)
            end = count
        found = self._buffer[self._at : end]
        self._at = end
        return found

    def at_end(self) -> bool:
        """Whether nothing is left."""
        if self._at < len(self._buffer):
            return False
        for piece in self._pieces:
            if piece:
                self._before += len(self._buffer)
                self._buffer, self._at = piece, 0
                return False
        return True

    def stretch(self, count: int) -> Iterator[bytes]:
        """That many bytes, in pieces, without holding them.

        Raises:
            Truncated: the stream has fewer.
        """
        while count:
            if self._at >= len(self._buffer) and self.at_end():
                raise Truncated
            piece = self._buffer[self._at : self._at + min(count, PIECE)]
            self._at += len(piece)
            count -= len(piece)
            yield piece

    def skip(self, count: int) -> None:
        """Pass over that many bytes.

        Raises:
            Truncated: the stream has fewer.
        """
        while count:
            if self._at >= len(self._buffer) and self.at_end():
                raise Truncated
            step = min(count, len(self._buffer) - self._at)
            self._at += step
            count -= step

    def skip_to(self, position: int) -> None:
        """Pass over what comes before a position.

        Raises:
            Truncated: the stream ends before it.
        """
        at = position - self._before
        if at <= len(self._buffer):
            self._at = at
        else:
            self.skip(at - self._at)

    def drain(self) -> None:
        """Pass over all that is left."""
        while not self.at_end():
            self._at = len(self._buffer)

    def _fill(self, count: int) -> None:
        self._before += self._at
        parts = [self._buffer[self._at :]]
        there = len(parts[0])
        while there < count:
            piece = next(self._pieces, None)
            if piece is None:
                self._buffer, self._at = b"".join(parts), 0
                raise Truncated
            parts.append(piece)
            there += len(piece)
        self._buffer, self._at = b"".join(parts), 0
