"""Excerpts: the lines of a Dockerfile that a step or an error is about."""

from __future__ import annotations

import pytest

from tinyship.engine import excerpt
from tinyship.errors import Excerpt

TEXT = """# syntax is not asked for
ARG BASE=scratch
FROM ${BASE} AS one
RUN echo a \\
    # a comment in between
    && echo b

# about two
FROM one AS two
ENV X=1
WORKDIR /src
COPY a b /
RUN echo a     && echo b
RUN echo $X
FROM busybox
COPY --from=two /src /src
RUN <<END
echo one
echo two
END
ADD c /
"""


def marked(found: Excerpt | None) -> list[str]:
    """The lines that an excerpt marks."""
    return [line for number, line in enumerate(found.lines, found.first) if number in found.marked] if found else []


@pytest.mark.parametrize(
    ("part", "number", "instruction", "lines"),
    [
        ("stage-2", 1, "FROM docker.io/library/busybox:latest", ["FROM busybox"]),
        ("two", 1, "WORKDIR /src", ["WORKDIR /src"]),
        ("two", 2, "COPY a b /", ["COPY a b /"]),
        ("two", 4, "RUN echo 1", ["RUN echo $X"]),
        ("TWO", 4, "RUN echo 1", ["RUN echo $X"]),
        ("two", 3, "RUN echo a   && echo b", ["RUN echo a     && echo b"]),
        ("stage-2", 3, "RUN (...)", ["RUN <<END", "echo one", "echo two", "END"]),
        ("stage-2", 4, "ADD c /", ["ADD c /"]),
        ("two", 2, "ADD elsewhere /", []),
        ("nowhere", 7, "RUN nothing like it", []),
        ("stage-9", 1, "RUN nothing like it", []),
    ],
)
def test_step(part: str, number: int, instruction: str, lines: list[str]) -> None:
    """A step is found by its text, or by its place where variables are filled in; else not at all."""
    assert marked(excerpt.of_step("Dockerfile", TEXT, part, number, instruction)) == lines


def test_step_of_the_only_stage() -> None:
    """Without a name of its stage, a step is of the last one; scratch is not counted as a step."""
    text = "FROM scratch\nCOPY a /\nCOPY $B /\n"
    assert marked(excerpt.of_step("Dockerfile", text, "", 2, "COPY c /")) == ["COPY $B /"]


def test_continued_lines() -> None:
    """An instruction goes to its last line; what stands empty behind it is not its."""
    found = excerpt.of_line("Dockerfile", TEXT, 4)
    assert found == Excerpt(
        "Dockerfile",
        2,
        ("ARG BASE=scratch", "FROM ${BASE} AS one", *TEXT.split("\n")[3:6], "", "# about two"),
        (4, 5, 6),
    )


@pytest.mark.parametrize(("number", "lines"), [(1, ["ARG BASE=scratch"]), (4, ["FROM one AS two"]), (99, []), (2, [])])
def test_number(number: int, lines: list[str]) -> None:
    """The classic builder counts every instruction; another instruction at that place is none."""
    instruction = "ARG BASE=scratch" if number == 1 else "FROM one AS two" if number == 4 else "RUN other"
    assert marked(excerpt.of_number("Dockerfile", TEXT, number, instruction)) == lines


def test_word() -> None:
    """An instruction is found by a word in it, whatever stands around that."""
    assert marked(excerpt.of_word("Dockerfile", TEXT, "two")) == ["FROM one AS two"]
    assert excerpt.of_word("Dockerfile", TEXT, "tw") is None


def test_long_ranges_are_cut() -> None:
    """Hundreds of lines of one instruction are shown in part; lines that are not there are no excerpt."""
    text = "FROM x\nRUN <<E\n" + "echo\n" * 500 + "E\n"
    found = excerpt.of_line("Dockerfile", text, 300)
    assert found
    assert len(found.lines) == 30
    assert found.marked == tuple(range(2, 31))
    assert excerpt.of_lines("Dockerfile", text, [(0, 0), (9000, 9001)]) is None
    assert excerpt.of_lines("Dockerfile", "", [(1, 1)]) is None
