"""Several things at once: in order, bounded, and what comes of failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyship.running import parallel

SOON = 20.0
DIAMOND = {"low": (), "left": ("low",), "right": ("low",), "top": ("left", "right"), "alone": ()}


class Broken(Exception):
    """What fails in these tests."""


def failing(*names: str) -> Callable[[str], str]:
    """Fails for these, and returns the name of others."""

    def act(name: str) -> str:
        if name in names:
            raise Broken(name)
        return name

    return act


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.lists(st.lists(st.integers(0, 30), max_size=3), max_size=8))
def test_each_begins_after_what_it_needs_has_ended(jobs: int, below: list[list[int]]) -> None:
    """Whatever needs whatever, nothing begins too early, all is done, and never more than so many at once."""
    needs = {str(at): [str(one % at) for one in some] if at else [] for at, some in enumerate(below)}
    ended: set[str] = set()
    running: set[str] = set()
    most = []
    lock = threading.Lock()

    def act(name: str) -> int:
        with lock:
            assert set(needs[name]) <= ended
            running.add(name)
            most.append(len(running))
        with lock:
            running.discard(name)
            ended.add(name)
        return int(name)

    report = parallel.run(needs, act, jobs=jobs)
    assert report.done == {name: int(name) for name in needs}
    assert list(report.done) == list(needs)
    assert max(most, default=0) <= jobs
    assert not report.failed
    assert not report.cancelled


def test_independent_ones_run_at_the_same_time() -> None:
    """Each waits for the other to have begun: one after the other they would wait in vain."""
    begun = {"a": threading.Event(), "b": threading.Event()}

    def act(name: str) -> bool:
        begun[name].set()
        return begun["b" if name == "a" else "a"].wait(SOON)

    assert parallel.run({"a": (), "b": ()}, act, jobs=2).done == {"a": True, "b": True}


def test_a_failure_stops_what_needs_it_and_nothing_else() -> None:
    """What stands on a failed one is not begun, however far above; the others are done."""
    report = parallel.run(DIAMOND, failing("left"), jobs=3)
    assert set(report.done) == {"low", "right", "alone"}
    assert list(report.failed) == ["left"]
    assert report.stopped == {"top": ("left",)}
    assert report.cancelled == ()


def test_several_failures() -> None:
    """All are told, and of what was stopped by both, both."""
    report = parallel.run(DIAMOND, failing("left", "right"), jobs=1)
    assert [str(error) for error in report.failed.values()] == ["left", "right"]
    assert report.stopped == {"top": ("left", "right")}
    assert set(report.done) == {"low", "alone"}


def test_nothing_goes_on_after_the_end() -> None:
    """When a failure is the end, nothing else is begun, and what runs is told to end, and counts as not finished."""
    told = threading.Event()
    running = threading.Event()

    def act(name: str) -> str:
        if name == "runs":
            running.set()
            assert told.wait(SOON)
            raise Broken("because it was told to")
        if name == "fails":
            assert running.wait(SOON)
            raise Broken("by itself")
        return name

    needs: dict[str, tuple[str, ...]] = {"runs": (), "fails": (), "later": (), "above": ("fails",)}
    report = parallel.run(needs, act, jobs=2, is_end=lambda error: True, end=told.set)
    assert {name: str(error) for name, error in report.failed.items()} == {"fails": "by itself"}
    assert report.cancelled == ("runs", "later")
    assert report.stopped == {"above": ("fails",)}
    assert report.done == {}


def test_what_is_finished_in_spite_of_the_end_is_done() -> None:
    """Whoever does not hear that it is to end, and succeeds, has succeeded."""
    told = threading.Event()
    running = threading.Event()

    def act(name: str) -> str:
        if name == "runs":
            running.set()
            assert told.wait(SOON)
            return name
        assert running.wait(SOON)
        raise Broken

    report = parallel.run({"runs": (), "fails": ()}, act, jobs=2, is_end=lambda error: True, end=told.set)
    assert report.done == {"runs": "runs"}
    assert report.cancelled == ()


def test_an_interrupt_ends_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes where the caller waits: all is told to end, clears up, and then the interrupt goes on."""
    told, cleared, running = threading.Event(), threading.Event(), threading.Event()

    def act(name: str) -> None:
        running.set()
        assert told.wait(SOON)
        cleared.set()

    def interrupted(crew: parallel._Crew[None], seconds: float | None = None) -> None:
        if seconds is None:
            assert running.wait(SOON)
            raise KeyboardInterrupt
        waited(crew, seconds)

    waited = parallel._Crew.wait
    monkeypatch.setattr(parallel._Crew, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.run({"a": (), "b": ("a",)}, act, end=told.set)
    assert cleared.is_set()


def interrupted_start(monkeypatch: pytest.MonkeyPatch, begun: threading.Event) -> None:
    """Have Ctrl-C come while a thread is started, once it works."""
    start = threading.Thread.start

    def starting(thread: threading.Thread) -> None:
        start(thread)
        assert begun.wait(SOON)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", starting)


def test_an_interrupt_at_the_start_of_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the thread has begun is ended before the interrupt goes on, and the next is not begun."""
    begun, done = threading.Event(), []

    def act(name: str) -> None:
        begun.set()
        time.sleep(0.2)
        done.append(name)

    interrupted_start(monkeypatch, begun)
    with pytest.raises(KeyboardInterrupt):
        parallel.each(act, ["a", "b"], threads=1)
    assert done == ["a"]
    begun.clear()
    with pytest.raises(KeyboardInterrupt):
        parallel.run({"a": (), "b": ("a",)}, act, jobs=1)
    assert done == ["a", "a"]
    time.sleep(0.4)
    assert done == ["a", "a"]


def test_each_is_bounded_and_keeps_the_order() -> None:
    """Never more than so many at once; what comes out is in the order of what went in."""
    running: set[int] = set()
    most: list[int] = []

    def act(number: int) -> int:
        running.add(number)
        most.append(len(running))
        time.sleep(0.001)
        running.discard(number)
        return number

    assert parallel.each(act, range(30), threads=3) == list(range(30))
    assert max(most) <= 3


def test_each_begins_nothing_after_a_failure() -> None:
    """The failure is what comes out."""
    seen = []

    def act(number: int) -> None:
        seen.append(number)
        raise Broken

    with pytest.raises(Broken):
        parallel.each(act, range(100), threads=1)
    assert seen == [0]


def test_one_after_the_other_whatever_came_of_the_first() -> None:
    """What must not run at the same time as another one waits for its end, be it a bad one, and goes on."""
    seen: list[str] = []

    def act(name: str) -> None:
        seen.append(name)
        if name == "first":
            raise Broken

    report = parallel.run({"second": (), "first": ()}, act, after={"second": ("first",)}, jobs=2)
    assert seen == ["first", "second"]
    assert list(report.done) == ["second"]


def test_nothing_to_do() -> None:
    """No names, no threads, no waiting."""
    assert parallel.run({}, failing()).done == {}


def test_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many as there are processors, from 4 to 8."""
    for cores, jobs in ((None, 4), (1, 4), (3, 6), (64, 8)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert parallel.default_jobs() == jobs
