"""Other programs that know more about images, run where they are installed: what they answer, or why they do not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tinyship.codes import without_codes

_LOG = re.compile(r"^\[\d+\]\s+(?:ERROR|WARN)\s+")
_LONGEST = 300


class Failed(Exception):
    """A program gave no answer; ``str(error)`` says why, in words."""


def installed(name: str) -> bool:
    """Whether a program is on PATH."""
    return shutil.which(name) is not None


def answer(name: str, words: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None) -> Any:
    """The JSON that a program writes.

    Args:
        name: of the program, on PATH.
        words: its arguments.
        seconds: how long it may take; it is ended then, with all that it started.
        environment: what it finds beside this process' own.

    Raises:
        Failed: it cannot be run, takes too long, or writes something else.
    """
    try:
        process = subprocess.Popen(
            [shutil.which(name) or name, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"`{name}` cannot be run: {error.strerror}") from error
    with process:
        try:
            out, complaint = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"`{name}` took longer than {seconds:g} seconds") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    try:
        return json.loads(out)
    except (ValueError, RecursionError):
        raise Failed(f"`{name}` gave no answer: {_why(complaint, process.returncode)}") from None


def _why(complaint: bytes, code: int) -> str:
    """The last line of what a program complained of."""
    lines = [line.strip() for line in without_codes(complaint.decode("utf-8", "replace")).splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return _LOG.sub("", last)[:_LONGEST] or f"it ended with {code}"
