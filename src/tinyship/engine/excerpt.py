"""Finds the lines of a Dockerfile that a failed step, or an error of its parser, is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinyship.dockerfiles import dockerfile
from tinyship.errors import Excerpt

_AROUND = 2
_MOST = 30
_STAGE_NUMBER = re.compile(r"stage-(\d+)")
_MAKE_LAYERS = {"RUN", "COPY", "ADD", "WORKDIR"}


@dataclass(frozen=True, slots=True)
class _Instruction:
    """An instruction and its lines, from 1, both ends among them."""

    keyword: str
    rest: str
    first: int
    last: int


def of_lines(file: str, text: str, ranges: Iterable[tuple[int, int]]) -> Excerpt | None:
    """These lines, with a few around them; None where the file does not have them.

    Args:
        file: its name, as it is shown.
        text: of the whole file.
        ranges: first and last line of each part, from 1.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    marked = sorted({number for first, last in ranges for number in range(first, last + 1) if 0 < number <= len(lines)})
    if not marked:
        return None
    first = max(1, marked[0] - _AROUND)
    last = min(len(lines), marked[-1] + _AROUND, first + _MOST - 1)
    return Excerpt(
        file,
        first,
        tuple(line.rstrip("\r").expandtabs(4) for line in lines[first - 1 : last]),
        tuple(number for number in marked if number <= last),
    )


def of_line(file: str, text: str, line: int) -> Excerpt | None:
    """The whole instruction that a line is in, or the line where it is in none."""
    for one in _instructions(text):
        if one.first <= line <= one.last:
            return of_lines(file, text, [(one.first, one.last)])
    return of_lines(file, text, [(line, line)])


def of_number(file: str, text: str, number: int, instruction: str) -> Excerpt | None:
    """The instruction with this number, from 1, as the classic builder counts; None where another one is there."""
    every = _instructions(text)
    if 0 < number <= len(every) and every[number - 1].keyword == _keyword(instruction):
        return of_lines(file, text, [(every[number - 1].first, every[number - 1].last)])
    return None


def of_step(file: str, text: str, part: str, number: int, instruction: str) -> Excerpt | None:
    """The instruction that a step of BuildKit is; None where that is not certain.

    Args:
        file: its name, as it is shown.
        text: of the whole file.
        part: the step's stage: its name, ``stage-N``, or empty where there is one.
        number: of the step in its stage, from 1.
        instruction: what it runs, with variables filled in.
    """
    every = _instructions(text)
    same = [one for one in every if f"{one.keyword} {_joined(one.rest)}" == _joined(instruction)]
    if len(same) == 1:
        return of_lines(file, text, [(same[0].first, same[0].last)])
    steps = _steps(every, part)
    if 0 < number <= len(steps) and steps[number - 1].keyword == _keyword(instruction):
        return of_lines(file, text, [(steps[number - 1].first, steps[number - 1].last)])
    return None


def of_word(file: str, text: str, word: str) -> Excerpt | None:
    """The first instruction that has a word in it, as ``COPY --from=stage`` has; None where none has."""
    for one in _instructions(text):
        if word in re.split(r"[\s=,]+", one.rest):
            return of_lines(file, text, [(one.first, one.last)])
    return None


def _steps(every: Sequence[_Instruction], part: str) -> list[_Instruction]:
    """What BuildKit counts as the steps of a stage: its base image, and all that makes layers."""
    stages: list[list[_Instruction]] = []
    names: list[str] = []
    chosen = -1
    for one in every:
        if one.keyword == "FROM":
            words = [word for word in one.rest.split() if not word.startswith("--")]
            base = words[0] if words else ""
            counts = base != "scratch" and base.lower() not in names
            stages.append([one] if counts else [])
            names.append(words[2].lower() if len(words) > 2 else "")
            if part and names[-1] == part.lower():
                chosen = len(stages) - 1
        elif stages and one.keyword in _MAKE_LAYERS:
            stages[-1].append(one)
    if match := _STAGE_NUMBER.fullmatch(part):
        chosen = int(match[1])
    return stages[chosen] if -len(stages) <= chosen < len(stages) else []


def _instructions(text: str) -> list[_Instruction]:
    """All of them; each goes on to the last line before the next one that is neither empty nor a comment."""
    lines = text.removeprefix("\ufeff").split("\n")
    begun = list(dockerfile.instructions(text))
    found = []
    for (first, keyword, rest), following in zip(
        begun, [*(entry[0] for entry in begun[1:]), len(lines) + 1], strict=True
    ):
        last = following - 1
        while last > first and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
            last -= 1
        found.append(_Instruction(keyword, rest, first, last))
    return found


def _keyword(instruction: str) -> str:
    return instruction.upper().partition(" ")[0]


def _joined(text: str) -> str:
    return " ".join(text.split())
