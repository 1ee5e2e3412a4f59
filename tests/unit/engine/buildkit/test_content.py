"""Folders as content stores, over a real socket, called by the other end as BuildKit would."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from peer import Peer

from tinyship.engine.buildkit import content
from tinyship.engine.buildkit.channel import Channel
from tinyship.engine.buildkit.pipe import Pipe
from tinyship.engine.buildkit.proto.content_pb2 import (
    COMMIT,
    STAT,
    WRITE,
    InfoRequest,
    InfoResponse,
    ReadContentRequest,
    ReadContentResponse,
    WriteContentRequest,
    WriteContentResponse,
)
from tinyship.errors import ContextError

SERVICE = "/containerd.services.content.v1.Content"
DATA = b"0123456789" * 300_000
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
STORE = ("buildkit-attachable-store-id", "local:cache-0")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "cache"


@pytest.fixture
def peer(store: Path) -> Iterator[Peer]:
    """BuildKit, on the other end of a session that serves the store."""
    ours, theirs = socket.socketpair()
    Channel(Pipe(ours), content.handlers({"local:cache-0": store}))
    yield Peer(theirs)
    ours.close()
    theirs.close()


def write(peer: Peer, *requests: WriteContentRequest) -> tuple[list[WriteContentResponse], str]:
    """Write a blob; returns the answers and the status."""
    number = peer.begin(f"{SERVICE}/Write", STORE)
    for request in requests:
        message = request.SerializeToString()
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        for start in range(0, len(framed), 16_384):
            peer.http.send_data(number, framed[start : start + 16_384])
            peer.flush()
    peer.http.end_stream(number)
    peer.flush()
    while number not in peer.ended:
        peer.receive()
    return [WriteContentResponse.FromString(one) for one in peer.messages(number)], peer.trailers[number]["grpc-status"]


def whole() -> list[WriteContentRequest]:
    """The requests that write the blob, in three pieces."""
    third = len(DATA) // 3
    return [
        WriteContentRequest(action=STAT, ref="r", total=len(DATA), expected=DIGEST),
        *(
            WriteContentRequest(action=WRITE, ref="r", offset=start, data=DATA[start : start + third])
            for start in range(0, len(DATA), third)
        ),
        WriteContentRequest(action=COMMIT, ref="r", total=len(DATA), expected=DIGEST),
    ]


def test_blob_comes_and_goes(peer: Peer, store: Path) -> None:
    """What is written is there, by its digest, and is read again in part or in whole."""
    while not peer.http.remote_settings.initial_window_size > 1 << 20:
        peer.receive()
    answers, status = write(peer, *whole())
    assert status == "0"
    assert [answer.offset for answer in answers] == [0, 1_000_000, 2_000_000, 3_000_000, 3_000_000]
    assert answers[-1].digest == DIGEST
    assert (store / "blobs" / "sha256" / DIGEST[7:]).read_bytes() == DATA
    assert [path.name for path in store.iterdir()] == ["blobs"]
    found, _ = peer.call(f"{SERVICE}/Info", InfoRequest(digest=DIGEST).SerializeToString(), STORE)
    assert InfoResponse.FromString(found[0]).info.size == len(DATA)
    for offset, size in ((0, 0), (5, 1_500_000), (2_999_999, 1)):
        request = ReadContentRequest(digest=DIGEST, offset=offset, size=size).SerializeToString()
        parts, _ = peer.call(f"{SERVICE}/Read", request, STORE)
        data = b"".join(ReadContentResponse.FromString(part).data for part in parts)
        assert data == DATA[offset : offset + size if size else None]


def test_blob_that_is_there_already(peer: Peer, store: Path) -> None:
    """It is not written again."""
    blob = store / "blobs" / "sha256" / DIGEST[7:]
    blob.parent.mkdir(parents=True)
    blob.write_bytes(DATA)
    assert write(peer, whole()[0])[1] == "6"


@pytest.mark.parametrize(
    "request_",
    [
        WriteContentRequest(action=COMMIT, expected=DIGEST, data=b"other"),
        WriteContentRequest(action=WRITE, offset=7, data=b"x"),
        WriteContentRequest(action=WRITE, expected="sha256:../../x", data=b"x"),
    ],
    ids=["other content", "hole", "no digest"],
)
def test_blob_that_is_wrong(peer: Peer, store: Path, request_: WriteContentRequest) -> None:
    """What does not fit is refused, and leaves nothing."""
    assert write(peer, request_)[1] == "3"
    assert [path for path in store.rglob("*") if path.is_file()] == []


def test_what_is_not_there(peer: Peer) -> None:
    """Unknown blobs and unknown stores are not found."""
    for path, message in (("Info", InfoRequest(digest=DIGEST)), ("Read", ReadContentRequest(digest=DIGEST))):
        assert peer.call(f"{SERVICE}/{path}", message.SerializeToString(), STORE)[1]["grpc-status"] == "5"
    other = (STORE[0], "local:other")
    assert peer.call(f"{SERVICE}/Info", b"", other)[1]["grpc-status"] == "5"


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"manifests": []}', '{"manifests": [1]}', '{"manifests": {}}'])
def test_index_that_says_nothing(store: Path, text: str) -> None:
    """A damaged index is no cache, and is replaced by the next."""
    store.mkdir()
    (store / "index.json").write_text(text)
    assert content.read_index(store) == ""
    content.write_index(store, {"digest": DIGEST, "size": 1})
    assert content.read_index(store) == DIGEST


def test_index_keeps_other_tags(store: Path) -> None:
    """A tag is replaced, others stay; without the tag that is asked for, the last entry serves."""
    store.mkdir()
    for tag, digest in (("a", "sha256:1"), ("b", "sha256:2"), ("a", "sha256:3")):
        content.write_index(store, {"digest": digest}, tag)
    assert (content.read_index(store, "a"), content.read_index(store, "b")) == ("sha256:3", "sha256:2")
    assert content.read_index(store, "c") == "sha256:3"
    assert len(json.loads((store / "index.json").read_text())["manifests"]) == 2


def test_index_that_cannot_be_written(store: Path) -> None:
    """Says where."""
    with pytest.raises(ContextError, match="cannot be written"):
        content.write_index(store, {"digest": DIGEST})
