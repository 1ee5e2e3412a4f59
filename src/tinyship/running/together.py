"""What the images of one run have in common: things that are done once for all, and the word that all is to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from tinyship.running.cancelling import Cancellation

_T = TypeVar("_T")


class Together:
    """Shared by the scopes of a run; all of it may be used from several threads.

    ``cancellation`` ends the run: by whoever called for it, by Ctrl-C, or because an image failed.
    """

    several = False
    """Several images are worked on, so that what fails here fails for none of them alone."""

    remembers = True
    """What is seen of files may be written down; not so where only a plan is made."""

    def __init__(self) -> None:
        self.planned: set[str] = set()
        """Names, with their tags, of images that a plan says will be made."""
        self._failed: set[int] = set()
        self._made: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self._works = 0
        self.cancellation = Cancellation()

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
                self._failed.add(id(error))  # which is kept by the future, so that no other one has its id
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

    def is_common(self, error: BaseException) -> bool:
        """Whether it came of what is done once for several images, and is told of for all of them."""
        return self.several and id(error) in self._failed
