"""Work on the pieces of a stream in threads of their own, beside the reading, which waits for nothing but them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from queue import Queue
from threading import Thread

_WAITING = 2


def beside(pieces: Iterable[bytes], *work: Callable[[bytes], object]) -> Generator[bytes]:
    """The pieces as they are, each given to every function of ``work`` too, in order.

    All the work is done when the last piece has come; an exception in it comes out of here.
    """
    workers = [_Worker(one) for one in work]
    try:
        for piece in pieces:
            for worker in workers:
                worker.queue.put(piece)
            yield piece
    finally:
        for worker in workers:
            worker.queue.put(None)
        for worker in workers:
            worker.thread.join()
    for worker in workers:
        if worker.error:
            raise worker.error


class _Worker:
    """A thread that does one function's work; no more than two pieces wait for it."""

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self.queue: Queue[bytes | None] = Queue(_WAITING)
        self.error: BaseException | None = None
        self.work = work
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (piece := self.queue.get()) is not None:
            if self.error is None:
                try:
                    self.work(piece)
                except BaseException as error:
                    self.error = error
