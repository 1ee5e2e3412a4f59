"""The connection to one registry for one repository: asks, says who we are, and tries again what is temporary."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.events import Events
from tinyship.reference import HUB
from tinyship.registry.authentication import authorization
from tinyship.registry.faults import is_hang_up, refused, translated
from tinyship.registry.retry import Patience, trying
from tinyship.registry.transport import Network, origin, prepare
from tinyship.running import cancelling, cuttable

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

T = TypeVar("T")

SMALL_LIMIT = 4 << 20
"""Bytes of a manifest, and of whatever else is no blob, at most: what the specification asks registries to take."""

_CONNECTING = 10.0
"""Seconds that TCP may take to connect; in these it asks four times."""

_LEFT = 64 << 10
"""Bytes that are read for nothing rather than that a new connection is made."""

_MOST_KEPT = 10
"""Connections that are kept, at most: each may have ended."""

_BRIEFLY = 1.0
"""Seconds that a registry has to take back what somebody no longer waits for."""
_HUB_API = "registry-1.docker.io"


def load() -> None:
    """Load what asks registries, ahead of the first question."""
    import dxf  # noqa: F401


class Connection:
    """Asks one registry about one repository; several threads may use it at once.

    Args:
        host: of the registry, as users write it.
        name: of the repository.
        credential: for the registry; None to ask anonymously.
        timeout: seconds without an answer, or between the parts of one.
        network: how it is reached.
        events: gets each new try.
        patience: how often something is tried.
        writing: whether a token that is asked for is to do for writing as well.

    Raises:
        RegistryError: the certificates of ``network`` cannot be read.
    """

    def __init__(
        self,
        host: str,
        name: str,
        *,
        credential: Credential | None,
        timeout: float,
        network: Network,
        events: Events,
        patience: Patience,
        writing: bool = False,
    ) -> None:
        from dxf import DXF

        self._host = host
        self._credential = credential
        self.timeout = timeout
        self._patience = patience
        self._events = events
        self._writing = writing
        self._plain = network.speaks_http(host)
        api = _HUB_API if host == HUB else host.lower()  # as the addresses of answers have it
        self._base = f"{'http' if self._plain else 'https'}://{api}/v2/{name}/"
        self._origin = origin(self._base)
        # python-dxf gets the tokens; what it reads loses raw bytes and digests, so reading is ours, on its session.
        self._dxf = DXF(api, name, insecure=self._plain, timeout=timeout)
        self._dxf.__enter__()
        session: Any = self._dxf._sessions[0]
        session.rebuild_auth = self._on_redirect
        try:
            prepare(session, api, network)
        except OSError as error:
            raise RegistryError(
                f"the certificates in {network.ca} cannot be read: {error.strerror or error}",
                host=host,
                hint="`ca` is a PEM file of certificates.",
            ) from error
        cuttable.make(session)
        self._session = session
        self._authorization: dict[str, str] = {}
        self._asked = threading.Lock()
        self._abandoning: list[threading.Thread] = []

    def close(self) -> None:
        """Close it."""
        for thread in self._abandoning:
            thread.join(_BRIEFLY)  # whatever it does after that, nobody is waiting
        self._session.close()

    def leads_to(self, url: str) -> bool:
        """Whether a whole address is one of this registry, and not of another host that it leads to."""
        return origin(url) == self._origin

    def trying(self, act: Callable[[], T], *, long: bool = False) -> T:
        """What ``act`` returns, tried again while what fails is temporary; as ``retry.trying``."""
        return trying(act, events=self._events, patience=self._patience, long=long)

    @contextmanager
    def asking(self, method: str, path: str, what: str, **more: Any) -> Iterator[Response]:
        """An answer of a status that is accepted, with its body not read yet; the arguments are those of ``answered``.

        Raises:
            RegistryError: it is another answer, or none.
        """
        with (
            translated(self._host, what, self.timeout),
            self._ending(self.answered(method, path, what, **more)) as response,
        ):
            yield response

    def answered(
        self,
        method: str,
        path: str,
        what: str,
        *,
        accept: str = "*/*",
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Any] | None = None,
        accepted: tuple[int, ...] = (200,),
        timeout: float = 0.0,
    ) -> Response:
        """Ask once; where the registry wants to know who we are, tell it, and ask once more.

        Args:
            path: below the repository's address, or a whole address.
            what: is asked for.
            accept: media types.
            headers: more of them.
            body: makes what is sent; called for each try.
            accepted: the statuses that are no error.
            timeout: seconds without an answer, where that takes longer than others; the connection's where 0.
        """
        url = urljoin(self._base, path)
        named = {"Accept": accept, "Accept-Encoding": "identity", **(headers or {})}
        timeout = timeout or self.timeout
        with translated(self._host, what, timeout):
            # An upload may lead to a store elsewhere, by an address that says who we are.
            sent = self._authorization if self.leads_to(url) else {}
            response = self._send(method, url, {**named, **sent}, body, timeout)
            ours = False
            for anew in (False, True):
                # A store elsewhere has no say in where credentials go.
                if ours or response.status_code != 401 or not self.leads_to(response.url):
                    break
                with self._ending(response):
                    sent, ours = self._authorize(response, sent, anew=anew)
                response = self._send(method, url, {**named, **sent}, body, timeout)
            if response.status_code not in accepted:
                with self._ending(response):
                    writing = method in {"PUT", "POST", "PATCH", "DELETE"}
                    error = refused(response, self._host, what, self._credential, writing=writing)
                raise error
            return response

    def abandon(self, upload: str, what: str) -> None:
        """Take back an upload that was begun, where the registry can do that; it forgets them by itself as well.

        Args:
            upload: its whole address.
            what: it is a part of.
        """
        briefly = _BRIEFLY if cancelling.current().is_set() else 0.0
        if self.leads_to(upload):
            ask = self.asking("DELETE", upload, what, accepted=(200, 202, 204), timeout=briefly)
            with suppress(RegistryError), cancelling.shielded(), ask:
                pass

    def abandon_meanwhile(self, upload: str, what: str) -> None:
        """As ``abandon``, while other things are done; ``close`` gives it a moment."""
        thread = threading.Thread(target=self.abandon, args=(upload, what), daemon=True, name="tinyship-abandon")
        self._abandoning.append(thread)
        thread.start()

    def _authorize(self, challenge: Response, sent: dict[str, str], *, anew: bool) -> tuple[dict[str, str], bool]:
        """The headers that say who we are, and whether they answer this challenge.

        Where another thread has told it meanwhile, it is what that one was asked: leave to read may be all of it.

        Args:
            sent: the headers that the challenge came for.
            anew: to answer this challenge in any case.
        """
        with self._asked:
            if not anew and self._authorization is not sent:
                return self._authorization, False
            ask = partial(
                authorization,
                self._dxf,
                challenge,
                host=self._host,
                plain=self._plain,
                credential=self._credential,
                timeout=self.timeout,
            )
            try:
                self._authorization = ask(writing=self._writing and not anew)
            except RegistryError as error:
                if error.status != 403 or not self._writing or anew:
                    raise
                self._authorization = ask()  # who may not push may look
            return self._authorization, True

    def _on_redirect(self, following: PreparedRequest, response: Response) -> None:
        """Keep our header from other hosts, and what is in ~/.netrc from all."""
        if not self.leads_to(str(following.url)):
            following.headers.pop("Authorization", None)

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: Callable[[], Any] | None, timeout: float
    ) -> Response:
        def once() -> Response:
            response: Response = self._session.request(
                method,
                url,
                headers=headers,
                data=body() if body else None,
                stream=True,
                timeout=(min(timeout, _CONNECTING), timeout),
            )
            return response

        for _ in range(_MOST_KEPT):
            before = cuttable.opened()
            try:
                return once()
            except OSError as error:
                # Whoever is at the other end may have closed kept connections just when we asked (RFC 9112, 9.3.1).
                if cuttable.opened() != before or method not in {"GET", "HEAD"} or not is_hang_up(error):
                    raise
        return once()

    @contextmanager
    def _ending(self, response: Response) -> Iterator[Response]:
        """An answer whose connection serves the next question as well, unless much of the answer is left unread."""
        with closing(response):
            yield response
            left = response.raw.length_remaining
            if left is not None and left <= _LEFT:
                response.raw.drain_conn()


def read_small(response: Response, host: str, what: str) -> bytes:
    """An answer as a whole.

    Raises:
    RegistryError: it has more than ``SMALL_LIMIT`` bytes.
    """
    pieces: list[bytes] = []
    read = 0
    for piece in response.raw.stream(1 << 16, decode_content=True):
        pieces.append(piece)
        read += len(piece)
        if read > SMALL_LIMIT:
            raise RegistryError(f"{host} gave more than {SMALL_LIMIT} bytes for {what}", host=host, hint="Is it right?")
    return b"".join(pieces)
