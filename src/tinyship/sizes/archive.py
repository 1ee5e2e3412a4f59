"""Images in one file: what ``docker save``, ``podman save``, ``skopeo``, BuildKit and others write, read in one pass.

Nothing is unpacked. Layers come in any order, and before anything says whose they are; so each is read as it comes, and
what it holds, not its bytes, is kept until the end.

Sources: Docker's "Image Specification v1.2" (manifest.json), the OCI image specification, "Image Layout".
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tinyship.errors import ImageError
from tinyship.reference import familiar
from tinyship.sizes import compression, image, layer, oci
from tinyship.sizes.feed import Feed, Truncated
from tinyship.sizes.image import Image
from tinyship.sizes.layer import Contents
from tinyship.sizes.tar import FILE, HARDLINK, SYMLINK, Damaged, entries, sound

_LONGEST_DOCUMENT = 16 << 20
_MOST_DOCUMENTS = 128 << 20
_AGAIN = "Was it cut while it was written or copied? Save it again."


@dataclass(slots=True)
class _Blob:
    """A file of the archive that is a layer, or why it cannot be read as one."""

    contents: Contents | None
    stored: int
    compression: str
    why: str = ""


@dataclass(slots=True)
class _Archive:
    """What stands in an archive, by the names of its files.

    Args:
        room: bytes that its documents may still have.
        most: entries that its layers may still have.
    """

    room: int
    most: int
    documents: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, _Blob] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def blob(self, name: str) -> _Blob | None:
        """A layer; Docker links one that several images share."""
        for _ in range(8):
            if name not in self.links:
                break
            name = self.links[name]
        return self.blobs.get(name)


def read(pieces: Iterable[bytes], name: str, *, wanted: str = "", platform: str = "", estimated: bool = False) -> Image:
    """Read one image of an archive.

    Args:
        pieces: the archive, compressed or not, in pieces of any length.
        name: of the archive, for people.
        wanted: a reference, where the archive holds several images.
        platform: ``os/architecture[/variant]``, where it holds several.
        estimated: whether to find out what each layer would take in a registry.

    Raises:
        ImageError: it is no archive of images, it is damaged, or does not hold what is wanted.
    """
    try:
        found = _read(compression.plain(pieces), estimated)
    except Truncated:
        raise ImageError(f"{name} is cut short", hint=_AGAIN) from None
    except Damaged as error:
        raise ImageError(f"{name} is no archive of images: {error}") from None
    if "manifest.json" in found.documents and not (platform and "index.json" in found.documents):
        return _saved(found, name, wanted, platform)
    if "index.json" in found.documents:
        index = oci.parsed(found.documents["index.json"], f"the index of {name}")
        descriptors = index.get("manifests")
        if not isinstance(descriptors, list):
            raise ImageError(f"{name} has an index that is damaged")
        store = _Layout(found, name)
        return oci.read(store, oci.manifest_of(store, named(descriptors, wanted, name), name, platform), name)
    if any(file.startswith("blobs/") or file.endswith(".tar") for file in (*found.blobs, *found.documents)):
        raise ImageError(f"{name} is cut short: it has layers, but no manifest.json and no index.json", hint=_AGAIN)
    raise ImageError(
        f"{name} is no archive of images: it has no manifest.json and no index.json",
        hint="`docker save` and `docker buildx build --output type=oci` write such archives; `docker export` does not.",
    )


def _read(pieces: Iterable[bytes], estimated: bool) -> _Archive:
    found = _Archive(_MOST_DOCUMENTS, layer.MOST_ENTRIES)
    feed = Feed(pieces)
    for path, kind, _, link, stored in entries(feed, checked=True):
        name = path.removeprefix("./").lstrip("/")
        if kind in {SYMLINK, HARDLINK}:
            folder = posixpath.dirname(name) if kind == SYMLINK else ""
            found.links[name] = posixpath.normpath(posixpath.join(folder, link)).removeprefix("./")
        elif kind == FILE:
            _take(found, name, feed.stretch(stored), stored, estimated)
    return found


def _take(found: _Archive, name: str, pieces: Iterator[bytes], stored: int, estimated: bool) -> None:
    """Take a file of the archive for what its first bytes say that it is."""
    head = b""
    while len(head) < min(512, stored):
        head += next(pieces)
    whole = chain((head,), pieces)
    how = compression.kind(head)
    if not how and not sound(head) and head.strip(b"\0"):
        if head.lstrip()[:1] not in {b"{", b"["}:
            found.blobs[name] = _Blob(None, stored, how, "it is no tar, and not compressed in a way that is known")
        elif stored <= _LONGEST_DOCUMENT:
            found.room -= stored
            if found.room < 0:
                raise Damaged("it has more documents than all images that fit into one")
            found.documents[name] = b"".join(whole)
        return
    try:
        contents = layer.read(compression.plain(whole), most=found.most, estimated=estimated)
        found.most -= contents.weight
        found.blobs[name] = _Blob(contents, stored, how)
    except Truncated:
        found.blobs[name] = _Blob(None, stored, how, "it is cut short")
    except Damaged as error:
        found.blobs[name] = _Blob(None, stored, how, str(error))


def _saved(found: _Archive, name: str, wanted: str, platform: str) -> Image:
    """An image that manifest.json names."""
    try:
        every = [
            (
                str(entry["Config"]),
                [str(layer) for layer in entry["Layers"] or ()],
                [str(tag) for tag in entry.get("RepoTags") or ()],
            )
            for entry in json.loads(found.documents["manifest.json"])
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ImageError(f"{name} has a manifest.json that is damaged") from None
    fitting = [entry for entry in every if not wanted or familiar(wanted) in map(familiar, entry[2])]
    if len(fitting) != 1:
        names = ", ".join(tag for _, _, tags in every for tag in tags) or "they have no names"
        what = f"has no image {wanted}" if wanted and not fitting else f"holds {len(fitting)} images"
        raise ImageError(f"{name} {what}", hint=f"Those in it: {names}. Name one as `{name}@NAME`.")
    entry, layers, _ = fitting[0]
    document = found.documents.get(entry)
    if document is None:
        raise ImageError(f"{name} does not hold the config {entry}", hint=_AGAIN)
    digest = hashlib.sha256(document).hexdigest()
    claimed = posixpath.basename(entry).removesuffix(".json")
    if len(claimed) == 64 and claimed != digest:
        raise ImageError(
            f"the config of {name} is not what its name says", hint="The archive is damaged or was altered."
        )
    config = oci.parsed(document, f"the config of {name}")
    made_for = image.platform(config)
    if platform and platform != made_for and not made_for.startswith(f"{platform}/"):
        raise ImageError(f"{name} has no image for {platform}", hint=f"It is for {made_for}.")
    blobs = [_usable(found.blob(one), one, number, name) for number, one in enumerate(layers, 1)]
    expected = len(image.diff_ids(config, name))
    if len(blobs) != expected:
        raise ImageError(f"{name} has {len(blobs)} layers in its manifest, but {expected} in its config")
    return oci.assembled(name, f"sha256:{digest}", config, blobs, config_size=len(document))


def _usable(blob: _Blob | None, file: str, number: int, name: str) -> tuple[Contents, int | None, str]:
    if blob is None:
        raise ImageError(f"{name} does not hold layer {number}, {file}", hint=_AGAIN)
    if blob.contents is None:
        raise ImageError(f"layer {number} of {name} cannot be read: {blob.why}", hint=_AGAIN)
    return blob.contents, blob.stored if blob.compression else None, blob.compression


def named(descriptors: list[Any], wanted: str, name: str) -> list[Mapping[str, Any]]:
    """The descriptors of the image with this name, as image tools write it."""
    if not wanted:
        return descriptors
    names = [oci.names(one) for one in descriptors]
    fitting = [one for one, called in zip(descriptors, names, strict=True) if familiar(wanted) in map(familiar, called)]
    if not fitting:
        there = ", ".join(sorted({called for some in names for called in some})) or "they have no names"
        raise ImageError(f"{name} has no image {wanted}", hint=f"Those in it: {there}.")
    return fitting


@dataclass(frozen=True, slots=True)
class _Layout:
    """The blobs of an OCI archive, checked against their digests."""

    archive: _Archive
    name: str

    def document(self, digest: str) -> bytes:
        """A document, by its digest."""
        found = self.archive.documents.get(f"blobs/{digest.replace(':', '/')}")
        if found is None:
            raise oci.Absent(f"{self.name} does not hold {digest}", hint=_AGAIN)
        if digest != f"sha256:{hashlib.sha256(found).hexdigest()}":
            raise ImageError(f"{digest} in {self.name} is not what its name says", hint="It is damaged or was altered.")
        return found

    def layer(self, digest: str) -> tuple[Contents, int | None, str]:
        """A layer, by the digest of its blob; what it holds is checked against the config."""
        file = f"blobs/{digest.replace(':', '/')}"
        blob = self.archive.blob(file)
        if blob is None or blob.contents is None:
            why = blob.why if blob else "it is not there"
            raise ImageError(f"the layer {oci.short(digest)} of {self.name} cannot be read: {why}", hint=_AGAIN)
        return _usable(blob, file, 0, self.name)
