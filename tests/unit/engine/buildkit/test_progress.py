"""Status messages become events: what engines really send, in the orders in which they send it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tinyship.context.source import Context
from tinyship.engine.buildkit.progress import Progress
from tinyship.engine.buildkit.proto.control_pb2 import StatusResponse
from tinyship.events import Event, Log, Notice, Step, Transfer

RUN = "[build 2/3] RUN make"


class Told:
    """A progress, what it told, and short ways to say what BuildKit says."""

    def __init__(self, folder: Path) -> None:
        (folder / "docker").mkdir()
        (folder / "docker" / "Dockerfile.x").write_text("FROM scratch\n")
        self.events: list[Event] = []
        context = Context(folder, folder / "docker" / "Dockerfile.x", "docker/Dockerfile.x", ())
        self.progress = Progress(self.events.append, context)

    def read(self, *vertexes: dict[str, Any], **more: Any) -> list[Event]:
        """Take a message, and return what was told because of it."""
        before = len(self.events)
        self.progress.read(StatusResponse(vertexes=[_vertex(**one) for one in vertexes], **more))
        return self.events[before:]

    def states(self) -> list[tuple[str, str]]:
        """Number and state of every event of a step."""
        return [(event.id, event.state) for event in self.events if isinstance(event, Step)]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """A fresh one."""
    return Told(tmp_path)


def _vertex(name: str, begun: float = 0, ended: float = 0, **more: Any) -> dict[str, Any]:
    times = {key: _time(value) for key, value in (("started", begun), ("completed", ended)) if value}
    return {"digest": name, "name": name, **times, **more}


def _time(seconds: float) -> dict[str, int]:
    return {"seconds": int(seconds), "nanos": round(seconds % 1 * 1e9)}


def test_step(told: Told) -> None:
    """The name is taken apart; seconds are those that BuildKit measured."""
    told.read({"name": RUN})
    assert told.events == []
    told.read({"name": RUN, "begun": 10})
    told.read({"name": RUN, "begun": 10, "ended": 11.5})
    assert told.events == [
        Step("1", 2, 3, "RUN make", "running", part="build"),
        Step("1", 2, 3, "RUN make", "done", 1.5, part="build"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("[1/2] FROM docker.io/library/x", ("", 1, 2, "FROM docker.io/library/x", False)),
        ("[linux/arm64 build 3/4] COPY a\n b", ("linux/arm64 build", 3, 4, "COPY a\n b", False)),
        ("[internal] load build context", ("", 0, 0, "[internal] load build context", True)),
        ("exporting to image", ("", 0, 0, "exporting to image", True)),
        ("FROM docker.io/library/x", ("", 0, 0, "FROM docker.io/library/x", False)),
        ("[auth] x:pull token for y", ("", 0, 0, "[auth] x:pull token for y", True)),
    ],
)
def test_names(told: Told, name: str, expected: tuple[str, int, int, str, bool]) -> None:
    """What is an instruction is told from what the builder does beside."""
    told.read({"name": name, "begun": 1})
    (step,) = told.events
    assert isinstance(step, Step)
    assert (step.part, step.number, step.total, step.name, step.internal) == expected


def test_numbers_in_the_order_of_beginning(told: Told) -> None:
    """What is known early and begins late gets a late number; what came from a cache comes before what runs."""
    told.read({"name": "[2/2] RUN b"}, {"name": "[1/2] RUN a"}, {"name": "[internal] x", "begun": 1})
    told.read({"name": "[2/2] RUN b", "begun": 2}, {"name": "[1/2] RUN a", "begun": 2, "ended": 2, "cached": True})
    assert told.states() == [("1", "running"), ("2", "cached"), ("3", "running")]


def test_begins_and_ends_at_once(told: Told) -> None:
    """All of a step in one message: its beginning, its lines, its end."""
    log = {"vertex": RUN, "timestamp": _time(10.25), "stream": 2, "msg": b"half\nwithout an end"}
    told.read({"name": RUN, "begun": 10, "ended": 11}, logs=[log])
    assert told.events[1:] == [
        Log("1", "half", "stderr", 0.25),
        Log("1", "without an end", "stderr", 0.25),
        Step("1", 2, 3, "RUN make", "done", 1.0, part="build"),
    ]


def test_base_image_that_is_done_twice(told: Told) -> None:
    """It is resolved, then found in the cache; or pulled, and then all its runs count."""
    for name, last in (("[1/2] FROM a", {"cached": True}), ("[1/2] FROM b", {})):
        told.read({"name": name, "begun": 1, "ended": 1.5})
        told.read({"name": name, "begun": 2})
        told.read({"name": name, "begun": 2, "ended": 4, **last})
    assert told.states() == [("1", "running"), ("1", "done"), ("1", "running"), ("1", "cached")] + [
        ("2", state) for state in ("running", "done", "running", "done")
    ]
    assert isinstance(told.events[-1], Step)
    assert told.events[-1].seconds == 2.5


def test_ends_are_final(told: Told) -> None:
    """What BuildKit says again after an end is not told again."""
    for error in ("executor failed running [x]: exit code: 7", "other"):
        told.read({"name": RUN, "begun": 1, "ended": 2, "error": error})
    other = {"name": "[1/1] RUN b", "begun": 1, "ended": 2, "error": "exit code: 137: context canceled"}
    told.read(other)
    told.read(other)
    assert told.states() == [("1", "running"), ("1", "failed"), ("2", "running"), ("2", "canceled")]
    assert [event.error for event in told.events if isinstance(event, Step)] == ["", "exit code 7", "", ""]


def test_another_build_was_quicker(told: Told) -> None:
    """An image that could not be named is named again: nothing failed yet."""
    error = 'failed to solve: image "docker.io/lacion/foo:local": already exists'
    told.read({"name": "exporting to image", "begun": 1, "ended": 2, "error": error})
    assert [step.state for step in told.events if isinstance(step, Step)] == ["running", "canceled"]


@pytest.mark.parametrize(
    ("names", "cached"),
    [
        (["[1/2] FROM x", "[internal] load build context", "exporting to image"], True),
        (["[1/2] FROM x", "[2/2] RUN make"], False),
    ],
)
def test_cached(told: Told, names: list[str], cached: bool) -> None:
    """A build is cached when no instruction ran; base images and the builder's own work do not count."""
    told.read(*({"name": name, "begun": 1, "ended": 2} for name in names))
    told.read({"name": "[3/3] COPY a /", "begun": 2, "ended": 2, "cached": True})
    assert told.progress.cached is cached


