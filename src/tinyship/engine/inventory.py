"""What an engine holds, asked in few requests: all images and containers at once, and what layers are whose."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct

from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.reference import familiar
from tinyship.running import cancelling

_T = TypeVar("_T")
_THREADS = 4
_TRIES = 40
_PAUSE = 0.05
_PATIENCE = 60.0
_BUSY = "operation is already running"
"""What engines say that look at their disk, or prune, for one client at a time (moby, ``daemon/disk_usage.go``)."""
_TYPES_SINCE = (1, 42)
_VERBOSE_SINCE = (1, 52)


class Listed(Struct, frozen=True):
    """An image as an engine lists it.

    Args:
        id: as ``engine.images`` has it.
        parent: the id of the image that the classic builder made it of; empty where there is none.
        tags: its names.
        labels: of its config.
        created: when it says that it was made; None where it does not say.
        size: bytes of its layers.
    """

    id: str
    parent: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    created: datetime | None
    size: int


class Container(Struct, frozen=True):
    """A container as an engine lists it.

    Args:
        id: the engine's.
        name: that people gave it, or the engine.
        image_id: of the image that it was made of.
        image: as whoever made it called that.
        labels: its own, and its image's.
        running: whether it is.
    """

    id: str
    name: str
    image_id: str
    image: str
    labels: Mapping[str, str]
    running: bool


class Usage(Struct, frozen=True):
    """What images hold in an engine.

    Args:
        total: bytes of all layers, each counted once.
        alone: by an image's id, the bytes that at least go with it, because no other image holds them; without those of
            which the engine does not tell.
        shared: by an image's id, the bytes of its layers that others hold, too; without those as before.
    """

    total: int
    alone: Mapping[str, int]
    shared: Mapping[str, int]


def images(engine: Engine) -> tuple[Listed, ...]:
    """All images, whosever they are, but for the steps between that the classic builder leaves."""
    return tuple(map(_listed, asked_again("listing images", lambda: engine.get("/images/json"))))


def _listed(entry: Mapping[str, Any]) -> Listed:
    return Listed(
        id=entry["Id"],
        parent=entry.get("ParentId") or "",
        tags=tuple(familiar(name) for name in entry.get("RepoTags") or () if not name.startswith("<none>")),
        labels=dict(entry.get("Labels") or {}),
        created=datetime.fromtimestamp(entry["Created"], UTC) if entry.get("Created", 0) > 0 else None,
        size=int(entry.get("Size") or 0),
    )


def containers(engine: Engine) -> tuple[Container, ...]:
    """All containers, also those that do not run."""
    found = asked_again("listing containers", lambda: engine.get("/containers/json", {"all": "1"}))
    return tuple(
        Container(
            id=entry["Id"],
            name=next((name.lstrip("/") for name in entry.get("Names") or ()), entry["Id"][:12]),
            image_id=entry.get("ImageID") or "",
            image=familiar(entry.get("Image") or ""),
            labels=dict(entry.get("Labels") or {}),
            running=entry.get("State") in {"running", "paused", "restarting"},
        )
        for entry in found
    )


def usage(engine: Engine) -> Usage:
    """What images hold (GET /system/df)."""
    return _usage(engine, *_df(engine))


def images_and_usage(engine: Engine) -> tuple[tuple[Listed, ...], Usage]:
    """All images, and what they hold; in one request where the engine answers both with one, as Docker's do."""
    found, entries = _df(engine)
    complete = entries and not engine.is_podman and all("RepoTags" in one and "Labels" in one for one in entries)
    listed = tuple(map(_listed, entries)) if complete else images(engine)
    return listed, _usage(engine, found, entries)


def _usage(engine: Engine, found: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Usage:
    total = found.get("LayersSize")
    if total is None:
        total = (found.get("ImagesUsage") or found.get("ImageUsage") or {}).get("TotalSize")
    told = [entry for entry in entries if int(entry.get("SharedSize", -1)) >= 0]
    shared = {entry.get("Id") or "": int(entry["SharedSize"]) for entry in told}
    # containerd's store has each layer twice, packed and unpacked, and counts the unpacked ones alone as shared.
    times = 2 if told and engine.containerd_store else 1
    alone = {
        entry.get("Id") or "": max(0, int(entry.get("Size") or 0) - times * int(entry["SharedSize"])) for entry in told
    }
    return Usage(int(total or 0), alone, shared)


def layers(engine: Engine, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The diff ids of the layers of some images, by their ids; without those that are gone."""

    def ask(image_id: str) -> tuple[str, ...] | None:
        with translated(f"looking at {image_id}"):
            try:
                found = engine.get(f"/images/{image_id}/json")
            except Exception as error:
                from docker.errors import NotFound

                if isinstance(error, NotFound):
                    return None
                raise
        return tuple((found.get("RootFS") or {}).get("Layers") or ())

    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            image_id: found
            for image_id, found in zip(ids, pool.map(cancelling.carried(ask), ids), strict=True)
            if found is not None
        }


def _df(engine: Engine) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the engine says of its disk, and of each image."""
    speaks = tuple(int(part) for part in engine.api_version.split(".") if part.isdigit())
    params = {"type": "image"} if speaks >= _TYPES_SINCE and not engine.is_podman else {}
    params |= {"verbose": "1"} if speaks >= _VERBOSE_SINCE else {}
    found: dict[str, Any] = asked_again(
        "asking what the engine's images hold",
        lambda: engine.get("/system/df", params),
    )
    items = found.get("Images") or (found.get("ImagesUsage") or found.get("ImageUsage") or {}).get("Items")
    return found, list(items or ())


def asked_again(what: str, ask: Callable[[], _T]) -> _T:
    """The answer, asked for again where the engine could not give it now, but will be able to.

    Some fail where something went while they looked at it, and some while they look at their disk for somebody else.
    """
    gone, end = 0, time.monotonic() + _PATIENCE
    with translated(what):
        while True:
            try:
                return ask()
            except Exception as error:
                from docker.errors import NotFound  # loaded when something fails: that takes longer than an answer

                if isinstance(error, NotFound):
                    gone += 1
                    if gone == _TRIES:
                        raise
                elif _BUSY not in str(error) or time.monotonic() > end:
                    raise
            cancelling.sleep(_PAUSE)
