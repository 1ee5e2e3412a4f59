"""A release and a clean of one folder take turns, and the release goes first.

Two files of ``.tinyship/`` are locked, never written. Whoever releases holds both, together with others who release. A
clean holds ``clean.lock`` alone, and asks between two removals whether somebody wants to release, which is whether
``wish.lock`` is held. The locks are the operating system's: who dies gives them back.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tinyship import state
from tinyship.errors import Refused, TinyshipError
from tinyship.running import cancelling

_WISH = "wish.lock"
_TURN = "clean.lock"
_PATIENCE = 60.0
_PAUSE = 0.01


@contextmanager
def releasing(root: Path) -> Iterator[None]:
    """Make a block wait for the one removal that a clean is at, and keep cleans out of it.

    Args:
        root: the project's folder.

    Raises:
        TinyshipError: a clean neither goes on nor ends, or the locks cannot be made.
    """
    with _open(root, _WISH) as wish, _open(root, _TURN) as turn:
        given_up = time.monotonic() + _PATIENCE
        for handle in (wish, turn):
            while not _lock(handle, shared=True):
                if time.monotonic() > given_up:
                    raise TinyshipError(
                        f"a clean of {root} does not end", hint="Does it hang, or is it stopped? End it, and try again."
                    )
                cancelling.sleep(_PAUSE)
        yield


@contextmanager
def cleaning(root: Path) -> Iterator[Callable[[], None]]:
    """Keep other cleans and later releases out of a block.

    Args:
        root: the project's folder.

    Yields:
        a question to be asked before each removal, from any thread. It raises Refused once somebody wants to release.

    Raises:
        Refused: somebody releases or cleans at this moment.
    """
    with _open(root, _WISH) as wish, _open(root, _TURN) as turn:
        if not _lock(turn, shared=False):
            raise Refused(f"something is releasing or cleaning {root} now", hint="Run it again when that is done.")

        cancellation = cancelling.current()

        def ask() -> None:
            cancellation.check()
            if not _lock(wish, shared=False):
                raise Refused(
                    "a release has begun, and goes first: what is not removed yet stays",
                    hint="Run it again when the release is done.",
                )
            _unlock(wish)

        yield ask


@contextmanager
def _open(root: Path, name: str) -> Iterator[int]:
    file = state.folder(root) / name
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise TinyshipError(f"{file} cannot be opened: {error.strerror}", hint="Is it this user's?") from error
    try:
        yield handle
    finally:
        os.close(handle)


if sys.platform == "win32":

    def _lock(handle: int, *, shared: bool) -> bool:
        """Windows' locks know no sharing, so that two releases at once would keep each other out: there are none."""
        return True

    def _unlock(handle: int) -> None: ...

else:
    import errno
    import fcntl

    def _lock(handle: int, *, shared: bool) -> bool:
        """Whether the lock could be had now."""
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            # Any other error is that of a file system without locks, which is no reason to release nothing.
            return error.errno not in {errno.EACCES, errno.EAGAIN}
        return True

    def _unlock(handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_UN)
        except OSError:
            return
