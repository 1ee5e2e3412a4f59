"""The build cache of an engine's BuildKit: what is in it, and how old things go.

Source: the Docker Engine API, ``GET /system/df`` and ``POST /build/prune``; moby ``builder/builder-next``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tinyship.engine.connect import Engine
from tinyship.engine.inventory import asked_again

_TYPES_SINCE = (1, 42)


@dataclass(frozen=True, slots=True)
class Record:
    """One thing in the cache.

    Args:
        id: the builder's.
        size: in bytes.
        in_use: by a build that runs, or by another record.
        shared: with an image, which would keep its bytes.
        used: when it was last; None where that is not known.
    """

    id: str
    size: int
    in_use: bool
    shared: bool
    used: datetime | None


def records(engine: Engine) -> tuple[Record, ...]:
    """All that is in the cache; nothing where the engine has no BuildKit."""
    speaks = tuple(int(part) for part in engine.api_version.split(".") if part.isdigit())
    params = {"type": "build-cache"} if speaks >= _TYPES_SINCE and not engine.is_podman else {}
    found: dict[str, Any] = asked_again(
        "asking what is in the engine's build cache",
        lambda: engine.get("/system/df", params),
    )
    entries = found.get("BuildCache") or (found.get("BuildCacheUsage") or {}).get("Items") or ()
    return tuple(
        Record(
            id=entry["ID"],
            size=int(entry.get("Size") or 0),
            in_use=bool(entry.get("InUse")),
            shared=bool(entry.get("Shared")),
            used=_moment(entry.get("LastUsedAt") or entry.get("CreatedAt")),
        )
        for entry in entries
    )


def prune(engine: Engine, *, older_than: int, keep: int) -> tuple[str, ...]:
    """Remove what was not used for a time, the least used first, until the cache is small enough.

    What a running build uses stays, and so does what is shared with an image.

    Args:
        older_than: seconds; 0 for all.
        keep: bytes that may stay; 0 for none.

    Returns:
        the ids of what is gone.
    """
    api = engine.api
    params: dict[str, Any] = {}
    if older_than:
        params["filters"] = json.dumps({"until": [f"{older_than}s"]})
    if keep:
        params["keep-storage"] = keep
    found = asked_again(
        "removing old build cache",
        lambda: api._result(api._post(api._url("/build/prune"), params=params, timeout=None), True),
    )
    return tuple(found.get("CachesDeleted") or ())


def _moment(text: str | None) -> datetime | None:
    """A moment as Go writes it: with nanoseconds."""
    if not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
