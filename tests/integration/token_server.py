"""A token service for a registry of a test's own: who may do what for how long, and how often it was asked.

Source: the token specifications of the CNCF distribution (``spec/auth/jwt``, ``spec/auth/token``, ``spec/auth/oauth``),
RFC 7515.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from faulty_registry import FaultyRegistry, faulty
from guarded import SECRET, USER, running
from outside import Authority
from requests import PreparedRequest

_LEEWAY = 60  # seconds that the distribution takes a token for after its end
_AT_LEAST = 60  # seconds that engines take a token's life to be, at least


@dataclass
class TokenServer:
    """The service, as a test talks to it.

    Args:
        authority: signs the certificate of its key.
        lifetime: seconds that a token is good for, both for the registry and in the answer.
        granted: the actions that the user gets, of those that are asked for.
        url: of it; filled in when it serves.
        plain: the same over plain HTTP, on loopback.
        asked: the scopes that were asked for.
    """

    authority: Authority
    lifetime: float = 300
    granted: tuple[str, ...] = ("pull", "push")
    url: str = ""
    plain: str = ""
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        issued = self.authority.issued("tokens.example.com")
        key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
        assert isinstance(key, RSAPrivateKey)
        self._key = key
        certificate = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
        self._certificate = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()

    @property
    def config(self) -> str:
        """The `auth` of the registry's config."""
        return (
            f"{{token: {{realm: '{self.url}', service: test, issuer: test, rootcertbundle: '{self.authority.file}'}}}}"
        )

    def answer(self, scopes: list[str], *, anyone: bool = False) -> dict[str, Any]:
        """A token for these scopes, as far as they are granted, and until when it is good; `anyone` may do nothing."""
        self.asked += scopes
        now = time.time()
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, wanted = rest.rpartition(":")
            actions = [action for action in wanted.split(",") if action in self.granted and not anyone]
            access.append({"type": kind, "name": name, "actions": actions})
        claims = {
            "iss": "test",
            "aud": "test",
            "sub": USER,
            "jti": secrets.token_hex(8),
            "access": access,
            "iat": int(now) - 300,
            "nbf": int(now) - 300,
            "exp": int(now + self.lifetime - _LEEWAY),
        }
        issued = datetime.fromtimestamp(now - max(_AT_LEAST - self.lifetime, 0), UTC)
        signed = self._signed(claims)
        return {
            "token": signed,
            "access_token": signed,  # what OAuth calls it
            "expires_in": int(max(self.lifetime, _AT_LEAST)),
            "issued_at": issued.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def bearer(self, scope: str) -> Callable[[PreparedRequest], PreparedRequest]:
        """What requests take as `auth`, to ask the registry itself; not counted."""

        def with_token(request: PreparedRequest) -> PreparedRequest:
            request.headers["Authorization"] = f"Bearer {self.answer([scope])['token']}"
            self.asked.pop()
            return request

        return with_token

    def _signed(self, claims: dict[str, Any]) -> str:
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{_encoded(self._key.sign(text.encode(), PKCS1v15(), hashes.SHA256()))}"


@contextmanager
def serving(authority: Authority, address: str) -> Iterator[TokenServer]:
    """A token service with TLS, and one without on loopback, while a test needs it."""
    service = TokenServer(authority)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
            said = self.headers.get("Authorization")
            self._answer(parse_qs(urlsplit(self.path).query), said in {None, wanted}, anyone=said is None)

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._answer(form, (form["username"], form["password"]) == ([USER], [SECRET]))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _answer(self, asked: dict[str, list[str]], allowed: bool, *, anyone: bool = False) -> None:
            scopes = " ".join(asked.get("scope", [])).split()
            errors = {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}
            answer = service.answer(scopes, anyone=anyone) if allowed else errors
            body = json.dumps(answer).encode()
            self.send_response_only(200 if allowed else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a client that leaves is no news."""

    server = Server((address, 0), Handler)
    server.socket = authority.context(address).wrap_socket(server.socket, server_side=True)
    plain = Server(("127.0.0.1", 0), Handler)
    service.url = f"https://{address}:{server.server_port}/token"
    service.plain = f"http://127.0.0.1:{plain.server_port}/token"
    for one in (server, plain):
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield service
    finally:
        for one in (server, plain):
            one.shutdown()
            one.server_close()


@dataclass(frozen=True)
class Guarded:
    """A registry behind TLS that wants tokens, and who gives them.

    Args:
        proxy: before the registry.
        backend: host and port of the registry, for plain HTTP.
        tokens: the service.
    """

    proxy: FaultyRegistry
    backend: str
    tokens: TokenServer


@contextmanager
def with_tokens(authority: Authority, address: str, folder: Path, *, containerd: bool) -> Iterator[Guarded]:
    """One while a test needs it; the engines trust the registry.

    Those with the containerd store have their tokens made over plain HTTP: of a token service they trust what the whole
    machine trusts, which is not for a test to change.
    """
    with ExitStack() as stack:
        tokens = stack.enter_context(serving(authority, address))
        backend = stack.enter_context(running(folder, auth=tokens.config))
        proxy = stack.enter_context(faulty(backend, address=address, tls=authority.context(address)))
        stack.enter_context(authority.trusted_by_engines(proxy.host))
        if containerd:
            proxy.told_engines = (tokens.url, tokens.plain)
        yield Guarded(proxy, backend, tokens)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
