"""A repository that is read from a mirror first, and from its own registry where the mirror does not help.

Source: the OCI distribution specification; what Docker's engines do with ``registry-mirrors``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tinyship.errors import RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.manifest import Manifest
from tinyship.registry.retry import Patience

T = TypeVar("T")
Missed = Callable[[RegistryError], None]
"""Hears why a mirror did not help."""

BRIEF = Patience(tries=1)
"""For mirrors: the registry itself is the second try."""


class Mirrored(Repository):
    """A repository for those who only read, and may take what a mirror has: it may be older than its registry.

    Manifests and blobs are asked of the mirror first, and checked as ever; all else is the registry's own, because a
    mirror need not know all tags. After the mirror failed in another way than not having something, it is left alone.

    Args:
        name: of the repository at its registry; the further arguments are those of ``Repository``, for this registry.
        mirror: the same repository at the mirror; it is closed with this one.
        missed: hears each time that the mirror did not help.
    """

    def __init__(self, name: str, *, mirror: Repository, missed: Missed, **more: Any) -> None:
        super().__init__(name, **more)
        self._mirror = mirror
        self._missed = missed
        self._failed = False

    def close(self) -> None:
        """Close the connections to both."""
        self._mirror.close()
        super().close()

    def manifest(self, reference: str) -> Manifest:
        """A manifest or an index; see ``Repository.manifest``."""
        found = self._from_mirror(lambda: self._mirror.manifest(reference))
        return found or super().manifest(reference)

    def digest(self, reference: str) -> str | None:
        """The digest that a tag names; see ``Repository.digest``."""
        found = self._from_mirror(lambda: self._mirror.digest(reference))
        return found or super().digest(reference)

    def blob(self, digest: str, *, size: int | None = None) -> Iterator[bytes]:
        """The bytes of a blob; see ``Repository.blob``.

        Where a mirror breaks off the registry goes on: whoever gets the bytes sees each once, and they are checked
        as a whole.
        """
        seen = hashlib.sha256()
        read = 0
        if not self._failed:
            try:
                for piece in self._mirror.blob(digest, size=size):
                    seen.update(piece)
                    read += len(piece)
                    yield piece
                return
            except RegistryError as error:
                self._miss(error)
        left = read
        for piece in super().blob(digest, size=size):
            kept = piece[left:]
            left -= len(piece) - len(kept)
            if kept:
                seen.update(kept)
                yield kept
        if left or f"sha256:{seen.hexdigest()}" != digest:
            raise RegistryError(
                f"{self._mirror.host} gave something else for the blob {digest} of {self.name}",
                host=self._mirror.host,
                hint=f"The mirror alters or breaks data: leave it out of `mirrors`, and {self.host} is asked.",
            )

    def _from_mirror(self, ask: Callable[[], T | None]) -> T | None:
        """What the mirror says; None where it does not help."""
        if self._failed:
            return None
        try:
            return ask()
        except RegistryError as error:
            self._miss(error)
            return None

    def _miss(self, error: RegistryError) -> None:
        self._failed = error.status != 404
        self._missed(error)
