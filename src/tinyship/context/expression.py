"""Rewrites regular expressions of Go, as far as Moby makes use of them, in Python's words.

Moby does not parse a pattern but makes an expression of it, character by character; what the user wrote reaches Go's
parser unseen. So expressions are parsed here by Go's grammar: escapes, classes, repeats.

Source: Go's regexp/syntax.
"""

from __future__ import annotations

import re

from msgspec import Struct

_LAST = 0x10FFFF
_MOST_REPEATS = 1000
_DIGIT, _SPACE, _WORD = [(48, 57)], [(9, 10), (12, 13), (32, 32)], [(48, 57), (65, 90), (95, 95), (97, 122)]
_PERL = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX = {
    "alnum": [(48, 57), (65, 90), (97, 122)],
    "alpha": [(65, 90), (97, 122)],
    "ascii": [(0, 127)],
    "blank": [(9, 9), (32, 32)],
    "cntrl": [(0, 31), (127, 127)],
    "digit": _DIGIT,
    "graph": [(33, 126)],
    "lower": [(97, 122)],
    "print": [(32, 126)],
    "punct": [(33, 47), (58, 64), (91, 96), (123, 126)],
    "space": [(9, 13), (32, 32)],
    "upper": [(65, 90)],
    "word": _WORD,
    "xdigit": [(48, 57), (65, 70), (97, 102)],
}
_REPEAT = re.compile(r"\{(0|[1-9][0-9]*)(,(?:0|[1-9][0-9]*)?)?\}")
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ASSERTIONS = {"A": r"\A", "b": r"(?a:\b)", "B": r"(?a:\B)", "z": r"\Z"}

Ranges = list[tuple[int, int]]


class Malformed(Exception):
    """Go cannot compile an expression."""


class Piece(Struct, frozen=True):
    """One part of an expression.

    Args:
        text: the character where it is literal, else an expression of Python's.
        literal: it is one character that matches itself.
        crosses: it can match a ``/`` that is not in its text.
        simple: it matches exactly one character, a ``/`` only where that is its text.
        repeated: it must not be repeated again.
    """

    text: str
    literal: bool = False
    crosses: bool = False
    simple: bool = False
    repeated: bool = False


STAR = Piece("[^/]*", repeated=True)
BEGIN, END, OR = Piece("^"), Piece(r"\Z"), Piece("|")
_OPERATORS = {"^": BEGIN, "$": END, "|": OR}


def pieces_of(text: str) -> list[Piece]:
    """The parts of one of Go's expressions, as far as Moby's rewriting makes use of its grammar."""
    pieces = []
    index = 0
    while index < len(text):
        if text.startswith("[^/]", index):
            star = text.startswith("*", index + 4)
            pieces.append(STAR if star else Piece("[^/]", simple=True))
            index += 4 + star
        elif text[index] == "[":
            ranges, negated, index = _class(text, index + 1)
            crosses = negated is not any(low <= ord("/") <= high for low, high in ranges)
            star = text.startswith("*", index)
            members = one_of(ranges, negated) + "*" * star
            pieces.append(Piece(members, crosses=crosses, simple=not (crosses or star), repeated=star))
            index += star
        elif text.startswith("(.*/)?", index):
            pieces.append(Piece("(?:.*/)?", crosses=True, repeated=True))
            index += 6
        elif text.startswith(".*", index):
            pieces.append(Piece(".*", crosses=True, repeated=True))
            index += 2
        elif text[index] in _OPERATORS:
            pieces.append(_OPERATORS[text[index]])
            index += 1
        elif repeat := _REPEAT.match(text, index):
            pieces.append(_repeated(pieces.pop(), int(repeat[1]), repeat[2]))
            index = repeat.end()
        elif text[index] == "\\":
            found, index = _escape(text, index + 1)
            pieces += found
        else:
            pieces.append(Piece(text[index], literal=True, simple=True))
            index += 1
    return pieces


def _repeated(piece: Piece, least: int, most: str | None) -> Piece:
    """A piece with ``{2}``, ``{2,}`` or ``{2,3}`` behind it; ``most`` is what follows the first number."""
    upto = least if most is None else int(most[1:] or -1)
    if max(least, upto) > _MOST_REPEATS or -1 < upto < least or piece is OR or piece.repeated:
        raise Malformed
    if piece is BEGIN or piece.text in _ASSERTIONS.values():
        return Piece(piece.text if least else "", repeated=True)
    text = re.escape(piece.text) if piece.literal else piece.text
    times = f"{{{least},{upto if upto >= 0 else ''}}}"
    return Piece(text + times, crosses=piece.crosses or piece.text == "/", repeated=True)


