"""Ignore files with Moby's own semantics.

Matching is case-sensitive, later patterns win, and a pattern that matches a folder matches all that is in it. A path
is judged as `docker build` does on its walk down to it: a pattern that cannot change anything is not even tried, and
so is not remembered for what is below. Therefore ``**/*.md`` and ``!docs`` ignore ``docs/a.md``: when the walk came to
``docs``, nothing was ignored yet that the second pattern could have taken in again.

Source: github.com/moby/patternmatcher (``MatchesUsingParentResults``) and its ``ignorefile``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from tinyship.context.pattern import Pattern, compiled, plain
from tinyship.errors import ContextError

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 65_535
# What Go takes for white space; Python's own list is longer.
_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def parse(data: bytes) -> tuple[str, ...]:
    """The patterns of an ignore file, cleaned as Moby cleans them.

    A BOM is dropped, lines are trimmed, empty ones and those that begin with ``#`` are none; each pattern loses its
    leading slash, a ``!`` in front stays there.

    Args:
        data: the file's bytes; bytes that are not UTF-8 survive as they do in file names.

    Raises:
        ContextError: a line is too long for Moby, or a ``!`` without a pattern; gives its number.
    """
    patterns = []
    for number, raw in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        if len(raw) > _LONGEST_LINE:
            raise ContextError(f"line {number} of the ignore file is longer than {_LONGEST_LINE:,} bytes")
        line = raw.decode("utf-8", "surrogateescape")
        if line.startswith("#") or not (line := line.strip(_BLANKS)):
            continue
        inverted = line.startswith("!")
        line = line[1:].strip(_BLANKS) if inverted else line
        if line:
            line = _cleaned(line)
            if len(line) > 1:
                line = line.removeprefix("/")
        if inverted and line in {"", "/"}:
            raise ContextError(f"line {number} of the ignore file is a `!` without a pattern")
        patterns.append(f"!{line}" if inverted else line)
    return tuple(patterns)


class Matcher:
    """Says of paths whether a list of patterns ignores them, whatever the number of patterns."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compile patterns.

        Args:
            patterns: as ``parse`` gives them.

        Raises:
            ContextError: one is no pattern; names it.
        """
        texts = [_cleaned(text) for pattern in patterns if (text := pattern.strip(_BLANKS))]
        if "!" in texts:
            raise ContextError("a `!` without a pattern is none for an ignore file")
        self._inverted = [text.startswith("!") for text in texts]
        self._rules = [compiled(text.removeprefix("!")) for text in texts]
        self._index = _Index(self._rules)
        self._reopening = _Reach(rule for rule, inverted in zip(self._rules, self._inverted, strict=True) if inverted)
        self._closing = _Reach(rule for rule, inverted in zip(self._rules, self._inverted, strict=True) if not inverted)
        self._folders: dict[str, tuple[int, ...]] = {"": ()}

    def ignores(self, path: str) -> bool:
        """Whether a path is ignored: the last pattern that matches it, or a folder above it, decides.

        Args:
            path: relative to the context, with ``/``.
        """
        held = self._held(path)
        return bool(held) and not self._inverted[held[-1]]

    def may_reopen(self, directory: str) -> bool:
        """Whether something below an ignored folder could be taken in again by a ``!`` pattern."""
        return self._reopening.below(directory)

    def may_ignore(self, directory: str) -> bool:
        """Whether something below a folder that is not ignored could be."""
        return self._closing.below(directory)

    def _held(self, path: str) -> tuple[int, ...]:
        """The rules that hold for a path, in their order; remembered for folders, which are asked again and again."""
        parent = path.rpartition("/")[0]
        above = self._folders.get(parent)
        if above is None:
            above = self._folders[parent] = self._held(parent)
        found = self._index.candidates(path)
        if not found:
            return above
        known = set(above)
        text = plain(path)
        held: list[int] = []
        ignored = False
        for number in sorted(known.union(found)):
            inverted = self._inverted[number]
            if number not in known:
                matches = self._rules[number].matches
                if inverted is not ignored or (matches and not matches(text)):
                    continue
            held.append(number)
            ignored = not inverted
        return tuple(held)


class _Index:
    """Finds the few rules that may match a path among many: by how it begins, by how it ends."""

    def __init__(self, rules: Sequence[Pattern]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._loose: list[int] = []
        heads: dict[int, dict[str, list[int]]] = {}
        tails: dict[int, dict[str, list[int]]] = {}
        for number, rule in enumerate(rules):
            if rule.exact:
                self._exact.setdefault(rule.head, []).append(number)
            elif not rule.head and not rule.tail:
                self._loose.append(number)
            else:
                table, key = (heads, rule.head) if len(rule.head) >= len(rule.tail) else (tails, rule.tail)
                table.setdefault(len(key), {}).setdefault(key, []).append(number)
        self._heads = tuple(heads.items())
        self._tails = tuple(tails.items())

    def candidates(self, path: str) -> list[int]:
        """The numbers of the rules that may match; all that do are among them."""
        found = [*self._loose, *self._exact.get(path, ())]
        for length, table in self._heads:
            found += table.get(path[:length], ())
        if self._tails:
            slashed = f"/{path}"
            for length, table in self._tails:
                found += table.get(slashed[-length:], ())
        return found


class _Reach:
    """Says of folders whether one of several rules could match something below them."""

    def __init__(self, rules: Iterable[Pattern]) -> None:
        self._above: set[str] = set()
        self._heads: dict[int, dict[str, int]] = {}
        for rule in rules:
            folder = rule.head.rpartition("/")[0]
            while folder and folder not in self._above:
                self._above.add(folder)
                folder = folder.rpartition("/")[0]
            if not rule.exact:
                table = self._heads.setdefault(len(rule.head), {})
                table[rule.head] = max(rule.depth, table.get(rule.head, 0))

    def below(self, folder: str) -> bool:
        """Whether one could."""
        if folder in self._above:
            return True
        depth = folder.count("/") + 1
        begin = f"{folder}/"
        return any(table.get(begin[:length], 0) > depth for length, table in self._heads.items())


def _cleaned(path: str) -> str:
    """A path without empty, ``.`` and ``..`` parts, as Go cleans it."""
    path = posixpath.normpath(path)
    return path[1:] if path.startswith("//") else path
