"""The images that a Dockerfile names, the places where it does, and its text with their digests in these places.

Source: the Dockerfile reference (FROM, ``COPY --from``, ``RUN --mount=from``); the builders fill in arguments in FROM
only, know stages by name whatever its case, and take stages that come later for images in FROM but not in the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from tinyship.dockerfiles.dockerfile import FROM, Joined, arg_words, declare, filled_in, joined, parse

SCRATCH = "scratch"
_FLAG = re.compile(r"--(\w[\w-]*)(?:=(\S*))?(?:\s+|$)")
_MOUNT_FROM = re.compile(r"(?:^|,)\"?from=([^,\"]+)", re.I)


class Place(Struct, frozen=True):
    """Where a Dockerfile names an image.

    Args:
        name: of the image, with arguments filled in; a ``$`` is left where one has no value.
        line: of the instruction, from 1.
        keyword: of the instruction: FROM, COPY or RUN.
        parts: where the word stands, all of it or its parts on several lines: the index of a line, and the columns.
    """

    name: str
    line: int
    keyword: str
    parts: tuple[tuple[int, int, int], ...]

    @property
    def is_known(self) -> bool:
        """Whether its name is one."""
        return "$" not in self.name


def places(text: str, given: Mapping[str, str] | None = None) -> tuple[Place, ...]:
    """All places of a Dockerfile that name an image which is no stage of it, and not ``scratch``.

    Args:
        given: build arguments; see ``dockerfile.parse``.
    """
    every = {stage.name.lower() for stage in parse(text).stages if stage.name}
    return tuple(_places(text, given or {}, every))


def pinned(text: str, digests: Mapping[str, str], given: Mapping[str, str] | None = None) -> str:
    """A Dockerfile whose images are named with their digests, line for line the same otherwise.

    Args:
        digests: by the names of images, as ``places`` has them; what has none stays as it is.
        given: build arguments; see ``dockerfile.parse``.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(mark).split("\n")
    # The last part gets the word: a line that goes on must not become an empty one, which ends nothing.
    changes = [
        (part, f"{place.name}@{digests[place.name]}" if part == place.parts[-1] else "")
        for place in places(text, given)
        if place.name in digests
        for part in place.parts
    ]
    for (line, start, end), word in sorted(changes, reverse=True):
        lines[line] = f"{lines[line][:start]}{word}{lines[line][end:]}"
    return mark + "\n".join(lines)


def final_base(text: str, target: str = "", given: Mapping[str, str] | None = None) -> str:
    """The image that the last stage, or the one that is the target, stands on in the end.

    Args:
        target: a stage's name or number; the last one where empty.
        given: build arguments; see ``dockerfile.parse``.

    Returns:
        its name; empty where that is not known, ``scratch`` where it stands on nothing.
    """
    stages = parse(text, given).stages
    by_name = {stage.name.lower(): number for number, stage in enumerate(stages) if stage.name}
    number = by_name.get(target.lower(), int(target) if target.isdecimal() else -1) if target else len(stages) - 1
    if not 0 <= number < len(stages):
        return ""
    while True:
        base = _unquoted(stages[number].base)
        below = next((at for at in range(number) if stages[at].name and stages[at].name.lower() == base.lower()), None)
        if below is None:
            return "" if "$" in base else base
        number = below


def _places(text: str, given: Mapping[str, str], stages: set[str]) -> Iterator[Place]:
    known: dict[str, str] = {}
    begun: set[str] = set()
    is_global = True
    for one in joined(text):
        if one.keyword == "ARG" and is_global:
            for word in arg_words(one.text[one.rest :]):
                name, equals, value = word.partition("=")
                declare(name, value if equals else None, known, given)
        elif one.keyword == "FROM" and (match := FROM.match(one.text, one.rest)):
            is_global = False
            name = _unquoted(filled_in(match[1], known))
            if name.lower() not in begun and name != SCRATCH:
                yield Place(name, one.number, "FROM", _parts(one, *match.span(1)))
            begun.add((match[2] or "").lower())
        elif one.keyword in {"COPY", "RUN"}:
            for start, end in _spans(one):
                name = one.text[start:end]
                if name.lower() not in stages and not name.isdecimal() and name != SCRATCH:
                    yield Place(name, one.number, one.keyword, _parts(one, start, end))


def _spans(one: Joined) -> Iterator[tuple[int, int]]:
    """Where the flags of an instruction name an image or a stage."""
    at = one.rest
    while match := _FLAG.match(one.text, at):
        at = match.end()
        flag, value = match[1].lower(), match[2] or ""
        start = match.start(2)
        if one.keyword == "COPY" and flag == "from" and value:
            quoted = len(value) > 2 and value[0] in "\"'" and value[-1] == value[0]
            yield (start + quoted, match.end(2) - quoted)
        elif one.keyword == "RUN" and flag == "mount" and (source := _MOUNT_FROM.search(value)):
            yield (start + source.start(1), start + source.end(1))


def _parts(one: Joined, start: int, end: int) -> tuple[tuple[int, int, int], ...]:
    """Where a span of a joined instruction stands in its lines."""
    found = []
    ends = [*(begin for begin, _ in one.pieces[1:]), len(one.text)]
    for (begin, line), stop in zip(one.pieces, ends, strict=True):
        if start < stop and begin < end:
            found.append((line, max(start, begin) - begin, min(end, stop) - begin))
    return tuple(found)


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0] else word
