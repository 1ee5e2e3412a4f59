"""Compressed layers: told by their first bytes, read to their end, and never larger in memory than a few megabytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from making import cut, damaged, file, layer

from tinyship.sizes.compression import kind, plain
from tinyship.sizes.feed import PIECE
from tinyship.sizes.tar import Damaged

SKIPPED = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
DATA = os.urandom(3000) + bytes(5000) + b"text" * 1000


def zstd(data: bytes, *, sized: bool = True) -> bytes:
    """A frame."""
    return zstandard.ZstdCompressor(write_content_size=sized, write_checksum=True).compress(data)


WAYS = {
    "plain": DATA,
    "gzip": gzip.compress(DATA),
    "gzip of several members": gzip.compress(DATA[:100]) + gzip.compress(b"") + gzip.compress(DATA[100:]),
    "gzip and padding": gzip.compress(DATA) + bytes(700),
    "gzip with a name": b"\x1f\x8b\x08\x08" + bytes(6) + b"name\0" + gzip.compress(DATA)[10:],
    "gzip that is stored": gzip.compress(DATA, 0),
    "zstd": zstd(DATA),
    "zstd without its size": zstd(DATA, sized=False),
    "zstd of several frames": zstd(DATA[:100]) + zstd(b"") + zstd(DATA[100:]),
    "zstd with notes before": SKIPPED + zstd(DATA),
    "zstd with notes everywhere": SKIPPED * 3 + zstd(DATA[:7]) + SKIPPED + zstd(DATA[7:]) + SKIPPED,
}


@pytest.mark.parametrize("length", [1, 7, 511, 4096, 1 << 20])
@pytest.mark.parametrize("way", WAYS)
def test_plain(way: str, length: int) -> None:
    """Each way to compress, in pieces of any length."""
    assert b"".join(plain(cut(WAYS[way], length))) == DATA


def test_long() -> None:
    """More than a piece at once comes whole."""
    data = random.Random(1).randbytes(3 * PIECE) + bytes(3 * PIECE)
    for made in (gzip.compress(data, 1), zstd(data), data):
        assert b"".join(plain([made])) == data


@pytest.mark.parametrize("pieces", [[], [b""], [b"", b""]])
def test_nothing(pieces: list[bytes]) -> None:
    """Nothing is nothing."""
    assert b"".join(plain(pieces)) == b""


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bz2.compress(DATA), "bzip2"),
        (lzma.compress(DATA), "xz"),
        (b"\x04\x22\x4d\x18" + bytes(600), "lz4"),
        (b"PK\x03\x04" + bytes(600), "zip"),
    ],
)
def test_unknown_ones(data: bytes, name: str) -> None:
    """What images are not compressed with is named."""
    with pytest.raises(Damaged, match=name):
        b"".join(plain(cut(data, 3)))


@pytest.mark.parametrize("name", ["BZh91", "PK\x03\x04", "(\xb5/", "\x50\x2a\x4d\x18"])
def test_names_that_look_like_compression(name: str) -> None:
    """A tar may begin with any name."""
    made = layer(file(name, 10))
    assert kind(made) == ""
    assert b"".join(plain(cut(made, 5))) == made


@pytest.mark.parametrize("way", [way for way in WAYS if way.startswith("gzip") and "padding" not in way])
def test_cut_gzip(way: str) -> None:
    """It is told of wherever it is cut, but where one member ends and another one would begin."""
    made = WAYS[way]
    ends = {len(gzip.compress(DATA[:100])), len(gzip.compress(DATA[:100])) + len(gzip.compress(b""))}
    for at in [*range(2, len(made), 37), len(made) - 1]:
        if at not in ends:
            with pytest.raises(Damaged, match="cut short"):
                b"".join(plain([made[:at]]))


@pytest.mark.parametrize("way", ["zstd", "zstd without its size", "zstd with notes before"])
def test_cut_zstd(way: str) -> None:
    """The library tells nobody, so what comes is a beginning of the data: tars say by themselves that they are cut."""
    made = WAYS[way]
    for at in [*range(4, len(made), 37), len(made) - 1]:
        with suppress(Damaged):
            assert DATA.startswith(b"".join(plain([made[:at]])))


@pytest.mark.parametrize("way", ["gzip", "zstd"])
def test_what_comes_after(way: str) -> None:
    """Bytes behind the end that are no compression are not passed over."""
    with pytest.raises(Damaged):
        b"".join(plain([WAYS[way] + b"and something else"]))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["gzip", "zstd", "zstd of several frames"]), st.integers(0, 4000), st.integers(0, 255))
def test_random_damage(way: str, at: int, byte: int) -> None:
    """A byte that changed leads to the same data, to other data, or to an error of ours, never to another one."""
    made = damaged(WAYS[way], at % len(WAYS[way]), byte)
    with suppress(Damaged):
        b"".join(plain(cut(made, 1000)))


def bomb(how: str) -> Iterator[bytes]:
    """Half a gigabyte of zeros, compressed."""
    if how == "gzip":
        part = gzip.compress(bytes(32 << 20))
    else:
        part = zstd(bytes(32 << 20))
    return (part for _ in range(16))


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_bombs(how: str) -> None:
    """However much it unpacks to, it comes a piece at a time."""
    pieces = bomb(how)
    tracemalloc.start()
    try:
        total = longest = 0
        for piece in plain(pieces):
            total += len(piece)
            longest = max(longest, len(piece))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 512 << 20
    assert longest <= PIECE
    assert peak < 100 << 20
