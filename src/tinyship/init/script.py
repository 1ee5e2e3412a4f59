"""Lines of a shell as the commands that they are: joined by operators, repeated by loops, with variables filled in.

Not a shell: conditions are not evaluated (both branches count), functions are not called, globs stay.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath

from tinyship.init.marks import mark, of_shell

_OPERATOR = re.compile(r"[;&|()]+")
_REDIRECTION = re.compile(r"[<>]+&?|&>+")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.S)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_WORDS = {"then", "do", "else", "if", "elif", "while", "until", "{", "}", "!", "fi", "done", "time", "exec", "sudo"}


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its words, and the folder that it is run in, from the project's root."""

    words: tuple[str, ...]
    folder: str = "."


def commands(text: str, root: Path, environment: Mapping[str, str] | None = None) -> Iterator[Command]:
    """The commands of a text that one shell runs.

    Args:
        text: of one line or more, with marks.
        root: the project's, for the files that substitutions name.
        environment: variables that are known.

    Raises:
        ValueError: quotes are left open.
    """
    known = dict(environment or {})
    lexer = shlex.shlex(_substituted(text, root).replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    yield from _run(_split(list(lexer)), known, ["."])


def _split(tokens: list[str]) -> list[list[str]]:
    """The words of each simple command, without redirections."""
    found: list[list[str]] = [[]]
    skip = False
    for token in tokens:
        if skip:
            skip = False
        elif _REDIRECTION.fullmatch(token):
            if found[-1] and found[-1][-1].isdecimal():
                found[-1].pop()
            skip = not token.endswith("&")
        elif _OPERATOR.fullmatch(token):
            found.append([])
        else:
            found[-1].append(token)
    return [words for words in found if words]


def _run(every: list[list[str]], known: dict[str, str], folder: list[str]) -> Iterator[Command]:
    index = 0
    while index < len(every):
        words = every[index]
        index += 1
        while words and words[0] in _WORDS and words[0] != "for":
            words = words[1:]
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "for" and len(words) > 2 and words[2] == "in":
            end = _end(every, index)
            for value in " ".join(_filled(word, known) for word in words[3:]).split():
                yield from _run(every[index:end], {**known, words[1]: value}, folder)
            index = end
            continue
        given: dict[str, str] = {}
        if words[0] == "export":
            words = words[1:]
        while words and (match := _ASSIGNED.fullmatch(words[0])):
            given[match[1]] = _filled(match[2], known)
            words = words[1:]
        if not words:
            known.update(given)
            continue
        filled = tuple(_filled(word, {**known, **given}) for word in words)
        if filled[0] == "cd" and len(filled) > 1:
            folder = [normpath(join(folder[0], filled[1]))]
        else:
            yield Command(filled, folder[0])


def _end(every: list[list[str]], index: int) -> int:
    """The index of the `done` of a loop that began before."""
    depth = 1
    for at in range(index, len(every)):
        depth += any(word in {"for", "while", "until"} for word in every[at][:2])
        depth -= every[at][0] == "done"
        if not depth:
            return at
    return len(every)


def _filled(word: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        if name in known:
            return known[name]
        return match[2] if match[2] is not None else mark("unknown", match[0])

    return _VARIABLE.sub(value, word)


def _substituted(text: str, root: Path) -> str:
    """A text with a mark for each command substitution."""
    text = re.sub(r"`([^`]*)`", lambda match: of_shell(match[1], root), text)
    while (start := text.find("$(")) >= 0:
        depth, end = 0, len(text)
        for at in range(start + 1, len(text)):
            depth += (text[at] == "(") - (text[at] == ")")
            if not depth:
                end = at
                break
        text = f"{text[:start]}{of_shell(text[start + 2 : end], root)}{text[end + 1 :]}"
    return text
