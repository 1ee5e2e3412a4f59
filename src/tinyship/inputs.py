"""What decides what a stage produces, as one digest, kept in `.tinyship/inputs.json` so that nothing is done twice."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from tinyship import state
from tinyship.context.walk import Entry, walk
from tinyship.errors import ContextError


def combined(*parts: object) -> str:
    """One digest of several values; only what JSON can hold."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def of_file(path: Path) -> str:
    """A digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_entries(entries: Iterable[Entry]) -> str:
    """A digest of names, kinds, permissions, link targets and contents; times and owners decide nothing.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for entry in entries:
        mode = entry.stat.st_mode
        digest.update(f"{entry.path}\0{mode:o}\0".encode("utf-8", "surrogateescape"))
        if stat.S_ISLNK(mode):
            digest.update(os.fsencode(os.readlink(entry.full)))  # noqa: PTH115  surrogates need no Path
        elif stat.S_ISREG(mode):
            digest.update(of_file(Path(entry.full)).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def of_paths(root: Path, paths: Iterable[str]) -> str:
    """A digest of files and folders below a folder, empty where one is missing or cannot be read."""
    digests = []
    try:
        for path in paths:
            full = root / path
            below = walk(full) if full.is_dir() and not full.is_symlink() else ()
            digests.append(of_entries([Entry(path, str(full), full.lstat()), *below]))
    except (OSError, ContextError):
        return ""
    return combined(*digests)


def remembered(root: Path, reference: str, image_id: str) -> str:
    """The digest that is kept for the image with this name and id; empty where there is none."""
    entry = _read(root).get(reference, {})
    return str(entry.get(image_id, "")) if isinstance(entry, dict) else ""


def remember(root: Path, reference: str, image_id: str, digest: str) -> None:
    """Keep a digest for an image; what was kept for another image of that name is forgotten."""
    with state.locked(root, "inputs.lock"):  # several images of a project may be made at once
        known = {**_read(root), reference: {image_id: digest}}
        state.write(root, "inputs.json", json.dumps(known, indent=2) + "\n")


def _read(root: Path) -> dict[str, dict[str, str]]:
    try:
        known = json.loads((root / ".tinyship" / "inputs.json").read_bytes())
    except (OSError, ValueError):
        return {}  # not knowing only costs the work
    return known if isinstance(known, dict) else {}
