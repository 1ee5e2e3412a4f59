"""What of its context a Dockerfile can see: the paths that it names, or all of it where that is not certain.

Source: the Dockerfile reference (COPY, ADD, ``RUN --mount``); a builder takes what these name, and nothing else.
"""

from __future__ import annotations

import json
import posixpath
import re

from tinyship.dockerfiles import dockerfile

_FLAG = re.compile(r"--(\w[\w-]*)(?:=(\S*))?(?:\s+|$)")
_FRONTEND = re.compile(r"#\s*syntax\s*=", re.I)
_ELSEWHERE = ("type=cache", "type=secret", "type=ssh", "type=tmpfs")
_UNCERTAIN = set("*?[]\\$\"'<")


def of(text: str) -> frozenset[str] | None:
    """The files and folders of its context that a Dockerfile names; None where it may be any.

    What the images that it is FROM do in ONBUILD is not looked at.
    """
    if any(_FRONTEND.match(line.strip()) for line in text.removeprefix("\ufeff").split("\n")[:20]):
        return None
    found: set[str] = set()
    for _, keyword, rest in dockerfile.instructions(text):
        if keyword in {"COPY", "ADD"}:
            paths = _copied(rest)
        elif keyword == "RUN":
            paths = None if _is_mounted(rest) else set()
        else:
            continue
        if paths is None:
            return None
        found |= paths
    return frozenset(found)


def _copied(rest: str) -> set[str] | None:
    flags, words = _split(rest)
    if flags.get("from"):
        return set()
    if words.startswith("["):
        try:
            paths = json.loads(words)
        except ValueError:
            return None
    else:
        paths = words.split()
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or len(paths) < 2:
        return None
    if any(_UNCERTAIN & set(path) or ":" in path for path in paths[:-1]):
        return None
    return {posixpath.normpath(f"/{path}").strip("/") for path in paths[:-1]}


def _is_mounted(rest: str) -> bool:
    """Whether a RUN mounts the context."""
    at = 0
    while match := _FLAG.match(rest, at):
        at = match.end()
        mount = (match[2] or "").lower()
        if match[1].lower() == "mount" and "from=" not in mount and not any(one in mount for one in _ELSEWHERE):
            return True
    return False


def _split(rest: str) -> tuple[dict[str, str], str]:
    """The flags of an instruction, and what comes behind them."""
    flags, at = {}, 0
    while match := _FLAG.match(rest, at):
        at = match.end()
        flags[match[1].lower()] = match[2] or ""
    return flags, rest[at:].strip()
