"""Images of a few files, as layers that are read like any other."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence

from tinyship.sizes import account, layer
from tinyship.sizes.account import Account
from tinyship.sizes.image import Image, Layer


def tar(files: Mapping[str, bytes], links: Mapping[str, str] = {}, hard: Mapping[str, str] = {}) -> bytes:
    """A tar of files, symbolic links and hard links; a path that ends in a slash is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            if path.endswith("/"):
                entry.type = tarfile.DIRTYPE
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for kind, some in ((tarfile.SYMTYPE, links), (tarfile.LNKTYPE, hard)):
            for path, target in some.items():
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname = kind, target
                archive.addfile(entry)
    return out.getvalue()


def taken(tars: Iterable[bytes], instructions: Sequence[str] = ()) -> Account:
    """The account of an image with these layers."""
    tars = tuple(tars)
    layers = []
    for number, text in enumerate(tars):
        contents = layer.read([text])
        said = instructions[number] if number < len(instructions) else ""
        layers.append(Layer(contents.diff_id, said, contents))
    return account.take(Image("image", "sha256:0", "linux/amd64", {}, tuple(layers)))


def of(*layers: Mapping[str, bytes], says: Sequence[str] = ()) -> Account:
    """The account of an image of plain files."""
    return taken([tar(files) for files in layers], says)
