"""The folder ``.tinyship`` of a project: what tinyship keeps between runs, hidden from git."""

from __future__ import annotations

from pathlib import Path


def folder(root: Path) -> Path:
    """The folder, made with a ``.gitignore`` that ignores all of it where it is not there yet."""
    path = root / ".tinyship"
    path.mkdir(exist_ok=True)
    ignore = path / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return path
