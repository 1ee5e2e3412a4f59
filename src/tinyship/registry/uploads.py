"""Blobs into a repository: taken from another one of the same registry, or sent piece by piece.

Source: the OCI distribution specification, "Pushing blobs" and "Mounting a blob from another repository".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from tinyship.errors import ConfigError
from tinyship.reference import DIGEST
from tinyship.registry.client import Repository
from tinyship.registry.faults import altered

_STORED = 10e6
"""Bytes in a second, at least, that a registry checks and puts away before it answers."""


def has_blob(repository: Repository, digest: str) -> bool:
    """Whether a repository has a blob. Costs one HEAD request.

    Raises:
        RegistryError: the registry does not say.
        ConfigError: the digest is none.
    """
    what = _named(repository, digest)

    def ask() -> bool:
        with repository.connection.asking("HEAD", f"blobs/{digest}", what, accepted=(200, 404)) as response:
            return response.status_code == 200

    return repository.connection.trying(ask)


def mount(repository: Repository, digest: str, source: str) -> bool:
    """Let a repository have a blob of another one of the same registry; no byte of it is transferred.

    Args:
        repository: that is to have it.
        digest: of the blob.
        source: the name of the other repository, without the host.

    Returns:
        whether it has it now; if not, the registry does not do this, or not for us.

    Raises:
        RegistryError: the registry refuses that anything is written.
        ConfigError: the digest is none.
    """
    what = _named(repository, digest)
    path = f"blobs/uploads/?{urlencode({'mount': digest, 'from': source})}"

    def ask() -> tuple[int, str]:
        with repository.connection.asking(
            "POST", path, what, body=lambda: b"", accepted=(201, 202, 404, 405)
        ) as response:
            return response.status_code, _address(response)

    status, begun = repository.connection.trying(ask)
    if status == 202:
        repository.connection.abandon(begun, what)
    return status == 201


def upload(repository: Repository, digest: str, size: int, pieces: Callable[[], Iterable[bytes]]) -> bool:
    """Send a blob, piece by piece; where it breaks off it is sent again from its beginning.

    Args:
        repository: that is to have it.
        digest: of the blob, which the registry checks.
        size: its bytes.
        pieces: makes the pieces of it, from the first on; called for each try.

    Returns:
        whether it was sent; not where somebody else had sent it when ours broke off.

    Raises:
        RegistryError: the registry refuses it, breaks off again and again, or got something else.
        ConfigError: the digest is none.
    """
    what = _named(repository, digest)
    body = _Body(size, pieces)
    connection = repository.connection

    def act() -> bool:
        if body.begun and has_blob(repository, digest):
            return body.ended  # its answer alone was lost
        with connection.asking("POST", "blobs/uploads/", what, body=lambda: b"", accepted=(202,)) as response:
            begun = _address(response)
        try:
            with connection.asking(
                "PUT",
                f"{begun}{'&' if '?' in begun else '?'}digest={quote(digest, safe='')}",
                what,
                body=body.again,
                headers={"Content-Type": "application/octet-stream"},
                accepted=(201,),
                timeout=connection.timeout + size / _STORED,
            ) as response:
                said = str(response.headers.get("Docker-Content-Digest") or digest)
        except BaseException:
            connection.abandon(begun, what)
            raise
        if said != digest:
            raise altered(repository.host, what, digest, said, sent=True)
        return True

    return connection.trying(act, long=True)


@dataclass(slots=True)
class _Body:
    """What is sent: of a length that is known before, so that it is sent with it, and never in memory as a whole."""

    size: int
    pieces: Callable[[], Iterable[bytes]]
    begun: bool = False
    ended: bool = False

    def again(self) -> Any:
        """What requests sends for one try."""
        self.begun, self.ended = True, not self.size
        return self if self.size else b""

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces()
        self.ended = True


def _address(response: Any) -> str:
    """Where an upload goes on."""
    return urljoin(str(response.url), str(response.headers.get("Location") or ""))


def _named(repository: Repository, digest: str) -> str:
    if not DIGEST.fullmatch(digest):
        raise ConfigError(f"`{digest}` is no digest")
    return f"the blob {digest} of {repository.name}"
