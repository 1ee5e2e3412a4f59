"""gRPC over one byte pipe, as client or as server: HTTP/2 by `h2`, messages with gRPC's prefix of five bytes.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tinyship.engine.buildkit.pipe import Pipe

_WINDOW = 1 << 24
_CONNECTION_WINDOW = 1 << 26
_LONGEST_HEADERS = 16 << 20
_PIECE = 1 << 18
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
UNIMPLEMENTED, UNAVAILABLE, INTERNAL, NOT_FOUND = 12, 14, 13, 5

Headers = Mapping[str, tuple[str, ...]]
Handler = Callable[["Stream"], None]


class RpcError(Exception):
    """A call that ended with a status other than OK.

    Args:
        code: gRPC's status code.
        message: its text.
        details: a serialised google.rpc.Status, where the peer sent one (``grpc-status-details-bin``).
    """

    def __init__(self, code: int, message: str, details: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class Stream:
    """One call: messages out, messages in, and how it ended."""

    def __init__(self, channel: Channel, number: int, headers: Headers) -> None:
        self.headers = headers
        self._channel = channel
        self._number = number
        self._incoming: SimpleQueue[bytes | None] = SimpleQueue()
        self._rest = bytearray()
        self._status: dict[str, str] = {}

    def __iter__(self) -> Iterator[bytes]:
        """The messages, as they come, until the other side ends.

        Raises:
            RpcError: it ended with an error (client), or the channel broke.
        """
        while (message := self._incoming.get()) is not None:
            yield message
        self._raise_for_status()

    def waiting(self) -> bool:
        """Whether a message is there already."""
        return not self._incoming.empty()

    def receive(self) -> bytes | None:
        """The next message; None at the end."""
        return self._incoming.get()

    def send(self, framed: bytes | bytearray) -> None:
        """Send messages that have their prefixes."""
        self._channel._send(self._number, framed)

    def _take(self, data: bytes) -> None:
        """Split what arrived into messages."""
        rest = self._rest
        rest += data
        start = 0
        while len(rest) - start >= 5:
            length = int.from_bytes(rest[start + 1 : start + 5], "big")
            if len(rest) - start - 5 < length:
                break
            self._incoming.put(bytes(rest[start + 5 : start + 5 + length]))
            start += 5 + length
        del rest[:start]

    def _end(self, status: Mapping[str, str] | None = None) -> None:
        self._status.update(status or {})
        self._incoming.put(None)

    def _raise_for_status(self) -> None:
        code = int(self._status.get("grpc-status", "0"))
        if code:
            details = self._status.get("grpc-status-details-bin", "")
            raise RpcError(code, unquote(self._status.get("grpc-message", "")), _decoded(details))


def framed(message: bytes) -> bytes:
    """A message with its prefix: not compressed, and its length."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Channel:
    """An HTTP/2 connection. One thread reads; whoever sends takes the lock.

    Args:
        pipe: already open.
        handlers: by path, for a server; each runs in a thread of its own, so that none keeps another waiting. None for
            a client.
    """

    def __init__(self, pipe: Pipe, handlers: Mapping[str, Handler] | None = None) -> None:
        self._socket = pipe.socket
        self._handlers = handlers
        self._changed = threading.Condition()
        self._streams: dict[int, Stream] = {}
        self._broken = False
        self._http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=handlers is None,
                header_encoding="utf-8",
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._http.initiate_connection()
        settings = h2.settings.SettingCodes
        # Sent as a change: h2 would keep what is set before to itself, and never open the window again.
        self._http.update_settings(
            {settings.INITIAL_WINDOW_SIZE: _WINDOW, settings.MAX_HEADER_LIST_SIZE: _LONGEST_HEADERS}
        )
        self._http.increment_flow_control_window(_CONNECTION_WINDOW)
        self._flush()
        threading.Thread(target=self._read, args=(pipe.first,), daemon=True, name="tinyship-buildkit").start()

    def call(self, path: str, request: bytes) -> Stream:
        """Begin a call with one request; its stream gives the answers."""
        with self._changed:
            if self._broken:
                raise RpcError(UNAVAILABLE, "the connection to BuildKit is gone")
            number = self._http.get_next_available_stream_id()
            stream = self._streams[number] = Stream(self, number, {})
            self._http.send_headers(
                number,
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", path),
                    (":authority", "localhost"),
                    ("te", "trailers"),
                    ("content-type", "application/grpc"),
                ],
            )
            self._flush()
        self._send(number, framed(request))
        with self._changed:
            self._http.end_stream(number)
            self._flush()
        return stream

    def close(self) -> None:
        """End the connection, and with it every call."""
        import socket

        with suppress(OSError, AttributeError):  # wakes the reader, where the socket has it
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
        self._socket.close()

    def _send(self, number: int, data: bytes | bytearray) -> None:
        """Send data in the peer's largest frames, as its windows allow."""
        left = memoryview(data)
        while left:
            with self._changed:
                while not self._broken and not (window := self._window(number)):
                    self._changed.wait()
                if self._broken:
                    raise RpcError(UNAVAILABLE, "the connection to BuildKit is gone")
                budget = min(window, len(left), _PIECE)
                while budget:
                    size = min(budget, self._http.max_outbound_frame_size)
                    self._http.send_data(number, bytes(left[:size]))
                    left, budget = left[size:], budget - size
                self._flush()

    def _window(self, number: int) -> int:
        try:
            return max(0, self._http.local_flow_control_window(number))
        except h2.exceptions.ProtocolError as error:  # the peer reset the stream
            raise RpcError(UNAVAILABLE, "BuildKit ended the call") from error

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if data:
            self._socket.sendall(data)

    def _read(self, data: bytes) -> None:
        why = "BuildKit closed the connection"
        try:
            while True:
                if data:
                    with self._changed:
                        for event in self._http.receive_data(data):
                            self._handle(event)
                        self._flush()
                        self._changed.notify_all()
                data = self._socket.recv(1 << 18)
                if not data:
                    break
        except (OSError, ValueError) as error:
            why = f"the connection to BuildKit broke: {error}"
        except h2.exceptions.ProtocolError as error:
            why = f"BuildKit speaks no HTTP/2: {error}"
        with self._changed:
            self._broken = True
            for stream in self._streams.values():
                stream._end({"grpc-status": str(UNAVAILABLE), "grpc-message": why})
            self._streams.clear()
            self._changed.notify_all()

    def _handle(self, event: Any) -> None:
        number = getattr(event, "stream_id", 0)
        match event:
            case h2.events.RequestReceived():
                self._accept(number, _grouped(event.headers))
            case h2.events.DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length, number)
                if number in self._streams:
                    self._streams[number]._take(event.data)
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                if number in self._streams:
                    self._streams[number]._status.update(_texts(event.headers))
            case h2.events.StreamEnded():
                if number in self._streams:
                    self._streams[number]._end()
                    if self._handlers is None:
                        del self._streams[number]
            case h2.events.StreamReset():
                if stream := self._streams.pop(number, None):
                    stream._end({"grpc-status": str(UNAVAILABLE), "grpc-message": "BuildKit ended the call"})

    def _accept(self, number: int, headers: Headers) -> None:
        """Answer a call: its handler runs in a thread, and how it ends is how the call ends."""
        stream = self._streams[number] = Stream(self, number, headers)
        handler = (self._handlers or {}).get(headers.get(":path", ("",))[0])
        self._http.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
        if handler is None:
            self._finish(number, UNIMPLEMENTED, "")
        else:
            threading.Thread(target=self._serve, args=(handler, stream), daemon=True, name="tinyship-session").start()

    def _serve(self, handler: Handler, stream: Stream) -> None:
        try:
            handler(stream)
            code, message = 0, ""
        except RpcError as error:
            code, message = error.code, error.message
        except Exception as error:  # the peer must hear of it, whatever it is
            code, message = INTERNAL, str(error)
        with self._changed:
            if not self._broken:
                self._finish(stream._number, code, message)
                try:
                    self._flush()
                except OSError:
                    self._broken = True
                self._changed.notify_all()

    def _finish(self, number: int, code: int, message: str) -> None:
        self._streams.pop(number, None)
        trailers = [("grpc-status", str(code))]
        if message:
            from urllib.parse import quote

            trailers.append(("grpc-message", quote(message, safe=_PRINTABLE)))
        with suppress(h2.exceptions.ProtocolError):  # the peer reset the stream meanwhile
            self._http.send_headers(number, trailers, end_stream=True)


def _decoded(text: str) -> bytes:
    """The value of a binary header: base64, with its padding or without."""
    return base64.b64decode(text + "=" * (-len(text) % 4))


def _texts(headers: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers}


def _grouped(headers: Any) -> Headers:
    """Headers by name; names may repeat."""
    grouped: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        grouped[name] = (*grouped.get(name, ()), value)
    return grouped
