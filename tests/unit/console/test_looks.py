"""What is seen in images, as text: nothing of it does anything to a terminal."""

from __future__ import annotations

from tinyship.console import looks
from tinyship.sizes.diff import Change, Diff, Gain, LayerChange

NASTY = "\x1b]0;title\x07\x1b[2J\n\u202e"


def test_hostile_names() -> None:
    """Names of files, folders, packages and images, versions and instructions are others' words."""
    found = Diff(
        before=NASTY,
        after=NASTY,
        unpacked=(1, 2),
        dead=(0, 0),
        pull=(None, None),
        layers=(LayerChange(f"RUN {NASTY}", 1, 2, same=False),),
        paths=(Change(NASTY, 1, 2),),
        folders=(Gain(NASTY, 1, 2),),
        packages=(Gain(NASTY, 1, 2, NASTY),),
    )
    lines = list(looks.diff(found, 0))
    assert all(line.isprintable() for line in lines)
    assert sum("title" in line for line in lines) == 5


def test_instructions_are_short_lines() -> None:
    """Whatever was on several lines is on one, and cut where it is long."""
    assert looks.instruction("RUN a \\\n\t && b") == "RUN a \\ && b"
    assert len(looks.instruction("RUN " + "x" * 500)) == 90
