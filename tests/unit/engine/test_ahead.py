"""A stream that is read ahead: the same bytes, the same errors, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship.engine.ahead import ahead


@given(st.lists(st.binary(max_size=50)))
def test_same_bytes(pieces: list[bytes]) -> None:
    """Whatever the pieces are."""
    assert b"".join(ahead(iter(pieces))) == b"".join(pieces)


def test_more_than_may_wait() -> None:
    """Many megabytes pass, in larger pieces than they came in."""
    found = list(ahead(bytes(1 << 15) for _ in range(1000)))
    assert sum(map(len, found)) == 1000 << 15
    assert len(found) <= 64


def test_errors_come_after_what_came_before_them() -> None:
    """What the stream raises is raised here, and not too early."""

    def broken() -> Iterator[bytes]:
        yield b"a"
        raise OSError("gone")

    pieces = ahead(broken())
    assert next(pieces) == b"a"
    with pytest.raises(OSError, match="gone"):
        next(pieces)


def test_who_leaves_early_leaves_nothing_behind() -> None:
    """The stream is closed, and its thread ends, even where it waited for room."""
    closed = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(1 << 19)
        finally:
            closed.set()

    pieces = ahead(endless())
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    assert closed.wait(10)
