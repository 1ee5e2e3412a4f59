"""Listeners that lead to a real BuildKit or engine by other ways: TCP, TLS, and no upgrade in between."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tinyship.engine.buildkit.pipe import Pipe, connection, through
from tinyship.engine.connect import Engine

Way = Callable[[socket.socket], Pipe]
"""Opens what stands behind a listener, for a connection that was accepted."""


def to_buildkit(engine: Engine) -> Way:
    """BuildKit's own API, as a buildkitd would serve it."""
    return lambda _: through(engine)("/grpc")


def to_engine(engine: Engine) -> Way:
    """The engine's HTTP API."""
    return lambda _: Pipe(connection(engine))


@contextmanager
def listening(way: Way, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port of the loopback address that leads somewhere; everything ends with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_now: list[Any] = []
        threading.Thread(target=_accept, args=(server, way, tls, open_now), daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            for one in open_now:
                with contextlib.suppress(OSError):
                    one.close()


def _accept(server: socket.socket, way: Way, tls: ssl.SSLContext | None, open_now: list[Any]) -> None:
    while True:
        try:
            near, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(near, way, tls, open_now), daemon=True).start()


def _carry(near: socket.socket, way: Way, tls: ssl.SSLContext | None, open_now: list[Any]) -> None:
    """Carry bytes between two connections until one ends."""
    try:
        if tls:
            near = tls.wrap_socket(near, server_side=True)
        opened = way(near)
        far: Any = opened.socket
        open_now += [near, far]
        near.sendall(opened.first)
        with selectors.DefaultSelector() as ready, near, far:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in ready.select():
                    source: Any = key.fileobj
                    data = source.recv(1 << 16)
                    while tls and source is near and near.pending():
                        data += near.recv(1 << 16)
                    if not data:
                        return
                    key.data.sendall(data)
    except (OSError, ValueError):
        near.close()
