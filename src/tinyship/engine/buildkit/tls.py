"""TLS connections that one thread reads while another writes, which OpenSSL's own objects do not allow."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from tinyship.engine.request import Tls
from tinyship.errors import ConfigError, EngineError

_T = TypeVar("_T")


class Socket(Protocol):
    """What a pipe needs of a socket; TLS and SSH connections have it too."""

    def recv(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def close(self) -> None:
        """End it."""


class TlsSocket:
    """A TLS connection whose reads and writes take turns, and wait for the network outside of their turn."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._turn = threading.Lock()

    def recv(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""
        try:
            return self._waiting(partial(self._connection.recv, size))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        left = memoryview(data)
        while left:
            sent = self._waiting(partial(self._connection.send, left))
            left = left[sent:]

    def shutdown(self, how: int, /) -> None:
        """End what goes over the network, and wake whoever reads; waits for nobody's turn."""
        socket.socket.shutdown(self._connection, how)

    def close(self) -> None:
        """End it, and wake whoever reads."""
        with suppress(OSError):  # it is at its end already
            self.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _waiting(self, act: Callable[[], _T]) -> _T:
        while True:
            try:
                with self._turn:
                    return act()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            waiting = select.poll()
            waiting.register(self._connection, event)
            waiting.poll()


def shared(connection: Any) -> Socket:
    """A connection of docker-py's that may be read and written at once: TLS needs help, all others do not."""
    found: Socket = TlsSocket(connection) if isinstance(connection, ssl.SSLSocket) else connection
    return found


def wrapped(connection: socket.socket, host: str, certificates: Tls, where: str) -> TlsSocket:
    """Begin TLS on a connection.

    Args:
        host: that was connected to.
        where: the address, for messages.

    Raises:
        ConfigError: a certificate cannot be read.
        EngineError: one side does not trust the other.
    """
    try:
        context = ssl.create_default_context(cafile=str(certificates.ca) if certificates.ca else None)
        if certificates.cert:
            context.load_cert_chain(certificates.cert, certificates.key)
        context.set_alpn_protocols(["h2"])
    except (OSError, ssl.SSLError) as error:
        connection.close()
        raise ConfigError(f"the certificates for {where} cannot be used: {error}", hint="See `builder_tls`.") from error
    try:
        secure = context.wrap_socket(connection, server_hostname=certificates.server_name or host)
    except OSError as error:
        connection.close()
        raise EngineError(f"no TLS connection to {where}: {error}", hint="See `builder_tls`.") from error
    return TlsSocket(secure)
