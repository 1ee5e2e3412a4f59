"""The tar of a context: what goes in comes out, in order, with one owner, whatever happens to the files meanwhile."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from tinyship.context import tar
from tinyship.context.walk import walk


def read(pieces: Iterable[bytes]) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """All members of a tar with their content."""
    data = b"".join(pieces)
    assert len(data) % 512 == 0
    assert data.endswith(bytes(1024))
    found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(data), errorlevel=2) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isreg() else None
            assert member.name not in found
            found[member.name] = (member, content.read() if content else b"")
    return found


def test_comes_out_as_it_was(tmp_path: Path) -> None:
    """Content, modes, times to the second, links and pipes; owner 0, no names of owners."""
    (tmp_path / "folder").mkdir(mode=0o750)
    (tmp_path / "folder" / "run").write_bytes(b"#!")
    (tmp_path / "folder" / "run").chmod(0o4755)
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "link").symlink_to("folder/run")
    os.mkfifo(tmp_path / "pipe", 0o640)
    os.utime(tmp_path / "empty", (1.5, 1_493_640_000.75))
    found = read(tar.stream(walk(tmp_path)))
    assert list(found) == ["empty", "folder", "folder/run", "link", "pipe"]
    assert {(info.uid, info.gid, info.uname, info.gname) for info, _ in found.values()} == {(0, 0, "", "")}
    assert found["folder/run"][1] == b"#!"
    assert {name: found[name][0].mode for name in ("folder", "folder/run", "empty")} == {
        "folder": 0o750,
        "folder/run": 0o4755,
        "empty": 0o600,
    }
    assert found["empty"][0].mtime == 1_493_640_000
    assert found["folder"][0].isdir()
    assert found["link"][0].issym()
    assert found["link"][0].linkname == "folder/run"
    assert found["pipe"][0].isfifo()


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the moment or the machine goes in."""
    for name in ("b", "a", "c"):
        (tmp_path / name).write_text(name)
    assert b"".join(tar.stream(walk(tmp_path))) == b"".join(tar.stream(walk(tmp_path)))


@pytest.mark.parametrize("length", [99, 100, 101, 155, 255])
def test_long_names(length: int, tmp_path: Path) -> None:
    """Names and link targets of any length survive, bytes that are not UTF-8 too."""
    name = os.fsdecode(b"\xff" + b"n" * (length - 1))
    below = tmp_path / ("d" * 200)
    below.mkdir()
    (below / name).write_text("content")
    (tmp_path / "link").symlink_to(f"{'d' * 200}/{name}")
    found = read(tar.stream(walk(tmp_path)))
    assert found[f"{'d' * 200}/{name}"][1] == b"content"
    assert found["link"][0].linkname == f"{'d' * 200}/{name}"


def test_nothing_is_a_tar_too() -> None:
    """No entries make an empty tar."""
    assert read(tar.stream([])) == {}


def test_prefix_and_owner(tmp_path: Path) -> None:
    """Everything goes below the prefix, which becomes the owner's; what is above it is no entry."""
    (tmp_path / "file").write_text("text")
    found = read(tar.stream(walk(tmp_path), prefix="/go/src/", owner=(1000, 100), extra={"more": b"of it"}))
    assert list(found) == ["go/src", "go/src/file", "go/src/more"]
    assert [info.isdir() for info, _ in found.values()] == [True, False, False]
    assert {(info.uid, info.gid) for info, _ in found.values()} == {(1000, 100)}
    assert (found["go/src/more"][1], found["go/src/more"][0].mode) == (b"of it", 0o644)
    assert found["go/src"][0].mode == 0o755
    assert list(read(tar.stream(walk(tmp_path), prefix="/go/src/"))) == ["go/src/file"], "root's folders stay"


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1 << 17, (1 << 17) + 1])
def test_sizes_at_the_edges(size: int, tmp_path: Path) -> None:
    """A file that ends in or beside a block or a piece is followed by the next one."""
    (tmp_path / "a").write_bytes(b"x" * size)
    (tmp_path / "b").write_text("next")
    found = read(tar.stream(walk(tmp_path)))
    assert found["a"][1] == b"x" * size
    assert found["b"][1] == b"next"


@pytest.mark.parametrize("size", [100, 600_000])
@pytest.mark.parametrize("now", [0, 50, 700_000])
def test_file_that_changes_its_size(size: int, now: int, tmp_path: Path) -> None:
    """It is cut or filled up to the size that it had, and what follows is whole."""
    (tmp_path / "a").write_bytes(b"x" * size)
    (tmp_path / "b").write_text("next")
    entries = list(walk(tmp_path))
    (tmp_path / "a").write_bytes(b"y" * now)
    found = read(tar.stream(entries))
    assert found["a"][1] == (b"y" * now)[:size].ljust(size, b"\0")
    assert found["b"][1] == b"next"


def test_file_that_vanishes(tmp_path: Path) -> None:
    """Files and links that are gone are left out."""
    (tmp_path / "a").write_text("gone")
    (tmp_path / "b").symlink_to("gone")
    (tmp_path / "c").write_text("there")
    entries = list(walk(tmp_path))
    (tmp_path / "a").unlink()
    (tmp_path / "b").unlink()
    assert list(read(tar.stream(entries))) == ["c"]


@pytest.mark.parametrize("instead", ["pipe", "link"])
def test_file_that_turns_into_something_else(instead: str, tmp_path: Path) -> None:
    """It is left out, as what vanished is: nobody waits for the pipe, nobody follows the link."""
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").write_text("there")
    entries = list(walk(tmp_path))
    (tmp_path / "a").unlink()
    if instead == "pipe":
        os.mkfifo(tmp_path / "a")
    else:
        (tmp_path / "a").symlink_to("b")
    assert list(read(tar.stream(entries))) == ["b"]


def test_large_file_passes_through(tmp_path: Path) -> None:
    """Sixty-four megabytes come in pieces, and never lie in memory together."""
    size = 64 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    told: list[int] = []
    lengths = []
    tracemalloc.start()
    try:
        for piece in tar.stream(walk(tmp_path), on_bytes=told.append):
            lengths.append(len(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == size + 512 + 1024
    assert told == lengths
    assert max(lengths) <= 1 << 18
    assert peak < 2 << 20


def test_many_small_files_come_in_few_pieces(tmp_path: Path) -> None:
    """Small files are put together, so that not each is a write of its own."""
    for number in range(300):
        (tmp_path / f"{number}").write_bytes(b"x" * 600)
    pieces = list(tar.stream(walk(tmp_path)))
    assert len(pieces) < 10
    assert len(read(pieces)) == 300
