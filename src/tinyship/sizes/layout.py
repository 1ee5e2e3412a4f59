"""Images in a folder: the OCI image layout, as BuildKit, skopeo and others write it.

Source: the OCI image specification, "Image Layout".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyship.errors import ImageError
from tinyship.sizes import archive, compression, layer, oci
from tinyship.sizes.feed import PIECE, Truncated
from tinyship.sizes.image import Image
from tinyship.sizes.layer import Contents
from tinyship.sizes.tar import Damaged

_LONGEST_DOCUMENT = 16 << 20


def is_layout(path: Path) -> bool:
    """Whether a folder is an image layout."""
    try:
        return (path / "index.json").is_file()
    except OSError:
        return False


def read(folder: Path, *, wanted: str = "", platform: str = "", estimated: bool = False) -> Image:
    """Read one image of a layout.

    Args:
        folder: the layout.
        wanted: a name, where it holds several images.
        platform: ``os/architecture[/variant]``, where it holds several.
        estimated: whether to find out what each layer would take in a registry.

    Raises:
        ImageError: it is damaged, or does not hold what is wanted.
    """
    name = str(folder)
    store = _Folder(folder, estimated)
    index = oci.parsed(store.file(folder / "index.json"), f"the index of {name}")
    descriptors = index.get("manifests")
    if not isinstance(descriptors, list):
        raise ImageError(f"{name} has an index that is damaged")
    chosen = archive.named(descriptors, wanted, name)
    return oci.read(store, oci.manifest_of(store, chosen, name, platform), name)


def pieces(path: Path) -> Iterator[bytes]:
    """A file, a megabyte at a time.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Folder:
    """The blobs of a layout."""

    root: Path
    estimated: bool

    def file(self, path: Path) -> bytes:
        """A small file."""
        try:
            if path.stat().st_size > _LONGEST_DOCUMENT:
                raise ImageError(f"{path} is larger than any manifest or config")
            return path.read_bytes()
        except FileNotFoundError:
            raise oci.Absent(f"{path} is not there", hint="Was the folder copied as a whole?") from None
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror}") from error

    def document(self, digest: str) -> bytes:
        """A document, by its digest."""
        found = self.file(self._path(digest))
        if digest != f"sha256:{hashlib.sha256(found).hexdigest()}":
            raise ImageError(f"{digest} in {self.root} is not what its name says", hint="It is damaged or was altered.")
        return found

    def layer(self, digest: str) -> tuple[Contents, int | None, str]:
        """A layer, by the digest of its blob; what it holds is checked against the config."""
        path = self._path(digest)
        head = next(pieces(path), b"")[:512]
        how = compression.kind(head)
        try:
            contents = layer.read(compression.plain(pieces(path)), estimated=self.estimated)
        except Truncated:
            raise ImageError(f"the layer {oci.short(digest)} in {self.root} is cut short") from None
        except Damaged as error:
            raise ImageError(f"the layer {oci.short(digest)} in {self.root} cannot be read: {error}") from None
        return contents, path.stat().st_size if how else None, how

    def _path(self, digest: str) -> Path:
        kind, _, text = digest.partition(":")
        if not (kind.isalnum() and text.isalnum()):
            raise ImageError(f"{self.root} names a blob {digest!r}, which is no digest")
        return self.root / "blobs" / kind / text
