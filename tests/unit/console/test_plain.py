"""Plain lines: one for each event that a reader of a log wants to know of."""

from __future__ import annotations

import io

import pytest

from tinyship.console.plain import PlainDisplay
from tinyship.console.stream import Stream
from tinyship.events import Event, Log, Notice, StageEnded, StageStarted, Step, Transfer


def shown(*events: Event) -> list[str]:
    """The lines for these events."""
    file = io.StringIO()
    display = PlainDisplay(Stream(file))
    for event in events:
        display.event(event)
    display.failed()
    display.close()
    return file.getvalue().splitlines()


RUNNING = Step("3", 1, 2, "FROM  scratch\n AS \x1b[1mx", "running")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StageStarted("build", "foo:build", "building from Dockerfile"), "build foo:build: building from Dockerfile"),
        (StageEnded("build", "foo:build", "built", 75.0), "build foo:build: built (1 min 15 s)"),
        (RUNNING, "#3 [1/2] FROM scratch AS x"),
        (Step("3", 1, 2, "FROM scratch", "cached"), "#3 [1/2] FROM scratch CACHED"),
        (Step("3", 1, 2, "FROM scratch", "done", 1.25), "#3 done 1.2 s"),
        (Step("3", 1, 2, "FROM scratch", "failed", 12.0), "#3 failed 12 s"),
        (Log("app", "\x1b[31mred\x1b[0m\x07  "), "app | red"),
        (Log("app", ""), "app |"),
        (Notice("mind this"), "note: mind this"),
        (Notice("mind this", "warning"), "warning: mind this"),
        (Transfer("layer", "pushing", 2_000_000, 2_000_000, done=True), "pushing layer: 2 MB"),
    ],
)
def test_line(event: Event, line: str) -> None:
    """Each kind of event has its line, without control codes."""
    assert shown(event) == [line]


def test_log_of_a_step() -> None:
    """A step's lines bear its number, others the name of their source."""
    assert shown(RUNNING, Log("3", "a line"), Log("app", "other"))[1:] == ["#3 a line", "app | other"]


def test_steps_of_another_image() -> None:
    """The next image's steps are its own."""
    assert shown(RUNNING, StageStarted("release", "foo", "building"), Log("3", "a line"))[-1] == "3 | a line"


def test_small_transfers_are_silent() -> None:
    """What is small and quick is not worth a line."""
    assert shown(Transfer("x", "sending", 10), Transfer("x", "sending", 999_999, done=True)) == []


def test_slow_transfers_are_told_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten seconds, with the total where it is known; once more at the end."""
    now = iter([0.0, 5.0, 10.0, 15.0, 21.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    events = [Transfer("x", "pushing", count * 1_000_000, 9_000_000 if count < 4 else 0) for count in range(5)]
    assert shown(*events, Transfer("x", "pushing", 9_000_000, done=True)) == [
        "pushing x: 2 MB of 9 MB",
        "pushing x: 4 MB",
        "pushing x: 9 MB",
    ]
