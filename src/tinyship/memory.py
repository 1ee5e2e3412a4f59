"""What each image was made of, kept in `.tinyship/made` for each engine, so that nothing is done twice.

An image's id is a digest of all that is in it, so that what is kept here is true of it in whichever engine it is.
Losing these files costs nothing but work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from tinyship import state

SCHEME = 1
"""Of how inputs are taken; with another one all that is kept is worth nothing."""
_FOLDER = "made"

Parts: TypeAlias = Mapping[str, Mapping[str, str]]
"""What something was made of, by kind and name; each a digest, or what says as much."""


@dataclass(frozen=True, slots=True)
class Made:
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
        datetime.fromisoformat(made.at), datetime.fromisoformat(made.afresh)
        sound = all(isinstance(part, dict) for part in made.given.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not knowing only costs the work
    return made if sound else None


def keep(root: Path, engine: str, name: str, made: Made, held: Mapping[str, str]) -> None:
    """Keep what something was made of, in place of what was kept of it before; arguments as for ``find``.

    Args:
        held: what each file that it was made of held, for whoever asks what changed.

    Raises:
        TinyshipError: it cannot be written.
    """
    state.write(root, _name(engine, name, "files"), json.dumps(dict(held)))
    data = {"scheme": SCHEME, "name": name, "engine": engine, "made": asdict(made)}
    state.write(root, _name(engine, name), json.dumps(data, indent=1) + "\n")


def held(root: Path, engine: str, name: str) -> dict[str, str] | None:
    """What each file held that something was made of, to be told of and not to be trusted; None where not known."""
    try:
        found = json.loads((root / ".tinyship" / _name(engine, name, "files")).read_bytes())
    except (OSError, ValueError):
        return None
    return {str(path): str(what) for path, what in found.items()} if isinstance(found, dict) else None


def _name(engine: str, name: str, kind: str = "json") -> str:
    return f"{_FOLDER}/{hashlib.sha256(f'{engine} {name}'.encode()).hexdigest()[:20]}.{kind}"


def _file(root: Path, engine: str, name: str) -> Path:
    return root / ".tinyship" / _name(engine, name)
