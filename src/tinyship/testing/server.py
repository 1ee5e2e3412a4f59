"""Runs the registry's program while a test needs it, on a port that nobody else has."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tinyship.errors import TinyshipError

_TRIES = 3
"""Between our choice of a port and the program's use of it another one may take it."""
_MARK = "X-Tinyship-Testing"
"""A header of all answers, by which we know ours from another program that got the port first."""
_PATIENCE = 60.0
"""Seconds that a busy machine may take to start it."""


@contextmanager
def running(program: str, folder: Path) -> Iterator[str]:
    """Host and port of a registry that keeps its state in a folder, and ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    process, host = _started(program, folder)
    try:
        yield host
    finally:
        process.kill()
        process.wait()


def _started(program: str, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    config, log = folder / "config.yml", folder / "log"
    for _ in range(_TRIES):
        host = f"127.0.0.1:{_free_port()}"
        mark = secrets.token_hex(8)
        config.write_text(json.dumps(_config(host, folder / "data", mark)))
        with log.open("wb") as output:
            process = subprocess.Popen([program, "serve", str(config)], stdout=output, stderr=output)
        try:
            if _answers(process, host, mark):
                return process, host
        except BaseException:
            process.kill()
            process.wait()
            raise
    tail = log.read_text(errors="replace").splitlines()[-5:]
    raise TinyshipError(f"the registry `{program}` ended before it answered", tail=tail)


def _config(host: str, data: Path, mark: str) -> dict[str, object]:
    """What the registry is told; JSON is YAML."""
    return {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": host, "headers": {_MARK: [mark]}},
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], host: str, mark: str) -> bool:
    """Wait until it is this one that answers there; False where it ends instead."""
    end = time.monotonic() + _PATIENCE
    while process.poll() is None:
        if _marked(host) == mark:
            return True
        if time.monotonic() > end:
            raise TinyshipError(f"the registry did not answer within {_PATIENCE:.0f} s")
        time.sleep(0.05)
    return False


def _marked(host: str) -> str | None:
    """The mark of whoever answers there; None where nobody does."""
    connection = HTTPConnection(host, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().getheader(_MARK)
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
