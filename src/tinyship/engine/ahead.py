"""Reads a stream ahead of whoever wants it, in a thread, so that both sides work at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from threading import Event, Thread

from tinyship.running import cancelling

_PIECE = 1 << 19
_PIECES = 16
_PATIENCE = 20


def ahead(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of half a megabyte or more, of which at most sixteen wait.

    What the stream raises is raised here, after what came before it. Who leaves early waits a second at most; a stream
    that stands still is left to its thread.
    """
    queue: Queue[bytes | BaseException | None] = Queue(_PIECES)
    left = Event()
    thread = Thread(target=cancelling.carried(_read), args=(pieces, queue, left), daemon=True)
    thread.start()
    try:
        while (found := queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        left.set()
        for _ in range(_PATIENCE):
            if not thread.is_alive():
                break
            try:
                queue.get_nowait()  # it may wait for room
            except Empty:
                thread.join(0.05)


def _read(pieces: Iterable[bytes], queue: Queue[bytes | BaseException | None], left: Event) -> None:
    waiting: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            if left.is_set():
                return
            waiting.append(piece)
            size += len(piece)
            if size >= _PIECE:
                queue.put(b"".join(waiting))
                waiting, size = [], 0
    except BaseException as error:
        queue.put(b"".join(waiting))
        queue.put(error)
    else:
        queue.put(b"".join(waiting))
        queue.put(None)
    finally:
        if close := getattr(pieces, "close", None):
            close()
