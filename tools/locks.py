"""Locks on files, which the kernel lets go of when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Let two calls at once come one after the other.

    Args:
        file: made where it is missing; a folder that is there serves as well.
    """
    with _opened(file) as number:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield


@contextmanager
def together(file: Path) -> Iterator[Callable[[], bool]]:
    """Be one of several who use something; waits while somebody is alone with it.

    Yields:
        whether nobody else uses it any more; if so, others are kept out until the end.
    """
    with _opened(file) as number:
        fcntl.flock(number, fcntl.LOCK_SH)
        yield lambda: _last(number)


def _last(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    if not file.is_dir():
        file.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(file, os.O_RDONLY if file.is_dir() else os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield number
    finally:
        os.close(number)
