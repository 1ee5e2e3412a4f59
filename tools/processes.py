"""Programs in the foreground, which have the terminal and its Ctrl-C to themselves."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of what Ctrl-C ended."""


def on_this_terminal(
    command: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Run a program on this very terminal, until it has cleared up after itself even where Ctrl-C is pressed.

    Returns:
        its exit code; INTERRUPTED where Ctrl-C was pressed, whatever the program made of that.
    """
    presses: list[int] = []
    with subprocess.Popen(command, cwd=cwd, env=environment) as process:
        before = signal.signal(signal.SIGINT, lambda number, _: presses.append(number))
        try:
            code = process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
    return INTERRUPTED if presses else code
