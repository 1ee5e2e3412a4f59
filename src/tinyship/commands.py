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

from tinyship import cancelling

_GRACE = 1.0
"""Seconds that a command has to end by itself, once it is asked to."""


@contextmanager
def running(words: str | tuple[str, ...], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A command while it runs; it is gone at the end, and so is its output.

    Ctrl-C at a terminal reaches it and all that it began. A cancellation does, too, where the command is run by another
    thread than the main one: it is the head of a group of processes there.

    Args:
        words: as ``subprocess.Popen`` takes them.
        options: as well.

    Raises:
        OSError: it cannot be started.
        Cancelled: it was ended.
    """
    apart = sys.platform != "win32" and threading.current_thread() is not threading.main_thread()
    process = subprocess.Popen(words, process_group=0 if apart else None, **options)

    def kill(number: int) -> None:
        if process.poll() is None or apart:
            with suppress(OSError):
                os.killpg(process.pid, number) if apart else process.send_signal(number)

    def cut() -> None:
        kill(signal.SIGTERM)
        later = threading.Timer(_GRACE, process.kill if sys.platform == "win32" else lambda: kill(signal.SIGKILL))
        later.daemon = True
        later.start()

    try:
        with cancelling.cutting(cut):
            yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
