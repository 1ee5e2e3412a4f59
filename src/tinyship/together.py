"""What the images of one run have in common: things that are done once for all, and the word that all is to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from tinyship.errors import Cancelled

_T = TypeVar("_T")


class Together:
    """Shared by the scopes of a run; all of it may be used from several threads."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._works = 0

    def once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What ``make`` returned for whoever asked first for this key; the others wait for it.

        Raises:
            Exception: what ``make`` raised, the same for all.
        """
        with self._lock:
            found = self._made.get(key)
            mine = self._made[key] = found or Future()
        if not found:
            try:
                mine.set_result(make())
            except BaseException as error:
                mine.set_exception(error)
                raise
        result: _T = mine.result()
        return result

    def known(self, key: Hashable) -> Any:
        """What was made for a key; None where that is not so, or not yet."""
        found = self._made.get(key)
        return found.result() if found and found.done() and not found.exception() else None

    def worked(self) -> None:
        """Something was made: what an image has seen of the engine may be another by now."""
        with self._lock:
            self._works += 1

    @property
    def works(self) -> int:
        """How often something was made."""
        return self._works

    def end(self) -> None:
        """Let nothing begin any more."""
        self._ended.set()

    def check(self) -> None:
        """Raise Cancelled where nothing is to begin any more."""
        if self._ended.is_set():
            raise Cancelled("it was ended before it came to an end")

    @property
    def is_ended(self) -> bool:
        """Whether nothing is to begin any more."""
        return self._ended.is_set()
