"""A session over a real socket, called by the other end as an engine would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from peer import Peer

from tinyship.credentials import Credential
from tinyship.engine.buildkit import filesync, pipe, session
from tinyship.engine.buildkit.channel import Channel, Handler, RpcError, Stream, framed
from tinyship.engine.buildkit.pipe import Pipe
from tinyship.engine.buildkit.proto.fsutil_pb2 import Packet
from tinyship.engine.buildkit.proto.session_pb2 import CredentialsRequest, CredentialsResponse
from tinyship.errors import EngineError, TinyshipError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of connected sockets."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def serve(ends: tuple[socket.socket, socket.socket], handlers: dict[str, Handler]) -> Peer:
    """Serve on one end, and return the engine on the other."""
    Channel(Pipe(ends[0]), {session.HEALTH: session.health, **handlers})
    return Peer(ends[1])


def test_health(ends: tuple[socket.socket, socket.socket]) -> None:
    """Health is SERVING, which is field 1 with the value 1."""
    answers, trailers = serve(ends, {}).call(session.HEALTH, b"")
    assert answers == [b"\x08\x01"]
    assert trailers["grpc-status"] == "0"


def test_unknown_methods_are_not_implemented(ends: tuple[socket.socket, socket.socket]) -> None:
    """What is not served is told so, and the session goes on."""
    peer = serve(ends, {})
    assert peer.call("/moby.filesync.v1.Auth/GetTokenAuthority", b"")[1]["grpc-status"] == "12"
    assert peer.call(session.HEALTH, b"")[0]


@pytest.mark.parametrize(
    ("found", "username", "secret"),
    [
        (None, "", ""),
        (Credential("me", "pass", identity_token=False, source="x"), "me", "pass"),
        (Credential("me", "token", identity_token=True, source="x"), "", "token"),
    ],
)
def test_credentials(
    ends: tuple[socket.socket, socket.socket], found: Credential | None, username: str, secret: str
) -> None:
    """Only the one host is asked for, Docker Hub by its own name; none are an anonymous pull."""
    asked: list[str] = []

    def find(host: str) -> Credential | None:
        asked.append(host)
        return found

    peer = serve(ends, {session.CREDENTIALS: session.credentials(find)})
    for host in ("registry.example.com:5000", "registry-1.docker.io"):
        answers, _ = peer.call(session.CREDENTIALS, CredentialsRequest(Host=host).SerializeToString())
        reply = CredentialsResponse.FromString(answers[0])
        assert (reply.Username, reply.Secret) == (username, secret)
    assert asked == ["registry.example.com:5000", "docker.io"]


def test_the_window_opens_again(ends: tuple[socket.socket, socket.socket]) -> None:
    """A call of a megabyte comes through: we take in more than HTTP/2's first window of 64 kB."""

    def count(stream: Stream) -> None:
        stream.send(framed(b"%d" % sum(len(message) for message in stream)))

    peer = serve(ends, {"/count": count})
    number = peer.begin("/count")
    for left in reversed(range(1000)):
        while peer.http.local_flow_control_window(number) < 1024:
            peer.receive()
        peer.send(number, b"x" * 1000, last=not left)
    while number not in peer.ended:
        peer.receive()
    assert peer.messages(number) == [b"1000000"]


def test_health_goes_on_while_streams_are_blocked(ends: tuple[socket.socket, socket.socket]) -> None:
    """Sixty-four handlers that wait keep nobody from hearing that we are there."""
    gate = threading.Event()

    def wait(_: Stream) -> None:
        gate.wait(20)

    peer = serve(ends, {"/wait": wait})
    numbers = [peer.begin("/wait") for _ in range(64)]
    assert peer.call(session.HEALTH, b"")[0] == [b"\x08\x01"]
    gate.set()
    while not set(numbers) <= peer.ended:
        peer.receive()


def test_handler_that_fails_says_why(ends: tuple[socket.socket, socket.socket]) -> None:
    """An exception in a handler is an error of its call, not of the session."""

    def fail(_: Stream) -> None:
        raise ValueError("no such thing: 100 %")

    peer = serve(ends, {"/fail": fail})
    trailers = peer.call("/fail", b"")[1]
    assert trailers["grpc-status"] == "13"
    assert "no such thing: 100 %25" in trailers["grpc-message"]
    assert peer.call(session.HEALTH, b"")[0]


def test_call_ends_when_the_connection_does(ends: tuple[socket.socket, socket.socket]) -> None:
    """A client hears at once that the other side is gone."""
    channel = Channel(Pipe(ends[0]))
    stream = channel.call("/slow", b"")
    ends[1].close()
    with pytest.raises(RpcError, match="BuildKit") as caught:
        list(stream)
    assert caught.value.code == 14
    with pytest.raises(RpcError):
        channel.call("/again", b"")


@pytest.mark.parametrize("cut", range(1, 40))
def test_messages_are_put_together(ends: tuple[socket.socket, socket.socket], cut: int) -> None:
    """Messages come whole, wherever the stream is cut."""
    stream = Stream(Channel(Pipe(ends[0])), 1, {})
    whole = framed(b"first") + framed(b"") + framed(b"x" * 20)
    for start in range(0, len(whole), cut):
        stream._take(whole[start : start + cut])
    stream._end()
    assert list(stream) == [b"first", b"", b"x" * 20]


