"""Programs in the background: started in a session of their own, found again, and stopped."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.packages import as_root, run_as_root

_PROGRAMS = ("dockerd", "containerd", "docker-registry", "docker-proxy", "podman", "conmon", "sudo")


def start(command: Sequence[str], log: Path, *, root: bool = False) -> None:
    """Start a program in a session of its own, so that it outlives this one; its output goes to the end of ``log``."""
    words = ["setsid", "--fork", *command]
    with log.open("ab") as file:
        subprocess.run(
            as_root(*words) if root else words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd="/", check=True
        )


def await_ready(ready: Callable[[], bool], word: str, log: Path, *, seconds: float) -> bool:
    """Wait until a daemon that was just started is ready; False where it ended instead.

    Args:
        word: a word of its command line.

    Raises:
        SystemExit: it is neither ready nor at its end after that many seconds; shows the end of its log.
    """
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < seconds:
        if ready():
            return True
        if waited > 1 and not find(word):
            return False
        time.sleep(0.05)
    raise SystemExit(f"{tail(log)}\ndev: not ready after {seconds:g} s; the log is {log}")


def answer(
    connection: http.client.HTTPConnection, path: str, connect: Callable[[], object] | None = None
) -> bytes | None:
    """What a server answers to a GET; None where it does not, or says that something is wrong.

    Args:
        connection: closed afterwards.
        connect: connects it, where it does not do that by itself.
    """
    try:
        if connect:
            connect()
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""


def find(word: str) -> tuple[int, ...]:
    """The daemons whose command line contains a word.

    A command line cannot go stale as a pid file does, whose number another process may have by now.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        program = line[0].decode(errors="replace").rpartition("/")[2]
        if state != "Z" and program.startswith(_PROGRAMS) and any(word.encode() in argument for argument in line):
            found.append(int(entry.name))
    return tuple(sorted(found))


def contained(folder: Path) -> tuple[int, ...]:
    """The processes in containers whose file systems lie below a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            mounts = (entry / "mountinfo").read_text(errors="replace").splitlines()
        except OSError:
            continue
        roots = (line for line in mounts if line.split(" ")[4] == "/")
        if any(f"upperdir={folder}/" in line.encode().decode("unicode_escape") for line in roots):
            found.append(int(entry.name))
    return tuple(found)


def kill(pids: Sequence[int]) -> None:
    """End these processes by force."""
    _signal(pids, signal.SIGKILL)


def stop(word: str, seconds: float = 15.0) -> int:
    """End all daemons whose command line contains a word, by force after that many seconds; returns their number."""
    pids = find(word)
    _signal(pids, signal.SIGTERM)
    end = time.monotonic() + seconds
    while find(word) and time.monotonic() < end:
        time.sleep(0.05)
    _signal(find(word), signal.SIGKILL)
    while find(word) and time.monotonic() < end + 5:
        time.sleep(0.05)
    return len(pids)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            run_as_root("kill", f"-{number.value}", str(pid))
