"""Marks in texts: what stands for a value that is known only when it is asked for, like the commit of HEAD.

A mark is a kind and its detail in hexadecimal, between characters of Unicode's private use area, so that texts with
marks can be joined, split and quoted like any other.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tinyship.settings.grammar import TEMPLATE_NAMES

_MARK = re.compile("\ue000([a-z_]+)\ue002([0-9a-f]*)\ue001")
_QUOTED = re.compile(r"""(["'])([^"']+)\1""")
_NOISE = re.compile(r"\s*(?:2>\s*/dev/null|2>&1|\|\|\s*(?:true|:|echo\s+\S+)|\|\s*tr\s+-d\s+\S+|\|\s*sed\s+\S+v\S*)")
_SHORT = re.compile(r"\|\s*cut\s+-(?:c|b)\s*(?:1?-)\d+")


def mark(kind: str, detail: str = "") -> str:
    """A mark of a kind; ``unknown`` for what is not understood, with its text as the detail."""
    return f"\ue000{kind}\ue002{detail.encode().hex()}\ue001"


def literal(version: str) -> str:
    """A mark for a version that stands there as such; a ``v`` before it stays before the mark."""
    bare = version.removeprefix("v")
    return f"{'v' if bare != version else ''}{mark('literal', bare)}"


def marks(text: str) -> list[tuple[str, str]]:
    """The kinds and details of the marks in a text."""
    return [(kind, bytes.fromhex(detail).decode()) for kind, detail in _MARK.findall(text)]


def has_unknown(text: str) -> bool:
    """Whether something in a text was not understood."""
    return any(kind == "unknown" for kind, _ in marks(text))


def shown(text: str) -> str:
    """A text for people: each mark as what it stands for."""

    def word(match: re.Match[str]) -> str:
        kind, detail = match[1], bytes.fromhex(match[2]).decode()
        return shown(detail) if kind in {"unknown", "literal"} else f"{{{_NAMES.get(kind, kind)}}}"

    return _MARK.sub(word, text)


def template(text: str) -> str:
    """A tag as an entry of ``push.tags``.

    Raises:
        ValueError: something in it has no name there.
    """

    def word(match: re.Match[str]) -> str:
        kind = _NAMES.get(match[1], match[1])
        if kind == "dirty":  # a dirty tree has a version of its own, and is not pushed
            return ""
        if kind not in TEMPLATE_NAMES:
            raise ValueError(f"`{shown(match[0])}` is not known")
        return f"{{{kind}}}"

    return _MARK.sub(word, text)


_NAMES = {"file": "version", "regex": "version", "literal": "version"}


def of_shell(command: str, root: Path) -> str:
    """What a command of a shell would write, as a mark: what git says, what a file has, or ``unknown``.

    Args:
        command: with its marks, as they are.
        root: where the files are that it names.
    """
    text = " ".join(command.split())
    short = bool(_SHORT.search(text))
    plain = _SHORT.sub("", _NOISE.sub("", text)).strip()
    kind = _of_git(plain)
    if kind == "commit" and short:
        kind = "short_commit"
    if kind:
        return mark(kind)
    if re.fullmatch(r"date\b.*", plain):
        day = re.fullmatch(r"""date\s+(?:-u\s+)?["']?\+["']?([\w.-]*)%Y%m%d([\w.-]*)["']?""", plain)
        return f"{day[1]}{mark('date')}{day[2]}" if day else mark("time")
    if plain in {"pwd", "pwd -P"}:
        return "."
    if "git status --porcelain" in plain or "git diff" in plain:
        return mark("dirty")
    if (match := re.fullmatch(r"(?:cat\s+|<\s*)(\S+)", plain)) and not marks(match[1]):
        return mark("file", match[1].removeprefix("./")) if (root / match[1]).is_file() else mark("unknown", text)
    return _grepped(plain, root) or mark("unknown", f"$({text})")


def _of_git(command: str) -> str:
    """The kind of what a git command writes; empty where that is not known."""
    if not re.match(r"git\s", command):
        return ""
    try:
        words = [word for word in shlex.split(command)[1:] if word != "--no-pager"]
    except ValueError:
        return ""
    if any(word in {"|", ";", "&&"} or word.startswith("|") for word in words):
        return ""
    verb, rest = words[0] if words else "", words[1:]
    if verb == "describe" and "--exclude" not in rest:
        return "version"
    if verb == "rev-parse":
        if "--abbrev-ref" in rest:
            return "branch"
        if any(word.startswith("--short") for word in rest):
            return "short_commit"
        return "commit" if [word for word in rest if word != "--verify"] == ["HEAD"] else ""
    if (verb == "branch" and "--show-current" in rest) or (verb == "symbolic-ref" and "HEAD" in rest):
        return "branch"
    if verb in {"log", "show", "rev-list"}:
        formats = " ".join(rest)
        return "commit" if "%H" in formats else "short_commit" if "%h" in formats else ""
    return ""


def _grepped(command: str, root: Path) -> str:
    """A mark for the version that a command greps out of a file; empty where it is no such command.

    The regular expression is made of the line that is found, and tried on the file: it has to find what is quoted.
    """
    first = command.partition("|")[0]
    try:
        words = shlex.split(first)
    except ValueError:
        return ""
    plain = [word for word in words[1:] if not word.startswith("-")]
    if words[:1] != ["grep"] or len(plain) != 2 or "|" not in command:
        return ""
    pattern, file = plain
    if marks(file) or not (root / file).is_file():
        return ""
    text = (root / file).read_text("utf-8", "replace")
    wanted = pattern.replace("\\", "").strip("^$")
    line = next((line for line in text.splitlines() if wanted in line), "")
    quoted = _QUOTED.search(line)
    if not quoted:
        return ""
    quote = quoted[1]
    regex = f"{re.escape(line[: quoted.start()].lstrip())}{quote}([^{quote}]+){quote}".replace("\\ ", " ")
    found = re.search(regex, text)
    return mark("regex", f"{file}\n{regex}") if found and found[1] == quoted[2] else ""
