"""The history as text: what stands in it, and how long its bars are."""

from __future__ import annotations

import io
import json

import pytest

from tinyship.console import fold, history
from tinyship.console.console import Console
from tinyship.kept.trend import Point, Trend

FIRST = Point(
    "1.0.0", "a" * 40, "2026-01-02T23:30:00-02:00", 36_500_000, None, 14_000_000, None, 22_400_000, 3, "sha256:1"
)
SECOND = Point("1.1.0", "", "", 18_250_000, -18_250_000, None, None, None, 4, "")
TREND = Trend("lacion/foo", "release", (FIRST, SECOND))


def test_lines() -> None:
    """A heading, and a row for each release; the date is that of UTC, what is not known is `-`."""
    assert history.lines(TREND, blocks=False) == (
        "release lacion/foo",
        "version  date        commit   unpacked    change   pull  change   unique  layers  digest",
        "1.0.0    2026-01-03  aaaaaaa   36.5 MB         -  14 MB       -  22.4 MB       3  known   ############",
        "1.1.0    -           -         18.2 MB  -18.2 MB      -       -        -       4  -       ######",
    )


@pytest.mark.parametrize(
    ("value", "most", "blocks", "drawn"),
    [
        (0, 0, True, ""),
        (0, 10, False, ""),
        (10, 10, True, "█" * 12),
        (10, 10, False, "#" * 12),
        (1, 1_000_000, True, "▏"),
        (1, 1_000_000, False, "#"),
        (5, 10, True, "█" * 6),
        (95, 100, True, "█" * 11 + "▍"),
        (10**30, 10**30, True, "█" * 12),
    ],
)
def test_bars(value: int, most: int, blocks: bool, drawn: str) -> None:
    """A bar begins at 0; anything that is there can be seen."""
    assert history.bar(value, most, blocks=blocks) == drawn


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *, as_json: bool = False) -> str:
    """What a console writes of two histories."""
    with Console(json=as_json, stdout=stream, stderr=io.StringIO()) as console:
        console.history((TREND, TREND))
        console.result({"images": (TREND,)})
    return stream.getvalue()


def test_blocks_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block characters are for terminals that show more than plain lines."""
    assert "█" not in shown(io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    assert "█" in shown(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "█" not in shown(Terminal())


def test_histories_are_apart() -> None:
    """An empty line stands between two images, and nowhere else."""
    lines = shown(io.StringIO()).splitlines()
    assert [number for number, line in enumerate(lines) if not line] == [4]


def test_json() -> None:
    """With --json it is one line, with plain bytes."""
    data = json.loads(shown(io.StringIO(), as_json=True))
    assert data["images"][0]["points"][1]["unpacked_change"] == -18_250_000


@pytest.mark.parametrize(("width", "last"), [(60, "layers"), (90, "digest"), (120, "#")])
def test_what_there_is_room_for(monkeypatch: pytest.MonkeyPatch, width: int, last: str) -> None:
    """On a narrow terminal the bars go first, and then the digest."""
    monkeypatch.setattr(fold, "room", lambda: width)
    _, head, *rows = history.lines(TREND, blocks=False)
    assert (rows[-1] if last == "#" else head).endswith(last)
