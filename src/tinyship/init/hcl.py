"""A small reader of HCL, as Bake files are mostly written: blocks of attributes that are plain values.

Source: the HCL native syntax specification. Strings with ``${NAME}``, lists, maps, numbers, booleans, and names of
variables are read; an attribute that is more (calls, operators, conditions, here-documents) is reported and left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<end>\n)|(?P<string>"(?:\\.|\$\{[^}]*\}|[^"\\])*")"""
    r"""|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.-]*)|(?P<sign>[{}\[\],=:])|(?P<other>.)""",
    re.S,
)
_VALUES = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Name:
    """A name that stands where a value is expected: a variable's."""

    text: str


@dataclass(slots=True)
class Block:
    """A block: its kind, its label, its attributes with the lines that they begin on, and the lines not understood."""

    kind: str
    label: str
    line: int
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


class _NotPlain(ValueError):
    """An attribute is more than a plain value."""


def parse(text: str) -> tuple[list[Block], list[tuple[int, str]]]:
    """The blocks of a file, and what in it was not understood: lines, each with what stands there."""
    return _Parser(_tokens(text), text.splitlines()).file()


def _tokens(text: str) -> list[_Token]:
    found, line = [], 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match[0], line))
        line += match[0].count("\n")
    return found


class _Parser:
    def __init__(self, tokens: list[_Token], lines: list[str]) -> None:
        self._tokens = tokens
        self._lines = lines
        self._at = 0
        self._unclear: list[tuple[int, str]] = []

    def file(self) -> tuple[list[Block], list[tuple[int, str]]]:
        blocks: list[Block] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "end":
                self._at += 1
                continue
            start = self._at
            block = self._head()
            if block is None:
                self._at = start + (token.text == "}")
                self._skip(token.line)
            else:
                self._body(block)
                blocks.append(block)
        return blocks, self._unclear

    def _head(self) -> Block | None:
        kind = self._next()
        label = ""
        if kind is None or kind.kind != "name":
            return None
        token = self._next()
        if token and token.kind == "string":
            label = token.text[1:-1]
            token = self._next()
        return Block(kind.text, label, kind.line) if token and token.text == "{" else None

    def _body(self, block: Block) -> None:
        while (token := self._next()) and token.text != "}":
            if token.kind == "end":
                continue
            start = self._at - 1
            following = self._next()
            if token.kind in {"name", "string"} and following and following.text == "=":
                key = token.text.strip('"')
                try:
                    value = self._value()
                    after = self._peek()
                    if after and after.kind != "end" and after.text != "}":
                        raise _NotPlain
                except _NotPlain:
                    self._at = start
                    self._skip(token.line)
                else:
                    block.values[key] = value
                    block.lines[key] = token.line
            else:
                self._at = start
                self._skip(token.line)

    def _value(self) -> Any:
        token = self._next(past_lines=True)
        if token is None:
            raise _NotPlain
        if token.kind == "string":
            return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), token.text[1:-1])
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "name":
            return _VALUES[token.text] if token.text in _VALUES else Name(token.text)
        if token.text == "[":
            return self._list()
        if token.text == "{":
            return self._map()
        raise _NotPlain

    def _list(self) -> list[Any]:
        found: list[Any] = []
        while True:
            self._lines_past()
            token = self._peek()
            if token and token.text == "]":
                self._at += 1
                return found
            found.append(self._value())
            self._comma("]")

    def _map(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        while True:
            self._lines_past()
            token = self._next()
            if token is None:
                raise _NotPlain
            if token.text == "}":
                return found
            sign = self._next()
            if token.kind not in {"name", "string"} or sign is None or sign.text not in {"=", ":"}:
                raise _NotPlain
            found[token.text.strip('"')] = self._value()
            self._comma("}", lines=True)

    def _comma(self, closer: str, *, lines: bool = False) -> None:
        before = self._at
        self._lines_past()
        token = self._peek()
        if token and token.text == ",":
            self._at += 1
        elif not (token and token.text == closer) and not (lines and self._at > before):
            raise _NotPlain

    def _lines_past(self) -> None:
        while (token := self._peek()) and token.kind == "end":
            self._at += 1

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self, *, past_lines: bool = False) -> _Token | None:
        if past_lines:
            self._lines_past()
        token = self._peek()
        self._at += token is not None
        return token

    def _skip(self, line: int) -> None:
        """Pass over what is not understood: to the end of its line, or of the brackets that it opens."""
        self._unclear.append((line, self._lines[line - 1].strip()))
        depth = 0
        while token := self._peek():
            if token.text == "}" and depth == 0:
                return
            depth += (token.text in {"{", "[", "("}) - (token.text in {"}", "]", ")"})
            self._at += 1
            if token.kind == "end" and depth <= 0:
                return
