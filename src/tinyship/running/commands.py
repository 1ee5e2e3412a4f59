"""Commands of the project's own that tinyship runs on this machine: none is left running."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from tinyship.running import cancelling

_GRACE = 1.0
"""Seconds that a command has to end by itself, once it is asked to."""
_LOOK = 0.05


_heads: WeakSet[subprocess.Popen[bytes]] = WeakSet()
"""Commands that are the heads of groups of processes."""


@contextmanager
def running(words: str | tuple[str, ...], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A command while it runs; it is gone at the end, and so is its output.

    Ctrl-C at a terminal reaches it and all that it began. A cancellation does, too, where a program may call for it, or
    the command is run by another thread than the main one: it is the head of a group of processes there, and an error
    in the block ends all of the group.

    Args:
        words: as ``subprocess.Popen`` takes them.
        options: as well.

    Raises:
        OSError: it cannot be started.
        Cancelled: it was ended.
    """
    is_alone = threading.current_thread() is threading.main_thread() and not cancelling.current().is_programs
    apart = sys.platform != "win32" and not is_alone
    process = subprocess.Popen(words, process_group=0 if apart else None, **options)
    if apart:
        _heads.add(process)
    try:
        with cancelling.cutting(lambda: end(process)):
            yield process
    except BaseException:
        end(process)
        raise
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a command to end, and all of its group where it is the head of one; make it end a second later."""
    _kill(process, signal.SIGTERM)
    _thread.start_new_thread(_make_end, (process,))  # threading's own takes locks, which a signal handler must not


def _make_end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is still there after a while; looked at often, as a number that nobody has may be another's soon."""
    last = time.monotonic() + _GRACE
    while _is_there(process):
        if time.monotonic() > last:
            _kill(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            return
        time.sleep(_LOOK)


def _is_there(process: subprocess.Popen[bytes]) -> bool:
    """Whether a command, or anyone of its group, is running; or has ended, and nobody knows of it."""
    if process not in _heads:
        return process.poll() is None
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        _heads.discard(process)  # whoever has the number from now on is none of ours
    except OSError:
        pass
    return process in _heads


def _kill(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(OSError):
        if _is_there(process):
            if process in _heads:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
