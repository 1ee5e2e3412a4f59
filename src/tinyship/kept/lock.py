"""The file ``tinyship.lock``: which digest each external base image of a project is pinned to; meant to be committed.

It is JSON, ``{"version": 1, "bases": {...}}``, sorted, one line a fact, so that a change of a pin is one that people
can read. The keys of ``bases`` are the names as the Dockerfiles have them. A file that says the same is not written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from tinyship import state
from tinyship.errors import ConfigError
from tinyship.reference import DIGEST

NAME = "tinyship.lock"
VERSION = 1
_HINT = "Take it back from git, or remove it: `invoke base.update` writes it anew."


class Pin(Struct, frozen=True):
    """What a base image is pinned to.

    Args:
        digest: of the index or the manifest, as the registry's tag named it.
        platform: ``os/architecture[/variant]`` of the image that ``pull`` is about; empty where it does not say it.
        pull: compressed bytes that a pull of it transfers; None where not known.
    """

    digest: str
    platform: str = ""
    pull: int | None = None


class Lock(Struct, frozen=True):
    """All pins of a project, by the names of the images."""

    pins: Mapping[str, Pin] = field(default_factory=dict)


def path(root: Path) -> Path:
    """Where the lock of the project at ``root`` lies."""
    return root / NAME


def read(root: Path) -> Lock | None:
    """The project's lock; None where it has none.

    Raises:
        ConfigError: it cannot be read, is not what it should be, or is of a newer version.
    """
    file = path(root)
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is no JSON: {error}", hint=_HINT) from error
    version = data.get("version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ConfigError(f"{file} is no lock: it has no `version`", hint=_HINT)
    if version > VERSION:
        raise ConfigError(
            f"{file} is of version {version}; this tinyship knows version {VERSION}",
            hint="Use the tinyship that wrote it, or a newer one.",
        )
    bases = data.get("bases")
    if not isinstance(bases, dict):
        raise ConfigError(f"{file} is no lock: it has no `bases`", hint=_HINT)
    return Lock({name: _pin(file, name, entry) for name, entry in bases.items()})


def write(root: Path, lock: Lock) -> bool:
    """Make a lock the project's; whether that changed the file.

    Raises:
        TinyshipError: it cannot be written; the old file is as it was.
    """
    file, text = path(root), as_text(lock).encode()
    try:
        if file.read_bytes() == text:
            return False
    except OSError:
        pass  # then writing it says why, or works
    state.replace_file(file, text)
    return True


def as_text(lock: Lock) -> str:
    """A lock as it stands in its file."""
    bases = {
        name: {key: value for key, value in asdict(pin).items() if value not in {"", None}}
        for name, pin in sorted(lock.pins.items())
    }
    return json.dumps({"version": VERSION, "bases": bases}, indent=2, ensure_ascii=False) + "\n"


def _pin(file: Path, name: str, entry: Any) -> Pin:
    digest = entry.get("digest") if isinstance(entry, dict) else None
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ConfigError(f"{file}: `{name}` has no digest of the form sha256:...", hint=_HINT)
    platform, pull = entry.get("platform", ""), entry.get("pull")
    is_count = isinstance(pull, int) and not isinstance(pull, bool) and pull >= 0
    if not isinstance(platform, str) or not (pull is None or is_count):
        raise ConfigError(f"{file}: `{name}` has a `platform` or a `pull` that is none", hint=_HINT)
    return Pin(digest, platform, pull)
