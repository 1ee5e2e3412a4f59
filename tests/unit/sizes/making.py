"""Makes layers, and images of them in every shape that image tools write: what the tests of sizes read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyship.sizes import account, archive
from tinyship.sizes.account import Account

INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tar: what it is at its path."""

    path: str
    type: bytes
    content: bytes = b""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A file of an archive that is a symlink to another one."""

    target: str


def file(path: str, content: bytes | int = b"") -> Entry:
    """A file; a number is that many bytes, which differ by path."""
    if isinstance(content, int):
        seed = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
        content = (seed * (content // len(seed) + 1))[:content]
    return Entry(path, tarfile.REGTYPE, content)


def folder(path: str) -> Entry:
    """A folder."""
    return Entry(path, tarfile.DIRTYPE)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, tarfile.SYMTYPE, target=target)


def hardlink(path: str, target: str) -> Entry:
    """One more path of a file."""
    return Entry(path, tarfile.LNKTYPE, target=target)


def device(path: str) -> Entry:
    """A character device."""
    return Entry(path, tarfile.CHRTYPE)


def gone(path: str) -> Entry:
    """The whiteout of a path."""
    before, slash, name = path.rpartition("/")
    return Entry(f"{before}{slash}.wh.{name}", tarfile.REGTYPE)


def opaque(path: str) -> Entry:
    """The mark of a folder whose contents below are hidden."""
    return Entry(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq", tarfile.REGTYPE)


def layer(*entries: Entry, format: int = tarfile.GNU_FORMAT, mode: int = 0o755) -> bytes:
    """The tar of a layer."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format, encoding="utf-8") as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.type, info.linkname, info.mode = entry.type, entry.target, mode
            info.size = len(entry.content)
            info.devmajor, info.devminor = 1, 3  # 0, 0 is how overlayfs notes that something was removed
            tar.addfile(info, io.BytesIO(entry.content))
    return packed.getvalue()


def gzipped(data: bytes) -> bytes:
    """The same at any time."""
    return gzip.compress(data, mtime=0)


