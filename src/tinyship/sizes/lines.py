"""Which line of a Dockerfile made which layer: by the text of its instruction, which the image's history repeats.

Sources: the Dockerfile reference (exec form, here-documents); what BuildKit and the classic builder write to histories.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tinyship.dockerfiles import dockerfile
from tinyship.sizes.advice import Advice
from tinyship.sizes.image import Image

_FLAGS = re.compile(r"(?:--[a-z]+(?:=\S*)?\s+)*")
_HEREDOC = re.compile(r"\d*<<-?(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_CLASSIC = re.compile(r"(COPY|ADD) (?:file|dir|multi):\S+ in (\S+)")
_MAKE_LAYERS = {"RUN", "COPY", "ADD"}


def layers(text: str, image: Image, *, base: int = 0) -> Mapping[int, tuple[int, ...]]:
    """The numbers of the layers, from 0, that each instruction of a Dockerfile may have made, by its first line.

    Two instructions of the same text cannot be told apart, nor those whose text the history does not repeat.

    Args:
        text: of the Dockerfile.
        image: that it made.
        base: how many layers, from the first, belong to the base image.
    """
    made: dict[str, list[int]] = defaultdict(list)
    for number, layer in enumerate(image.layers):
        if number >= base and layer.instruction:
            made[_plain(layer.instruction)].append(number)
    found = {}
    for line, wanted in _instructions(text):
        numbers = made.get(wanted) or [number for said, some in made.items() if _is(said, wanted) for number in some]
        if numbers:
            found[line] = tuple(numbers)
    return found


def placed(advices: Iterable[Advice], lines: Mapping[int, tuple[int, ...]]) -> tuple[Advice, ...]:
    """Advice with the line of the Dockerfile that it is about, where that is known; the last of lines that are alike.

    Args:
        lines: as ``layers`` gives them.
    """
    line_of = {number: line for line, numbers in sorted(lines.items()) for number in numbers}
    return tuple(replace(one, line=line_of.get(one.layer, one.line)) for one in advices)


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    for line, keyword, rest in dockerfile.instructions(text):
        if keyword in _MAKE_LAYERS:
            words = _FLAGS.sub("", rest, count=1)
            if keyword == "RUN":
                yield line, _squeezed(_heredoc(text, line, words) or _exec_form(words) or words)
            else:
                yield line, f"{keyword} {_squeezed(_exec_form(words) or words)}"


def _heredoc(text: str, line: int, words: str) -> str:
    """A RUN with the here-documents below it, or the one that it consists of alone: so it stands in the history."""
    waiting = [match[2] for match in _HEREDOC.finditer(words)]
    if not waiting:
        return ""
    alone = len(waiting) == 1 and _HEREDOC.fullmatch(words.strip())
    body = [] if alone else [words]
    for one in text.split("\n")[line:]:
        if not waiting:
            break
        ends = one.strip() == waiting[0]
        if ends:
            waiting.pop(0)
        if not (ends and alone):
            body.append(one)
    return "" if waiting else "\n".join(body)


def _exec_form(words: str) -> str:
    if not words.startswith("["):
        return ""
    try:
        found = json.loads(words)
    except ValueError:
        return ""
    return " ".join(found) if all(isinstance(word, str) for word in found) else ""


def _plain(instruction: str) -> str:
    """An instruction of the history; RUN goes without its keyword, which an exec form of the classic builder lacks."""
    keyword, _, rest = instruction.partition(" ")
    if keyword == "RUN":
        return _squeezed(_exec_form(rest) or rest)
    return (
        f"{keyword} {_squeezed(_FLAGS.sub('', rest, count=1))}" if keyword in _MAKE_LAYERS else _squeezed(instruction)
    )


def _is(said: str, wanted: str) -> bool:
    """Whether a step of the history is this instruction, told in another way.

    A command may stand behind a SHELL of its own or build arguments; of a COPY the classic builder says no more than
    where to.
    """
    if match := _CLASSIC.fullmatch(said):
        return wanted.startswith(f"{match[1]} ") and wanted.rpartition(" ")[2] == match[2]
    return said.endswith(f" -c {wanted}") or (said.startswith("|") and said.endswith(f" {wanted}"))


def _squeezed(text: str) -> str:
    return " ".join(text.split())
