"""What a Makefile's recipes would run, without make: variables filled in, includes followed, what git would say marked.

As far as the GNU make manual has it and people use it: recursive and simple variables, ``?=``, ``+=``, ``define``,
``include``, conditions that can be decided, target-specific variables, and the functions of ``init.variables``. What is
beyond that is marked as unknown where it stands.
"""

from __future__ import annotations

import re
from pathlib import Path

from tinyship.init.findings import Place, Unclear
from tinyship.init.marks import has_unknown, of_shell
from tinyship.init.variables import DEEPEST, Line, Makefile, Rule, Variable, arguments

_ASSIGNED = re.compile(r"(?:(export|override|private)\s+)*([A-Za-z_.][\w.-]*)\s*(\?=|\+=|::?:?=|=|!=)\s*(.*)", re.S)
_RULE = re.compile(r"([^:=#\t][^:=]*?)\s*(&?::?)(?!=)\s*(.*)", re.S)
_INCLUDE = re.compile(r"(-?s?include)\s+(.+)")
_CONDITION = re.compile(r"(ifeq|ifneq|ifdef|ifndef)\b\s*(.*)")


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
        if depth > DEEPEST:
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
        sides = arguments(match[1]) if match else re.findall(r"""["']([^"']*)["']""", rest)
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


def _uncommented(text: str) -> str:
    return re.sub(r"(?<!\\)#.*", "", text).replace("\\#", "#")


def _stem(target: str, pattern: str) -> str:
    """What stands for the `%` of a pattern in a target that fits it; empty where it does not."""
    prefix, _, suffix = pattern.partition("%")
    fits = target.startswith(prefix) and target.endswith(suffix)
    return target[len(prefix) : len(target) - len(suffix)] if fits else ""
