"""What is in an image, file by file, to be compared with what is in another one."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

from tinyship.engine import images
from tinyship.engine.connect import Engine


def files(engine: Engine, reference: str) -> dict[str, tuple[str, ...]]:
    """Each path of an image: its kind and mode, and a digest of its content, or where it leads to; without times."""
    found: dict[str, tuple[str, ...]] = {}
    for layer in _layers(engine, reference):
        with tarfile.open(fileobj=io.BytesIO(layer)) as packed:
            for entry in packed:
                name = entry.name.strip("/").removeprefix("./")
                folder, _, last = name.rpartition("/")
                if last.startswith(".wh."):
                    gone = f"{folder}/{last[4:]}".lstrip("/")
                    found = {
                        path: one for path, one in found.items() if path != gone and not path.startswith(f"{gone}/")
                    }
                    continue
                file = packed.extractfile(entry) if entry.isreg() else None
                content = hashlib.sha256(file.read()).hexdigest() if file else entry.linkname
                found[name] = (entry.type.decode(), f"{entry.mode & 0o7777:o}", content)
    return found


def text(engine: Engine, reference: str, path: str) -> str:
    """The text of a file in an image."""
    for layer in reversed(_layers(engine, reference)):
        with tarfile.open(fileobj=io.BytesIO(layer)) as packed:
            names = {name.strip("/").removeprefix("./"): name for name in packed.getnames()}
            if path in names and (file := packed.extractfile(names[path])):
                return file.read().decode()
    raise AssertionError(f"{reference} has no {path}")


def config(engine: Engine, reference: str) -> dict[str, Any]:
    """What an image's config says of containers of it."""
    found: dict[str, Any] = engine.api.inspect_image(reference)["Config"]
    return found


def _layers(engine: Engine, reference: str) -> list[bytes]:
    archive = io.BytesIO(b"".join(images.saved(engine, reference)))
    with tarfile.open(fileobj=archive) as packed:
        manifest = packed.extractfile("manifest.json")
        assert manifest
        names = json.loads(manifest.read())[0]["Layers"]
        layers = [packed.extractfile(name) for name in names]
        return [layer.read() for layer in layers if layer]
