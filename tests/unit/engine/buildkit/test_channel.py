"""gRPC over a real socket: windows, calls that stay open, ends of all kinds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from peer import Peer

from tinyship.engine.buildkit.channel import Channel, RpcError, Stream, framed
from tinyship.engine.buildkit.pipe import Pipe


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of connected sockets."""
    pair = socket.socketpair()
    yield pair
    for end in pair:
        with suppress(OSError):  # it is closed already
            end.shutdown(socket.SHUT_RDWR)  # a reader in a thread does not notice that its end is closed
        end.close()


def until_answered(peer: Peer, number: int) -> list[bytes]:
    """Receive until a call ended."""
    while number not in peer.ended:
        peer.receive()
    return peer.messages(number)


def send_all(peer: Peer, number: int, data: bytes, *, last: bool = True) -> None:
    """Send data as the windows allow."""
    left = memoryview(data)
    while left:
        window = min(peer.http.local_flow_control_window(number), peer.http.max_outbound_frame_size, len(left))
        if not window:
            peer.receive()
            continue
        peer.http.send_data(number, bytes(left[:window]))
        peer.flush()
        left = left[window:]
    if last:
        peer.http.end_stream(number)
        peer.flush()


def test_other_side_knows_the_windows(ends: tuple[socket.socket, socket.socket]) -> None:
    """What we count as free is what the other side may send: settings are sent, not only kept."""
    Channel(Pipe(ends[0]), {})
    peer = Peer(ends[1])
    peer.flush()
    while peer.http.remote_settings.initial_window_size != 1 << 24:
        peer.receive()
    assert peer.http.remote_settings.max_header_list_size == 16 << 20


def test_slow_reader_keeps_the_sender_waiting(ends: tuple[socket.socket, socket.socket]) -> None:
    """100 MB arrive whole at a handler that is slow to begin, of which never more than a window lies in memory."""
    most, total = 0, 0

    def slow(stream: Stream) -> None:
        nonlocal most, total
        time.sleep(0.3)
        for message in stream:
            most = max(most, stream._unread)
            total += len(message)
        stream.send(framed(b"done"))

    Channel(Pipe(ends[0]), {"/slow": slow})
    peer = Peer(ends[1])
    number = peer.begin("/slow")
    send_all(peer, number, framed(b"x" * 100_000) * 1000)
    assert until_answered(peer, number) == [b"done"]
    assert total == 100_000_000
    assert most <= 1 << 24


def test_call_that_is_left_unread_costs_others_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    """A handler that leaves without reading does not use up the connection's window."""
    gate = threading.Event()

    def leave(stream: Stream) -> None:
        gate.wait(20)

    def count(stream: Stream) -> None:
        stream.send(framed(str(sum(map(len, stream))).encode()))

    Channel(Pipe(ends[0]), {"/leave": leave, "/count": count})
    peer = Peer(ends[1])
    for _ in range(9):
        gate.clear()
        number = peer.begin("/leave")
        send_all(peer, number, framed(b"x" * 1_000_000) * 12, last=False)
        gate.set()
        until_answered(peer, number)
    number = peer.begin("/count")
    send_all(peer, number, framed(b"x" * 1_000_000) * 60)
    assert until_answered(peer, number) == [b"60000000"]


def test_open_call_sends_and_receives(ends: tuple[socket.socket, socket.socket]) -> None:
    """A client's call takes messages and metadata as long as it is open; names of metadata repeat."""

    def echo(stream: Stream) -> None:
        stream.send(framed(",".join(stream.headers["x-name"]).encode()))
        for message in stream:
            stream.send(framed(message.upper()))

    Channel(Pipe(ends[0]), {"/echo": echo})
    client = Channel(Pipe(ends[1]))
    stream = client.open("/echo", [("x-name", "a"), ("x-name", "b")])
    assert stream.receive() == b"a,b"
    for word in (b"one", b"two"):
        stream.send(framed(word))
        assert stream.receive() == word.upper()
    stream.end()
    assert list(stream) == []


def test_error_carries_its_details(ends: tuple[socket.socket, socket.socket]) -> None:
    """A status of the other side is an exception with code, message and details."""

    def fail(stream: Stream) -> None:
        raise RpcError(5, "no such thing: ü")

    Channel(Pipe(ends[0]), {"/fail": fail})
    with pytest.raises(RpcError, match="no such thing: ü") as caught:
        list(Channel(Pipe(ends[1])).call("/fail", b""))
    assert (caught.value.code, caught.value.details) == (5, b"")


def test_calls_on_a_connection_that_broke(ends: tuple[socket.socket, socket.socket]) -> None:
    """Whatever is done on it says so, and nothing hangs."""
    client = Channel(Pipe(ends[0]))
    stream = client.open("/x")
    ends[1].close()
    with pytest.raises(RpcError):
        list(stream)
    with pytest.raises(RpcError):
        stream.send(framed(b"x" * 100))
    stream.end()
    with pytest.raises(RpcError):
        client.call("/y", b"")


@pytest.mark.parametrize("count", [0, 1, 40_000])
def test_metadata_of_any_size(ends: tuple[socket.socket, socket.socket], count: int) -> None:
    """The lines of a large ignore file come as headers, in frames as Go cuts them, and arrive."""

    def tell(stream: Stream) -> None:
        values = stream.headers.get("exclude-patterns", ())
        stream.send(framed(f"{len(values)} {values[-1] if values else ''}".encode()))

    Channel(Pipe(ends[0]), {"/tell": tell, "/again": tell})
    peer = Peer(ends[1])
    patterns = [("exclude-patterns", f"some/folder/{number:06}/*.log") for number in range(count)]
    answers, trailers = peer.call("/tell", b"", *patterns)
    assert trailers["grpc-status"] == "0"
    assert answers == [f"{count} {patterns[-1][1] if count else ''}".encode()]
    assert peer.call("/again", b"")[0] == [b"0 "]


def test_metadata_without_end(ends: tuple[socket.socket, socket.socket]) -> None:
    """Headers that never end are not gathered for ever: the connection ends."""
    channel = Channel(Pipe(ends[0]), {})
    peer = Peer(ends[1])
    peer.flush()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012  whenever it comes to it
        peer.end.sendall(b"\0\x40\0\x01\0\0\0\0\x01" + b"\0" * 16_384)
        for _ in range(3000):
            peer.end.sendall(b"\0\x40\0\x09\0\0\0\0\x01" + b"\0" * 16_384)
    assert channel._broken
