"""What has to be known of a Dockerfile before it is built: its build arguments, its stages, its base images.

Source: the Dockerfile reference (parser directives, line continuations, here-documents, ARG before FROM).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(.+?)\s*$")
FROM = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+as\s+(\S+))?", re.I)
_HEREDOC = re.compile(r"<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")
_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?:(?P<how>:?[-+])(?P<word>[^${}]*))?\}|(?P<bare>\w+))")
_PLATFORM_ARG = re.compile(r"(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)")
_HEREDOC_WORD = re.compile(r"\d*" + _HEREDOC.pattern)
_KEYWORD = re.compile(r"\s*(\S+)\s*")
_FLAGS = re.compile(r"(--\S+\s+)*")
_BEYOND_CLASSIC = {
    "RUN": {"mount", "network", "security", "device"},
    "COPY": {"link", "chmod", "parents", "exclude"},
    "ADD": {"link", "chmod", "exclude", "checksum", "keep-git-dir", "unpack"},
}
_TAKE_HEREDOCS = {"RUN", "COPY", "ADD"}


class Joined(Struct, frozen=True):
    """An instruction as one line, and where its parts stand.

    Args:
        number: of its first line, from 1.
        keyword: in upper case.
        text: of the whole instruction, its lines joined.
        rest: where in ``text`` what follows the keyword begins.
        pieces: for each part of ``text`` that is of one line: where it begins in ``text``, and the line's index; it is
            the beginning of that line.
    """

    number: int
    keyword: str
    text: str
    rest: int
    pieces: tuple[tuple[int, int], ...]


class Stage(Struct, frozen=True):
    """A stage: its name (empty where it has none), what it is FROM, and the line of its FROM."""

    name: str
    base: str
    line: int


class Dockerfile(Struct, frozen=True):
    """What a Dockerfile declares.

    Args:
        args: the names of its ARG instructions.
        global_args: those that stand before the first FROM, which are all that a FROM can use.
        stages: in their order.
        bases: the images that its stages are FROM, without those that are stages themselves; names in which an
            argument without a default stands are left out.
    """

    args: frozenset[str]
    global_args: frozenset[str]
    stages: tuple[Stage, ...]
    bases: tuple[str, ...]


def parse(text: str, given: Mapping[str, str] | None = None) -> Dockerfile:
    """Read a Dockerfile; what it gets wrong is left to the builder to say.

    Args:
        given: build arguments, which win over the defaults of those that are declared before the first FROM.
    """
    defaults: dict[str, str] = {}
    names: set[str] = set()
    before: set[str] = set()
    stages: list[Stage] = []
    for number, keyword, rest in instructions(text):
        if keyword == "ARG":
            for word in arg_words(rest):
                name, equals, value = word.partition("=")
                names.add(name)
                if not stages:
                    before.add(name)
                    declare(name, value if equals else None, defaults, given or {})
        elif keyword == "FROM" and (match := FROM.match(rest)):
            stages.append(Stage(match[2] or "", filled_in(match[1], defaults), number))
    return Dockerfile(frozenset(names), frozenset(before), tuple(stages), tuple(_bases(stages)))


def beyond_classic(text: str) -> Iterator[tuple[int, str]]:
    """What the classic builder does not know, or even passes over in silence: line numbers, each with what is there."""
    lines = text.removeprefix("\ufeff").split("\n")
    for number, keyword, rest in instructions(text):
        for flag in _FLAGS.match(rest)[0].split() if keyword in _BEYOND_CLASSIC else ():  # type: ignore[index]
            name = flag.removeprefix("--").partition("=")[0].lower()
            if name in _BEYOND_CLASSIC[keyword]:
                yield number, f"{keyword} --{name}"
        if keyword in _TAKE_HEREDOCS:
            words = [match[3] for word in rest.split() if (match := _HEREDOC_WORD.fullmatch(word))]
            if any(line.strip() in words for line in lines[number:]):
                yield number, f"{keyword} <<{words[0]}"


def instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Each instruction: the number of its first line, its keyword in upper case, and the rest in one line."""
    for one in joined(text):
        yield one.number, one.keyword, one.text[one.rest :].strip()


def joined(text: str) -> Iterator[Joined]:
    """Each instruction, with where its parts stand."""
    lines = text.removeprefix("\ufeff").split("\n")
    escape = _escape(lines)
    index = 0
    while index < len(lines):
        first, whole = index, ""
        pieces: list[tuple[int, int]] = []
        while index < len(lines):
            line = lines[index].rstrip()
            index += 1
            if line.lstrip().startswith("#") or (whole and not line.strip()):
                if not whole:
                    break
                continue
            pieces.append((len(whole), index - 1))
            if not line.endswith(escape):
                whole += line
                break
            whole += line[:-1]
        if not (match := _KEYWORD.match(whole)):
            continue
        keyword = match[1].upper()
        if keyword in _TAKE_HEREDOCS:
            index = _skip_heredocs(lines, index, whole[match.end() :])
        yield Joined(first + 1, keyword, whole, match.end(), tuple(pieces))


def declare(name: str, default: str | None, known: dict[str, str], given: Mapping[str, str]) -> None:
    """Take note of an ARG before the first FROM.

    Args:
        name: of the argument; those of platforms have values of the builder's own, and are passed over.
        default: as it is written; None where it has none.
        known: the values so far; gets this one.
        given: values that win over defaults.
    """
    if _PLATFORM_ARG.fullmatch(name):
        return
    if name in given:
        known[name] = given[name]
    elif default is not None:
        known[name] = filled_in(default.strip("'\""), known)


def filled_in(word: str, known: Mapping[str, str]) -> str:
    """A word with arguments filled in; a ``$`` stays where one is not known."""

    def value(match: re.Match[str]) -> str:
        found = known.get(match["name"] or match["bare"])
        if match["how"] in {"-", ":-"}:
            is_there = found is not None if match["how"] == "-" else bool(found)
            return (found or "") if is_there else match["word"]
        if match["how"] in {"+", ":+"}:
            is_there = found is not None if match["how"] == "+" else bool(found)
            return match["word"] if is_there else ""
        return match[0] if found is None else found

    return _VARIABLE.sub(value, word)


def arg_words(rest: str) -> list[str]:
    """The words of an ARG: each a name, or a name and a default."""
    return re.findall(r"[^\s=]+(?:=(?:\"[^\"]*\"|'[^']*'|\S)*)?", rest)


def _escape(lines: list[str]) -> str:
    """The escape character, from the directives that stand before all else."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if not match:
            break
        if match[1].lower() == "escape" and match[2] in {"\\", "`"}:
            return match[2]
    return "\\"


def _skip_heredocs(lines: list[str], index: int, rest: str) -> int:
    """The index behind the here-documents that an instruction begins; without their ends nothing is skipped."""
    for tabs, _, word in _HEREDOC.findall(rest):
        for end in range(index, len(lines)):
            line = lines[end].lstrip("\t") if tabs else lines[end]
            if line.rstrip("\r") == word:
                index = end + 1
                break
    return index


def _bases(stages: list[Stage]) -> Iterator[str]:
    known: set[str] = set()
    given: set[str] = set()
    for stage in stages:
        if stage.base.lower() not in known and stage.base not in given and "$" not in stage.base:
            given.add(stage.base)
            yield stage.base
        known.add(stage.name.lower())
