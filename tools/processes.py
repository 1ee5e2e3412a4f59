"""Programs in the foreground, which have the terminal and its Ctrl-C to themselves."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_this_terminal(
    command: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Run a program on this very terminal and return its exit code.

    Ctrl-C is the program's own affair: it is waited for until it has cleared up after itself.
    """
    with subprocess.Popen(command, cwd=cwd, env=environment) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
