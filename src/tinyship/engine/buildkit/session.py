"""What a build may ask of us while it runs: are we there, credentials, files.

Source: buildkit, ``session/`` (grpc.health.v1, moby.filesync.v1).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tinyship.credentials import HUB, Credential
from tinyship.engine.buildkit.channel import Channel, Handler, Stream, framed
from tinyship.engine.buildkit.pipe import Opener

HEALTH = "/grpc.health.v1.Health/Check"
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
FILES = "/moby.filesync.v1.FileSync/DiffCopy"
_SERVING = b"\x08\x01"
_HUB_HOSTS = {"registry-1.docker.io", "index.docker.io", "https://index.docker.io/v1/"}


@contextmanager
def opened(open_pipe: Opener, handlers: Mapping[str, Handler], *, shared_key: str) -> Iterator[str]:
    """A session while a build runs, by its id.

    Args:
        open_pipe: the way into the engine.
        handlers: by path; health is served in any case.
        shared_key: the same for the same context each time, so that the engine asks for what changed only.
    """
    served = {HEALTH: health, **handlers}
    number = secrets.token_hex(16)
    headers = [
        ("X-Docker-Expose-Session-Uuid", number),
        ("X-Docker-Expose-Session-Sharedkey", shared_key),
        ("X-Docker-Expose-Session-Name", "tinyship"),
        *(("X-Docker-Expose-Session-Grpc-Method", path) for path in served),
    ]
    channel = Channel(open_pipe("/session", headers), served)
    try:
        yield number
    finally:
        channel.close()


def health(stream: Stream) -> None:
    """Say that we are there; without an answer the engine gives a session up."""
    stream.receive()
    stream.send(framed(_SERVING))


def credentials(find: Callable[[str], Credential | None]) -> Handler:
    """Give the credentials of one host, when the engine asks for them; none are an anonymous pull."""

    def answer(stream: Stream) -> None:
        from tinyship.engine.buildkit.proto.session_pb2 import CredentialsRequest, CredentialsResponse

        host = CredentialsRequest.FromString(stream.receive() or b"").Host
        found = find(HUB if host in _HUB_HOSTS else host)
        username = found.username if found and not found.identity_token else ""
        reply = CredentialsResponse(Username=username, Secret=found.secret if found else "")
        stream.send(framed(reply.SerializeToString()))

    return answer
