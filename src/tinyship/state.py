"""The folder ``.tinyship`` of a project: what tinyship keeps between runs, hidden from git."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tinyship.errors import TinyshipError


def folder(root: Path) -> Path:
    """The folder, made with a ``.gitignore`` that ignores all of it where it is not there yet.

    Raises:
        TinyshipError: it cannot be made.
    """
    path = root / ".tinyship"
    try:
        path.mkdir(exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def write(root: Path, name: str, text: str) -> None:
    """Replace a file of the folder, atomically: whoever reads it has the old or the new text.

    Raises:
        TinyshipError: it cannot be written; the old file is as it was.
    """
    file = folder(root) / name
    fresh = file.with_name(f"{name}.{os.getpid()}")
    try:
        fresh.write_text(text)
        fresh.replace(file)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise _unwritable(file, error) from error


def _unwritable(path: Path, error: OSError) -> TinyshipError:
    return TinyshipError(f"{path} cannot be written: {error.strerror}", hint="Is it this user's, and is there room?")
