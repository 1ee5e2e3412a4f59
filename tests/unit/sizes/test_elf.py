"""What ``strip`` would take from a program, held against what the real one takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import cut, damaged, program

from tinyship.sizes import elf

needs_compiler = pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("strip")), reason="no gcc and strip")
SOURCE = "int table[5000] = {1}; int main(int count, char **words) { return table[count]; }\n"


def compiled(folder: Path, *flags: str) -> bytes:
    """A program made of some C."""
    (folder / "main.c").write_text(SOURCE)
    done = subprocess.run(["gcc", *flags, "-o", "main", "main.c"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this compiler cannot: {done.stderr[:200]}")
    return (folder / "main").read_bytes()


def told(data: bytes) -> int:
    """What we say, of a program as a whole."""
    return elf.strippable(data, data, len(data))


@needs_compiler
@pytest.mark.parametrize(
    "flags", [[], ["-g"], ["-g3", "-O2"], ["-static"], ["-static", "-g"], ["-g", "-gz"], ["-shared", "-fPIC"]]
)
def test_as_strip_does(tmp_path: Path, flags: list[str]) -> None:
    """Within a few kilobytes, which are headers and padding."""
    data = compiled(tmp_path, *flags)
    subprocess.run(["strip", "main"], cwd=tmp_path, check=True)
    stripped = (tmp_path / "main").read_bytes()
    really = len(data) - len(stripped)
    assert told(data) == pytest.approx(really, abs=max(4096, really // 20))
    assert told(stripped) == 0


@needs_compiler
def test_objects_are_left_alone(tmp_path: Path) -> None:
    """An object file's symbols are what it is linked by."""
    assert told(compiled(tmp_path, "-g", "-c")) == 0


@needs_compiler
@pytest.mark.parametrize("length", [1000, 65536, 131072, 1 << 20])
def test_edges(tmp_path: Path, length: int) -> None:
    """A large file that passes in pieces is told of as one that is there."""
    data = compiled(tmp_path, "-static", "-g")
    assert len(data) > 300_000
    edges = elf.Edges(len(data))
    for piece in cut(data, length):
        edges.add(piece)
    assert edges.strippable() == told(data) > 0


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_machine(wide: bool, order: str) -> None:
    """32 and 64 bits, and both orders of bytes."""
    assert told(program(wide=wide, order=order)) == 150


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF",
        b"\x7fELF\x02\x01",
        b"\x7fELF\x09\x09" + bytes(100),
        program(wide=True, order="<", where=1 << 62),
        program(wide=True, order="<", count=60000),
        program(wide=True, order="<", where=0),
        program(wide=True, order="<", kind=1),
        program(wide=True, order="<")[:100],
    ],
)
def test_what_makes_no_sense(data: bytes) -> None:
    """It has nothing to strip, and breaks nothing."""
    assert told(data) == 0


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_random_damage(changes: list[tuple[int, int]], wide: bool) -> None:
    """Whatever stands there, the answer is a number of bytes that the file can have."""
    data = program(wide=wide, order="<")
    for at, byte in changes:
        data = damaged(data, at, byte)
    assert 0 <= told(data) <= len(data)
