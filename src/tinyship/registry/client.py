"""One repository of one registry: its tags, its manifests, its blobs, each byte checked against its digest.

Source: the OCI distribution specification.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from tinyship.credentials import Credential
from tinyship.errors import ConfigError, RegistryError
from tinyship.reference import DIGEST, HUB, TAG, parse
from tinyship.registry.authentication import authorization
from tinyship.registry.faults import refused, translated
from tinyship.registry.manifest import INDEXES, MANIFESTS, Manifest, json_object, kind_of

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

MANIFEST_LIMIT = 4 << 20
"""Bytes of a manifest, at most: what the specification asks registries to take."""

_PIECE = 256 << 10
_PAGE = 1000
_HUB_API = "registry-1.docker.io"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Repository:
    """One repository of one registry; several threads may use it at once.

    Args:
        name: ``[host[:port]/]repository``; what a tag or a digest after it says is not looked at.
        credential: for the registry; None to ask anonymously.
        timeout: seconds without an answer, or between the parts of one.

    Raises:
        ConfigError: there can be no repository of this name.
    """

    def __init__(self, name: str, *, credential: Credential | None, timeout: float = 20.0) -> None:
        from dxf import DXF
        from requests.adapters import HTTPAdapter

        reference = parse(name)
        self.host = reference.host
        self.name = reference.repository
        self._credential = credential
        self._timeout = timeout
        self._local = _is_loopback(self.host)
        api = _HUB_API if self.host == HUB else self.host.lower()  # as the addresses of answers have it
        self._origin = f"{'http' if self._local else 'https'}://{api}/"
        self._base = f"{self._origin}v2/{self.name}/"
        # python-dxf gets the tokens; what it reads loses raw bytes and digests, so reading is ours, on its session.
        self._dxf = DXF(api, self.name, insecure=self._local, timeout=timeout)
        self._dxf.__enter__()
        session: Any = self._dxf._sessions[0]
        session.auth = lambda request: request  # or requests would put what is in ~/.netrc in place of our header
        session.rebuild_auth = self._on_redirect
        session.trust_env = not self._local  # nor does what stays on this machine go through a proxy
        session.adapters.pop("http://")
        for loopback in _LOOPBACK:
            session.mount(f"http://{loopback}:", HTTPAdapter())
            session.mount(f"http://{loopback}/", HTTPAdapter())
        self._session = session
        self._authorization: dict[str, str] = {}
        self._asked = threading.Lock()

    @classmethod
    def open(cls, name: str, *, credential: Credential | None, timeout: float = 20.0) -> Self:
        """A repository, to be closed or used in a `with`; its registry is not asked yet."""
        return cls(name, credential=credential, timeout=timeout)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

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
        by_digest = DIGEST.fullmatch(reference)
        if not by_digest and not TAG.fullmatch(reference):
            raise ConfigError(f"`{reference}` is neither a tag nor a digest")
        what = f"{self.name}{'@' if by_digest else ':'}{reference}"
        accepted = ", ".join(sorted(MANIFESTS | INDEXES))
        with self._get(f"manifests/{reference}", what, accept=accepted) as response:
            raw = self._read(response, what)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        said = str(response.headers.get("Docker-Content-Digest") or "")
        for wanted in (reference if by_digest else digest, said if DIGEST.fullmatch(said) else digest):
            if wanted != digest:
                raise self._altered(what, wanted, digest)
        told = str(response.headers.get("Content-Type") or "")
        return Manifest(raw, digest, kind_of(raw, told, self.host, what))

    def blob(self, digest: str, *, size: int | None = None) -> Iterator[bytes]:
        """The bytes of a blob, in pieces of 256 kB at most; nothing is right before the last one has come.

        Args:
            digest: of the blob.
            size: bytes that it has, where the manifest tells; more of them are not read.

        Raises:
            RegistryError: it is not there, breaks off, or is not what its digest says.
            ConfigError: the digest is none.
        """
        if not DIGEST.fullmatch(digest):
            raise ConfigError(f"`{digest}` is no digest")
        what = f"the blob {digest} of {self.name}"
        seen = hashlib.sha256()
        read = 0
        with self._get(f"blobs/{digest}", what) as response:
            # Not decoded: some stores say of a compressed layer that HTTP has compressed it.
            for piece in response.raw.stream(_PIECE, decode_content=False):
                seen.update(piece)
                read += len(piece)
                if size is not None and read > size:
                    break
                yield piece
        if size is not None and read != size:
            came = "more" if read > size else f"{read}"
            raise RegistryError(
                f"{self.host} gave {came} bytes for {what}, which has {size}", host=self.host, hint="Try again."
            )
        if f"sha256:{seen.hexdigest()}" != digest:
            raise self._altered(what, digest, f"sha256:{seen.hexdigest()}")

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
            with self._get(page, what) as response:
                listed = json_object(self._read(response, what), self.host, what).get("tags") or []
            if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
                raise RegistryError(f"{self.host} gave no list for {what}", host=self.host, hint="Is this a registry?")
            found.update(dict.fromkeys(listed))
            following = response.links.get("next", {}).get("url", "")
            page = urljoin(response.url, following) if following else ""
            if page and not page.startswith(self._origin):
                raise RegistryError(f"{self.host} leads to another host, asking for {what}", host=self.host)
        return tuple(found)

    @contextmanager
    def _get(self, path: str, what: str, *, accept: str = "*/*") -> Iterator[Response]:
        """The answer to a GET, with its body not read yet."""
        url = urljoin(self._base, path)
        with translated(self.host, what, self._timeout), closing(self._answer(url, accept)) as response:
            if response.status_code != 200:
                raise refused(response, self.host, what, self._credential)
            yield response

    def _answer(self, url: str, accept: str) -> Response:
        """Ask; where the registry wants to know who we are, tell it, and ask once more."""
        sent = self._authorization
        response = self._send(url, accept, sent)
        if response.status_code != 401 or not response.url.startswith(self._origin):
            return response  # a store elsewhere has no say in where credentials go
        with closing(response), self._asked:
            if self._authorization is sent:  # or another thread has told it meanwhile
                self._authorization = authorization(
                    self._dxf,
                    response,
                    host=self.host,
                    local=self._local,
                    credential=self._credential,
                    timeout=self._timeout,
                )
        return self._send(url, accept, self._authorization)

    def _on_redirect(self, following: PreparedRequest, response: Response) -> None:
        """Keep our header from other hosts, and what is in ~/.netrc from all."""
        if not str(following.url).startswith(self._origin):
            following.headers.pop("Authorization", None)

    def _send(self, url: str, accept: str, more: dict[str, str]) -> Response:
        headers = {"Accept": accept, "Accept-Encoding": "identity", **more}
        response: Response = self._session.get(url, headers=headers, stream=True, timeout=self._timeout)
        return response

    def _read(self, response: Response, what: str) -> bytes:
        """A small answer as a whole."""
        pieces: list[bytes] = []
        read = 0
        for piece in response.raw.stream(1 << 16, decode_content=True):
            pieces.append(piece)
            read += len(piece)
            if read > MANIFEST_LIMIT:
                raise RegistryError(
                    f"{self.host} gave more than {MANIFEST_LIMIT} bytes for {what}", host=self.host, hint="Is it right?"
                )
        return b"".join(pieces)

    def _altered(self, what: str, wanted: str, found: str) -> RegistryError:
        return RegistryError(
            f"{self.host} gave something else for {what}: its digest is {found}, not {wanted}",
            host=self.host,
            hint="Try again; where it stays so, the registry or a proxy before it alters or breaks data.",
        )


def _is_loopback(host: str) -> bool:
    """Whether an engine would take plain HTTP from this host without being told to."""
    return host.partition(":")[0] in _LOOPBACK or host.startswith("[::1]")
