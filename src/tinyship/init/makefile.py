"""What a Makefile's recipes would run, without make: variables filled in, includes followed, what git would say marked.

As far as the GNU make manual has it and people use it: recursive and simple variables, ``?=``, ``+=``, ``define``,
``include``, conditions that can be decided, target-specific variables, and the functions below. What is beyond that is
marked as unknown where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tinyship.init.findings import Place, Unclear
from tinyship.init.marks import has_unknown, literal, mark, of_shell

_ASSIGNED = re.compile(r"(?:(export|override|private)\s+)*([A-Za-z_.][\w.-]*)\s*(\?=|\+=|::?:?=|=|!=)\s*(.*)", re.S)
_RULE = re.compile(r"([^:=#\t][^:=]*?)\s*(&?::?)(?!=)\s*(.*)", re.S)
_INCLUDE = re.compile(r"(-?s?include)\s+(.+)")
_CONDITION = re.compile(r"(ifeq|ifneq|ifdef|ifndef)\b\s*(.*)")
_LITERAL = re.compile(r"v?\d+(?:\.\d+){1,3}(?:[-+.]?[A-Za-z0-9.]+)?")
_VERSIONLIKE = re.compile(r"(?i)(?:.*_)?(?:version|tag|release|ver)")
_DEEPEST = 40
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
        if depth > _DEEPEST:
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
        if depth > _DEEPEST or name in self.busy:  # make itself ends at a variable that is made of itself
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
        parts = _arguments(rest)
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


def read(root: Path, name: str) -> Makefile:
    """Read a Makefile and what it includes.

    Args:
        root: the project's folder.
        name: of the file, from there.
    """
    made = Makefile(root)
    _Reader(made).file(name, Place(name), 0)
    return made


class _Reader:
    """Reads files line by line into a Makefile."""

    def __init__(self, made: Makefile) -> None:
        self._made = made
        self._conditions: list[bool | None] = []
        """Of the conditions that we are in: whether it holds; None where nobody knows, and neither branch counts."""
        self._rules: list[Rule] = []

    def file(self, name: str, asked: Place, depth: int) -> None:
        try:
            lines = (self._made.root / name).read_text("utf-8", "replace").splitlines()
        except OSError:
            self._unclear(asked, f"include {name}", "there is no such file")
            return
        if depth > _DEEPEST:
            return
        number = 0
        while number < len(lines):
            place, text = Place(name, number + 1), lines[number]
            number += 1
            is_recipe = text.startswith("\t")
            while text.endswith("\\") and number < len(lines):
                more = lines[number]
                text = f"{text[:-1].rstrip()} {more.strip()}"
                number += 1
            if match := re.fullmatch(r"\s*define\s+([\w.-]+)\s*[?:+]?=?\s*", text):
                body = []
                while number < len(lines) and lines[number].strip() != "endef":
                    body.append(lines[number])
                    number += 1
                number += 1
                if self._counts():
                    self._made.variables[match[1]] = Variable("\n".join(body), False, place)
            elif is_recipe and self._rules:
                if text.strip() and self._counts():
                    for rule in self._rules:
                        rule.lines.append(Line(text, place))
            else:
                self._line(_uncommented(text).strip(), place, depth)

    def _line(self, text: str, place: Place, depth: int) -> None:
        if not text or self._conditional(text, place) or not self._counts():
            return
        self._rules = []  # a recipe goes on behind conditions only
        if match := _INCLUDE.fullmatch(text):
            for name in self._made.expand(match[2]).split():
                if has_unknown(name) or "*" in name:
                    self._unclear(place, text, "which file this is, is not known")
                elif match[1] == "include" or (self._made.root / name).is_file():
                    self.file(name, place, depth + 1)
        elif match := _ASSIGNED.fullmatch(text):
            self._assign(self._made.variables, match, place)
            if match[1] == "export":
                self._made.exported.add(match[2])
        elif match := _RULE.fullmatch(text):
            self._rule(match, place)
        elif text.startswith("export "):
            self._made.exported.update(text.split()[1:])
        elif re.match(r"(export|unexport|vpath|undefine)\b", text):
            return
        else:
            filled = self._made.expand(text)
            if filled.strip():
                self._unclear(place, text, "this line is neither a variable nor a rule")

    def _rule(self, match: re.Match[str], place: Place) -> None:
        targets = self._made.expand(match[1]).split()
        if (special := _ASSIGNED.fullmatch(match[3])) and targets:
            for target in targets:
                self._assign(self._known(target).own, special, place)
            return
        if targets == [".ONESHELL"]:
            self._made.one_shell = True
        needs, semicolon, recipe = match[3].partition(";")
        pattern = re.match(r"([^\s:]*%[^\s:]*)\s*:(?!=)\s*(.*)", needs)
        needs = pattern[2] if pattern else needs
        for target in targets:
            if target.startswith("."):
                continue
            rule = self._known(target)
            rule.stem = _stem(target, pattern[1]) if pattern else rule.stem
            normal = self._made.expand(needs).replace("%", rule.stem or "%").replace("|", " ").split()
            rule.needs = (*rule.needs, *normal)
            self._rules.append(rule)
            if semicolon:
                rule.lines.append(Line(recipe.strip(), place))

    def _known(self, target: str) -> Rule:
        return self._made.rules.setdefault(target, Rule(target, ()))

    def _assign(self, into: dict[str, Variable], match: re.Match[str], place: Place) -> None:
        _, name, how, text = match.groups()
        old = into.get(name)
        if how == "?=":
            if old is None:
                into[name] = Variable(text, False, place)
        elif how == "+=":
            before = old.text if old else ""
            is_simple = bool(old and old.simple)
            added = self._made.expand(text) if is_simple else text
            into[name] = Variable(f"{before} {added}".strip(), is_simple, place)
        elif how == "!=":
            into[name] = Variable(of_shell(self._made.expand(text), self._made.root), True, place)
        else:
            is_simple = how != "="
            into[name] = Variable(self._made.expand(text) if is_simple else text, is_simple, place)

    def _conditional(self, text: str, place: Place) -> bool:
        """Whether a line is of a condition, which is taken note of."""
        if match := _CONDITION.fullmatch(text):
            holds = self._decided(match[1], match[2]) if self._counts() else False
            if holds is None:
                self._unclear(place, text, "what this condition comes to is not known: neither branch was read")
            self._conditions.append(holds)
            return True
        if match := re.fullmatch(r"else\b\s*(.*)", text):
            if self._conditions:
                last = self._conditions.pop()
                outer = self._counts()
                if (further := _CONDITION.fullmatch(match[1])) and last is False and outer:
                    self._conditions.append(self._decided(further[1], further[2]))
                else:
                    self._conditions.append(None if last is None else not last and not further)
            return True
        if text == "endif":
            if self._conditions:
                self._conditions.pop()
            return True
        return False

    def _decided(self, how: str, rest: str) -> bool | None:
        if how in {"ifdef", "ifndef"}:
            return (self._made.expand(rest.strip()) in self._made.variables) == (how == "ifdef")
        match = re.fullmatch(r"\((.*)\)", rest.strip())
        sides = _arguments(match[1]) if match else re.findall(r"""["']([^"']*)["']""", rest)
        if len(sides) != 2:
            return None
        values = [_unset_is_empty(self._made, side.strip()) for side in sides]
        if any("\ue000" in value for value in values):
            return None
        return (values[0] == values[1]) == (how == "ifeq")

    def _counts(self) -> bool:
        return all(self._conditions)

    def _unclear(self, place: Place, text: str, why: str) -> None:
        self._made.unclear.append(Unclear(place, text, why))


def _unset_is_empty(made: Makefile, side: str) -> str:
    """One side of a comparison; a variable that nobody set is empty, as it is when make is run without any."""
    bare = re.fullmatch(r"\$[({](\w+)[)}]", side)
    if bare and bare[1] not in made.variables and bare[1] not in {"OS", "USER", "HOME", "PATH", "MAKECMDGOALS"}:
        return ""
    return made.expand(side).strip()


def _bare(line: str) -> str:
    """A line of a recipe without what make takes for itself; empty where it is a comment."""
    text = line.lstrip().lstrip("@-+").strip()
    return "" if text.startswith("#") else text


def _uncommented(text: str) -> str:
    return re.sub(r"(?<!\\)#.*", "", text).replace("\\#", "#")


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


def _arguments(text: str) -> list[str]:
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


def _stem(target: str, pattern: str) -> str:
    """What stands for the `%` of a pattern in a target that fits it; empty where it does not."""
    prefix, _, suffix = pattern.partition("%")
    fits = target.startswith(prefix) and target.endswith(suffix)
    return target[len(prefix) : len(target) - len(suffix)] if fits else ""


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
