"""The variables, rules and functions of a Makefile, and what they come to.

What only make itself or its machine could know is marked as unknown where it stands; so is what is beyond the functions
below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tinyship.init.findings import Place, Unclear
from tinyship.init.marks import has_unknown, literal, mark, of_shell

_LITERAL = re.compile(r"v?\d+(?:\.\d+){1,3}(?:[-+.]?[A-Za-z0-9.]+)?")
_VERSIONLIKE = re.compile(r"(?i)(?:.*_)?(?:version|tag|release|ver)")
DEEPEST = 40
"""Calls and files within each other that are followed."""
_BUILT_IN = {"MAKE": "make", "SHELL": "/bin/sh", "CURDIR": ".", "PWD": ".", "ROOT_DIR": ".", ".DEFAULT_GOAL": ""}


@dataclass(slots=True)
class Variable:
    """A variable: its text, as written or (where it is simple) as it was when it was set, and where it was set."""

    text: str
    simple: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a recipe, its parts joined, variables as they are written."""

    text: str
    place: Place


@dataclass(slots=True)
class Rule:
    """A target, what it needs, its recipe, the variables that are its own, and the stem of a static pattern."""

    target: str
    needs: tuple[str, ...]
    stem: str = ""
    lines: list[Line] = field(default_factory=list)
    own: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True)
class Makefile:
    """What was read; ``one_shell`` where a recipe is one script (``.ONESHELL``)."""

    root: Path
    variables: dict[str, Variable] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    unclear: list[Unclear] = field(default_factory=list)
    one_shell: bool = False
    exported: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    """The variables that are being filled in."""

    def recipes(self) -> Iterator[tuple[Rule, Line]]:
        """Each line that would be run, with its variables filled in, and the rule that it is of."""
        for rule in self.rules.values():
            special = {
                "@": rule.target,
                "<": rule.needs[0] if rule.needs else "",
                "^": " ".join(rule.needs),
                "*": rule.stem,
            }
            lines = [Line(self.expand(line.text, rule.own, special), line.place) for line in rule.lines]
            parts = [
                Line(bare, line.place) for line in lines for part in line.text.split("\n") if (bare := _bare(part))
            ]
            if self.one_shell and parts:
                parts = [Line("\n".join(part.text for part in parts), parts[0].place)]
            for part in parts:
                yield rule, part

    def environment(self) -> dict[str, str]:
        """The variables that recipes find in their environment."""
        return {name: self.expand(self.variables[name].text) for name in self.exported if name in self.variables}

    def expand(
        self,
        text: str,
        own: Mapping[str, Variable] | None = None,
        special: Mapping[str, str] | None = None,
        depth: int = 0,
    ) -> str:
        """A text with variables and functions filled in, and a mark for what is not known."""
        found = ""
        at = 0
        while at < len(text):
            if text[at] != "$" or at + 1 == len(text):
                found += text[at]
                at += 1
                continue
            opener = text[at + 1]
            if opener == "$":
                found += "$"
                at += 2
            elif opener in "({":
                end = _closing(text, at + 1)
                found += self._value(text[at + 2 : end], own or {}, special or {}, depth + 1)
                at = end + 1
            else:
                found += self._variable(opener, own or {}, special or {}, depth + 1)
                at += 2
        return found

    def _value(self, text: str, own: Mapping[str, Variable], special: Mapping[str, str], depth: int) -> str:
        if depth > DEEPEST:
            return mark("unknown", f"$({text})")
        name, _, rest = text.strip().partition(" ")
        if name in _FUNCTIONS and rest:
            try:
                return self._function(name, rest.strip(), own, special, depth)
            except (ValueError, IndexError):
                return mark("unknown", f"$({text})")
        if match := re.fullmatch(r"([\w.-]+):(\S*?)=(\S*)", text):  # $(NAMES:%.c=%.o)
            words = self._variable(match[1], own, special, depth).split()
            before, after = (match[2], match[3]) if "%" in match[2] else (f"%{match[2]}", f"%{match[3]}")
            return " ".join(_patterned(word, before, after) for word in words)
        if re.search(r"\s|,", text.strip()):
            return mark("unknown", f"$({text})")
        return self._variable(self.expand(text.strip(), own, special, depth), own, special, depth)

    def _variable(self, name: str, own: Mapping[str, Variable], special: Mapping[str, str], depth: int) -> str:
        if name in special:
            return special[name]
        variable = own.get(name) or self.variables.get(name)
        if variable is None:
            return _BUILT_IN.get(name, mark("unknown", f"$({name})"))
        if depth > DEEPEST or name in self.busy:  # make itself ends at a variable that is made of itself
            return mark("unknown", f"$({name})")
        self.busy.add(name)
        value = variable.text if variable.simple else self.expand(variable.text, own, special, depth)
        self.busy.discard(name)
        bare = value.strip().strip("\"'")
        if _VERSIONLIKE.fullmatch(name) and _LITERAL.fullmatch(bare):
            return literal(bare)
        return value

    def _function(
        self, name: str, rest: str, own: Mapping[str, Variable], special: Mapping[str, str], depth: int
    ) -> str:
        def filled(text: str, more: Mapping[str, str] | None = None) -> str:
            return self.expand(text, own, {**special, **(more or {})}, depth)

        if name == "shell":
            return of_shell(filled(rest), self.root)
        parts = arguments(rest)
        if name == "foreach":
            item = parts[0].strip()
            return " ".join(filled(",".join(parts[2:]), {item: word}) for word in filled(parts[1]).split())
        if name == "if":
            condition = filled(parts[0]).strip()
            if has_unknown(condition):
                raise ValueError(rest)
            return filled(parts[1] if condition else ",".join(parts[2:]))
        if name == "or":
            values = (self._known(part, own, special, depth) for part in parts)
            return next((value for value in values if value), "")
        if name == "call":
            function = self.variables.get(parts[0].strip())
            if function is None:
                raise ValueError(rest)
            numbered = {str(number): filled(part).strip() for number, part in enumerate(parts[1:], 1)}
            if parts[0].strip() in self.busy:
                raise ValueError(rest)
            self.busy.add(parts[0].strip())
            value = self.expand(function.text, own, {**special, **numbered}, depth)
            self.busy.discard(parts[0].strip())
            return value
        return _FUNCTIONS[name]([filled(part) for part in parts])

    def _known(self, text: str, own: Mapping[str, Variable], special: Mapping[str, str], depth: int) -> str:
        """A text's value; empty where it is that of a variable which is not set."""
        value = self.expand(text.strip(), own, special, depth)
        return "" if has_unknown(value) and re.fullmatch(r"\$[({]\w+[)}]", text.strip()) else value


