"""What containers write: taken apart by stream, put together to lines."""

from __future__ import annotations

import io
import struct
from collections import deque
from typing import Any, cast

import pytest
import requests

from tinyship.engine.output import Lines, demultiplexed
from tinyship.events import Event, Log


class Body(io.BytesIO):
    """A chunked body that hands out as little as it likes."""

    chunked = True
    at_most = 1 << 20

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size if size is not None and size >= 0 else 1 << 20, self.at_most))


def response(data: bytes, at_most: int = 1 << 20) -> requests.Response:
    """An answer with this body."""
    made = requests.Response()
    body = Body(data)
    body.at_most = at_most
    made.raw = cast(Any, body)
    return made


def piece(stream: int, data: bytes) -> bytes:
    """A piece as an engine frames it."""
    return struct.pack(">BxxxL", stream, len(data)) + data


@pytest.mark.parametrize("at_most", [1, 3, 8, 1 << 20])
def test_streams_are_told_apart(at_most: int) -> None:
    """Each piece comes whole and with its stream, however the body is cut; empty ones do not come."""
    data = piece(1, b"out") + piece(2, b"err\n") + piece(1, b"") + piece(0, b"in") + piece(1, b"x" * 1000)
    assert list(demultiplexed(response(data, at_most))) == [
        ("stdout", b"out"),
        ("stderr", b"err\n"),
        ("stdout", b"in"),
        ("stdout", b"x" * 1000),
    ]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [(0, []), (3, []), (8, []), (10, [("stdout", b"ab")]), (12, [("stdout", b"abcd")]), (15, [("stdout", b"abcd")])],
)
def test_cut_stream(cut: int, expected: list[tuple[str, bytes]]) -> None:
    """What came before the connection ended is given, and that it ended is no error of its own."""
    data = piece(1, b"abcd") + piece(2, b"efgh")
    assert list(demultiplexed(response(data[:cut]))) == expected


def test_body_of_a_length() -> None:
    """An answer that says how long it is has a body, and ends with it, while its connection stays open."""
    made = response(piece(1, b"out"))
    made.raw.chunked = False
    made.headers["Content-Length"] = "11"
    assert list(demultiplexed(made)) == [("stdout", b"out")]


class Seen:
    """Lines and what they told."""

    def __init__(self, keep: int = 100) -> None:
        self.events: list[Event] = []
        self.tail: deque[str] = deque(maxlen=keep)
        self.lines = Lines("app", self.events.append, self.tail)

    @property
    def texts(self) -> list[str]:
        return [event.line for event in self.events if isinstance(event, Log)]


def test_lines_of_two_streams() -> None:
    """Pieces of one stream become lines, whatever the other writes meanwhile."""
    seen = Seen()
    for stream, data in (("stdout", b"one"), ("stderr", b"bad"), ("stdout", b" line\nnext\n"), ("stderr", b" news\n")):
        seen.lines.write(cast(Any, stream), data)
    assert seen.events == [Log("app", "one line"), Log("app", "next"), Log("app", "bad news", "stderr")]
    assert list(seen.tail) == ["one line", "next", "bad news"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n\n", ["", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"10%\r50%\r100%\ndone\n", ["100%", "done"]),
        (b"10%\r50%\r", ["50%"]),
        (b"no end", ["no end"]),
        ("größe ☺\n".encode(), ["größe ☺"]),
        (b"bad \xff byte\n", ["bad \ufffd byte"]),
        (b"half \xc3", ["half \ufffd"]),
        (b"x" * 40_000, ["x" * 16_384, "x" * 16_384, "x" * 7_232]),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_lines(data: bytes, expected: list[str], step: int) -> None:
    """Lines come out alike however they are cut; carriage returns begin again; what has no end comes at the close."""
    seen = Seen()
    for start in range(0, len(data), step):
        seen.lines.write("stdout", data[start : start + step])
    seen.lines.close()
    assert seen.texts == expected


def test_line_comes_at_once() -> None:
    """A line is passed on when its end is there, not later."""
    seen = Seen()
    seen.lines.write("stdout", b"first\nsec")
    assert seen.texts == ["first"]
    seen.lines.write("stdout", b"ond\n")
    assert seen.texts == ["first", "second"]


def test_tail_keeps_the_last() -> None:
    """The tail is as long as it was made."""
    seen = Seen(keep=2)
    seen.lines.write("stdout", b"1\n2\n3\n")
    assert list(seen.tail) == ["2", "3"]
