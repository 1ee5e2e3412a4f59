"""Does several things at once, each after those that it needs, and never more than so many."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct, field

from tinyship.running import cancelling

_T = TypeVar("_T")
_R = TypeVar("_R")
_FEWEST, _MOST = 4, 8
_PATIENCE = 10.0
"""Seconds that what is interrupted has to clear up."""


def default_jobs() -> int:
    """Twice as many as this machine has processors, from 4 to 8: most of the time it is the engine that works."""
    return min(_MOST, max(_FEWEST, 2 * (os.cpu_count() or 1)))


class Report(Struct, Generic[_T]):
    """What came of each.

    Args:
        done: what was returned, by name.
        failed: why it failed, by name, in the order in which they did.
        stopped: what was not begun because of others, by name: those that failed, directly or not.
        cancelled: what was not begun, or was ended, because nothing was to go on.
    """

    done: dict[str, _T] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    stopped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cancelled: tuple[str, ...] = ()


def run(
    needs: Mapping[str, Iterable[str]],
    act: Callable[[str], _T],
    *,
    after: Mapping[str, Iterable[str]] | None = None,
    jobs: int = 0,
    is_end: Callable[[Exception], bool] = lambda error: False,
    end: Callable[[], None] = lambda: None,
    patience: float = _PATIENCE,
) -> Report[_T]:
    """Act for each name after those that it needs; what needs a failed one is not begun, the others go on.

    Args:
        needs: of each name those that it needs, in an order in which they could be done one by one.
        act: does it, in a thread of its own.
        after: of names those that must have come to an end before, well or not.
        jobs: how many run at the same time, at most; ``default_jobs`` where 0.
        is_end: whether nothing is to go on after a failure. It is asked before anybody else learns of the failure.
        end: tells what runs to end, at once; also where we are interrupted. May be called from any thread.
        patience: seconds, at most, that are waited for what runs where we are interrupted.
    """
    crew = _Crew(needs, after or {}, act, is_end, end)
    threads = [
        threading.Thread(target=crew.work, daemon=True, name=f"tinyship-job-{number}")
        for number in range(min(jobs or default_jobs(), len(crew.needs)))
    ]
    try:
        for thread in threads:
            thread.start()
        crew.wait()
    except BaseException:
        crew.stop()
        crew.wait(patience)
        raise
    return crew.report()


def each(act: Callable[[_T], _R], things: Iterable[_T], *, threads: int) -> list[_R]:
    """What ``act`` makes of each, in their order, a few at a time.

    After a failure or an interrupt nothing is begun any more, and what has begun is waited for: no interrupt comes into
    the midst of it.

    Raises:
        Exception: that of the first, in their order, that failed.
    """
    from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait

    over = threading.Event()
    free = threading.Semaphore(threads)

    def one(thing: _T) -> _R:
        with free:
            if over.is_set():
                raise CancelledError
            try:
                return act(thing)
            except BaseException:
                over.set()
                raise

    pool = ThreadPoolExecutor(threads, thread_name_prefix="tinyship-each")
    try:
        heard = cancelling.carried(one)
        futures = [pool.submit(heard, thing) for thing in things]
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:
        over.set()
        pool.shutdown(wait=True, cancel_futures=True)
        for _ in range(threads):  # the pool does not wait for a thread in the start of which an interrupt came
            free.acquire()
    errors = (future.exception() for future in futures if not future.cancelled())
    if error := next((error for error in errors if error and not isinstance(error, CancelledError)), None):
        raise error
    return [future.result() for future in futures]


class _Crew(Generic[_T]):
    """Threads that share what is to be done."""

    def __init__(
        self,
        needs: Mapping[str, Iterable[str]],
        after: Mapping[str, Iterable[str]],
        act: Callable[[str], _T],
        is_end: Callable[[Exception], bool],
        end: Callable[[], None],
    ) -> None:
        self.needs = {name: tuple(one for one in some if one in needs) for name, some in needs.items()}
        self._after = {name: tuple(one for one in after.get(name, ()) if one in needs) for name in needs}
        self._act, self._is_end, self._end = act, is_end, end
        self._waiting = dict.fromkeys(self.needs)
        self._running: set[str] = set()
        self._report: Report[_T] = Report()
        self._cancelled: set[str] = set()
        self._ending = False
        self._changed = threading.Condition()

    def wait(self, seconds: float | None = None) -> None:
        """Until all came to an end, or for some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._running), seconds)

    def report(self) -> Report[_T]:
        """What came of it, in the order of the names."""
        found = self._report
        found.done = {name: found.done[name] for name in self.needs if name in found.done}
        found.cancelled = tuple(name for name in self.needs if name in self._cancelled)
        return found

    def stop(self) -> None:
        """Begin nothing any more, and have what runs end."""
        with self._changed:
            first = not self._ending
            self._begin_nothing()
        if first:
            self._end()

    def _begin_nothing(self) -> None:
        self._ending = True
        self._cancelled |= set(self._waiting)
        self._waiting.clear()
        self._changed.notify_all()

    def work(self) -> None:
        """What each thread does."""
        while name := self._next():
            try:
                done = self._act(name)
            except Exception as error:
                self._failed(name, error)
            else:
                with self._changed:
                    self._report.done[name] = done
                    self._settle(name)

    def _next(self) -> str:
        with self._changed:
            while self._waiting:
                for name in self._waiting:
                    if self._is_ready(name):
                        del self._waiting[name]
                        self._running.add(name)
                        return name
                self._changed.wait()
        return ""

    def _is_ready(self, name: str) -> bool:
        unfinished = {*self._waiting, *self._running}
        return not unfinished & {*self.needs[name], *self._after[name]}

    def _failed(self, name: str, error: Exception) -> None:
        is_end = not self._ending and self._is_end(error)
        with self._changed:
            is_end = is_end and not self._ending
            if self._ending:  # it was told to end
                self._cancelled.add(name)
            else:
                self._report.failed[name] = error
                self._stop_those_above(name)
            if is_end:
                self._begin_nothing()
            self._settle(name)
        if is_end:
            self._end()

    def _stop_those_above(self, failed: str) -> None:
        """What needs a failed one will not be begun."""
        stopped = self._report.stopped
        bad = {failed}
        while above := {name for name in self.needs if name not in bad and bad & set(self.needs[name])}:
            bad |= above
        for name in self.needs:
            if name in bad and name != failed and name in {*self._waiting, *stopped}:
                stopped[name] = (*stopped.get(name, ()), failed)
                self._waiting.pop(name, None)

    def _settle(self, name: str) -> None:
        self._running.discard(name)
        self._changed.notify_all()
