"""Commands of the project's own that tinyship runs on this machine: none is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from tinyship.running import cancelling

_GRACE = 1.0
"""Seconds that a command has to end by itself, once it is asked to."""


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
    last = process.kill if sys.platform == "win32" else lambda: _kill(process, signal.SIGKILL)
    later = threading.Timer(_GRACE, last)
    later.daemon = True
    later.start()


def _kill(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(OSError):
        if process in _heads:
            os.killpg(process.pid, number)
        elif process.poll() is None:
            process.send_signal(number)
