"""An image from one repository into another, byte by byte as it is, without an engine.

Source: the OCI image specification, ``manifest.md`` and ``image-index.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tinyship.errors import RegistryError
from tinyship.events import Events, Transfer, ignore
from tinyship.registry import uploads
from tinyship.registry.client import Repository
from tinyship.registry.descriptor import Descriptor, entries, read
from tinyship.registry.manifest import INDEXES, MANIFESTS, Manifest

_DEEPEST = 4
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy came to, in compressed bytes of blobs.

    Args:
        digest: of the manifest or the index that was copied.
        sent: that were read and sent.
        mounted: that the registry took from its other repository.
        present: that were there.
    """

    digest: str
    sent: int = 0
    mounted: int = 0
    present: int = 0


def copy(
    source: Repository, target: Repository, reference: str, *, tags: Sequence[str] = (), events: Events = ignore
) -> Copied:
    """Have an image in another repository, or under further tags in the same one.

    An index comes with all that it lists, attestations included. Layers that come from elsewhere (foreign ones) are
    left there. Nothing is tagged before everything is there. What was copied before is not copied again.

    Args:
        source: where it is.
        target: where it is to be; may be the same.
        reference: a tag or a digest in ``source``.
        tags: that name it in ``target`` from now on, whatever they named before; by its digest alone where empty.
        events: gets how far each blob is.

    Raises:
        RegistryError: it is not there, or one of the two refuses or fails.
        ConfigError: the reference or a tag is none.
    """
    top = source.manifest(reference)
    copied = Copied(top.digest)
    if (source.host, source.name) != (target.host, target.name):
        every = tuple(_tree(source, top))
        counted = _Counted(source, target, events)
        for manifest in every:
            there = target.exists(manifest.digest)
            for blob in _blobs(source, manifest):
                counted.take(blob, there=there)
            if not there and manifest is not top:
                target.put(manifest)
        if not tags:
            target.put(top)
        copied = Copied(top.digest, counted.sent, counted.mounted, counted.present)
    for tag in tags:
        target.put(top, tag)
    return copied


class _Counted:
    """Blobs on their way, each once, and how they came."""

    def __init__(self, source: Repository, target: Repository, events: Events) -> None:
        self.sent = self.mounted = self.present = 0
        self._source = source
        self._target = target
        self._events = events
        self._seen: set[str] = set()

    def take(self, blob: Descriptor, *, there: bool) -> None:
        """Have a blob in the target; ``there`` where what lists it is there, and so this as well."""
        if blob.digest in self._seen:
            return
        self._seen.add(blob.digest)
        source, target = self._source, self._target
        if there or uploads.has_blob(target, blob.digest):
            self.present += blob.size
        elif source.host == target.host and uploads.mount(target, blob.digest, source.name):
            self.mounted += blob.size
        elif uploads.upload(target, blob.digest, blob.size, lambda: self._pieces(blob)):
            self.sent += blob.size
        else:
            self.present += blob.size

    def _pieces(self, blob: Descriptor) -> Iterator[bytes]:
        short = blob.digest.removeprefix("sha256:")[:12]
        gone = 0
        try:
            for piece in _checked(self._source.blob(blob.digest, size=blob.size)):
                yield piece
                gone += len(piece)
                self._events(Transfer(short, "copying", gone, blob.size, done=gone == blob.size))
        except RegistryError as error:
            error.temporary = False  # it was tried again where it failed, and need not be sent again for that
            raise


def _checked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of a blob; the last one only when its end was reached, and its digest so found to be right."""
    held = b""
    for piece in pieces:
        if held:
            yield held
        held = piece
    if held:
        yield held


def _tree(source: Repository, top: Manifest) -> Iterator[Manifest]:
    """A manifest, or an index behind everything that it lists; each once."""
    seen = {top.digest}

    def below(index: Manifest, depth: int) -> Iterator[Manifest]:
        for entry in _listed(source, index):
            if entry.media_type not in INDEXES | MANIFESTS or entry.digest in seen:
                continue
            seen.add(entry.digest)
            if depth > _DEEPEST or len(seen) > _MOST:
                raise RegistryError(
                    f"{source.host} has indexes in indexes at {source.name}@{top.digest}, too many", host=source.host
                )
            yield from below(source.manifest(entry.digest), depth + 1)
        yield index

    return below(top, 1) if top.is_index else iter((top,))


def _listed(source: Repository, index: Manifest) -> tuple[Descriptor, ...]:
    if not index.is_index:
        return ()
    return entries(index.parsed(), "manifests", source.host, f"{source.name}@{index.digest}")


def _blobs(source: Repository, manifest: Manifest) -> Iterator[Descriptor]:
    """The blobs that a manifest lists and a registry keeps; some indexes, such as caches, list blobs as well."""
    if manifest.is_index:
        yield from (one for one in _listed(source, manifest) if one.media_type not in INDEXES | MANIFESTS)
        return
    document = manifest.parsed()
    where = f"{source.name}@{manifest.digest}"
    yield read(document.get("config"), source.host, where)
    yield from (layer for layer in entries(document, "layers", source.host, where) if not layer.foreign)