def _escape(text: str, index: int) -> tuple[list[Piece], int]:
    """What an escape outside of brackets stands for; ``index`` is behind the backslash."""
    character = text[index : index + 1]
    if character in _ASSERTIONS:
        return [Piece(_ASSERTIONS[character])], index + 1
    if character == "Q":
        quoted, _, rest = text[index + 1 :].partition(r"\E")
        return [Piece(one, literal=True, simple=True) for one in quoted], len(text) - len(rest)
    if character and character.lower() in _PERL:
        return [Piece(one_of(_perl(character), False), crosses=True)], index + 1
    code, index = _character(text, index)
    return [Piece(chr(code), literal=True, simple=True)], index


def _class(text: str, index: int) -> tuple[Ranges, bool, int]:
    """A class of Go's, whose ``[`` stands before ``index``: its members, whether it is negated, where it ends."""
    negated = text[index : index + 1] == "^"
    index += negated
    ranges: Ranges = []
    first = True
    while text[index : index + 1] != "]" or first:
        first = False
        end = text.find(":]", index + 2) if text.startswith("[:", index) else -1
        following = text[index + 1 : index + 2]
        if end >= 0:
            name = text[index + 2 : end]
            if name.removeprefix("^") not in _POSIX:
                raise Malformed
            members = _POSIX[name.removeprefix("^")]
            ranges += _complement(members) if name.startswith("^") else members
            index = end + 2
        elif text[index : index + 1] == "\\" and following and following.lower() in _PERL:
            ranges += _perl(following)
            index += 2
        else:
            low, index = _member(text, index)
            high = low
            if text.startswith("-", index) and text[index + 1 : index + 2] not in {"", "]"}:
                high, index = _member(text, index + 1)
            if low > high:
                raise Malformed
            ranges.append((low, high))
    return ranges, negated, index + 1


def _member(text: str, index: int) -> tuple[int, int]:
    if index >= len(text):
        raise Malformed
    return _character(text, index + 1) if text[index] == "\\" else (ord(text[index]), index + 1)


def _character(text: str, index: int) -> tuple[int, int]:
    """The character that an escape stands for; ``index`` is behind the backslash."""
    found = re.compile(r"x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})").match(text, index)
    if found:
        return (int(found[1], 16) if found[1] else int(found[2], 8)), found.end()
    character = text[index : index + 1]
    if character in _CONTROLS:
        return _CONTROLS[character], index + 1
    if not character or character.isalnum() or not character.isascii():
        raise Malformed
    return ord(character), index + 1


def _perl(name: str) -> Ranges:
    ranges = _PERL[name.lower()]
    return _complement(ranges) if name.isupper() else ranges


def _complement(ranges: Ranges) -> Ranges:
    edges = [-1, *(edge for pair in ranges for edge in pair), _LAST + 1]
    return [(low + 1, high - 1) for low, high in zip(edges[::2], edges[1::2], strict=True) if low + 1 < high]


def one_of(ranges: Ranges, negated: bool) -> str:
    """A class in Python's words; one without members matches nothing."""
    members = "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in ranges if low <= high)
    if not members:
        return r"[\s\S]" if negated else r"[^\s\S]"
    return f"[{'^' if negated else ''}{members}]"


def rewritten(pieces: list[Piece]) -> str:
    """The whole in Python's words.

    Python tries every way to split a name among several stars, Go does not. Where a star follows a star with nothing
    but single characters between, the first place where these fit is as good as any later one; so Python is told not
    to look for others.
    """
    out = ""
    index = 0
    while index < len(pieces):
        end = index + 1
        while end < len(pieces) and pieces[end].simple:
            end += 1
        between = "".join(re.escape(one.text) if one.literal else one.text for one in pieces[index + 1 : end])
        if pieces[index] is STAR and end < len(pieces) and pieces[end] is STAR:
            out += f"(?>[^/]*?{between})"
        else:
            out += (re.escape(pieces[index].text) if pieces[index].literal else pieces[index].text) + between
        index = end
    return out
