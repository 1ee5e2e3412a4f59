"""Runs a command on a terminal, and tells what stands there at the end."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

_HEIGHT = 40


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    columns: int,
    lines: int,
    kept: int = 0,
    patience: float | None = None,
) -> tuple[int, pyte.Screen]:
    """Run a command on a terminal; returns its exit code and what the terminal shows at the end.

    Args:
        command: with its arguments.
        folder: to run it in.
        environment: of it, complete.
        columns: of the terminal.
        lines: that are kept, with those that a user would have to scroll up to.
        kept: columns that are kept, so that a longer line stays one; those of the terminal where it is 0.
        patience: seconds after which it is killed; None for none.
    """
    screen = pyte.Screen(kept or columns, lines)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _HEIGHT, columns, 0, 0))
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    end = threading.Timer(patience, process.kill) if patience else None
    if end:
        end.start()
    try:
        while data := _read(ours):
            stream.feed(data)
        return process.wait(), screen
    finally:
        os.close(ours)
        if end:
            end.cancel()


def text(screen: pyte.Screen) -> str:
    """What a screen shows, without its colours, down to the last line that is not empty."""
    rows = [screen.buffer[number] for number in range(max(screen.buffer, default=-1) + 1)]
    shown = ("".join(row[column].data for column in range(max(row, default=-1) + 1)).rstrip() for row in rows)
    return "\n".join(shown).rstrip("\n")


def _read(end: int) -> bytes:
    try:
        return os.read(end, 65_536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""
