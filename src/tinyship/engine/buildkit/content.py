"""Serves folders as content stores, for caches that are kept in a folder.

A folder is an OCI image layout. Source: containerd, ``api/services/content/v1``; buildkit, ``session/content`` and
``cache/remotecache/local``; the OCI image layout specification.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinyship.engine.buildkit.channel import ALREADY_EXISTS, INVALID, NOT_FOUND, Handler, RpcError, Stream, framed
from tinyship.errors import ContextError

_SERVICE = "/containerd.services.content.v1.Content"
_STORE = "buildkit-attachable-store-id"
_PIECE = 1 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_TAG = "org.opencontainers.image.ref.name"


def handlers(stores: Mapping[str, Path]) -> Mapping[str, Handler]:
    """The methods that serve content stores.

    Args:
        stores: folders by the name that BuildKit asks with, ``local:...``; they need not exist to be written to.
    """

    def chosen(stream: Stream) -> Path:
        name = next(iter(stream.headers.get(_STORE, ())), "")
        if name not in stores:
            raise RpcError(NOT_FOUND, f"there is no content store {name}")
        return stores[name]

    return {
        f"{_SERVICE}/Info": lambda stream: _info(stream, chosen(stream)),
        f"{_SERVICE}/Read": lambda stream: _read(stream, chosen(stream)),
        f"{_SERVICE}/Write": lambda stream: _write(stream, chosen(stream)),
    }


def read_index(store: Path, tag: str = "latest") -> str:
    """The digest that a layout's index has for a tag, or of its last entry; empty where there is no layout."""
    try:
        manifests = json.loads((store / "index.json").read_bytes())["manifests"]
        tagged = [entry for entry in manifests if (entry.get("annotations") or {}).get(_TAG) == tag]
        return str((tagged or manifests)[-1]["digest"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


def write_index(store: Path, descriptor: Mapping[str, Any], tag: str = "latest") -> None:
    """Put a descriptor under a tag into a layout's index.

    Raises:
        ContextError: it cannot be written.
    """
    try:
        known = json.loads((store / "index.json").read_bytes())["manifests"]
        others = [entry for entry in known if (entry.get("annotations") or {}).get(_TAG) != tag]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        others = []
    entry = {**descriptor, "annotations": {**(descriptor.get("annotations") or {}), _TAG: tag}}
    index = {"schemaVersion": 2, "manifests": [*others, entry]}
    try:
        (store / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=store) as folder:
            fresh = Path(folder, "index.json")
            fresh.write_text(json.dumps(index))
            fresh.replace(store / "index.json")
    except OSError as error:
        raise ContextError(f"the cache in {store} cannot be written: {error.strerror}") from error


def _blob(store: Path, digest: str) -> Path:
    match = _DIGEST.fullmatch(digest)
    if not match:
        raise RpcError(INVALID, f"{digest} is no digest")
    return store / "blobs" / "sha256" / match[1]


def _info(stream: Stream, store: Path) -> None:
    from tinyship.engine.buildkit.proto.content_pb2 import Info, InfoRequest, InfoResponse

    digest = InfoRequest.FromString(stream.receive() or b"").digest
    try:
        size = _blob(store, digest).stat().st_size
    except OSError as error:
        raise RpcError(NOT_FOUND, f"{digest} is not there") from error
    stream.send(framed(InfoResponse(info=Info(digest=digest, size=size)).SerializeToString()))


def _read(stream: Stream, store: Path) -> None:
    from tinyship.engine.buildkit.proto.content_pb2 import ReadContentRequest, ReadContentResponse

    request = ReadContentRequest.FromString(stream.receive() or b"")
    try:
        with _blob(store, request.digest).open("rb") as file:
            offset = file.seek(request.offset)
            left = request.size or file.seek(0, 2) - offset
            file.seek(offset)
            while left > 0 and (data := file.read(min(left, _PIECE))):
                stream.send(framed(ReadContentResponse(offset=offset, data=data).SerializeToString()))
                offset, left = offset + len(data), left - len(data)
    except OSError as error:
        raise RpcError(NOT_FOUND, f"{request.digest} is not there") from error


def _write(stream: Stream, store: Path) -> None:
    """One blob: asked about, written piece by piece, and put in place when its digest is right."""
    from tinyship.engine.buildkit.proto.content_pb2 import COMMIT, WriteContentRequest, WriteContentResponse

    with _Incoming(store).opened() as incoming:
        while (message := stream.receive()) is not None:
            request = WriteContentRequest.FromString(message)
            if request.expected and _blob(store, request.expected).exists():
                raise RpcError(ALREADY_EXISTS, f"{request.expected} is there already")
            incoming.take(request.offset, request.data)
            digest = incoming.commit(request.expected) if request.action == COMMIT else ""
            answer = WriteContentResponse(
                action=request.action, offset=incoming.size, total=request.total, digest=digest
            )
            stream.send(framed(answer.SerializeToString()))
            if digest:
                return


class _Incoming:
    """A blob on its way into a store."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._hash = hashlib.sha256()
        self._file: Any = None
        self.size = 0

    @contextmanager
    def opened(self) -> Iterator[_Incoming]:
        """Have a file for it, which is gone afterwards unless it was committed."""
        try:
            (self._store / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            with (
                tempfile.TemporaryDirectory(prefix=".incoming-", dir=self._store) as folder,
                Path(folder, "blob").open("wb") as self._file,
            ):
                yield self
        except OSError as error:
            raise ContextError(f"the cache in {self._store} cannot be written: {error.strerror or error}") from error

    def take(self, offset: int, data: bytes) -> None:
        """Write the next piece."""
        if data and offset != self.size:
            raise RpcError(INVALID, f"a piece at {offset} where {self.size} is next")
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def commit(self, expected: str) -> str:
        """Put it in place; returns its digest."""
        digest = f"sha256:{self._hash.hexdigest()}"
        if expected not in {"", digest}:
            raise RpcError(INVALID, f"{expected} was to come, and {digest} came")
        self._file.flush()
        Path(self._file.name).replace(_blob(self._store, digest))
        return digest