LONG = "sha256:" + "0049b9485a03" + "0" * 52


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"ID": "transferring context:", "current": 30}, Transfer("context", "transferring", 30)),
        ({"ID": LONG, "name": "downloading", "current": 3, "total": 9}, Transfer("0049b9485a03", "pulling", 3, 9)),
        ({"ID": f"extracting {LONG}", "name": "extract"}, Transfer("0049b9485a03", "extracting", 0)),
        ({"ID": "exporting layers"}, Transfer("layers", "exporting", 0)),
        ({"ID": "waiting", "current": 1}, Transfer("waiting", "", 1)),
    ],
)
def test_transfers(told: Told, status: dict[str, Any], expected: Transfer) -> None:
    """What a step moves is told of under its number, with the seconds since it began; nothing is told twice."""
    told.read({"name": RUN, "begun": 1})
    now = {"vertex": RUN, "started": _time(1), "timestamp": _time(1.5), **status}
    seen = told.read(statuses=[now, now, {**now, "completed": _time(3)}])
    assert seen == [
        Transfer(expected.id, expected.action, expected.current, expected.total, done, step="1", seconds=seconds)
        for done, seconds in ((False, 0.5), (True, 2.0))
    ]


def test_what_nobody_knows(told: Told) -> None:
    """Lines and transfers of steps that were never heard of are left out."""
    told.read(statuses=[{"vertex": "x", "ID": "y"}], logs=[{"vertex": "x", "msg": b"y\n"}])
    assert told.events == []


def test_warnings_come_at_the_end(told: Told) -> None:
    """Each once, in the order of the lines, with the file as the user knows it, the rule and where it is explained."""

    def warning(line: int, short: str, url: str = "", filename: str = "Dockerfile.x") -> dict[str, Any]:
        ranges = [{"start": {"line": line}}] if line else []
        return {"short": short.encode(), "url": url, "info": {"filename": filename}, "ranges": ranges}

    later = warning(9, "JSONArgsRecommended: use JSON (line 9)", "https://example.com/json/")
    told.read(
        warnings=[later, later, warning(4, "Empty line"), warning(0, "no place"), warning(1, "other", "", "a.txt")]
    )
    assert told.events == []
    told.progress.close()
    told.progress.close()
    assert told.events == [
        Notice("no place", "warning"),
        Notice("a.txt:1: other", "warning"),
        Notice("docker/Dockerfile.x:4: Empty line", "warning"),
        Notice("docker/Dockerfile.x:9: JSONArgsRecommended: use JSON (https://example.com/json/)", "warning"),
    ]
