"""Sending a folder: odd files, files that change meanwhile, and a receiver that checks the protocol as it goes."""

from __future__ import annotations

import os
import socket
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from peer import Peer
from reference import check_order

from tinyship.context.walk import Entry
from tinyship.engine.buildkit import filesync, selection, session
from tinyship.engine.buildkit.channel import Channel
from tinyship.engine.buildkit.pipe import Pipe
from tinyship.engine.buildkit.proto.fsutil_pb2 import Packet
from tinyship.errors import TinyshipError

TYPE = 0x8F280000
"""The bits of Go's os.FileMode that say what is no regular file."""
Ends = tuple[socket.socket, socket.socket]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A pair of connected sockets."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


@dataclass
class Received:
    """What came of a folder.

    Args:
        stats: by path, in the order in which they came.
        contents: of regular files, by path.
        error: what the sender says went wrong; empty where nothing did.
        failures: what the sender told its own side of it.
        status: gRPC's.
    """

    stats: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    error: str = ""
    failures: list[TinyshipError] = field(default_factory=list)
    status: str = ""


def receive(
    ends: Ends, root: Path, *headers: tuple[str, str], meanwhile: Callable[[], None] = lambda: None, keep: bool = True
) -> Received:
    """Receive a folder as BuildKit does, and insist on the protocol.

    Args:
        ends: the connection.
        root: the folder.
        headers: of the call.
        meanwhile: what happens between the walk and the first request.
        keep: keep the contents, not only their lengths.
    """
    found = Received()
    handler = filesync.sender(
        {"context": root},
        failed=found.failures.append,
    )
    Channel(Pipe(ends[0]), {session.FILES: handler})
    peer = Peer(ends[1])
    number = peer.begin(session.FILES, ("dir-name", "context"), *headers)
    paths: list[str] = []
    pending: dict[int, int] = {}
    finished = False
    while number not in peer.ended:
        peer.receive()
        messages = peer.messages(number)
        del peer.data[number][: sum(len(message) + 5 for message in messages)]
        for message in messages:
            packet = Packet.FromString(message)
            match packet.type:
                case Packet.PACKET_STAT if packet.HasField("stat"):
                    paths.append(packet.stat.path)
                    found.stats[packet.stat.path] = packet.stat
                case Packet.PACKET_STAT:
                    check_order(paths)
                    meanwhile()
                    for index, path in enumerate(paths):
                        if not found.stats[path].mode & TYPE:
                            pending[index] = 0
                            found.contents[path] = b""
                            peer.send(number, Packet(type=Packet.PACKET_REQ, ID=index).SerializeToString())
                case Packet.PACKET_DATA if packet.data:
                    pending[packet.ID] += len(packet.data)
                    assert pending[packet.ID] <= found.stats[paths[packet.ID]].size
                    if keep:
                        found.contents[paths[packet.ID]] += packet.data
                case Packet.PACKET_DATA:
                    del pending[packet.ID]
                case Packet.PACKET_ERR:
                    found.error = packet.data.decode()
                case Packet.PACKET_FIN:
                    assert finished
        if paths and not pending and not found.error and not finished and peer.data[number] == b"":
            finished = True
            peer.send(number, Packet(type=Packet.PACKET_FIN).SerializeToString())
    found.status = peer.trailers[number]["grpc-status"]
    return found


ODD_NAMES = [
    "-dash", " space ", "new\nline", "tab\there", "quo'te\"s", "back\\slash", "*", "[x]", "dol$lar", "#hash", "!bang",
    "a:b", "ü", "\U0001f600", "\ufffd", "\u202e", "n" * 255, "...", "~", "\x7f",
]  # fmt: skip


