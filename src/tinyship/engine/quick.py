"""Asks an engine small questions over its unix socket, without the libraries that speak all of its API.

To load these takes longer than to ask whether everything is up to date. Whatever is not as simple as it mostly is, an
engine elsewhere, TLS, an answer that is an error, is left to docker-py.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tinyship.running import cancelling

_UNIX = "unix://"
_DEFAULT = "unix:///var/run/docker.sock"
_PIECE = 1 << 16
_OK, _NOT_FOUND = 200, 404


class Unanswered(Exception):
    """The question has to be asked in the usual way."""


class Lost(Unanswered):
    """The question was asked, and may have been heard; the answer did not come, or not whole."""


class Client:
    """docker-py's client, made when it is needed; safe to use from several threads.

    Args:
        path: of the engine's socket.
        timeout: seconds that an answer may take.
        make: makes docker-py's client, for an API version.
    """

    def __init__(self, path: str, timeout: float, make: Callable[[str], Any]) -> None:
        self._path = path
        self._timeout = timeout
        self._make = make
        self._lock = threading.Lock()
        self._client: Any = None
        self.api_version = str(self._version().get("ApiVersion") or "")
        if not self.api_version.replace(".", "").isdigit():
            raise Unanswered

    def _version(self) -> dict[str, Any]:
        status, _, body = self._ask("/version")
        return _read(status, body)

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make(self.api_version)
        return getattr(self._client, name)

    def close(self) -> None:
        """Close the connections of docker-py's client, where there is one."""
        if self._client is not None:
            self._client.close()

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """What the engine says of an image; None where it has none.

        Raises:
            Unanswered: ask in the usual way.
        """
        if not reference:
            raise Unanswered
        status, _, body = self._ask(f"/v{self.api_version}/images/{quote(reference, safe='/:')}/json")
        return None if status == _NOT_FOUND else _read(status, body)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """What the engine answers to a question of its API, like ``/info``.

        Raises:
            Unanswered: ask in the usual way.
        """
        status, _, body = self._ask(f"/v{self.api_version}{path}{f'?{urlencode(params)}' if params else ''}")
        return _parsed(status, body)

    def headers(self) -> dict[str, str]:
        """What comes with the answer to ``GET /_ping``, names in lower case.

        Raises:
            Unanswered: ask in the usual way.
        """
        status, head, _ = self._ask("/_ping")
        if status != _OK:
            raise Unanswered
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}

    def remove_image(self, reference: str) -> list[dict[str, str]] | None:
        """Have the engine remove an image, or a name of one; None where it has none.

        Raises:
            Lost: it may be gone by now.
            Unanswered: ask in the usual way.
        """
        if not reference:
            raise Unanswered
        status, _, body = self._ask(f"/v{self.api_version}/images/{quote(reference, safe='/:')}", "DELETE")
        found = None if status == _NOT_FOUND else _parsed(status, body)
        if found is not None and not isinstance(found, list):
            raise Unanswered
        return found

    def _ask(self, path: str, method: str = "GET") -> tuple[int, bytes, bytes]:
        """Status, head and body. HTTP/1.0 has no more to it than that the answer ends with the connection."""
        sent = False
        try:
            with socket.socket(socket.AF_UNIX) as connection, cancelling.cutting(partial(cancelling.shut, connection)):
                connection.settimeout(self._timeout)
                connection.connect(self._path)
                sent = True
                connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: docker\r\nUser-Agent: tinyship\r\n\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(_PIECE), b""))
        except (OSError, UnicodeError) as error:
            raise (Lost if sent else Unanswered) from error
        head, found, body = answer.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        length = _length(head)
        if not found or not status or not status[0].isdigit() or (length is not None and length != len(body)):
            raise Lost
        return int(status[0]), head, body


def address() -> str:
    """The engine's address where that is a unix socket, and where no libraries are needed to know it; else empty."""
    if not hasattr(socket, "AF_UNIX") or os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH"):
        return ""
    configured = _configured()
    if configured is None or configured.get("HttpHeaders"):
        return ""
    if host := os.environ.get("DOCKER_HOST"):
        return host if host.startswith(f"{_UNIX}/") else ""
    elsewhere = os.environ.get("DOCKER_CONTEXT") or configured.get("currentContext")
    return _DEFAULT if elsewhere in {None, "", "default"} else ""


def connect(where: str, timeout: float, make: Callable[[str], Any]) -> Client:
    """A client for an address as ``address`` gives it.

    Raises:
        Unanswered: nothing answers there as an engine does.
    """
    return Client(where.removeprefix(_UNIX), timeout, make)


def _configured() -> dict[str, Any] | None:
    """The Docker CLI's configuration, from where docker-py takes it; None where it cannot be read."""
    own = os.environ.get("DOCKER_CONFIG")
    home = Path("~").expanduser()
    for file in (*([Path(own) / "config.json"] if own else []), home / ".docker" / "config.json", home / ".dockercfg"):
        try:
            found = json.loads(file.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None
    return {}


def _read(status: int, body: bytes) -> dict[str, Any]:
    """The object that a good answer is."""
    found = _parsed(status, body)
    if not isinstance(found, dict):
        raise Unanswered
    return found


def _parsed(status: int, body: bytes) -> Any:
    """What a good answer holds."""
    if status != _OK:
        raise Unanswered
    try:
        return json.loads(body)
    except ValueError as error:
        raise Unanswered from error


def _length(head: bytes) -> int | None:
    """The length that the head of an answer names, and None where it names none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None