def sha256(data: bytes) -> str:
    """The digest of something, as images write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(layers: Iterable[bytes], *, steps: Sequence[str] | None = None, arch: str = "amd64", **more: Any) -> bytes:
    """The config of an image of these layers, with an instruction for each."""
    tars = list(layers)
    names = [f"RUN step {number}" for number in range(len(tars))] if steps is None else steps
    return json.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
            "history": [{"created_by": name} for name in names],
            **more,
        }
    ).encode()


def packed(files: Mapping[str, bytes | Link]) -> bytes:
    """The tar of these files, in their order."""
    return layer(
        *(
            symlink(name, what.target) if isinstance(what, Link) else Entry(name, tarfile.REGTYPE, what)
            for name, what in files.items()
        )
    )


def legacy(layers: Sequence[bytes], *, tag: str = "foo:1", document: bytes | None = None) -> dict[str, bytes | Link]:
    """What ``docker save`` wrote before 25: a folder for each layer, links for those that were there before."""
    document = config(layers) if document is None else document
    files: dict[str, bytes | Link] = {}
    first: dict[bytes, str] = {}
    names = []
    for number, tar in enumerate(layers):
        place = hashlib.sha256(f"{number}".encode() + tar).hexdigest()
        files[f"{place}/VERSION"] = b"1.0"
        files[f"{place}/json"] = json.dumps({"id": place}).encode()
        files[f"{place}/layer.tar"] = Link(f"../{first[tar]}/layer.tar") if tar in first else tar
        first.setdefault(tar, place)
        names.append(f"{place}/layer.tar")
    name = f"{hashlib.sha256(document).hexdigest()}.json"
    files[name] = document
    files["manifest.json"] = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
    files["repositories"] = json.dumps({tag.partition(":")[0]: {tag.partition(":")[2]: "x"}}).encode()
    return files


def podman(layers: Sequence[bytes], *, tag: str = "localhost/foo:1") -> dict[str, bytes | Link]:
    """What ``podman save`` writes: each layer a tar of its own."""
    document = config(layers)
    files: dict[str, bytes | Link] = {f"{hashlib.sha256(tar).hexdigest()}.tar": tar for tar in layers}
    name = f"{hashlib.sha256(document).hexdigest()}.json"
    files[name] = document
    names = [f"{hashlib.sha256(tar).hexdigest()}.tar" for tar in layers]
    files["manifest.json"] = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
    return files


@dataclass(frozen=True, slots=True)
class Made:
    """Something with a digest, and the blobs that it is made of."""

    descriptor: dict[str, Any]
    blobs: dict[str, bytes | Link]


def _described(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": sha256(data), "size": len(data)}


def stored(data: bytes) -> tuple[str, bytes]:
    """The name of a blob in a layout, and the blob."""
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}", data


def image(
    layers: Sequence[bytes],
    *,
    arch: str = "amd64",
    said: bool = True,
    compress: Any = gzipped,
    **annotations: str,
) -> Made:
    """An image, with its manifest.

    Args:
        said: the descriptor names the platform.
        compress: of each layer.
    """
    document = config(layers, arch=arch)
    kept = [compress(tar) for tar in layers]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _described(CONFIG, document),
            "layers": [_described(LAYER, blob) for blob in kept],
        }
    ).encode()
    descriptor = _described(MANIFEST, manifest)
    if said:
        descriptor["platform"] = {"architecture": arch, "os": "linux"}
    if annotations:
        descriptor["annotations"] = {key.replace("_", "."): value for key, value in annotations.items()}
    return Made(descriptor, dict(stored(blob) for blob in [*kept, document, manifest]))


def attestation(of: Made) -> Made:
    """What BuildKit puts beside an image: a manifest that is none."""
    text = json.dumps({"predicateType": "https://slsa.dev/provenance/v0.2"}).encode()
    about = config([text])
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _described(CONFIG, about),
            "layers": [_described("application/vnd.in-toto+json", text)],
        }
    ).encode()
    marks = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": of.descriptor["digest"],
    }
    descriptor = {
        **_described(MANIFEST, manifest),
        "annotations": marks,
        "platform": {"architecture": "unknown", "os": "unknown"},
    }
    return Made(descriptor, dict(stored(blob) for blob in (text, about, manifest)))


def index(*parts: Made, **annotations: str) -> Made:
    """Several of them, as one."""
    document = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [part.descriptor for part in parts]}
    ).encode()
    blobs = {name: blob for part in parts for name, blob in part.blobs.items()}
    descriptor = _described(INDEX, document)
    if annotations:
        descriptor["annotations"] = {key.replace("_", "."): value for key, value in annotations.items()}
    return Made(descriptor, {**blobs, **dict([stored(document)])})


def layout(*parts: Made) -> dict[str, bytes | Link]:
    """The files of an OCI layout that holds these."""
    entry = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [part.descriptor for part in parts]}
    blobs = {name: blob for part in parts for name, blob in part.blobs.items()}
    return {**blobs, "index.json": json.dumps(entry).encode(), "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}


def modern(layers: Sequence[bytes], *, tag: str = "foo:1") -> dict[str, bytes | Link]:
    """What ``docker save`` writes since 25: an OCI layout with a manifest.json beside it."""
    made = image(layers, compress=bytes, org_opencontainers_image_ref_name=tag)
    document = config(layers)
    manifest = [
        {
            "Config": stored(document)[0],
            "RepoTags": [tag],
            "Layers": [stored(tar)[0] for tar in layers],
        }
    ]
    return {**layout(made), "manifest.json": json.dumps(manifest).encode()}


def write(root: Path, files: Mapping[str, bytes | Link]) -> Path:
    """Put these files into a folder."""
    for name, what in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, Link):
            place.symlink_to(what.target)
        else:
            place.write_bytes(what)
    return root


def cut(data: bytes, length: int) -> Iterator[bytes]:
    """Some bytes in pieces of that length."""
    return (data[at : at + length] for at in range(0, len(data), length))


def accounted(*layers: bytes) -> Account:
    """The account of an image of these layers."""
    return account.take(archive.read([packed(legacy(layers))], "made"))


def damaged(data: bytes, at: int, byte: int) -> bytes:
    """The same bytes but for one."""
    return data[:at] + bytes([byte]) + data[at + 1 :]


def program(*, wide: bool, order: str, count: int = 3, where: int = 64, kind: int = 2) -> bytes:
    """A program of no code, with a symbol table of 100 bytes and names of 50."""
    section = "IIQQQQIIQQ" if wide else "IIIIIIIIII"
    header = struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), kind, 62, 1, 0, 0, where, 0, 64, 0, 0, 64, count, 9
    )
    start = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2]) + bytes(10) + header
    sections = [(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 2, 0, 0, 300, 100, 2, 0, 0, 0), (0, 3, 0, 0, 400, 50, 0, 0, 0, 0)]
    table = b"".join(struct.pack(order + section, *one).ljust(64, b"\0") for one in sections)
    return (start.ljust(64, b"\0") + table).ljust(1000, b"\0")
