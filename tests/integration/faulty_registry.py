"""A reverse proxy before a real registry: it fails where a test tells it to, and writes down what passes."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MANIFESTS = r"/manifests/"
UPLOADS = r"/blobs/uploads/"
BLOBS = r"/blobs/sha256:"


@dataclass(slots=True)
class Seen:
    """A request that came.

    Args:
        method: of it.
        path: of it, with its query.
        status: of the answer; 0 as long as there is none.
        received: bytes of its body that came.
        sent: bytes of the answer's body that left.
    """

    method: str
    path: str
    status: int = 0
    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a request, in the order of these words.

    Args:
        before: called when the request has come, before anything of it is passed on.
        status: the answer to it; the registry is not asked then. 0 asks the registry.
        resets_at: bytes of its body after which the connection is reset; 0 is at once. None does not.
        stalls_at: bytes of its body after which nothing is passed on for `stalls_for` seconds.
        stalls_for: seconds.
        lost: whether the connection is reset when the registry has done its work, in place of the answer.
        headers: that take the place of the answer's.
        body: that takes the place of the answer's; None for the answer's own.
        ends_at: bytes of the answer's body after which the connection ends, whatever length was promised.
        after: called when the answer has left.
    """

    before: Callable[[Seen], object] | None = None
    status: int = 0
    resets_at: int | None = None
    stalls_at: int = 0
    stalls_for: float = 0
    lost: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    ends_at: int | None = None
    after: Callable[[Seen], object] | None = None

    @property
    def alters(self) -> bool:
        """Whether the connection cannot be used again after the answer."""
        return bool(self.headers or self.ends_at is not None or self.body is not None)


NONE = Fault()


def answered(status: int, code: str = "UNKNOWN", message: str = "", **headers: str) -> Fault:
    """An answer in place of the registry's, with the error body that registries give.

    Args:
        headers: `Retry_After="1"` is the header `Retry-After`.
    """
    said = f'{{"errors": [{{"code": "{code}", "message": "{message or code.lower()}"}}]}}'.encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, body=said, headers={"Content-Type": "application/json", **named})


@dataclass(slots=True)
class _Rule:
    """A fault, and which of the requests it is for: `times` of those that match, from the `first` on; 0 is all."""

    method: re.Pattern[str]
    path: re.Pattern[str]
    fault: Fault
    first: int
    times: int
    matched: int = 0


class FaultyRegistry:
    """The proxy, as a test talks to it.

    Args:
        backend: host and port of the real registry, which speaks plain HTTP.
        address: that it listens on, at a port that is free.
        tls: with which it speaks TLS; None for plain HTTP.

    `told_engines` is a text of the headers that engines get another one for.
    """

    def __init__(self, backend: str, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        from reverse_proxy import Server

        self.backend = backend
        self.tls = tls
        self.seen: list[Seen] = []
        self.failed_handshakes = 0
        self.told_engines: tuple[str, str] | None = None
        self.healed = threading.Event()
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._server = Server(address, self)
        self.host = f"{address}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def on(self, method: str, path: str, fault: Fault, *, first: int = 1, times: int = 1) -> None:
        """Have a fault at some of the requests; of two rules for one request the older one is taken.

        Args:
            method: a pattern for all of it, like `PUT|PATCH`.
            path: a pattern for any part of it.
            first: the number of the first matching request that it happens to, from 1.
            times: how many requests it happens to; 0 is all from then on.
        """
        with self._lock:
            self._rules.append(_Rule(re.compile(method), re.compile(path), fault, first, times))

    def heal(self) -> None:
        """Have no faults any more, let go on what stands still, and forget what was seen."""
        with self._lock:
            self.healed.set()
            self.healed = threading.Event()
            self._rules.clear()
            self.seen.clear()

    def requests(self, method: str = ".*", path: str = "") -> list[Seen]:
        """What was seen of these."""
        with self._lock:
            return [one for one in self.seen if re.fullmatch(method, one.method) and re.search(path, one.path)]

    def uploaded(self) -> int:
        """Bytes of blobs that were sent to the registry."""
        return sum(one.received for one in self.requests("PATCH|PUT|POST", UPLOADS))

    def begin(self, method: str, path: str) -> tuple[Seen, Fault]:
        """Write down a request that came, and say what is to happen to it."""
        seen = Seen(method, path)
        with self._lock:
            self.seen.append(seen)
            chosen = NONE
            for rule in self._rules:
                if rule.method.fullmatch(method) and rule.path.search(path):
                    rule.matched += 1
                    late = rule.times and rule.matched >= rule.first + rule.times
                    if chosen is NONE and rule.matched >= rule.first and not late:
                        chosen = rule.fault
            return seen, chosen

    def close(self) -> None:
        """Stop, with all connections."""
        self.healed.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def faulty(backend: str, **options: Any) -> Iterator[FaultyRegistry]:
    """A proxy before a registry while a test needs it; `options` are those of `FaultyRegistry`."""
    with contextlib.closing(FaultyRegistry(backend, **options)) as proxy:
        yield proxy
