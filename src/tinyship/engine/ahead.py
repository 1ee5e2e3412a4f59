"""Reads a stream ahead of whoever wants it, in a thread, so that both sides work at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from threading import Event, Thread

_PIECE = 1 << 19
_PIECES = 16


def ahead(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of half a megabyte or more, of which at most sixteen wait.

    What the stream raises is raised here, after what came before it.
    """
    queue: Queue[bytes | BaseException | None] = Queue(_PIECES)
    left = Event()
    thread = Thread(target=_read, args=(pieces, queue, left), daemon=True)
    thread.start()
    try:
        while (found := queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        left.set()
        while thread.is_alive():  # it may wait for room
            try:
                queue.get_nowait()
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
