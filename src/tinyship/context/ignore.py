"""Ignore files with Moby's own semantics.

Source: moby/patternmatcher (``MatchesOrParentMatches``; Go's ``filepath.Match`` with ``**`` is its grammar) and its
``ignorefile``. Matching is case-sensitive, later patterns win, and a pattern that matches a folder matches all that
is in it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from tinyship.errors import ContextError

_BOM = b"\xef\xbb\xbf"


def parse(data: bytes) -> tuple[str, ...]:
    """The patterns of an ignore file, cleaned as Moby cleans them.

    A BOM is dropped, lines are trimmed, empty ones and those that begin with ``#`` are none; each pattern loses its
    leading slash, a ``!`` in front stays there.

    Args:
        data: the file's bytes; bytes that are not UTF-8 survive as they do in file names.
    """
    patterns = []
    for number, raw in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        line = raw.decode("utf-8", "surrogateescape")
        if line.startswith("#") or not (line := line.strip()):
            continue
        inverted = line.startswith("!")
        line = line[1:].strip() if inverted else line
        if line:
            line = posixpath.normpath(line)
            if len(line) > 1:
                line = line.lstrip("/") or "/"
        elif inverted:
            raise ContextError(f"line {number} of the ignore file is a `!` without a pattern")
        patterns.append(f"!{line}" if inverted else line)
    return tuple(patterns)


class Matcher:
    """Says of paths whether a list of patterns ignores them."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile patterns.

        Args:
            patterns: as ``parse`` gives them.

        Raises:
            ContextError: one is no pattern; names it.
        """
        self._rules = [_Rule(pattern) for pattern in patterns if pattern.strip() not in {"", "."}]
        self._reopening = [rule for rule in self._rules if rule.inverted]
        self._parents: dict[str, tuple[bool, ...]] = {"": (False,) * len(self._rules)}

    def ignores(self, path: str) -> bool:
        """Whether a path is ignored: the last pattern that matches it, or a folder above it, decides.

        Args:
            path: relative to the context, with ``/``.
        """
        ignored = False
        for rule, matched in zip(self._rules, self._matched(path), strict=True):
            if matched:
                ignored = not rule.inverted
        return ignored

    def may_reopen(self, directory: str) -> bool:
        """Whether something below an ignored folder could be taken in again by a ``!`` pattern."""
        return any(rule.reaches_below(directory) for rule in self._reopening)

    def _matched(self, path: str) -> tuple[bool, ...]:
        """Which rules match a path or a folder above it; remembered for folders, which are asked again and again."""
        parent = path.rpartition("/")[0]
        above = self._parents.get(parent)
        if above is None:
            above = self._parents[parent] = self._matched(parent)
        return tuple(known or bool(rule.matches(path)) for known, rule in zip(above, self._rules, strict=True))


class _Rule:
    """One pattern."""

    __slots__ = ("_literal", "_prefix", "inverted", "matches")

    def __init__(self, pattern: str) -> None:
        self.inverted = pattern.startswith("!")
        text = pattern[1:] if self.inverted else pattern
        special = re.search(r"[*?\[\\]", text)
        self._literal = special is None
        self._prefix = (text if special is None else text[: special.start()].rpartition("/")[0]).strip("/")
        self.matches = text.__eq__ if special is None else re.compile(translate(text), re.DOTALL).fullmatch

    def reaches_below(self, directory: str) -> bool:
        """Whether the pattern could match something below a folder."""
        if self._literal:
            return self._prefix.startswith(f"{directory}/")
        return (
            not self._prefix
            or self._prefix == directory
            or self._prefix.startswith(f"{directory}/")
            or directory.startswith(f"{self._prefix}/")
        )


def translate(pattern: str) -> str:
    """The regular expression of a pattern.

    Raises:
        ContextError: the pattern has a class without an end, or a backslash at its end.
    """
    out, index, end = "", 0, len(pattern)
    while index < end:
        character = pattern[index]
        index += 1
        if character == "*":
            if pattern[index : index + 1] != "*":
                out += "[^/]*"
                continue
            index += 1
            index += pattern[index : index + 1] == "/"
            # Moby compares ends where `**` leads and the rest is literal: `**.log` matches `a.log`.
            ends = index == 2 and not re.search(r"[*?\[\]\\]", pattern[index:])
            out += ".*" if index == end or ends else "(?:.*/)?"
        elif character == "?":
            out += "[^/]"
        elif character == "\\":
            if index == end:
                raise _bad(pattern)
            out += re.escape(pattern[index])
            index += 1
        elif character == "[":
            part, index = _class(pattern, index)
            out += part
        else:
            out += re.escape(character)
    return out


def _class(pattern: str, index: int) -> tuple[str, int]:
    """A character class, whose ``[`` stands before ``index``; the expression and the index behind the ``]``."""
    negated = pattern[index : index + 1] == "^"
    index += negated
    items = ""
    while True:
        if pattern[index : index + 1] == "]" and items:
            return f"[{'^' if negated else ''}{items}]", index + 1
        low, index = _character(pattern, index)
        high = low
        if pattern[index : index + 1] == "-":
            high, index = _character(pattern, index + 1)
        if low > high:
            raise _bad(pattern)
        items += f"{re.escape(low)}-{re.escape(high)}"


def _character(pattern: str, index: int) -> tuple[str, int]:
    character = pattern[index : index + 1]
    if character == "\\":
        index += 1
        character = pattern[index : index + 1]
    elif character in {"-", "]"}:
        raise _bad(pattern)
    if not character:
        raise _bad(pattern)
    return character, index + 1


def _bad(pattern: str) -> ContextError:
    return ContextError(
        f"`{pattern}` is no pattern for an ignore file",
        hint="A `[` needs its `]`, and a backslash something behind it; `\\[` stands for the bracket itself.",
    )
