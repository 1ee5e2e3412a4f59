"""One image, in every shape of archive that image tools write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import zstandard
from making import (
    Link,
    attestation,
    config,
    cut,
    file,
    folder,
    gone,
    gzipped,
    image,
    index,
    layer,
    layout,
    legacy,
    modern,
    packed,
    podman,
    sha256,
)

from tinyship.sizes import account, archive
from tinyship.sizes.account import Account
from tinyship.sizes.image import Image

LAYERS = (
    layer(folder("d"), file("d/a", 700), file("b", 10)),
    layer(file("b", 20), gone("d")),
    layer(file("big", 3000)),
)
HELD = (710, 20, 3000)


def zstd(data: bytes) -> bytes:
    """A frame after notes, as zstd:chunked has it."""
    notes = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
    return notes + zstandard.ZstdCompressor().compress(data)


def members(data: bytes) -> bytes:
    """Several gzip members, as eStargz has them."""
    return b"".join(gzipped(piece) for piece in cut(data, 600))


def read(files: Mapping[str, bytes | Link], *, wanted: str = "", platform: str = "") -> Image:
    """The image of an archive of these files."""
    return archive.read([packed(files)], "made.tar", wanted=wanted, platform=platform)


def told(data: bytes) -> tuple[Any, ...]:
    """All that is said of an archive's image but for its name."""
    found = account.take(archive.read(cut(data, 4096), "made.tar"))
    stores = [(one.diff_id, one.instruction, one.stored, one.compression) for one in found.image.layers]
    return found.held, found.live, found.files, found.dead, found.notices, stores, found.image.id, found.image.platform


SHAPES: dict[str, Callable[[], dict[str, bytes | Link]]] = {
    "docker before 25": lambda: legacy(LAYERS),
    "docker": lambda: modern(LAYERS),
    "podman": lambda: podman(LAYERS),
    "layout": lambda: layout(image(LAYERS)),
    "layout of zstd": lambda: layout(image(LAYERS, compress=zstd)),
    "layout of gzip members": lambda: layout(image(LAYERS, compress=members)),
    "layout, plain": lambda: layout(image(LAYERS, compress=bytes)),
    "layout, nested": lambda: layout(index(index(image(LAYERS)))),
    "layout with an attestation": lambda: layout(index(made := image(LAYERS), attestation(made))),
    "layout without platforms": lambda: layout(image(LAYERS, said=False)),
}


def checked(found: Account) -> None:
    """It is the image that all of these hold."""
    assert found.held == HELD
    assert [(one.path, one.size) for one in found.dead] == [("d/a", 700), ("b", 10)]
    assert found.image.id == sha256(config(LAYERS))
    assert found.image.platform == "linux/amd64"
    assert [one.instruction for one in found.image.layers] == ["RUN step 0", "RUN step 1", "RUN step 2"]
    assert found.notices == ()
