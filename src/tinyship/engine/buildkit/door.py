"""The ways to a BuildKit: through an engine, or to a daemon of its own; each gives its API and carries a session.

Source: buildkit, ``api/services/control`` (Control.Session) and ``session/manager.go``; Docker Engine API,
``POST /grpc`` and ``POST /session``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from tinyship.engine.buildkit import pipe
from tinyship.engine.buildkit.channel import Channel, RpcError, Stream, framed
from tinyship.engine.buildkit.pipe import Opener, Pipe
from tinyship.engine.buildkit.tls import Socket
from tinyship.engine.connect import Engine
from tinyship.engine.request import Tls
from tinyship.errors import ConfigError, EngineError

_SESSION = "/moby.buildkit.v1.Control/Session"
_LONGEST = 1 << 20


class Door(Protocol):
    """A way to one BuildKit."""

    def control(self) -> Channel:
        """A fresh connection to its API, ``moby.buildkit.v1.Control``.

        Raises:
            EngineError: it is not there.
        """

    def session(self, control: Channel, headers: Sequence[tuple[str, str]]) -> Pipe:
        """Bytes on which it calls us while a build runs.

        Args:
            control: a connection that ``control`` gave.
            headers: what the session is, and which methods it has; names may repeat.
        """


class EngineDoor:
    """Through an engine's own endpoints, upgraded by hand."""

    def __init__(self, open_pipe: Opener) -> None:
        self.open_pipe = open_pipe

    def control(self) -> Channel:
        """See ``Door``."""
        return Channel(self.open_pipe("/grpc"))

    def session(self, control: Channel, headers: Sequence[tuple[str, str]]) -> Pipe:
        """See ``Door``."""
        return self.open_pipe("/session", headers)


class NativeDoor:
    """gRPC right on a connection, as buildkitd has it, and an engine's socket since API 1.53; the session is a call."""

    def __init__(self, connect: Callable[[], Socket]) -> None:
        self.connect = connect

    def control(self) -> Channel:
        """See ``Door``."""
        return Channel(Pipe(self.connect()))

    def session(self, control: Channel, headers: Sequence[tuple[str, str]]) -> Pipe:
        """See ``Door``."""
        try:
            return Pipe(_CallSocket(control.open(_SESSION, [(name.lower(), value) for name, value in headers])))
        except RpcError as error:
            raise EngineError(f"opening a session with BuildKit: {error.message}") from error


class _CallSocket:
    """A call whose messages are pieces of a stream of bytes, as a socket."""

    def __init__(self, stream: Stream) -> None:
        from tinyship.engine.buildkit.proto.session_pb2 import BytesMessage

        self._message = BytesMessage
        self._stream = stream

    def recv(self, size: int, /) -> bytes:
        """The next message's bytes, however many these are."""
        while (message := self._stream.receive()) is not None:
            if data := self._message.FromString(message).data:
                return bytes(data)
        return b""

    def sendall(self, data: bytes, /) -> None:
        """Send bytes in messages that every gRPC server takes."""
        try:
            for start in range(0, len(data), _LONGEST):
                self._stream.send(framed(self._message(data=data[start : start + _LONGEST]).SerializeToString()))
        except RpcError as error:
            raise OSError(error.message) from error

    def close(self) -> None:
        """End the call."""
        self._stream.end()


def of_engine(engine: Engine) -> Door:
    """The way into an engine's own BuildKit.

    Raises:
        EngineError: there is none, or something in between lets no upgrade through.
    """
    opener = pipe.through(engine)
    try:
        opener("/grpc").socket.close()
    except EngineError:
        door = NativeDoor(lambda: pipe.connection(engine))
        if _answers(door):
            return door
        raise
    return EngineDoor(opener)


def of_daemon(address: str, tls: Tls | None = None) -> Door:
    """The way to a buildkitd.

    Args:
        address: ``tcp://host:port`` or ``unix:///path``.
        tls: certificates, for TCP; None for plain TCP.

    Raises:
        ConfigError: the address is none.
    """
    parts = urlsplit(address)
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return NativeDoor(lambda: pipe.connect_unix(parts.path))
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme != "tcp" or not host or not port:
        raise ConfigError(f"`{address}` is no address of a buildkitd (like tcp://host:1234 or unix:///run/x.sock)")
    return NativeDoor(lambda: pipe.connect_tcp(host, port, tls))


def _answers(door: Door) -> bool:
    """Whether BuildKit's API is behind a door."""
    try:
        control = door.control()
    except (EngineError, OSError):
        return False
    try:
        for _ in control.call("/moby.buildkit.v1.Control/ListWorkers", b""):
            pass
    except RpcError:
        return False
    finally:
        control.close()
    return True
