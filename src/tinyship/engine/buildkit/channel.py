"""gRPC over one byte pipe, as client or as server: HTTP/2 by `h2`, messages with gRPC's prefix of five bytes.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from urllib.parse import unquote

import h2.events
import h2.exceptions

from tinyship.engine.buildkit import http2
from tinyship.engine.buildkit.pipe import Pipe
from tinyship.errors import TinyshipError

_PIECE = 1 << 18
_HELD = 1 << 22
"""Bytes of one call that may lie unread before the other side is kept from sending more."""
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
INVALID, NOT_FOUND, ALREADY_EXISTS, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 3, 5, 6, 12, 13, 14

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
        self._counting = threading.Lock()
        self._unread = 0
        self._owed = 0

    def __iter__(self) -> Iterator[bytes]:
        """The messages, as they come, until the other side ends.

        Raises:
            RpcError: it ended with an error (client), or the channel broke.
        """
        while (message := self.receive()) is not None:
            yield message
        self._raise_for_status()

    def waiting(self) -> bool:
        """Whether a message is there already."""
        return not self._incoming.empty()

    def receive(self) -> bytes | None:
        """The next message; None at the end."""
        message = self._incoming.get()
        if message is not None:
            with self._counting:
                self._unread -= len(message)
                owed = self._owed if self._unread < _HELD else 0
                self._owed -= owed
            if owed:
                self._channel._acknowledge(self._number, owed)
        return message

    def send(self, framed: bytes | bytearray) -> None:
        """Send messages that have their prefixes.

        Raises:
            RpcError: the call or the connection is at its end.
        """
        self._channel._send(self._number, framed)

    def end(self) -> None:
        """Send no more (client)."""
        self._channel._half_close(self._number)

    def _take(self, data: bytes, size: int = 0) -> int:
        """Split what arrived into messages; returns how much of its size may be acknowledged at once.

        The rest is when it is read: whoever sends faster than we read must wait, and not fill our memory.
        """
        rest = self._rest
        rest += data
        start = 0
        whole: list[bytes] = []
        while len(rest) - start >= 5:
            length = int.from_bytes(rest[start + 1 : start + 5], "big")
            if len(rest) - start - 5 < length:
                break
            whole.append(bytes(rest[start + 5 : start + 5 + length]))
            start += 5 + length
        del rest[:start]
        with self._counting:
            self._unread += sum(map(len, whole))
            if self._unread >= _HELD:
                self._owed += size
                size = 0
        for message in whole:
            self._incoming.put(message)
        return size

    def _disown(self) -> int:
        with self._counting:
            owed, self._owed = self._owed, 0
        return owed

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
        self._http = http2.connection(client_side=handlers is None)
        with suppress(RpcError):  # whoever calls hears of it
            self._flush()
        threading.Thread(target=self._read, args=(pipe.first,), daemon=True, name="tinyship-buildkit").start()

    def call(self, path: str, request: bytes) -> Stream:
        """Begin a call with one request; its stream gives the answers."""
        stream = self.open(path)
        stream.send(framed(request))
        stream.end()
        return stream

    def open(self, path: str, headers: Iterable[tuple[str, str]] = ()) -> Stream:
        """Begin a call whose requests are still to be sent.

        Args:
            headers: metadata; names are in lower case, and may repeat.

        Raises:
            RpcError: the connection is gone.
        """
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
                    *headers,
                ],
            )
            self._flush()
        return stream

    def close(self) -> None:
        """End the connection, and with it every call."""
        import socket

        with suppress(OSError, AttributeError):  # wakes the reader, where the socket has it
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
        self._socket.close()

    def _half_close(self, number: int) -> None:
        with self._changed, suppress(h2.exceptions.ProtocolError, RpcError):  # the call is at its end already
            self._http.end_stream(number)
            self._flush()

    def _acknowledge(self, number: int, size: int) -> None:
        with self._changed, suppress(h2.exceptions.ProtocolError, RpcError):  # or the connection is
            self._http.acknowledge_received_data(size, number)
            self._flush()

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
        try:
            if data:
                self._socket.sendall(data)
        except OSError as error:
            self._broken = True
            raise RpcError(UNAVAILABLE, f"the connection to BuildKit broke: {error}") from error

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
        except RpcError as error:
            why = error.message
        except h2.exceptions.ProtocolError as error:
            why = f"BuildKit speaks no HTTP/2: {error}"
        with self._changed:
            self._broken = True
            for stream in self._streams.values():
                stream._end({"grpc-status": str(UNAVAILABLE), "grpc-message": why})
            self._streams.clear()
            self._changed.notify_all()
        self.close()

    def _handle(self, event: Any) -> None:
        number = getattr(event, "stream_id", 0)
        match event:
            case h2.events.RequestReceived():
                self._accept(number, _grouped(event.headers))
            case h2.events.DataReceived():
                size = event.flow_controlled_length
                if number in self._streams:
                    size = self._streams[number]._take(event.data, size)
                if size:
                    self._http.acknowledge_received_data(size, number)
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
                    self._release(stream)
                    stream._end({"grpc-status": str(UNAVAILABLE), "grpc-message": "BuildKit ended the call"})

    def _release(self, stream: Stream) -> None:
        """Give the connection's window back what a call at its end leaves unread."""
        if owed := stream._disown():
            with suppress(h2.exceptions.ProtocolError):
                self._http.acknowledge_received_data(owed, stream._number)

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
            code, message = INTERNAL, error.message if isinstance(error, TinyshipError) else str(error)
        with self._changed:
            if not self._broken:
                self._finish(stream._number, code, message)
                with suppress(RpcError):  # there is nobody to hear of it
                    self._flush()
                self._changed.notify_all()

    def _finish(self, number: int, code: int, message: str) -> None:
        if stream := self._streams.pop(number, None):
            self._release(stream)
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
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in grouped.items()}
