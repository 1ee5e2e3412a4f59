"""The engine's side of a session, on one end of a socket pair: an HTTP/2 client that calls us."""

from __future__ import annotations

import socket
from typing import Any

import h2.config
import h2.connection
import h2.events

from tinyship.engine.buildkit.channel import framed


class Peer:
    """Calls the other end and gathers what it answers."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.settimeout(10)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.http.initiate_connection()
        self.http.increment_flow_control_window(1 << 24)
        self.data: dict[int, bytearray] = {}
        self.trailers: dict[int, dict[str, str]] = {}
        self.ended: set[int] = set()

    def flush(self) -> None:
        """Send what is to be sent."""
        self.end.sendall(self.http.data_to_send())

    def begin(self, path: str, *headers: tuple[str, str]) -> int:
        """Begin a call."""
        number: int = self.http.get_next_available_stream_id()
        self.data[number] = bytearray()
        names = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "d"), ("te", "trailers")]
        self.http.send_headers(number, [*names, ("content-type", "application/grpc"), *headers])
        self.flush()
        return number

    def send(self, number: int, message: bytes, *, last: bool = False) -> None:
        """Send one message of a call."""
        self.http.send_data(number, framed(message), end_stream=last)
        self.flush()

    def receive(self) -> None:
        """Take in whatever comes next."""
        data = self.end.recv(1 << 16)
        if not data:
            raise EOFError
        for event in self.http.receive_data(data):
            self._handle(event)
        self.flush()

    def messages(self, number: int) -> list[bytes]:
        """The whole messages of a call that have come so far."""
        found, rest = [], self.data[number]
        start = 0
        while len(rest) - start >= 5:
            length = int.from_bytes(rest[start + 1 : start + 5], "big")
            if len(rest) - start - 5 < length:
                break
            found.append(bytes(rest[start + 5 : start + 5 + length]))
            start += 5 + length
        return found

    def call(self, path: str, message: bytes, *headers: tuple[str, str]) -> tuple[list[bytes], dict[str, str]]:
        """A whole call with one message; returns the answers and the trailers."""
        number = self.begin(path, *headers)
        self.send(number, message, last=True)
        while number not in self.ended:
            self.receive()
        return self.messages(number), self.trailers[number]

    def _handle(self, event: Any) -> None:
        match event:
            case h2.events.DataReceived():
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.data[event.stream_id] += event.data
            case h2.events.TrailersReceived():
                self.trailers[event.stream_id] = {str(name): str(value) for name, value in event.headers}
            case h2.events.StreamEnded():
                self.ended.add(event.stream_id)