def test_odd_names(ends: Ends, tmp_path: Path) -> None:
    """Whatever is UTF-8 is a name, of files, of folders, and of what links lead to."""
    for name in ODD_NAMES:
        (tmp_path / name).write_text(name)
        (tmp_path / f"d{name[:200]}").mkdir()
        (tmp_path / f"d{name[:200]}" / name).symlink_to(name)
    found = receive(ends, tmp_path)
    assert {path: text.decode() for path, text in found.contents.items()} == {name: name for name in ODD_NAMES}
    links = {path: entry.linkname for path, entry in found.stats.items() if entry.linkname}
    assert links == {f"d{name[:200]}/{name}": name for name in ODD_NAMES}
    assert not found.failures


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o644, 0o644),
        (0o000, 0o000),
        (0o4755, 0o755 | 1 << 23),
        (0o2755, 0o755 | 1 << 22),
        (0o1644, 0o644 | 1 << 20),
        (0o7777, 0o777 | 1 << 23 | 1 << 22 | 1 << 20),
    ],
)
def test_modes(ends: Ends, tmp_path: Path, mode: int, expected: int) -> None:
    """Setuid, setgid and sticky go along, of files and folders, in Go's bits."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        (tmp_path / name).chmod(mode)
    found = receive(ends, tmp_path)
    assert found.stats["file"].mode == expected
    assert found.stats["folder"].mode == expected | 1 << 31
    (tmp_path / "folder").chmod(0o755)


def test_what_is_told_of_an_entry(ends: Ends, tmp_path: Path) -> None:
    """Owners are root's; sizes are of all but folders, so that links compare equal the next time; times to the ns."""
    (tmp_path / "file").write_text("12345")
    (tmp_path / "link").symlink_to("some/where")
    (tmp_path / "folder").mkdir()
    for name in ("file", "link", "folder"):
        os.chown(tmp_path / name, 1000, 1000, follow_symlinks=False) if os.geteuid() == 0 else None
        os.utime(tmp_path / name, ns=(0, 1_500_000_000_123_456_789), follow_symlinks=False)
    stats = receive(ends, tmp_path).stats
    assert [(entry.path, entry.size) for entry in stats.values()] == [("file", 5), ("folder", 0), ("link", 10)]
    assert {(entry.uid, entry.gid, entry.modTime) for entry in stats.values()} == {(0, 0, 1_500_000_000_123_456_789)}


def test_links(ends: Ends, tmp_path: Path) -> None:
    """Loops, links to nowhere, and absolute ones are links like others."""
    targets = {
        "absolute": "/etc/passwd",
        "dangling": "nowhere",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "up": "..",
    }
    for name, target in targets.items():
        (tmp_path / name).symlink_to(target)
    found = receive(ends, tmp_path, ("followpaths", "."))
    assert {path: entry.linkname for path, entry in found.stats.items()} == targets
    assert {entry.mode & TYPE for entry in found.stats.values()} == {1 << 27}


