"""What a build may ask of us while it runs: whether we are there, credentials, secrets.

Source: buildkit, ``session/`` (grpc.health.v1, moby.filesync.v1, moby.buildkit.secrets.v1).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tinyship.credentials import Credential
from tinyship.engine.buildkit.channel import NOT_FOUND, Channel, Handler, RpcError, Stream, framed
from tinyship.engine.buildkit.door import Door
from tinyship.engine.request import Secret
from tinyship.engine.secret import value
from tinyship.errors import ConfigError, TinyshipError
from tinyship.reference import HUB

HEALTH = "/grpc.health.v1.Health/Check"
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
FILES = "/moby.filesync.v1.FileSync/DiffCopy"
EXPORT = "/moby.filesync.v1.FileSend/DiffCopy"
SECRETS = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
_SERVING = b"\x08\x01"
_LARGEST_SECRET = 500 << 10
_HUB_HOSTS = {"registry-1.docker.io", "index.docker.io", "https://index.docker.io/v1/"}


@contextmanager
def opened(door: Door, control: Channel, handlers: Mapping[str, Handler], *, shared_key: str) -> Iterator[str]:
    """A session while a build runs, by its id.

    Args:
        door: the way to BuildKit.
        control: a connection to its API.
        handlers: by path; health is served in any case.
        shared_key: the same for the same context each time, so that the engine asks for what changed only.
    """
    served = {HEALTH: health, **handlers}
    number = uuid.uuid4().hex
    headers = [
        ("X-Docker-Expose-Session-Uuid", number),
        ("X-Docker-Expose-Session-Sharedkey", shared_key),
        ("X-Docker-Expose-Session-Name", "tinyship"),
        *(("X-Docker-Expose-Session-Grpc-Method", path) for path in served),
    ]
    channel = Channel(door.session(control, headers), served)
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


def secrets(
    known: Mapping[str, Secret], *, missing: Callable[[str], None], failed: Callable[[TinyshipError], None]
) -> Handler:
    """Give the secret that a ``RUN --mount=type=secret`` asks for.

    Args:
        known: by id.
        missing: gets the id of one that is not known.
        failed: gets what went wrong here; the build fails then.
    """

    def answer(stream: Stream) -> None:
        from tinyship.engine.buildkit.proto.session_pb2 import GetSecretRequest, GetSecretResponse

        name = GetSecretRequest.FromString(stream.receive() or b"").ID
        if name not in known:
            missing(name)
            raise RpcError(NOT_FOUND, f"there is no secret {name}")
        try:
            found = _value(name, known[name])
        except TinyshipError as error:
            failed(error)
            raise
        stream.send(framed(GetSecretResponse(data=found).SerializeToString()))

    return answer


def _value(name: str, secret: Secret) -> bytes:
    """Read a secret.

    Raises:
        ConfigError: it is not where it is said to be, or too large.
    """
    found = value(name, secret)
    if len(found) > _LARGEST_SECRET:
        raise ConfigError(f"the secret `{name}` has {len(found)} bytes; BuildKit takes at most {_LARGEST_SECRET}")
    return found
