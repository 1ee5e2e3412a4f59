"""Forwards SSH agents into ``RUN --mount=type=ssh``: the agent's socket at one end, the build at the other.

Source: buildkit, ``session/sshforward`` (moby.sshforward.v1.SSH).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tinyship.engine.buildkit.channel import NOT_FOUND, Handler, RpcError, Stream, framed
from tinyship.errors import ConfigError, TinyshipError

_CHECK = "/moby.sshforward.v1.SSH/CheckAgent"
_FORWARD = "/moby.sshforward.v1.SSH/ForwardAgent"
_ID = "buildkit.ssh.id"
_DEFAULT = "default"
_PIECE = 1 << 15


def handlers(
    agents: Mapping[str, Path], *, missing: Callable[[str], None], failed: Callable[[TinyshipError], None]
) -> Mapping[str, Handler]:
    """The methods that serve agents.

    Args:
        agents: sockets, by the ids that Dockerfiles name; ``default`` is that of a mount without an id.
        missing: gets the id of one that is not known.
        failed: gets what went wrong here; the build fails then.
    """

    def agent(name: str) -> socket.socket:
        if name not in agents:
            missing(name)
            raise RpcError(NOT_FOUND, f"there is no SSH agent {name}")
        try:
            return _connect(name, agents[name])
        except TinyshipError as error:
            failed(error)
            raise

    def check(stream: Stream) -> None:
        from tinyship.engine.buildkit.proto.session_pb2 import CheckAgentRequest

        agent(CheckAgentRequest.FromString(stream.receive() or b"").ID or _DEFAULT).close()
        stream.send(framed(b""))

    def forward(stream: Stream) -> None:
        with agent(next(iter(stream.headers.get(_ID, ())), _DEFAULT)) as connection:
            _pump(stream, connection)

    return {_CHECK: check, _FORWARD: forward}


def _connect(name: str, path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise ConfigError(
            f"no SSH agent answers for `{name}` at {path}: {error.strerror or error}",
            hint="Start one with `eval $(ssh-agent)`, and `ssh-add` the key; see `ssh`.",
        ) from error
    return connection


def _pump(stream: Stream, connection: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    from tinyship.engine.buildkit.proto.session_pb2 import BytesMessage

    def out() -> None:
        with suppress(OSError, RpcError):
            while data := connection.recv(_PIECE):
                stream.send(framed(BytesMessage(data=data).SerializeToString()))

    answering = threading.Thread(target=out, daemon=True, name="tinyship-ssh")
    answering.start()
    with suppress(OSError):
        while (message := stream.receive()) is not None:
            connection.sendall(BytesMessage.FromString(message).data)
        connection.shutdown(socket.SHUT_WR)
    answering.join(timeout=5)
