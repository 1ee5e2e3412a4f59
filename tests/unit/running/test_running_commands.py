"""Commands that are ended: with all that they began, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tinyship.errors import Cancelled
from tinyship.running import cancelling, commands
from tinyship.running.cancelling import Cancellation


def until(true: Any, seconds: float = 20) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether no process has this number, or one that has ended already."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}


def apart(*words: str) -> Any:
    """A command as a program runs it that may be ended at any moment, in a thread of its own."""
    cancellation = Cancellation()
    pids: list[int] = []
    errors: list[BaseException] = []

    def go() -> None:
        try:
            with cancelling.under(cancellation), commands.running(words, stdout=subprocess.PIPE) as process:
                assert process.stdout
                pids.extend(int(word) for word in process.stdout.readline().split())
                process.wait()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    until(lambda: pids or errors)
    return cancellation, pids, errors, thread


def test_all_that_it_began_ends() -> None:
    """Also what does not heed the request, a second later."""
    cancellation, pids, errors, thread = apart("sh", "-c", "trap '' TERM; sleep 60 & echo $$ $!; wait")
    cancellation.cancel()
    thread.join(20)
    until(lambda: all(is_gone(pid) for pid in pids))
    assert [type(error) for error in errors] == [Cancelled]


def test_a_number_that_another_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a command and its group are gone, nothing is sent to whoever has the number by then."""
    sent: list[int] = []
    process = subprocess.Popen([sys.executable, "-c", ""], process_group=0)
    commands._heads.add(process)
    process.wait()
    real = os.killpg
    free = [False]  # whether the number is another's

    def killpg(group: int, number: int) -> None:
        if group != process.pid or not free[0]:
            real(group, number)
        if group == process.pid:
            sent.append(number)

    monkeypatch.setattr(os, "killpg", killpg)
    commands.end(process)
    free[0] = True
    commands.end(process)
    time.sleep(1.5 * commands._GRACE)
    assert signal.SIGTERM not in sent
    assert signal.SIGKILL not in sent
