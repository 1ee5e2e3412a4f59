"""From an index or a manifest to an image: chooses the platform, reads the config, matches layers.

Sources: the OCI image specification ("Image Index", "Image Manifest"), Docker's "Image Manifest V 2, Schema 2".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tinyship.errors import ImageError
from tinyship.sizes.image import Image, Layer, diff_ids, instructions, platform
from tinyship.sizes.layer import Contents

_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_DEEPEST = 5
_ODD = "It is damaged, or was altered. Fetch or build it again."
_FOREIGN = "is not in the image itself, only linked from it"


class Absent(ImageError):
    """A document is not where it should be."""


class Store(Protocol):
    """Where documents and layers are got from, by digest."""

    def document(self, digest: str) -> bytes:
        """A manifest, an index or a config, as it is stored.

        Raises:
            Absent: it is not there.
            ImageError: it is not what its digest says.
        """

    def layer(self, digest: str) -> tuple[Contents, int | None, str]:
        """What a layer holds; the bytes that a pull of it transfers, None where that is not known; its compression.

        Raises:
            ImageError: it is not there, or cannot be read.
        """


def manifest_of(
    store: Store, descriptors: Sequence[Mapping[str, Any]], name: str, wanted: str = ""
) -> Mapping[str, Any]:
    """The manifest of one image, out of an index's descriptors.

    Args:
        name: of the image, for errors.
        wanted: the platform, ``os/architecture[/variant]``; needed where there are several.

    Raises:
        ImageError: it has no such platform, or several and none was named.
    """
    found = _images(store, descriptors, name, wanted, set())
    fitting = [(made_for, manifest) for made_for, manifest in found if _fits(made_for, wanted)]
    there = ", ".join(sorted({made_for for made_for, _ in found}))
    if not found:
        raise ImageError(f"{name} holds no image")
    if not fitting:
        raise ImageError(f"{name} has no image for {wanted}", hint=f"It has {there}.")
    if len(fitting) > 1:
        if len({made_for for made_for, _ in fitting}) > 1:
            raise ImageError(f"{name} holds several images: {there}", hint="Name one with `--platform`.")
        called = ", ".join(sorted({one for descriptor in descriptors for one in names(descriptor)}))
        hint = f"Those in it: {called or 'they have no names'}. Name one as `{name}@NAME`."
        raise ImageError(f"{name} holds {len(fitting)} images for {fitting[0][0]}", hint=hint)
    return fitting[0][1]


def names(descriptor: Any) -> tuple[str, ...]:
    """The names that an index gives an image, as image tools write them."""
    marks = descriptor.get("annotations") if isinstance(descriptor, dict) else None
    return tuple(str(marks[key]) for key in _NAMES if marks.get(key)) if isinstance(marks, dict) else ()


def read(store: Store, manifest: Mapping[str, Any], name: str) -> Image:
    """Read the image that a manifest names.

    Raises:
        ImageError: it is no image's manifest, something is missing, or a layer is not what the config says.
    """
    try:
        entry = str(manifest["config"]["digest"])
        blobs = [(str(layer["digest"]), layer.get("urls"), layer.get("size")) for layer in manifest["layers"]]
    except (KeyError, TypeError, AttributeError):
        raise ImageError(f"{name} has a manifest that is no image's") from None
    document = store.document(entry)
    config = parsed(document, f"the config of {name}")
    named = diff_ids(config, name)
    if len(named) != len(blobs):
        raise ImageError(f"{name} has {len(blobs)} layers in its manifest, but {len(named)} in its config")
    for number, (_, urls, _) in enumerate(blobs, 1):
        if urls:
            raise ImageError(f"layer {number} of {name} {_FOREIGN}", hint="It is its publisher's, like Windows' own.")
    layers = [store.layer(digest) for digest, _, _ in blobs]
    for number, ((_, stored, _), (_, _, size)) in enumerate(zip(layers, blobs, strict=True), 1):
        if stored is not None and isinstance(size, int) and stored != size:
            raise ImageError(f"layer {number} of {name} has {stored} bytes, not {size} as its manifest says", hint=_ODD)
    return assembled(name, entry, config, layers, config_size=len(document))


def assembled(
    name: str,
    digest: str,
    config: Mapping[str, Any],
    layers: Sequence[tuple[Contents, int | None, str]],
    *,
    config_size: int = 0,
) -> Image:
    """An image of a config and of layers that were read: contents, bytes as stored, compression.

    Args:
        config_size: bytes of the config; 0 where that is not known.

    Raises:
        ImageError: a layer is not the one that the config names.
    """
    named = diff_ids(config, name)
    steps, gap = instructions(config, len(named))
    made = []
    for number, (diff_id, step, (contents, stored, compression)) in enumerate(
        zip(named, steps, layers, strict=True), 1
    ):
        if contents.diff_id != diff_id:
            raise ImageError(
                f"layer {number} of {name} is not what the config says: it has {short(contents.diff_id)}, "
                f"not {short(diff_id)}",
                hint=_ODD,
            )
        made.append(Layer(diff_id, step, contents, stored, compression))
    odd = (f"layer {number}: {one}" for number, layer in enumerate(made, 1) for one in layer.contents.notices)
    notices = (*((gap,) if gap else ()), *odd)
    return Image(name, digest, platform(config), config, tuple(made), config_size, notices)


def parsed(document: bytes, what: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        ImageError: it is none.
    """
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ImageError(f"{what} is no JSON object")
    return found