def _bare(line: str) -> str:
    """A line of a recipe without what make takes for itself; empty where it is a comment."""
    text = line.lstrip().lstrip("@-+").strip()
    return "" if text.startswith("#") else text


def _closing(text: str, start: int) -> int:
    """The index of the parenthesis that closes the one at ``start``; the text's end where there is none."""
    opener = text[start]
    closer = ")" if opener == "(" else "}"
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == opener) - (text[at] == closer)
        if not depth:
            return at
    return len(text)


def arguments(text: str) -> list[str]:
    """The arguments of a function: what commas outside of parentheses divide."""
    found, depth, last = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            found.append(text[last:at])
            last = at + 1
    return [*found, text[last:]]


def _patterned(word: str, before: str, after: str) -> str:
    prefix, percent, suffix = before.partition("%")
    if not percent:
        return after if word == before else word
    fits = word.startswith(prefix) and word.endswith(suffix) and len(word) >= len(prefix) + len(suffix)
    return after.replace("%", word[len(prefix) : len(word) - len(suffix)], 1) if fits else word


def _unsupported(_: list[str]) -> str:
    raise ValueError


_FUNCTIONS: dict[str, Callable[[list[str]], str]] = {
    **dict.fromkeys(("shell", "foreach", "if", "or", "call"), _unsupported),
    **dict.fromkeys(("eval", "wildcard", "file", "filter", "filter-out", "sort", "findstring", "and"), _unsupported),
    **dict.fromkeys(("realpath", "abspath", "origin", "value", "error", "warning", "info", "flavor"), _unsupported),
    "strip": lambda parts: " ".join(",".join(parts).split()),
    "subst": lambda parts: parts[2].replace(parts[0], parts[1]),
    "patsubst": lambda parts: " ".join(_patterned(word, parts[0], parts[1]) for word in parts[2].split()),
    "firstword": lambda parts: parts[0].split()[0],
    "lastword": lambda parts: parts[0].split()[-1],
    "word": lambda parts: parts[1].split()[int(parts[0]) - 1],
    "notdir": lambda parts: " ".join(word.rpartition("/")[2] for word in parts[0].split()),
    "dir": lambda parts: " ".join(word.rpartition("/")[0] + "/" for word in parts[0].split()),
    "basename": lambda parts: " ".join(re.sub(r"\.[^./]*$", "", word) for word in parts[0].split()),
    "addprefix": lambda parts: " ".join(parts[0] + word for word in parts[1].split()),
    "addsuffix": lambda parts: " ".join(word + parts[0] for word in parts[1].split()),
}
