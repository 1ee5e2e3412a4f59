"""Plain lines: one for each event that a reader of a log wants to know of."""

from __future__ import annotations

import io
import time

import pytest
from msgspec.structs import replace

from tinyship.console.plain import PlainDisplay
from tinyship.console.stream import Stream
from tinyship.events import Event, Log, Notice, StageEnded, StageFailed, StageStarted, Step, Transfer, about


def shown(*events: Event, several: bool = False) -> list[str]:
    """The lines for these events."""
    file = io.StringIO()
    display = PlainDisplay(Stream(file), several=several)
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
        (StageFailed("build", "foo:build", "no\nroom"), "build foo:build: failed: no room"),
        (RUNNING, "#3 [1/2] FROM scratch AS x"),
        (Step("3", 3, 4, "RUN make", "running", part="build"), "#3 [build 3/4] RUN make"),
        (Step("3", 0, 0, "FROM docker.io/x", "running"), "#3 FROM docker.io/x"),
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


def test_several_images() -> None:
    """Where several are worked on, each line says which one it is about, also while there is one only."""
    lines = shown(
        StageStarted("build", "foo", "building"),
        replace(RUNNING, image="foo"),
        Log("3", "a line", image="foo"),
        Log("test", "other", image="foo"),
        StageStarted("build", "bar", "building"),
        StageFailed("build", "foo", "exit code 1"),
        Log("test", "other", image="bar"),
        several=True,
    )
    assert lines == [
        "build foo: building",
        "foo #3 [1/2] FROM scratch AS x",
        "foo #3 a line",
        "foo test | other",
        "build bar: building",
        "build foo: failed: exit code 1",
        "bar test | other",
    ]


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


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (Step("3", 1, 2, "FROM scratch", "cached"), "#3 CACHED"),
        (Step("3", 1, 2, "FROM scratch", "done", 0.04), "#3 DONE 0.0s"),
        (Step("3", 1, 2, "FROM scratch", "done", 75.0), "#3 DONE 75.0s"),
        (Step("3", 1, 2, "FROM scratch", "canceled", 1.0), "#3 CANCELED"),
        (Step("3", 1, 2, "FROM scratch", "failed", 12.0, error="exit\ncode \x1b[1m3"), "#3 ERROR: exit code 3"),
    ],
)
def test_end_of_a_step(end: Step, line: str) -> None:
    """A step's first line comes once, its last says how it ended; one that never ran has both too."""
    assert shown(RUNNING, end) == ["#3 [1/2] FROM scratch AS x", line]
    assert shown(end) == ["#3 [1/2] FROM scratch", line]


def test_time_of_a_line() -> None:
    """What a step writes bears the seconds since it began."""
    assert shown(RUNNING, Log("3", "\x1b[1ma line", seconds=0.5126))[-1] == "#3 0.513 a line"


def test_done_that_turns_out_to_be_cached() -> None:
    """BuildKit calls a base image done before it says that it is cached: the log says it once."""
    done, cached = Step("3", 1, 2, "FROM x", "done", 0.01), Step("3", 1, 2, "FROM x", "cached")
    other = Step("4", 2, 2, "RUN make", "running")
    assert shown(RUNNING, done, cached, other)[1:] == ["#3 CACHED", "#4 [2/2] RUN make"]
    assert shown(RUNNING, done, other, cached)[1:] == ["#3 DONE 0.0s", "#4 [2/2] RUN make"]


def test_step_that_goes_on() -> None:
    """A base image that is pulled after it was done ends a second time, with all its seconds."""
    begun, other = Step("3", 1, 2, "FROM x", "running"), Step("4", 2, 2, "RUN make", "running")
    first, last = Step("3", 1, 2, "FROM x", "done", 0.1), Step("3", 1, 2, "FROM x", "done", 4.2)
    assert shown(begun, first, begun, last)[1:] == ["#3 DONE 4.2s"]
    assert shown(begun, first, other, begun, last)[1:] == ["#3 DONE 0.1s", "#4 [2/2] RUN make", "#3 DONE 4.2s"]


INTERNAL = Step("1", 0, 0, "[internal] load build context", "running", internal=True)


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ([replace(INTERNAL, state="done", seconds=0.4)], []),
        ([replace(INTERNAL, state="cached")], []),
        ([replace(INTERNAL, state="canceled", seconds=0.4)], []),
        ([replace(INTERNAL, state="done", seconds=2.0)], ["#1 [internal] load build context", "#1 DONE 2.0s"]),
        (
            [replace(INTERNAL, state="failed", seconds=0.1, error="no")],
            ["#1 [internal] load build context", "#1 ERROR: no"],
        ),
        (
            [
                Transfer("context", "transferring", 41_200_000, done=True, step="1", seconds=0.34),
                replace(INTERNAL, state="done", seconds=0.4),
            ],
            [
                "#1 [internal] load build context",
                "#1 transferring context: 41.2MB 0.3s done",
                "#1 DONE 0.4s",
            ],
        ),
    ],
)
def test_the_builders_own_steps(events: list[Event], lines: list[str]) -> None:
    """They are silent unless they take long, move much, or fail."""
    assert shown(INTERNAL, *events) == lines


def test_own_step_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without an end, a log says what the builder is at; nothing more is said after the end."""
    monkeypatch.setattr("tinyship.console.plain._LONG", 0.05)
    file = io.StringIO()
    display = PlainDisplay(Stream(file))
    display.event(INTERNAL)
    end = time.monotonic() + 5
    while not file.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    assert file.getvalue() == "#1 [internal] load build context\n"
    display.event(replace(INTERNAL, state="done", seconds=0.2))
    display.event(replace(INTERNAL, id="2"))
    display.close()
    time.sleep(0.2)
    assert file.getvalue() == "#1 [internal] load build context\n#1 DONE 0.2s\n"


@pytest.mark.parametrize(
    ("transfer", "line"),
    [
        (Transfer("0049b9485a03", "pulling", 40_012_403, 40_012_403), "pulling 0049b9485a03: 40MB / 40MB 1.5s done"),
        (Transfer("layers", "exporting", 0), "exporting layers 1.5s done"),
        (Transfer("x", "", 512), "x: 512B 1.5s done"),
    ],
)
def test_transfer_of_a_step(transfer: Transfer, line: str) -> None:
    """What a step moves, or is at, is told of under its number."""
    step = Step("7", 1, 2, "FROM x", "running")
    assert shown(step, replace(transfer, done=True, step="7", seconds=1.5))[-1] == f"#7 {line}"


def test_images_at_once() -> None:
    """While several images are worked on, every line says which one it is about; steps of the same number differ."""
    a, b = (about_events(image) for image in ("api", "web"))
    lines = shown(
        StageStarted("build", "api", "building"),
        *a,
        StageStarted("build", "web", "building"),
        *b,
        StageEnded("build", "api", "built", 1.0),
        Step("1", 1, 1, "RUN make", "done", 3.0, image="web"),
    )
    assert lines == [
        "build api: building",
        "#1 [1/1] RUN make",
        "#1 of api",
        "build web: building",
        "web #1 [1/1] RUN make",
        "web #1 of web",
        "build api: built (1.0 s)",
        "#1 DONE 3.0s",
    ]


def about_events(image: str) -> list[Event]:
    """A step and its line, as a builder tells of them, which knows of no other image."""
    seen: list[Event] = []
    tell = about(image, seen.append)
    tell(Step("1", 1, 1, "RUN make", "running"))
    tell(Log("1", f"of {image}"))
    return seen
