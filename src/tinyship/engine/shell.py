"""A terminal in a container: this one's keys go in, what it writes comes out, until it ends."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.errors import CommandFailed, EngineError, TinyshipError


def interactive(engine: Engine, container_id: str) -> int:
    """Start a container that has a terminal, connect it with this one, and wait for its end.

    Args:
        container_id: created with ``tty``, and not started.

    Returns:
        its exit code.

    Raises:
        TinyshipError: standard input or output is no terminal.
        CommandFailed: the container has no such command.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise TinyshipError("a shell needs a terminal", hint="`invoke build.test` runs a command without one.")
    api = engine.api
    with translated("connecting the terminal"):
        socket = api.attach_socket(container_id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "logs": 0})
    stream = getattr(socket, "_sock", socket)
    try:
        _start(engine, container_id)
        _resize(engine, container_id)
        with _resized(engine, container_id), _raw(sys.stdin.fileno()):
            _pump(stream)
        with translated("waiting for the shell"):
            return int(api.wait(container_id)["StatusCode"])
    finally:
        socket.close()


def _start(engine: Engine, container_id: str) -> None:
    try:
        with translated("starting the shell"):
            engine.api.start(container_id)
    except EngineError as error:
        if "no such file" in error.message or "not found" in error.message:
            raise CommandFailed(
                "the build image has no such shell",
                exit_code_of_command=127,
                hint="Set `build.shell` to one that it has.",
            ) from error
        raise


def _pump(stream: Any) -> None:
    """Pass bytes both ways until the container's side is closed."""
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    open_ends: list[Any] = [stream, keys]
    while True:
        try:
            ready, _, _ = select.select(open_ends, [], [])
        except InterruptedError:
            continue
        if stream in ready:
            data = stream.recv(65536)
            if not data:
                return
            while data:
                data = data[os.write(screen, data) :]
        if keys in ready:
            typed = os.read(keys, 4096)
            if typed:
                stream.sendall(typed)
            else:
                open_ends.remove(keys)


def _resize(engine: Engine, container_id: str) -> None:
    size = shutil.get_terminal_size()
    try:
        with translated("resizing the terminal"):
            engine.api.resize(container_id, height=size.lines, width=size.columns)
    except EngineError:
        pass  # it may have ended already


@contextmanager
def _resized(engine: Engine, container_id: str) -> Iterator[None]:
    """Pass on every change of the terminal's size."""
    before = signal.signal(signal.SIGWINCH, lambda *_: _resize(engine, container_id))
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Keys go through as they are; the terminal is as before afterwards, whatever happens."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
