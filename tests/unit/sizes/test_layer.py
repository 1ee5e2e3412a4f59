"""What a layer holds: paths, whiteouts, fingerprints, what package managers wrote, and what no layer may have."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import Entry, cut, file, folder, gone, hardlink, layer, opaque, program, sha256, symlink

from tinyship.sizes.layer import Contents, normal, read
from tinyship.sizes.tar import Damaged, Truncated


def contents(*entries: Entry) -> Contents:
    """What a layer of these entries holds."""
    return read([layer(*entries)])


def test_columns() -> None:
    """One of each kind, with all that is known of it."""
    found = contents(folder("./d/"), file("d/a", b"abc"), symlink("l", "grüße"), hardlink("./h", "./d/a"), file("e"))
    assert found.paths == ["d", "d/a", "l", "h", "e"]
    assert list(found.sizes) == [0, 3, 7, 0, 0]
    assert found.links == {2: "grüße", 3: "d/a"}
    assert [bool(one) for one in found.prints] == [False, True, False, False, False]


@pytest.mark.parametrize("length", [1, 500, 4096, 1 << 17, 1 << 20])
def test_digest(length: int) -> None:
    """The digest is of all bytes, those behind the end of the archive included, in pieces of any length."""
    made = layer(file("a", 300_000), file("b", 5)) + b"behind the end"
    found = read(cut(made, length))
    assert found.diff_id == sha256(made)
    assert found.length == len(made)


@pytest.mark.parametrize("size", [1, 131071, 131072, 131073, 3_000_000])
def test_fingerprints(size: int) -> None:
    """Equal contents have equal ones, however the stream was cut; a byte makes another one."""
    data = bytes(size)
    whole = contents(file("a", data), file("b", data), file("c", data[:-1] + b"!"))
    assert whole.prints[0] == whole.prints[1] != whole.prints[2]
    again = read(cut(layer(file("a", data)), 777))
    assert again.prints[0] == whole.prints[0]


def test_whiteouts() -> None:
    """Their names say what they hide; a name that only looks alike hides nothing."""
    found = contents(
        gone("a"), gone("d/b"), opaque("d"), opaque(""), gone("./x/y"), file("d/.what"), file("a.wh.b"), file(".who")
    )
    assert found.whiteouts == ["a", "d/b", "x/y"]
    assert found.opaques == ["d", ""]
    assert found.paths == ["d/.what", "a.wh.b", ".who"]


@pytest.mark.parametrize("name", [".wh.", "d/.wh.", ".wh..", ".wh...", "d/.wh..."])
def test_whiteouts_of_nothing_that_can_be(name: str) -> None:
    """The folder itself, and the one above, cannot be hidden so."""
    with pytest.raises(Damaged, match="hides nothing that can be"):
        contents(file(name))


@pytest.mark.parametrize("path", ["../a", "a/../../b", "..", "./../a", "/../../etc/passwd"])
def test_paths_that_lead_out(path: str) -> None:
    """Whatever leads out of the image is refused, for files and for the targets of hard links."""
    with pytest.raises(Damaged, match="leads out of the image"):
        contents(file(path))
    with pytest.raises(Damaged, match="leads out of the image"):
        contents(hardlink("a", path))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a", "a"),
        ("//a//b/", "a/b"),
        ("./a/./b", "a/b"),
        ("a/../b", "b"),
        ("", ""),
        ("/", ""),
        ("...", "..."),
        ("a\nb", "a\nb"),
    ],
)
def test_normal(path: str, found: str) -> None:
    """Absolute and roundabout names are names below the root."""
    assert normal(path) == found
    assert contents(file(path)).paths == [found]


def test_symlinks_may_lead_anywhere() -> None:
    """They are only text here."""
    assert contents(symlink("a", "../../../etc/passwd")).links == {0: "../../../etc/passwd"}


def test_long_paths() -> None:
    """As long as Linux lets them be, in bytes; not longer, for links neither."""
    assert contents(file("é" * 2048)).paths == ["é" * 2048]
    for entry in (file("é" * 2049), file("a/" * 2048 + "b"), hardlink("h", "a/" * 2100), symlink("l", "x" * 5000)):
        with pytest.raises(Damaged, match="longer than 4096"):
            contents(entry)


def test_what_package_managers_wrote() -> None:
    """Their lists are kept; files that are only named alike are not."""
    kept = {
        "var/lib/dpkg/status": b"Package: a\n",
        "var/lib/dpkg/status.d/tzdata": b"Package: tzdata\n",
        "var/lib/dpkg/info/a.list": b"/usr/a\n",
        "lib/apk/db/installed": b"P:musl\n",
        "usr/lib/python3/site-packages/a-1.dist-info/RECORD": b"a.py,,\n",
        "usr/lib/os-release": b"ID=debian\n",
        "etc/os-release": b"x" * 200_000,
    }
    others = ["var/lib/dpkg/info/a.md5sums", "home/lib/apk/db/installed", "a-info/RECORD", "opt/etc/os-release"]
    found = contents(*(file(path, text) for path, text in kept.items()), *(file(path, b"x") for path in others))
    assert found.kept == kept


def test_more_packages_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not kept is told of, once."""
    monkeypatch.setattr("tinyship.sizes.layer._MOST_KEPT", 200_000)
    names = [f"var/lib/dpkg/status.d/{number}" for number in range(4)]
    found = contents(*(file(name, size) for name, size in zip(names, (150_000, 150_000, 50_000, 10), strict=True)))
    assert list(found.kept) == [names[0], names[2]]
    assert found.notices == [f"/{names[1]} and what follows is too large to be read: packages may be missing"]