def short(digest: str) -> str:
    """A digest that people can compare."""
    return digest.removeprefix("sha256:")[:12]


def _images(
    store: Store, descriptors: Sequence[Mapping[str, Any]], name: str, wanted: str, seen: set[str], depth: int = 0
) -> list[tuple[str, Mapping[str, Any]]]:
    """The manifests of images below some descriptors, each once, with its platform; attestations are none.

    Some may be absent, as long as one is there: an engine that has one platform of an image saves its whole index.
    """
    if depth > _DEEPEST:
        raise ImageError(f"{name} has an index in an index, more than {_DEEPEST} deep")
    found: list[tuple[str, Mapping[str, Any]]] = []
    absent: Absent | None = None
    for descriptor in descriptors:
        if not isinstance(descriptor, dict) or not isinstance(descriptor.get("digest"), str):
            raise ImageError(f"{name} has an index that is damaged")
        marks = descriptor.get("annotations")
        if descriptor["digest"] in seen or (isinstance(marks, dict) and "vnd.docker.reference.type" in marks):
            continue
        seen.add(descriptor["digest"])
        said = descriptor.get("platform")
        if wanted and isinstance(said, dict) and said.get("architecture") and not _fits(platform(said), wanted):
            found.append((platform(said), {}))  # which need not be here
            continue
        try:
            document = parsed(store.document(descriptor["digest"]), f"a manifest of {name}")
        except Absent as error:
            absent = absent or error
            continue
        if isinstance(document.get("manifests"), list):
            found += _images(store, document["manifests"], name, wanted, seen, depth + 1)
        elif "config" in document and "layers" in document:
            found.append((_platform(store, descriptor, document, name), document))
    if absent and not found:
        raise absent
    return found


def _platform(store: Store, descriptor: Mapping[str, Any], manifest: Mapping[str, Any], name: str) -> str:
    said = descriptor.get("platform")
    if isinstance(said, dict) and said.get("architecture"):
        return platform(said)
    entry = manifest["config"]
    digest = str(entry.get("digest")) if isinstance(entry, dict) else ""
    return platform(parsed(store.document(digest), f"the config of {name}"))


def _fits(made_for: str, wanted: str) -> bool:
    return not wanted or made_for == wanted or made_for.startswith(f"{wanted}/")
