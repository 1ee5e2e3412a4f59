"""Pages of the documentation as what they are to do: files to write, and commands to run, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(\w+|\{[\w-]+\})\n(.*?)^```$", re.M | re.S)
_FENCE = re.compile(r"^[\s>]*(?:```|~~~)", re.M)
_NAMED = re.compile(r"(\bto )?`([\w-]*[./][\w./-]+|Makefile|Dockerfile)`(?:(?!\n\n)[^`])*:\s*$")
_SHELLS = {"sh", "bash", "shell"}
_SEEN = {"text", "json", "mermaid", "diff", "{toctree}", "{eval-rst}"}
_NAMES = {"toml": "pyproject.toml", "yaml": "invoke.yaml"}
_TOKEN = re.compile(
    r"""
      (?P<any>\.\.\.)
    | (?P<time>(?:\d+\ min\ )?\d+(?:\.\d+)?\ ?m?s\b)
    | (?P<size>\d+(?:\.\d+)?\ ?(?:[kMG]?B|Bytes?)\b)
    | (?P<share>\d+(?:\.\d+)?\ ?%)
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<clock>\b\d\d:\d\d(?::\d\d)?\b)
    | (?P<hex>\bg?(?=[a-f]*\d)[0-9a-f]{7,64}\b)
    | (?P<space>\ +)
    """,
    re.X,
)
_LIKE = {
    "any": r".*",
    "time": r"(?:\d+ min )?\d+(?:\.\d+)? ?m?s",
    "size": r"(\d+(?:\.\d+)? ?(?:[kMG]?B|Bytes?))",
    "share": r"(\d+(?:\.\d+)? ?%)",
    "date": r"\d{4}-\d\d-\d\d",
    "clock": r"\d\d:\d\d(?::\d\d)?",
    "hex": r"g?[0-9a-f]{7,64}",
    "space": r" +",
}
_UNITS = {"%": 1, "B": 1, "Byte": 1, "Bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_NEAR = 0.1
"""How far a number on a page may be from what is written: engines and toolchains differ."""


@dataclass(frozen=True, slots=True)
class Step:
    """A block of a page.

    Args:
        kind: `file` to write, `more` to write at the end of a file, `console` for commands with what they write, `seen`
            for what is only shown.
        name: of the file.
        text: of the block.
    """

    kind: str
    name: str
    text: str

    def commands(self) -> list[tuple[str, str]]:
        """Each command, with the lines that continue it, and what the page shows of its output."""
        found: list[tuple[str, str]] = []
        lines = iter(self.text.splitlines())
        for line in lines:
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                assert found, f"no command writes this: {line}"
                command, shown = found[-1]
                if not shown and (command.endswith("\\") or line.startswith("> ")):
                    found[-1] = (f"{command}\n{line.removeprefix('> ')}", "")
                else:
                    found[-1] = (command, f"{shown}{line}\n")
        assert found, f"a console without a command: {self.text}"
        return found


def all_pages() -> Iterator[Path]:
    """The README and its fellows, the documents, and what stands beside the examples."""
    yield from sorted(ROOT.glob("*.md"))
    made = {ROOT / "docs" / "_build", ROOT / "docs" / "examples"}  # by `./dev docs`
    yield from (page for page in sorted((ROOT / "docs").rglob("*.md")) if not made & {*page.parents})
    yield from sorted((ROOT / "examples").glob("*/README.md"))


def steps(page: Path) -> list[Step]:
    """The blocks of a page; a file's name stands right before its block, or is that which its language has.

    Raises:
        AssertionError: a block is neither a file, nor a console, nor of a language that is only shown.
    """
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        language, block = match[1], match[2]
        named = _NAMED.search(text[: match.start()])
        name = named[2] if named else ""
        if language in _NAMES and not name.endswith((".toml", ".yaml", ".yml")):
            name = _NAMES[language]
        if language == "console":
            found.append(Step("console", "", block))
        elif name:
            found.append(Step("more" if named and named[1] else "file", name, block))
        else:
            about = f"{page.name}: {block[:60]}"
            assert language not in _SHELLS, f"commands stand in a `console`, each after a `$`: {about}"
            assert language in _SEEN, f"nothing says which file this is: {about}"
            found.append(Step("seen", "", block))
    fences = len(_FENCE.findall(text))
    assert fences == 2 * len(found), f"{page.name}: a block is indented, has no language, or has words behind it"
    return found


def must_fail(shown: str) -> bool:
    """Whether a page says that a command fails."""
    return re.search(r"^(?:error\b|Error\b)", shown, re.M) is not None


def agrees(shown: str, wrote: str) -> bool:
    """Whether a page shows what was written.

    `...` stands for anything in a line, and alone for any lines. Digests, commits, dates, times and the width of
    columns may be others; sizes and percentages are right to a tenth.
    """
    pattern, numbers = "", []
    for line in shown.rstrip("\n").split("\n"):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        end = 0
        for token in _TOKEN.finditer(line.rstrip()):
            pattern += re.escape(line[end : token.start()]) + _LIKE[str(token.lastgroup)]
            end = token.end()
            if token.lastgroup in {"size", "share"}:
                numbers.append(token[0])
        pattern += re.escape(line.rstrip()[end:]) + r" *\n"
    found = re.fullmatch(pattern, wrote.rstrip("\n") + "\n")
    return found is not None and all(map(_near, numbers, found.groups()))


def _near(shown: str, wrote: str) -> bool:
    one, other = _number(shown), _number(wrote)
    return abs(one - other) <= _NEAR * max(one, other)


def _number(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+) ?(.+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]
