"""Weighs the images of an engine by reading their layers, each once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from tinyship import state
from tinyship.engine import images
from tinyship.engine.ahead import ahead
from tinyship.engine.images import Image
from tinyship.errors import TinyshipError
from tinyship.events import Transfer
from tinyship.sizes import account, archive
from tinyship.sizes.account import Account
from tinyship.sizes.image import Image as Layers
from tinyship.stages.scope import Scope

_FILE = "layers.json"
_NEWS = 4 << 20
_MOST = 5000
"""Layers whose sizes are remembered."""


def unpacked(scope: Scope, image: Image, *, name: str = "") -> int:
    """The bytes of an image's files on disk, all layers, the same in every engine and image store.

    Engines' own numbers are not: graph drivers leave out links in layers that BuildKit made, the containerd store
    counts whole blocks, Podman something else. So the layers are read, once: a layer is what its digest says, and its
    size is remembered.

    Args:
        image: the image; of several platforms, the engine's own counts.
        name: for people; its first tag where it is left out.

    Raises:
        EngineError: the image is gone.
        ImageError: what the engine gave is damaged.
    """
    found = remembered(scope, image)
    return read(scope, image, name=name).unpacked if found is None else found


def remembered(scope: Scope, image: Image) -> int | None:
    """What ``unpacked`` says, where nothing has to be read for it; else None."""
    sizes = known(scope)
    return sum(sizes[layer] for layer in image.layers) if all(layer in sizes for layer in image.layers) else None


def read(scope: Scope, image: Image, *, name: str = "", platform: str = "", estimated: bool = False) -> Account:
    """Read the layers of an image in the engine, and account for every byte.

    Args:
        image: the image; of several platforms, the engine's own is read.
        name: for people; its first tag where it is left out.
        platform: another than the engine's own, where it has several.
        estimated: find out what each layer would take in a registry.

    Raises:
        EngineError: the engine has no such image, or lost it on the way.
        ImageError: what the engine gave is damaged.
    """
    name = name or (image.tags[0] if image.tags else image.id)
    if not platform and scope.engine.containerd_store:
        platform = f"{image.os}/{image.architecture}"
    if not image.layers:  # which some engines cannot save
        config = {"config": {"Labels": image.labels}, "os": image.os, "architecture": image.architecture}
        return account.take(Layers(name, image.id, f"{image.os}/{image.architecture}", config, ()))
    with scope.stage("size", name, "reading its layers") as outcome:
        pieces = told(scope, ahead(images.saved(scope.engine, image.id)), name)
        found = account.take(archive.read(pieces, name, platform=platform, estimated=estimated))
        outcome.word = "read"
    remember(scope, found)
    return found


def told(scope: Scope, pieces: Iterable[bytes], name: str, *, label: str = "layers", total: int = 0) -> Iterator[bytes]:
    """The pieces as they are, told about every few megabytes.

    Args:
        name: of the image.
        label: of what is read.
        total: bytes that will come; 0 where that is not known.
    """
    count = last = 0
    for piece in pieces:
        yield piece
        count += len(piece)
        if count - last > _NEWS:
            last = count
            scope.events(Transfer(label, "reading", count, total, image=name))
    if last:
        scope.events(Transfer(label, "reading", count, count, done=True, image=name))


def pull_size(found: Account) -> tuple[int | None, bool]:
    """The compressed bytes that a pull transfers, or would, and whether that is an estimate.

    Of each layer it is what the source has stored, which is what a push sends, or else what gzip would make of it.
    None where layers are stored uncompressed, and were read without an estimate.
    """
    stored = [layer.stored for layer in found.image.layers]
    sizes = [
        layer.contents.compressed.get("gzip") if layer.stored is None else layer.stored for layer in found.image.layers
    ]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None, False
    return found.image.config_size + sum(known), None in stored


def known(scope: Scope) -> Mapping[str, int]:
    """The sizes of layers that were read before, by diff id; none where that cannot be told."""
    try:
        found = json.loads((scope.root / ".tinyship" / _FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {layer: size for layer, size in entries if isinstance(size, int)}


def remember(scope: Scope, found: Account) -> None:
    """Keep the sizes of layers that were read, for whoever asks for them by their digests."""
    fresh = {layer.diff_id: held for layer, held in zip(found.image.layers, found.held, strict=True)}
    with suppress(TinyshipError), state.locked(scope.root, "layers.lock"):  # or it is looked at again next time
        older = {layer: size for layer, size in known(scope).items() if layer not in fresh}
        every = [*older.items(), *fresh.items()][-_MOST:]
        state.write(scope.root, _FILE, json.dumps(dict(every)) + "\n")