def test_times_out_of_range(ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that the protocol cannot hold is the nearest that it can."""
    (tmp_path / "file").touch()

    class Late:
        st_mode, st_size, st_mtime_ns = stat.S_IFREG | 0o644, 0, 1 << 70

    entry: Any = Entry("file", str(tmp_path / "file"), Late())  # type: ignore[arg-type]
    monkeypatch.setattr(filesync, "entries", lambda *_, **__: iter([entry]))
    assert receive(ends, tmp_path).stats["file"].modTime == (1 << 63) - 1


def test_special_files(ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is told of, nobody waits for it; a socket is left out; an empty folder is there."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        os.mkfifo("pipe")
        Path("empty").mkdir()
        Path("file").write_text("text")
        found = receive(ends, tmp_path)
    assert list(found.stats) == ["empty", "file", "pipe"]
    assert found.stats["pipe"].mode & TYPE == 1 << 25
    assert found.contents == {"file": b"text"}


@as_root
def test_devices(ends: Ends, tmp_path: Path) -> None:
    """Devices are told of by their numbers, and never read."""
    try:
        os.mknod(tmp_path / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(tmp_path / "loop", 0o600 | stat.S_IFBLK, os.makedev(7, 300))
    except PermissionError:
        pytest.skip("this root may not make devices")
    found = receive(ends, tmp_path).stats
    assert (found["null"].mode, found["null"].devmajor, found["null"].devminor) == (0o600 | 1 << 26 | 1 << 21, 1, 3)
    assert (found["loop"].mode, found["loop"].devmajor, found["loop"].devminor) == (0o600 | 1 << 26, 7, 300)


def test_attributes_and_hard_links(ends: Ends, tmp_path: Path) -> None:
    """Extended attributes stay here, and every name of a file is a file of its own."""
    (tmp_path / "one").write_text("text")
    os.link(tmp_path / "one", tmp_path / "two")
    try:
        os.setxattr(tmp_path / "one", "user.colour", b"blue")
    except OSError as error:
        pytest.skip(f"no attributes on this file system: {error}")
    found = receive(ends, tmp_path)
    assert found.contents == {"one": b"text", "two": b"text"}
    assert {entry.linkname for entry in found.stats.values()} == {""}
    assert not any(b"colour" in entry.SerializeToString() for entry in found.stats.values())


@pytest.mark.parametrize("what", ["file", "folder", "link", "target"])
def test_names_that_are_no_utf8(ends: Ends, tmp_path: Path, what: str) -> None:
    """BuildKit cannot take them: an error names the file and the ways out, and what came before it is no matter."""
    (tmp_path / "a").write_text("a")
    match what:
        case "file":
            (tmp_path / "b\udcff").touch()
        case "folder":
            (tmp_path / "b\udcff").mkdir()
        case "link":
            (tmp_path / "b\udcff").symlink_to("a")
        case "target":
            (tmp_path / "b").symlink_to("\udcff")
    found = receive(ends, tmp_path)
    (failure,) = found.failures
    name = r"the target of the link b " if what == "target" else r"the name of b\xff "
    assert failure.message.startswith(name)
    assert all(way in failure.hint for way in ("Rename", ".dockerignore", "builder: classic"))
    assert found.error == failure.message


@pytest.mark.parametrize(
    "headers",
    [
        [("exclude-patterns", "bad*")],
        [("exclude-patterns", "**/*\ufffd")],
        [("exclude-patterns", "bad\ufffd"), ("exclude-patterns", "good/bad\ufffd")],
        [("exclude-patterns", "bad%FF"), ("exclude-patterns", "**/bad%FF"), ("exclude-patterns-encoded", "1")],
        [("exclude-patterns", "*"), ("exclude-patterns", "!good/file")],
        [("followpaths", "good/file")],
        [("include-patterns", "good/f*")],
    ],
)
def test_names_that_are_no_utf8_and_not_asked_for(ends: Ends, tmp_path: Path, headers: list[tuple[str, str]]) -> None:
    """Ignored, or outside of what is asked for, such a name is no error."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "file").touch()
    (tmp_path / "good" / "bad\udcff").touch()
    (tmp_path / "bad\udcff").touch()
    if headers[0] == ("exclude-patterns", "bad*"):
        (tmp_path / "good" / "bad\udcff").unlink()
    found = receive(ends, tmp_path, *headers)
    assert list(found.stats) == ["good", "good/file"]
    assert not found.failures


@pytest.mark.parametrize("size", [1, 40_000, 300_000])
def test_file_that_grows(ends: Ends, tmp_path: Path, size: int) -> None:
    """Not more is sent than BuildKit was told of; and what follows is whole."""
    (tmp_path / "a").write_bytes(b"x" * size)
    (tmp_path / "b").write_text("next")

    def grow() -> None:
        with (tmp_path / "a").open("ab") as file:
            file.write(b"y" * 500_000)

    found = receive(ends, tmp_path, meanwhile=grow)
    assert found.contents == {"a": b"x" * size, "b": b"next"}
    assert found.status == "0"


@pytest.mark.parametrize("left", [0, 1, 100_000])
def test_file_that_shrinks(ends: Ends, tmp_path: Path, left: int) -> None:
    """What is there is sent; BuildKit keeps what it gets, and asks again next time, as the size differs."""
    (tmp_path / "a").write_bytes(b"x" * 300_000)
    (tmp_path / "b").write_text("next")
    found = receive(ends, tmp_path, meanwhile=lambda: os.truncate(tmp_path / "a", left))
    assert found.contents == {"a": b"x" * left, "b": b"next"}


@pytest.mark.parametrize("instead", ["nothing", "pipe", "link", "folder"])
def test_file_that_vanishes(ends: Ends, tmp_path: Path, instead: str) -> None:
    """What was told of and is not there any more is an error that names it: no image is made with an empty one."""
    (tmp_path / "a\n").write_text("a")
    (tmp_path / "b").write_text("b")

    def vanish() -> None:
        (tmp_path / "a\n").unlink()
        match instead:
            case "pipe":
                os.mkfifo(tmp_path / "a\n")
            case "link":
                (tmp_path / "a\n").symlink_to("b")
            case "folder":
                (tmp_path / "a\n").mkdir()

    found = receive(ends, tmp_path, meanwhile=vanish)
    (failure,) = found.failures
    assert failure.message == found.error == r"a\n vanished while the context was sent"
    assert ".dockerignore" in failure.hint


def test_file_that_cannot_be_read(ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails in the middle of a file is an error that names the file."""
    (tmp_path / "a").write_bytes(b"x" * 100_000)

    class Broken:
        reads = 0

        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

        def read(self, size: int) -> bytes:
            self.reads += 1
            if self.reads > 1:
                raise OSError(5, "Input/output error")
            return b"x" * size

    monkeypatch.setattr(filesync, "open_file", lambda _: Broken())
    found = receive(ends, tmp_path)
    assert found.error == found.failures[0].message == "a cannot be read: Input/output error"


def test_links_that_vanish_are_left_out(ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was told of it yet; and those behind it keep their numbers in order."""
    for name in ("a", "c"):
        (tmp_path / name).write_text(name)
    (tmp_path / "b").symlink_to("a")
    whole = selection.entries

    def meanwhile(*arguments: Any, **more: Any) -> Iterator[Entry]:
        for entry in whole(*arguments, **more):
            if entry.path == "b":
                (tmp_path / "b").unlink()
            yield entry

    monkeypatch.setattr(filesync, "entries", meanwhile)
    assert receive(ends, tmp_path).contents == {"a": b"a", "c": b"c"}


def test_locked_folder(ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of the walk reaches BuildKit and us, whatever is in the name."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "shut\n").mkdir()
    scandir = os.scandir

    def locked(folder: str) -> Any:
        if folder.endswith("shut\n"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    found = receive(ends, tmp_path)
    assert found.error == found.failures[0].message
    assert found.error == r"the folder shut\n of the context cannot be read: Permission denied"


def test_large_sparse_file(ends: Ends, tmp_path: Path) -> None:
    """A large file passes through in pieces; its holes arrive as zeros."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(48 << 20)
    tracemalloc.start()
    try:
        receive(ends, tmp_path, keep=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_receiver_that_gives_up(ends: Ends, tmp_path: Path) -> None:
    """An error of BuildKit's own ends the call, and is none of ours."""
    (tmp_path / "a").write_text("a")
    failures: list[TinyshipError] = []
    handler = filesync.sender({"context": tmp_path}, failed=failures.append)
    Channel(Pipe(ends[0]), {session.FILES: handler})
    peer = Peer(ends[1])
    error = Packet(type=Packet.PACKET_ERR, data=b"no space left").SerializeToString()
    _, trailers = peer.call(session.FILES, error, ("dir-name", "context"))
    assert (trailers["grpc-status"], failures) == ("0", [])