class Replay:
    """A socket that gives its bytes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def recv(self, size: int, /) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def sendall(self, data: bytes, /) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to close."""


HEAD = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


@pytest.mark.parametrize("cut", range(1, len(HEAD + PREFACE)))
def test_preface_behind_the_101_is_kept(cut: int) -> None:
    """What follows the head belongs to the pipe, wherever the network cuts: nothing lost, nothing read too far."""
    whole = HEAD + PREFACE
    replay = Replay(whole[:cut], whole[cut:])
    first = pipe._read_head(replay, "/session")
    assert first + b"".join(replay.pieces) == PREFACE


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\npage not found", "404 Not Found: page not found"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "200 OK"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 101 UPGR", "closed the connection"),
    ],
)
def test_no_way_in(answer: bytes, said: str) -> None:
    """An engine that does not upgrade is an error that says what it answered."""
    with pytest.raises(EngineError, match="/grpc") as caught:
        pipe._read_head(Replay(answer), "/grpc")
    assert said in caught.value.message


def diffcopy(
    ends: tuple[socket.socket, socket.socket], root: Path, *headers: tuple[str, str]
) -> tuple[dict[str, bytes | None], list[TinyshipError]]:
    """Receive a folder as BuildKit does: every path, with its content where it is a file."""
    failures: list[TinyshipError] = []
    handler = filesync.sender({"context": root}, failed=failures.append)
    peer = serve(ends, {session.FILES: handler})
    number = peer.begin(session.FILES, ("dir-name", "context"), *headers)
    stats: list[Packet] = []
    contents: dict[int, bytes] = {}
    seen, asked, finished = 0, 0, False
    while number not in peer.ended:
        peer.receive()
        for message in peer.messages(number)[seen:]:
            seen += 1
            packet = Packet.FromString(message)
            if packet.type == Packet.PACKET_STAT and packet.HasField("stat"):
                stats.append(packet)
            elif packet.type == Packet.PACKET_STAT:
                for index, entry in enumerate(stats):
                    if entry.stat.mode < 1 << 20:
                        asked += 1
                        contents[index] = b""
                        peer.send(number, Packet(type=Packet.PACKET_REQ, ID=index).SerializeToString())
            elif packet.type == Packet.PACKET_DATA and packet.data:
                contents[packet.ID] += packet.data
            elif packet.type == Packet.PACKET_DATA:
                asked -= 1
        if not asked and contents and not finished:
            finished = True
            peer.send(number, Packet(type=Packet.PACKET_FIN).SerializeToString())
    return {entry.stat.path: contents.get(index) for index, entry in enumerate(stats)}, failures


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with folders, links, and a large file."""
    for name in ("b/deep/file", "a.txt", "b.txt", "b/skip.log", "ü"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "large").write_bytes(b"0123456789" * 50_000)
    (tmp_path / "link").symlink_to("b/deep")
    return tmp_path


def test_everything_arrives(ends: tuple[socket.socket, socket.socket], tree: Path) -> None:
    """All entries in the protocol's order, and the content that is asked for."""
    files, _ = diffcopy(ends, tree)
    assert list(files) == ["a.txt", "b", "b/deep", "b/deep/file", "b/skip.log", "b.txt", "large", "link", "ü"]
    assert files["large"] == b"0123456789" * 50_000
    assert files["ü"] == "ü".encode()
    assert files["b"] is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("exclude-patterns", "**/*.log"), ("exclude-patterns", "large")], ["a.txt", "b", "b/deep", "b/deep/file"]),
        ([("followpaths", "b/deep/file")], ["b", "b/deep", "b/deep/file"]),
        ([("followpaths", "link/file")], ["b", "b/deep", "b/deep/file", "link"]),
        ([("include-patterns", "*.txt")], ["a.txt", "b.txt"]),
        ([("include-patterns", "b"), ("exclude-patterns", "b/deep")], ["b", "b/skip.log"]),
        ([("followpaths", "%C3%BC"), ("followpaths-encoded", "1")], ["ü"]),
        ([("followpaths", "a.txt"), ("followpaths", "nothing"), ("followpaths", "../out")], ["a.txt"]),
    ],
)
def test_patterns_are_honoured(
    ends: tuple[socket.socket, socket.socket], tree: Path, headers: list[tuple[str, str]], expected: list[str]
) -> None:
    """Excludes, includes and follow-paths, with the folders above and the links on the way."""
    files, _ = diffcopy(ends, tree, *headers)
    assert [path for path in files if path in expected or headers[0][0] != "exclude-patterns"] == expected
    assert "b/skip.log" not in files or "b/skip.log" in expected


def test_unknown_folder(ends: tuple[socket.socket, socket.socket], tree: Path) -> None:
    """BuildKit is told that a folder is not there."""
    handler = filesync.sender({"context": tree}, failed=lambda _: None)
    peer = serve(ends, {session.FILES: handler})
    assert peer.call(session.FILES, b"", ("dir-name", "other"))[1]["grpc-status"] == "5"


def test_name_that_is_no_utf8_is_an_error(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """The file is named, and what to do about it."""
    (tmp_path / "a\udcff").write_text("x")
    _, failures = diffcopy(ends, tmp_path)
    assert "no UTF-8" in failures[0].message
    assert "classic" in failures[0].hint
