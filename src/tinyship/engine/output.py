"""What containers write: taken apart by stream, and put together to lines."""

from __future__ import annotations

import codecs
import struct
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from tinyship.events import Events, Log

if TYPE_CHECKING:
    import requests

Stream = Literal["stdout", "stderr"]

_HEADER = struct.Struct(">BxxxL")
_LONGEST_LINE = 16_384
_STREAMS: dict[int, Stream] = {1: "stdout", 2: "stderr"}


def demultiplexed(response: requests.Response) -> Iterator[tuple[Stream, bytes]]:
    """The pieces that a container without a terminal writes, each with its stream.

    Each piece has a header of 8 bytes: the stream, three zeros, and the length (Engine API, "Attach to a container").
    """
    # A hijacked connection has no body for urllib3, what comes behind its headers is read below it; a log is chunked,
    # or as long as it says, as Podman's of a container that never wrote anything.
    body = response.raw.chunked or "Content-Length" in response.headers
    raw: Any = response.raw if body else response.raw._fp.fp  # type: ignore[union-attr]
    while len(header := _exactly(raw, _HEADER.size)) == _HEADER.size:
        stream, length = _HEADER.unpack(header)
        data = _exactly(raw, length)
        if data:
            yield _STREAMS.get(stream, "stdout"), data
        if len(data) < length:
            return


class Lines:
    """Puts pieces together to lines and passes these on as Log events.

    A carriage return begins a line again, as progress bars do, so that only what stood there last is passed on. Lines
    without an end are cut at 16,384 characters.
    """

    def __init__(self, source: str, events: Events, tail: deque[str]) -> None:
        """Begin.

        Args:
            source: names the lines in events.
            events: gets them.
            tail: keeps the last of them.
        """
        self.tail = tail
        self._source = source
        self._events = events
        self._seconds: float | None = None
        self._rest: dict[Stream, str] = {"stdout": "", "stderr": ""}
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in self._rest}

    def write(self, stream: Stream, data: bytes, seconds: float | None = None) -> None:
        """Take one piece, written that many seconds after the beginning."""
        self._seconds = seconds
        text = self._rest[stream] + self._decoders[stream].decode(data)
        *lines, rest = text.split("\n")
        for line in lines:
            self._line(stream, line)
        while len(rest) > _LONGEST_LINE:
            self._line(stream, rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._rest[stream] = rest

    def close(self) -> None:
        """Pass on what stands without a line end."""
        for stream, rest in self._rest.items():
            if rest := rest + self._decoders[stream].decode(b"", final=True):
                self._line(stream, rest)
        self._rest = dict.fromkeys(self._rest, "")

    def _line(self, stream: Stream, line: str) -> None:
        line = line.rstrip("\r").rpartition("\r")[2]
        self.tail.append(line)
        self._events(Log(self._source, line, stream, self._seconds))


def _exactly(raw: object, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = raw.read(length - len(data))  # type: ignore[attr-defined]
        if not piece:
            break
        data += piece
    return bytes(data)