@pytest.mark.parametrize("size", [3000, 200_000])
def test_symbols_of_programs(size: int) -> None:
    """They are found in small files and in large ones, which pass in pieces."""
    data = program(wide=True, order="<")
    at = len(data)
    made = layer(file("a", b"text"), file("bin/a", data[:at] + bytes(size - at)))
    for length in (512, 1 << 20):
        assert read(cut(made, length)).strippable == {1: 150}


def test_more_entries_than_allowed() -> None:
    """An archive cannot fill the memory with names."""
    made = layer(*(file(f"{number}") for number in range(11)))
    assert len(read([made], most=11).paths) == 11
    with pytest.raises(Damaged, match="more than 10 entries"):
        read([made], most=10)


def test_bomb_of_whiteouts() -> None:
    """Whiteouts are entries too."""
    with pytest.raises(Damaged, match="more than 10 entries"):
        read([layer(*(gone(f"{number}") for number in range(11)))], most=10)
    assert read([layer(*(gone(f"{number}") for number in range(10)))], most=10).weight == 10


@pytest.mark.parametrize(
    "made", [file("a/" * 400), symlink("l", "a" * 800), hardlink("l", "a/" * 400), gone("a/" * 400 + "b")]
)
def test_bomb_of_names(made: Entry) -> None:
    """One with a long name counts as several."""
    with pytest.raises(Damaged, match="more than 10 entries"):
        read([layer(*[made] * 9)], most=10)


def test_memory_stays_small(tmp_path: Path) -> None:
    """A gigabyte of files is read in a few megabytes."""
    script = tmp_path / "script.py"
    script.write_text(
        """
import resource, tarfile
from tinyship.sizes import layer
def pieces():
    for number in range(16):
        info = tarfile.TarInfo(f"file{number}")
        info.size = 64 << 20
        yield info.tobuf()
        for _ in range(64):
            yield bytes(1 << 20)
    yield bytes(1024)
layer.read([])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = layer.read(pieces())
assert sum(found.sizes) == 1 << 30
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40_000  # kB


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes(data: bytes) -> None:
    """What is no tar is none, and nothing else happens."""
    try:
        found = read([data])
    except (Damaged, Truncated):
        return
    assert found.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_are_no_text(format: int) -> None:
    """Bytes that are no UTF-8 come back as they were."""
    name = b"caf\xe9/\xff".decode("utf-8", "surrogateescape")
    found = read([layer(file(name, 3), symlink("l", name), format=format)])
    assert found.paths[0].encode("utf-8", "surrogateescape") == b"caf\xe9/\xff"
    assert list(found.sizes) == [3, 6]
