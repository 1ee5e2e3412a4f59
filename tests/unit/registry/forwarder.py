"""A small HTTP proxy of the tests' own: forwards CONNECT and plain requests, and records what it was asked for."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Forwarder:
    """One that runs.

    Args:
        host: `host:port` of it.
        asked: each request's method and what it is for: `host:port`, or an address.
        authorized: the `Proxy-Authorization` of each.
    """

    host: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    authorized: list[str] = field(default_factory=list)


@contextmanager
def forwarding(address: str = "127.0.0.1") -> Iterator[Forwarder]:
    """A proxy while a test needs it; names below `.test` lead to this machine."""
    with socket.create_server((address, 0)) as server:
        found = Forwarder(f"{address}:{server.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    near, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_serve, args=(near, found), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield found
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _serve(near: socket.socket, found: Forwarder) -> None:
    with near, contextlib.suppress(OSError, ValueError):
        near.settimeout(20)
        head, rest = _head(near)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        found.asked.append((method, target))
        found.authorized.append(headers.get("proxy-authorization", ""))
        name = target if method == "CONNECT" else urlsplit(target).netloc
        host, _, port = name.partition(":")
        with socket.create_connection(("127.0.0.1" if host.endswith(".test") else host, int(port or 80)), 5) as far:
            if method == "CONNECT":
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                far.sendall(rest)
            else:
                kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
                path = target.partition("://")[2].partition("/")[2]
                lead = "\r\n".join([f"{method} /{path} HTTP/1.1", *kept, "Connection: close"])
                far.sendall(f"{lead}\r\n\r\n".encode("latin-1") + rest)
                answer, body = _head(far)
                near.sendall(answer + b"\r\nConnection: close\r\n\r\n" + body)  # or the next one would come here too
            _carry(near, far)


def _head(near: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = near.recv(1 << 16)
        if not piece:
            raise ValueError("no request")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _carry(near: socket.socket, far: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(near, selectors.EVENT_READ, far)
        ready.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in ready.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data = source.recv(1 << 16)
                if not data:
                    return
                key.data.sendall(data)
