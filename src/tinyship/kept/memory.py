"""What each image was made of, kept in `.tinyship/made-*` for each engine, so that nothing is done twice.

An image's id is a digest of all that is in it, so that what is kept here is true of it in whichever engine it is.
Losing these files costs nothing but work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

from tinyship import state
from tinyship.context import fingerprint
from tinyship.context.fingerprint import Fingerprint

SCHEME = 1
"""Of how inputs are taken; with another one all that is kept is worth nothing."""
_PREFIX = "made-"

Parts: TypeAlias = Mapping[str, Mapping[str, str]]
"""What something was made of, by kind and name; each a digest, or what says as much."""


class Made(Struct, frozen=True):
    """Something that was made.

    Args:
        image: the engine's id of the image that it is, or that it was made in.
        given: what it was made of.
        at: when, RFC 3339.
        afresh: when it was last made without any cache, or for the first time here, RFC 3339.
    """

    image: str
    given: dict[str, dict[str, str]]
    at: str
    afresh: str


def now() -> str:
    """This moment, for ``at``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def seconds_since(moment: str) -> float:
    """How long ago a moment was; a moment to come, by a clock that was wrong, was long ago."""
    passed = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return passed if passed >= 0 else float("inf")


def find(root: Path, engine: str, name: str) -> Made | None:
    """What is kept of something; None where nothing is, or nothing that can be used.

    Args:
        root: the project's folder.
        engine: its address.
        name: of what was made.
    """
    try:
        found = json.loads(_file(root, engine, name).read_bytes())
        if found["scheme"] != SCHEME or found["name"] != name:
            return None
        made = Made(**found["made"])
        seconds_since(made.at), seconds_since(made.afresh)
        sound = all(isinstance(part, dict) for part in made.given.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not knowing only costs the work
    return made if sound else None


def keep(root: Path, engine: str, name: str, made: Made, files: Fingerprint | None) -> None:
    """Keep what something was made of, in place of what was kept of it before; arguments as for ``find``.

    Args:
        files: that it was made of, for whoever asks what changed; None where there are none.

    Raises:
        TinyshipError: it cannot be written.
    """
    key = _key(engine, name)
    if files:
        fingerprint.keep(root, key, files)
    data = {"scheme": SCHEME, "name": name, "engine": engine, "made": asdict(made)}
    state.keep(root, f"{key}.json", json.dumps(data, indent=1) + "\n")


def of_use(root: Path, engine: str, name: str) -> None:
    """Note that what is kept of something was of use; arguments as for ``find``."""
    key = _key(engine, name)
    state.of_use(root, f"{key}.json")
    fingerprint.of_use(root, key)


def files(root: Path, engine: str, name: str) -> Fingerprint | None:
    """The files that something was made of, to be told of and not to be trusted; None where these are not known."""
    return fingerprint.kept(root, _key(engine, name))


def _key(engine: str, name: str) -> str:
    return f"{_PREFIX}{hashlib.sha256(f'{engine} {name}'.encode()).hexdigest()[:20]}"


def _file(root: Path, engine: str, name: str) -> Path:
    return root / ".tinyship" / f"{_key(engine, name)}.json"
