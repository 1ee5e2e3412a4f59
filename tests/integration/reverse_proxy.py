"""The HTTP of the fault-making proxy: bodies flow in pieces in both directions, and faults cut or alter them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faulty_registry import Fault, FaultyRegistry, Seen

_PIECE = 1 << 16
_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}


class _Cut(Exception):
    """The connection ends here, without another word."""


class Server(ThreadingHTTPServer):
    """Takes connections, with TLS or without, each in a thread."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, proxy: FaultyRegistry) -> None:
        self.proxy = proxy
        self._open: set[Any] = set()
        self._changing = threading.Lock()
        super().__init__((address, 0), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.proxy.tls:
            try:
                request = self.proxy.tls.wrap_socket(request, server_side=True)
            except OSError:
                self.proxy.failed_handshakes += 1
                raise
        with self._changing:
            self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            with self._changing:
                self._open.discard(request)
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that leaves is no news."""

    def server_close(self) -> None:
        """Close the connections too, which engines keep open for a while."""
        super().server_close()
        with self._changing:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Passes the requests of one connection on over one connection to the registry."""

    protocol_version = "HTTP/1.1"
    default_request_version = (
        "HTTP/1.1"  # what is no HTTP, like TLS, gets a status line too: engines go on with HTTP then
    )
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.behind = HTTPConnection(self.server.proxy.backend, timeout=120)

    def finish(self) -> None:
        self.behind.close()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        seen, fault = self.server.proxy.begin(self.command, self.path)
        try:
            if fault.before:
                fault.before(seen)
            if fault.status:
                for _ in self._body(seen, fault):
                    pass
                self._answer(seen, fault, None)
            else:
                response = self._asked(seen, fault)
                if fault.lost:
                    response.read()
                    raise _Cut
                self._answer(seen, fault, response)
            if fault.after:
                fault.after(seen)
        except (_Cut, HTTPException, OSError):
            self._reset()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def _asked(self, seen: Seen, fault: Fault) -> HTTPResponse:
        """The registry's answer to the request; its host is passed on, so that uploads come this way again."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _ONE_HOP | {"expect"}}
        headers["X-Forwarded-Proto"] = "https" if self.server.proxy.tls else "http"
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        has_body = chunked or "Content-Length" in self.headers
        body = self._body(seen, fault)
        if not has_body:
            for _ in body:  # faults happen to empty bodies as well
                pass
        self.behind.request(
            self.command, self.path, body=body if has_body else None, headers=headers, encode_chunked=chunked
        )
        return self.behind.getresponse()

    def _body(self, seen: Seen, fault: Fault) -> Iterator[bytes]:
        """The body of the request as it comes, until a fault ends it."""
        stalled = not fault.stalls_for
        for piece in self._pieces():
            rest = piece
            marks = [mark for mark in (None if stalled else fault.stalls_at, fault.resets_at) if mark is not None]
            for mark in sorted(marks):
                if seen.received + len(rest) < mark:
                    continue
                first, rest = rest[: mark - seen.received], rest[max(mark - seen.received, 0) :]
                seen.received += len(first)
                if first:
                    yield first
                if mark == fault.resets_at:
                    raise _Cut
                stalled = True
                self.server.proxy.healed.wait(fault.stalls_for)
            seen.received += len(rest)
            if rest:
                yield rest

    def _pieces(self) -> Iterator[bytes]:
        """An empty piece, then those of the body, chunked or of a length."""
        yield b""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield from self._read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield from self._read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read1(min(size, _PIECE))
            if not piece:
                raise _Cut
            size -= len(piece)
            yield piece

    def _answer(self, seen: Seen, fault: Fault, response: HTTPResponse | None) -> None:
        """Send the answer on: the registry's, or what a fault makes of it."""
        status = fault.status or (response.status if response else 500)
        headers: dict[str, str] = {}
        for name, value in response.getheaders() if response else ():
            if name.lower() not in _ONE_HOP:
                headers[name] = self._told(value)
        empty = self.command == "HEAD" or status in {204, 304}
        if fault.body is not None:
            headers["Content-Length"] = str(len(fault.body))
        for name, value in fault.headers.items():
            headers = {known: kept for known, kept in headers.items() if known.lower() != name.lower()}
            headers[name] = value
        chunked = not empty and "content-length" not in {name.lower() for name in headers}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        if fault.alters:
            headers["Connection"] = "close"
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        seen.status = status  # before whoever asked can know it
        self.end_headers()
        own = iter(lambda: response.read1(_PIECE) if response else b"", b"")
        for piece in () if empty else own if fault.body is None else (fault.body,):
            part = piece if fault.ends_at is None else piece[: fault.ends_at - seen.sent]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked and part else part)
            seen.sent += len(part)
            if len(part) < len(piece):
                break
        else:
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        if response:
            response.close() if fault.alters else response.read()
        if fault.alters:
            self.behind.close()
            self.close_connection = True

    def _told(self, value: str) -> str:
        """A header's value, as this client is to get it."""
        told = self.server.proxy.told_engines
        return value.replace(*told) if told and "docker" in self.headers.get("User-Agent", "") else value

    def _reset(self) -> None:
        """End the connection as a machine does that goes down: with RST, not with FIN."""
        self.behind.close()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
