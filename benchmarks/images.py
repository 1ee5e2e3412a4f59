"""Archives of images whose bytes are known, written as streams: what the size benchmarks read."""

from __future__ import annotations

import hashlib
import json
import random
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

Entry = tuple[str, bytes | None]
"""A path and its content; None for a folder."""


def small_files(folders: int = 200, each: int = 100) -> Iterator[Entry]:
    """Files of 100 bytes, by folder."""
    for folder in range(folders):
        yield f"d{folder}", None
        for number in range(each):
            yield f"d{folder}/f{number}", b"x" * 100


def whiteouts(count: int) -> Iterator[Entry]:
    """Whiteouts of that many of ``small_files``, two in a folder."""
    for number in range(count):
        yield f"d{number // 2}/.wh.f{number % 2}", b""


def write(path: Path, layers: Iterable[Iterable[Entry]]) -> None:
    """Write an archive as ``docker save`` does."""
    tars = [b"".join(_layer(layer)) for layer in layers]
    names = [f"{number}/layer.tar" for number in range(len(tars))]
    members = [*zip(names, tars, strict=True), *_documents("bench:1", [_digest(tar) for tar in tars], names)]
    with path.open("wb") as file:
        for name, data in members:
            file.write(_header(name, len(data)) + data + bytes(-len(data) % 512))
        file.write(bytes(1024))


def large(reference: str, layers: int, files: int, size: int) -> Iterator[bytes]:
    """An archive of that many layers, each with that many files of that size, as it is written; nothing is held.

    Args:
        reference: the image's.
        layers: how many.
        files: in each of them.
        size: of each file, in bytes.
    """
    dice = random.Random(1)
    block = dice.randbytes(1 << 20)
    padding = bytes(-size % 512)
    digests, names = [], [f"{number}/layer.tar" for number in range(layers)]
    for number, name in enumerate(names):
        digest = hashlib.sha256()
        yield _header(name, files * (512 + size + len(padding)) + 1024)
        for file in range(files):
            start = dice.randrange(len(block) - size)
            header = _header(f"srv/{number}/{file // 100}/{file % 100}.dat", size)
            piece = header + block[start : start + size] + padding
            digest.update(piece)
            yield piece
        digest.update(bytes(1024))
        yield bytes(1024)
        digests.append(f"sha256:{digest.hexdigest()}")
    for name, data in _documents(reference, digests, names):
        yield _header(name, len(data)) + data + bytes(-len(data) % 512)
    yield bytes(1024)


def _documents(reference: str, digests: list[str], names: list[str]) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """The config and the manifest."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created_by": f"RUN make layer {number}"} for number in range(len(digests))],
    }
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": names}]
    return (name, text), ("manifest.json", json.dumps(manifest).encode())


def _layer(entries: Iterable[Entry]) -> Iterator[bytes]:
    for path, content in entries:
        yield _header(path, len(content or b""), folder=content is None)
        yield (content or b"") + bytes(-len(content or b"") % 512)
    yield bytes(1024)


def _header(path: str, size: int, *, folder: bool = False) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    if folder:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.GNU_FORMAT)


def _digest(tar: bytes) -> str:
    return f"sha256:{hashlib.sha256(tar).hexdigest()}"
