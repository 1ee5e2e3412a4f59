"""Compiles one pattern of an ignore file exactly as Moby does, oddities included.

Moby checks a pattern by the grammar of Go's ``filepath.Match``, and then, without parsing it, rewrites it into one of
Go's regular expressions: so ``\\d`` is a digit, ``[[:alpha:]]`` a letter, and a ``*`` in brackets none at all. What
is in no user's mind is nevertheless what `docker build` does, so the rewritten text is parsed here as Go would.

Source: github.com/moby/patternmatcher; Go's path/filepath (Match) and regexp/syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from tinyship.context.expression import BEGIN, END, OR, STAR, Malformed, Ranges, one_of, pieces_of, rewritten
from tinyship.context.names import shown
from tinyship.errors import ContextError

_ANY_DEPTH = 1 << 30
_SPECIAL = re.compile(r"[*?\[\]\\]")
# Moby means to escape `|`, `{` and `}` too; its table has no room for them, so they keep their meaning.
_ESCAPED = set(".+()$")


class Pattern(Struct, frozen=True):
    """What a path has to be to match: it begins with the head, ends with the tail, and satisfies the expression.

    Args:
        head: literal beginning of every path that matches.
        tail: literal end of every such path, where that begins with ``/``.
        exact: the head is all there is.
        depth: the most components that a path that matches can have.
        matches: what head and tail leave open, to be asked of ``plain(path)``; None where they say it all.
    """

    head: str
    tail: str
    exact: bool
    depth: int
    matches: Callable[[str], object] | None


def plain(path: str) -> str:
    """A path as Go's expressions see it: every byte that is no UTF-8 is the replacement character."""
    return path if path.isascii() else re.sub("[\udc80-\udcff]", "\ufffd", path)


def compiled(pattern: str) -> Pattern:
    """Compile a pattern, without the ``!`` in front of it.

    Raises:
        ContextError: it is no pattern.
    """
    special = _SPECIAL.search(pattern)
    if not special:
        return Pattern(pattern, "", True, pattern.count("/") + 1, None)
    if pattern.endswith("**") and special.start() == len(pattern) - 2 > 0:
        return Pattern(pattern[:-2], "", False, _ANY_DEPTH, None)
    if pattern.startswith("**") and not _SPECIAL.search(pattern, 2):
        return Pattern("", pattern[2:], False, _ANY_DEPTH, None)
    _check(pattern)
    try:
        pieces = pieces_of(_expression(pattern))
    except Malformed:
        raise _bad(pattern) from None
    inner = pieces[1:-1]
    if pieces[0] is not BEGIN or pieces[-1] is not END or any(piece is OR for piece in pieces):
        return Pattern("", "", False, _ANY_DEPTH, _compiling(rewritten(pieces), whole=False))
    literals = [piece.text if piece.literal else None for piece in inner]
    head, tail = _leading(literals), _leading([text and text[::-1] for text in reversed(literals)])[::-1]
    depth = _ANY_DEPTH if any(piece.crosses for piece in inner) else 1 + sum(piece.text == "/" for piece in inner)
    matches = _compiling(rewritten(inner), whole=True)
    # What is not ASCII may stand for bytes that are no UTF-8; the expression alone knows.
    return Pattern(head if head.isascii() else "", tail if tail.isascii() else "", False, depth, matches)


def _compiling(expression: str, *, whole: bool) -> Callable[[str], object]:
    """Match an expression that is compiled when it is first needed: of thousands, few are."""
    matches: Callable[[str], object] | None = None

    def match(text: str) -> object:
        nonlocal matches
        if matches is None:
            found = re.compile(expression)
            matches = found.fullmatch if whole else found.search
        return matches(text)

    return match


def glob(pattern: str) -> str:
    """The expression of a pattern in the grammar of Go's ``filepath.Match``, which knows no ``**``.

    Raises:
        ContextError: it is no pattern.
    """
    return "".join(_glob_parts(pattern))


def _check(pattern: str) -> None:
    """Reject what Go's ``filepath.Match(pattern, ".")`` rejects; it looks no further than up to where that fails."""
    begun: list[str] = []
    first = True
    for part in _glob_parts(pattern):
        if part != STAR.text:
            begun.append(part)
        elif begun:
            if not first or len(begun) > 1 or not re.fullmatch(begun[0], "."):
                return
            first, begun = False, []


def _glob_parts(pattern: str) -> Iterator[str]:
    index = 0
    while index < len(pattern):
        character = pattern[index]
        index += 1
        if character == "*":
            yield STAR.text
        elif character == "?":
            yield "[^/]"
        elif character == "[":
            part, index = _glob_class(pattern, index)
            yield part
        else:
            if character == "\\":
                character = pattern[index : index + 1]
                index += 1
            if not character:
                raise _bad(pattern)
            yield re.escape(character)


def _glob_class(pattern: str, index: int) -> tuple[str, int]:
    """A class, whose ``[`` stands before ``index``; the expression and the index behind the ``]``."""
    negated = pattern[index : index + 1] == "^"
    index += negated
    ranges: Ranges = []
    while pattern[index : index + 1] != "]" or not ranges:
        low, index = _glob_member(pattern, index)
        high = low
        if pattern[index : index + 1] == "-":
            high, index = _glob_member(pattern, index + 1)
        ranges.append((low, high))
    return one_of(ranges, negated), index + 1


def _glob_member(pattern: str, index: int) -> tuple[int, int]:
    character = pattern[index : index + 1]
    if character in {"-", "]"}:
        raise _bad(pattern)
    if character == "\\":
        index += 1
        character = pattern[index : index + 1]
    if not character or 0xDC80 <= ord(character) <= 0xDCFF or index + 1 == len(pattern):
        raise _bad(pattern)
    return ord(character), index + 1


def _expression(pattern: str) -> str:
    """Go's expression for a pattern, as Moby writes it."""
    out = "^"
    text = plain(pattern).removeprefix("\ufeff")
    index = 0
    while index < len(text):
        character = text[index]
        index += 1
        if character == "*" and text.startswith("*", index):
            index += 2 if text.startswith("*/", index) else 1
            out += "(.*/)?" if index < len(text) else ".*"
        elif character in "*?":
            out += "[^/]*" if character == "*" else "[^/]"
        elif character in _ESCAPED:
            out += f"\\{character}"
        elif character == "\\":
            out += text[index - 1 : index + 1]
            index += 1
        else:
            out += character
    return f"{out}$"


def _leading(literals: list[str | None]) -> str:
    """What a list of literals begins with, up to the first part that is none."""
    head = ""
    for text in literals:
        if text is None:
            break
        head += text
    return head


def _bad(pattern: str) -> ContextError:
    return ContextError(
        f"`{shown(pattern)}` is no pattern for an ignore file",
        hint="A `[` needs its `]`, and a backslash something behind it; `\\[` stands for the bracket itself.",
    )
