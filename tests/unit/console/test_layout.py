"""What a live display shows in a window of some size."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tinyship.console.layout import Running, Work, lines, step_line
from tinyship.events import Step, Transfer


def work(steps: int = 3, ended: int = 3) -> Work:
    """An image with so many steps that run, each with ten lines, and so many that ended."""
    made = Work("build", "foo:build", "building from Dockerfile", 0.0)
    for number in range(ended):
        made.steps[f"e{number}"] = Running(Step(f"e{number}", 1, 9, f"COPY {number} /", "done", 0.5), 0.0)
    for number in range(steps):
        running = Running(Step(f"r{number}", 2, 9, f"RUN make {number}", "running"), 1.0)
        running.tail.extend(f"日本 line {line} of {number}" for line in range(10))
        running.transfers["x"] = Transfer("x", "pulling", 10_000_000, 40_000_000, step=f"r{number}")
        made.steps[f"r{number}"] = running
    made.transfers["y"] = Transfer("y", "sending", 5_000_000)
    return made


@pytest.mark.parametrize("width", [1, 2, 5, 10, 30, 80, 300])
@pytest.mark.parametrize("height", [0, 1, 2, 5, 9, 20, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_fits(width: int, height: int, ascii_only: bool) -> None:
    """Whatever the size of a window, no line is too wide for it, and there are not too many; also of many images."""
    for works in ([], [work()], [work(steps=20, ended=50)], [work(), work(0, 0), work(9, 2)]):
        shown = lines(works, width, height, 12.3, ascii_only=ascii_only)
        assert len(shown) <= height
        assert all(cell_len(line.plain) <= width for line in shown)
        assert not any("\n" in line.plain for line in shown)


def test_everything_where_there_is_room() -> None:
    """In a large window all is seen: the image, every step, six lines of each that runs, and what moves."""
    shown = [line.plain for line in lines([work()], 300, 100, 12.3)]
    assert len(shown) == 1 + 3 + 3 * (1 + 1 + 6) + 1
    assert shown[0].endswith(" 12.3s")
    assert shown[1].startswith("    [1/9] COPY 0 /  ")
    assert shown[1].endswith(" 0.5s")
    assert shown[4].endswith(" 11.3s")
    assert shown[5].endswith("  10 MB of 40 MB")
    assert shown[6] == "      日本 line 4 of 0"


def test_a_line_for_each_of_many() -> None:
    """Of more than two images each has one line, with the step that it is at, or else what is done."""
    works = [work(), work(0, 0), work(1, 5)]
    shown = [line.plain for line in lines(works, 80, 100, 12.3)]
    assert [line.split("  ")[0][2:] for line in shown] == [
        "build foo:build [2/9] RUN make 2",
        "build foo:build building from Dockerfile",
        "build foo:build [2/9] RUN make 0",
    ]
    assert all(line.endswith(" 12.3s") for line in shown)
    assert len(lines(works, 80, 2, 12.3)) == 2


def test_what_matters_stays() -> None:
    """With little room, what runs is seen before what is done."""
    names = [line.plain.strip().partition("  ")[0] for line in lines([work(steps=2, ended=9)], 80, 3, 12.3)]
    assert names[1:] == ["[2/9] RUN make 0", "[2/9] RUN make 1"]


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (Step("1", 1, 2, "FROM\n  x", "cached"), "    CACHED [1/2] FROM x"),
        (Step("1", 1, 2, "RUN \x1b[1mx", "canceled", 1.0, part="a"), "    CANCELED [a 1/2] RUN x  1.0s"),
        (Step("1", 0, 0, "[internal] load build context", "done", 2.0, internal=True), "    load build context  2.0s"),
    ],
)
def test_step_line(step: Step, shown: str) -> None:
    """A step says where it stands, what it is, and how it ended."""
    assert step_line(Running(step, 0.0), 5.0).plain == shown
