"""A small HTTP server that answers as a test wants it to: registries, token services and stores that misbehave."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """What is answered: a length of its own is sent where `headers` have it; `wait` holds the end of the body back."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: threading.Event | None = None


Answers = Callable[[Asked], Answer]


@dataclass
class Server:
    """One that runs: where, what it was asked, and over how many connections."""

    host: str
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0


@contextmanager
def serving(answers: Answers, *, name: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server while a test needs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            found.connections += 1
            super().setup()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(self.command, self.path, dict(self.headers), self.rfile.read(length))
            found.asked.append(asked)
            answer = answers(asked)
            headers = {"Content-Length": str(len(answer.body)), **answer.headers}
            self.send_response(answer.status)
            for key, value in headers.items():
                if value:
                    self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            if answer.wait:
                self.wfile.flush()
                answer.wait.wait(20)
            if headers["Content-Length"] != str(len(answer.body)):
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Threads(ThreadingHTTPServer):
        request_queue_size = 64

    server = Threads(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave are no news
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    found = Server(f"{name}:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def greeting(words: bytes) -> Iterator[str]:
    """Host and port of something that answers everyone with these bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1 << 16)  # or the end of the connection may overtake the words
                    peer.sendall(words)

        threading.Thread(target=greet, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def digest_of(content: bytes) -> str:
    """The digest of these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """A descriptor of these bytes."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


class Store:
    """The content of a repository, by which it answers as a registry does."""

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}

    def blob(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Have a blob, and return its descriptor."""
        self.blobs[digest_of(content)] = content
        return described(content, media_type, **more)

    def manifest(self, document: Any, media_type: str, tag: str = "", **more: Any) -> dict[str, Any]:
        """Have a manifest, under a tag or by its digest only, and return its descriptor."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        for key in (digest_of(raw), tag):
            self.manifests[key] = (media_type, raw)
        return described(raw, media_type, **more)

    def image(self, *layers: bytes, platform: str = "linux/amd64", tag: str = "", **more: Any) -> dict[str, Any]:
        """Have an image, and return the descriptor of its manifest."""
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        config: dict[str, Any] = {"os": system, "architecture": architecture}
        if variant:
            config["variant"] = variant
        config["rootfs"] = {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}
        document = {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": [self.blob(layer, LAYER) for layer in layers],
        }
        return self.manifest(document, OCI, tag, **more)

    def index(self, *entries: dict[str, Any], tag: str = "", **more: Any) -> dict[str, Any]:
        """Have an index, and return its descriptor."""
        return self.manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, INDEX, tag, **more)

    def __call__(self, asked: Asked) -> Answer:
        kind, _, key = asked.path.partition("/foo/")[2].partition("/")
        if kind == "manifests" and key in self.manifests:
            media_type, raw = self.manifests[key]
            return Answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(raw)}, raw)
        if kind == "blobs" and key in self.blobs:
            return Answer(200, {"Content-Type": "application/octet-stream"}, self.blobs[key])
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        return Answer(404, {}, json.dumps({"errors": [{"code": code, "message": "unknown"}]}).encode())


def with_platform(descriptor: dict[str, Any], platform: str) -> dict[str, Any]:
    """The descriptor with a platform, as an index has it."""
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    told = {"os": system, "architecture": architecture, "variant": variant}
    return {**descriptor, "platform": {key: value for key, value in told.items() if value}}
