"""One repository of one registry: its tags, its manifests, its blobs, each byte checked against its digest.

Source: the OCI distribution specification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

from tinyship.credentials import Credential
from tinyship.errors import ConfigError, RegistryError
from tinyship.events import Events, Notice, ignore
from tinyship.reference import DIGEST, TAG, parse
from tinyship.registry.connection import Connection, read_small
from tinyship.registry.faults import altered, translated
from tinyship.registry.manifest import INDEXES, MANIFESTS, Manifest, json_object, kind_of
from tinyship.registry.retry import Patience, counted, pause
from tinyship.registry.transport import DIRECT, Network
from tinyship.running import cancelling

if TYPE_CHECKING:
    from requests import Response

_PIECE = 256 << 10
_WORTH = 16 << 20
"""Bytes that a try has to bring not to count as one that failed: however often a large blob breaks off, it comes."""
_PAGE = 1000
_ACCEPTED = ", ".join(sorted(MANIFESTS | INDEXES))


class Repository:
    """One repository of one registry, to be closed or used in a `with`; several threads may use it at once.

    Its registry is not asked before something of it is.

    What is temporary is tried again, see ``registry.retry``; what a registry refuses is not.

    Args:
        name: ``[host[:port]/]repository``; what a tag or a digest after it says is not looked at.
        credential: for the registry; None to ask anonymously.
        timeout: seconds without an answer, or between the parts of one.
        network: how it is reached.
        events: gets each new try.
        patience: how often something is tried.
        writing: whether something is to be pushed: a token is asked for that does for reading and for that.

    Raises:
        ConfigError: there can be no repository of this name.
        RegistryError: the certificates of ``network`` cannot be read.
    """

    def __init__(
        self,
        name: str,
        *,
        credential: Credential | None,
        timeout: float = 20.0,
        network: Network = DIRECT,
        events: Events = ignore,
        patience: Patience | None = None,
        writing: bool = False,
    ) -> None:
        reference = parse(name)
        self.host = reference.host
        self.name = reference.repository
        self.patience = patience or Patience()
        self._events = events
        self.connection = Connection(
            self.host,
            self.name,
            credential=credential,
            timeout=timeout,
            network=network,
            events=events,
            patience=self.patience,
            writing=writing,
        )

    def close(self) -> None:
        """Close the connections."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def manifest(self, reference: str) -> Manifest:
        """A manifest or an index.

        Args:
            reference: a tag, or a digest.

        Raises:
            RegistryError: it is not there, is not what its digest says, or is of an unknown kind; or the registry
                does not give it.
            ConfigError: the reference is neither.
        """
        what = self._named(reference)
        by_digest = DIGEST.fullmatch(reference)

        def ask() -> tuple[bytes, str, str]:
            with self.connection.asking("GET", f"manifests/{reference}", what, accept=_ACCEPTED) as response:
                said = str(response.headers.get("Docker-Content-Digest") or "")
                return read_small(response, self.host, what), said, str(response.headers.get("Content-Type") or "")

        raw, said, told = self.connection.trying(ask)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        for wanted in (reference if by_digest else digest, said if DIGEST.fullmatch(said) else digest):
            if wanted != digest:
                raise altered(self.host, what, wanted, digest)
        return Manifest(raw, digest, kind_of(raw, told, self.host, what))

    def digest(self, reference: str) -> str | None:
        """The digest that a tag names, or a digest that is there; None where there is none. Costs one HEAD request.

        Args:
            reference: a tag, or a digest.

        Raises:
            RegistryError: the registry does not say.
            ConfigError: the reference is neither.
        """
        what = self._named(reference)

        def ask() -> tuple[int, str]:
            path = f"manifests/{reference}"
            with self.connection.asking("HEAD", path, what, accept=_ACCEPTED, accepted=(200, 404, 405)) as response:
                return response.status_code, str(response.headers.get("Docker-Content-Digest") or "")

        status, said = self.connection.trying(ask)
        if status == 404:
            return None
        by_digest = DIGEST.fullmatch(reference)
        if by_digest and status == 200 and said in {"", reference}:
            return reference
        if not by_digest and DIGEST.fullmatch(said):
            return said
        try:
            return self.manifest(reference).digest
        except RegistryError as error:
            if error.status == 404:
                return None
            raise

    def exists(self, reference: str) -> bool:
        """Whether there is a manifest under a tag or a digest; raises as ``digest``."""
        return self.digest(reference) is not None

    def put(self, manifest: Manifest, tag: str = "", *, once: bool = False) -> str:
        """Put a manifest into the repository, byte by byte as it is; what it lists has to be there.

        Args:
            manifest: of this repository, or of another one.
            tag: that names it from now on, whatever it named before; by its digest alone where empty.
            once: not to try again: for those who look at the tag before they do, as others may have moved it meanwhile.

        Returns:
            its digest.

        Raises:
            RegistryError: the registry refuses it, or says that it got something else.
            ConfigError: the tag is none.
        """
        reference = tag or manifest.digest
        what = self._named(reference)

        def ask() -> str:
            with self.connection.asking(
                "PUT",
                f"manifests/{reference}",
                what,
                body=lambda: manifest.raw,
                headers={"Content-Type": manifest.media_type},
                accepted=(200, 201, 202),
            ) as response:
                return str(response.headers.get("Docker-Content-Digest") or "")

        said = ask() if once else self.connection.trying(ask)
        if said and said != manifest.digest:
            raise altered(self.host, what, manifest.digest, said, sent=True)
        return manifest.digest

    def delete(self, reference: str) -> None:
        """Take a manifest, or a tag alone where the registry can do that, out of the repository.

        Args:
            reference: a digest, which goes with all of its tags; or a tag.

        Raises:
            RegistryError: it is not there, or this registry does not delete, or not by tags.
            ConfigError: the reference is neither.
        """
        named = self._named(reference)
        what = f"the deletion of {named}"

        def ask() -> int:
            path = f"manifests/{reference}"
            with self.connection.asking("DELETE", path, what, accepted=(200, 202, 404)) as response:
                return response.status_code

        if self.connection.trying(ask) == 404:
            raise RegistryError(
                f"{self.host} does not have {named}, so it is not deleted",
                host=self.host,
                status=404,
                hint="Is the name right, or is it gone already?",
            )

    def check_push(self) -> None:
        """Ask whether we may push here: an upload is begun, and taken back.

        Raises:
            RegistryError: we may not, and with whose credentials; or the registry does not say.
        """
        what = f"a push to {self.name}"

        def ask() -> str:
            with self.connection.asking(
                "POST", "blobs/uploads/", what, body=lambda: b"", accepted=(201, 202)
            ) as response:
                return urljoin(response.url, str(response.headers.get("Location") or ""))

        self.connection.abandon_meanwhile(self.connection.trying(ask), what)

    def blob(self, digest: str, *, size: int | None = None) -> Iterator[bytes]:
        """The bytes of a blob, in pieces of 256 kB at most; nothing is right before the last one has come.

        Where they break off they are asked for again, and go on where they ended: whoever gets them sees each once. The
        tries that ``patience`` allows are those in a row that bring little.

        Args:
            digest: of the blob.
            size: bytes that it has, where the manifest tells; more of them are not read.

        Raises:
            RegistryError: it is not there, breaks off again and again, or is not what its digest says.
            ConfigError: the digest is none.
        """
        if not DIGEST.fullmatch(digest):
            raise ConfigError(f"`{digest}` is no digest")
        what = f"the blob {digest} of {self.name}"
        seen = hashlib.sha256()
        read = tries = futile = 0
        while True:
            before = read
            response = self._opened(digest, what, read)
            try:
                with translated(self.host, what, self.connection.timeout), closing(response):
                    for piece in _from(response, read):
                        seen.update(piece)
                        read += len(piece)
                        if size is not None and read > size:
                            break
                        yield piece
                break
            except RegistryError as error:
                tries += 1
                futile = 1 if read - before >= _WORTH else futile + 1
                if not error.temporary or futile >= self.patience.tries:
                    counted(error, tries)
                    raise
                wait = min(pause(self.patience, futile), self.patience.longest)
                self._events(Notice(f"{error.message}; going on from byte {read} in {wait:.1f} s", "warning"))
                cancelling.sleep(wait)
        if size is not None and read != size:
            came = "more" if read > size else f"{read}"
            raise RegistryError(
                f"{self.host} gave {came} bytes for {what}, which has {size}", host=self.host, hint="Try again."
            )
        if f"sha256:{seen.hexdigest()}" != digest:
            raise altered(self.host, what, digest, f"sha256:{seen.hexdigest()}")

    def _opened(self, digest: str, what: str, start: int) -> Response:
        """The answer with a blob's bytes from one of them on, or with all of them."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        accepted = (200, 206) if start else (200,)
        ask = partial(self.connection.answered, "GET", f"blobs/{digest}", what, headers=headers, accepted=accepted)
        return self.connection.trying(ask)

    def tags(self) -> tuple[str, ...]:
        """All tags, in the registry's order.

        Raises:
            RegistryError: the repository is not there, or the registry does not list them.
        """
        what = f"the tags of {self.name}"
        found: dict[str, None] = {}
        asked: set[str] = set()
        page = f"tags/list?n={_PAGE}"
        while page and page not in asked:
            asked.add(page)
            body, response = self.connection.trying(partial(self._page, page, what))
            listed = json_object(body, self.host, what).get("tags") or []
            if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
                raise RegistryError(f"{self.host} gave no list for {what}", host=self.host, hint="Is this a registry?")
            found.update(dict.fromkeys(listed))
            following = response.links.get("next", {}).get("url", "")
            page = urljoin(response.url, following) if following else ""
            if page and not self.connection.leads_to(page):
                raise RegistryError(f"{self.host} leads to another host, asking for {what}", host=self.host)
        return tuple(found)

    def _page(self, page: str, what: str) -> tuple[bytes, Response]:
        with self.connection.asking("GET", page, what) as response:
            return read_small(response, self.host, what), response

    def _named(self, reference: str) -> str:
        """A tag or a digest of the repository, for errors."""
        by_digest = DIGEST.fullmatch(reference)
        if not by_digest and not TAG.fullmatch(reference):
            raise ConfigError(f"`{reference}` is neither a tag nor a digest")
        return f"{self.name}{'@' if by_digest else ':'}{reference}"


def _from(response: Response, start: int) -> Iterator[bytes]:
    """The bytes of a blob from one of them on, whether the answer begins there or at the first."""
    skipped = start if response.status_code == 200 else 0
    # Not decoded: some stores say of a compressed layer that HTTP has compressed it.
    for piece in response.raw.stream(_PIECE, decode_content=False):
        kept = piece[skipped:]
        skipped -= len(piece) - len(kept)
        if kept:
            yield kept
