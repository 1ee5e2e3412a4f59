"""Selects the entries of a folder that BuildKit asks for: includes, excludes, and paths with the links on their way.

Source: github.com/tonistiigi/fsutil (filter.go, followlinks.go), and buildkit, session/filesync.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus

from tinyship.context.ignore import Matcher
from tinyship.context.walk import Entry, walk
from tinyship.engine.buildkit.channel import Headers


def entries(root: Path, headers: Headers) -> Iterator[Entry]:
    """The entries of a folder that BuildKit asks for: what it includes, with links followed, less what it excludes."""
    excluded = Matcher(_patterns(headers, "exclude-patterns"))
    wanted = (*_patterns(headers, "include-patterns"), *_followed(root, _patterns(headers, "followpaths")))
    if not wanted or any(pattern.strip("/") in {"", "."} for pattern in wanted):
        return walk(root, excluded)
    return walk(root, Matcher(("**", *(f"!{pattern.lstrip('/')}" for pattern in wanted))), excluded)


def _patterns(headers: Headers, name: str) -> tuple[str, ...]:
    values = headers.get(name, ())
    return tuple(unquote_plus(value) for value in values) if f"{name}-encoded" in headers else values


def _followed(root: Path, paths: tuple[str, ...]) -> Iterator[str]:
    """Paths, and what the links on their way lead to, as long as it is below the folder (fsutil: followlinks.go)."""
    todo, seen = list(paths), set()
    while todo:
        path = os.path.normpath(todo.pop().strip("/") or ".")
        if path in seen or path.startswith(".."):
            continue
        seen.add(path)
        yield path
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            full = root / above
            if full.is_symlink():
                target = os.readlink(full)  # noqa: PTH115
                inside = target.lstrip("/") if target.startswith("/") else os.path.join(os.path.dirname(above), target)  # noqa: PTH118, PTH120
                yield above
                todo.append("/".join([inside, *parts[depth:]]))
                break
