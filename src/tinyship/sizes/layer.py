"""What one layer holds, read from its tar in one pass.

Source of the whiteout names: the OCI image specification, "Image Layer Filesystem Changeset".
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tinyship.sizes import elf
from tinyship.sizes.feed import Feed
from tinyship.sizes.tar import FILE, FOLDER, HARDLINK, OTHER, SYMLINK, Damaged, entries

MOST_ENTRIES = 5_000_000
"""An image with more files than any that ships; reading on would only fill the memory."""

LONGEST_PATH = 4096
"""Bytes; PATH_MAX of Linux."""

_MOST_KEPT = 64 << 20
_WANTED = re.compile(
    r"var/lib/dpkg/(?:status|status\.d/[^/]+|info/[^/]+\.list)"
    r"|(?:usr/)?lib/apk/db/installed"
    r"|.*\.(?:dist|egg)-info/(?:RECORD|METADATA)"
    r"|(?:usr/lib|etc)/os-release"
)
_HINTS = ("/dpkg/", "/apk/", "-info/", "os-release")
_SMALL = 1 << 17
_LONG = 256


@dataclass(slots=True)
class Contents:
    """The entries of a layer, as columns: entry ``i`` is ``paths[i]``, ``kinds[i]``, and so on.

    Args:
        paths: relative to the root, without a slash at either end; ``""`` is the root itself.
        kinds: of ``tinyship.sizes.tar``.
        sizes: apparent bytes: of a file its length, of a symlink that of its target, of all else 0.
        prints: fingerprints of contents, 64 bits; equal for equal contents.
        links: the targets of symlinks and hard links, by entry; those of hard links are paths as above.
        whiteouts: paths that are hidden in the layers below.
        opaques: folders whose contents in the layers below are hidden.
        kept: what package managers wrote down, by path.
        strippable: bytes of symbols and debugging information in programs, by entry.
        diff_id: the digest of the tar, ``sha256:...``.
        length: bytes of the tar.
        weight: entries that it counts as, whiteouts included; one with a long name counts as several.
        notices: what could not be read as it stands.
    """

    paths: list[str] = field(default_factory=list)
    kinds: bytearray = field(default_factory=bytearray)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    prints: array[int] = field(default_factory=lambda: array("Q"))
    links: dict[int, str] = field(default_factory=dict)
    whiteouts: list[str] = field(default_factory=list)
    opaques: list[str] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    strippable: dict[int, int] = field(default_factory=dict)
    diff_id: str = ""
    length: int = 0
    weight: int = 0
    notices: list[str] = field(default_factory=list)


def read(pieces: Iterable[bytes], *, most: int = MOST_ENTRIES) -> Contents:
    """Read a layer's tar, uncompressed, from its beginning to its end.

    Args:
        pieces: the tar, in pieces of any length; none is kept.
        most: entries that it may have.

    Raises:
        Truncated: it ends in the middle of an entry.
        Damaged: it is no tar, an entry leads out of the image, or there are too many.
    """
    import xxhash

    contents = Contents()
    with _Digest() as digest:
        feed = Feed(digest.through(pieces))
        whole, parts = xxhash.xxh3_64_intdigest, xxhash.xxh3_64
        paths, kinds, sizes, prints = contents.paths, contents.kinds, contents.sizes, contents.prints
        room, extra = _MOST_KEPT, 0
        for path, kind, size, link, stored in entries(feed):
            if "/." in path or path[:1] in "./" or path[-1:] == "/" or "//" in path or len(path) > _LONG:
                path = normal(path)
                extra += len(path) // _LONG
                if ".wh." in path and _hides(path, contents):
                    extra += 1
                    if extra > most:
                        raise Damaged(f"it has more than {most:,} entries")
                    continue
            if len(paths) + extra >= most:
                raise Damaged(f"it has more than {most:,} entries")
            fingerprint = 0
            if kind == FILE:
                if 0 < stored <= _SMALL:
                    data = feed.take(stored)
                    fingerprint = whole(data)
                    if data[:4] == elf.MAGIC and (spare := elf.strippable(data, data, stored)):
                        contents.strippable[len(paths)] = spare
                    if _wanted(path) and _fits(path, stored, room, contents):
                        contents.kept[path] = data
                        room -= stored
                elif stored:
                    keep = bytearray() if _wanted(path) and _fits(path, stored, room, contents) else None
                    fingerprint, spare = _large(feed.stretch(stored), stored, parts(), keep)
                    if spare:
                        contents.strippable[len(paths)] = spare
                    if keep is not None:
                        contents.kept[path] = bytes(keep)
                        room -= stored
            elif kind == SYMLINK:
                size = len(link.encode("utf-8", "surrogateescape"))
                if size > LONGEST_PATH:
                    raise Damaged(f"the link `{path[:80]}` is longer than {LONGEST_PATH} bytes")
                extra += size // _LONG
                contents.links[len(paths)] = link
            elif kind == HARDLINK:
                contents.links[len(paths)] = target = normal(link)
                extra += len(target) // _LONG
            paths.append(path)
            kinds.append(kind)
            sizes.append(size)
            prints.append(fingerprint)
        feed.drain()
    contents.diff_id = f"sha256:{digest.hexdigest()}"
    contents.length = feed.total
    contents.weight = len(paths) + extra
    return contents


def normal(path: str) -> str:
    """A path of an archive as one below the image's root: ``./usr//bin/`` is ``usr/bin``.

    Raises:
        Damaged: it leads out of the image, or is longer than a path can be.
    """
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise Damaged(f"the entry `{path}` leads out of the image")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    found = "/".join(parts)
    if len(found) > LONGEST_PATH // 4 and len(found.encode("utf-8", "surrogateescape")) > LONGEST_PATH:
        raise Damaged(f"a path is longer than {LONGEST_PATH} bytes: {found[:80]}...")
    return found


def _hides(path: str, contents: Contents) -> bool:
    """Note a whiteout, where an entry's name says that it is one."""
    folder, _, name = path.rpartition("/")
    if path.startswith(".wh..wh.") and name != ".wh..wh..opq":
        return True  # AUFS keeps its own records under such names
    if not name.startswith(".wh."):
        return False
    if name == ".wh..wh..opq":
        contents.opaques.append(folder)
    elif not name.startswith(".wh..wh."):
        hidden = name[4:]
        if hidden in {"", ".", ".."}:
            raise Damaged(f"the whiteout `{path}` hides nothing that can be")
        contents.whiteouts.append(f"{folder}/{hidden}" if folder else hidden)
    return True


def _wanted(path: str) -> bool:
    return any(hint in path for hint in _HINTS) and _WANTED.fullmatch(path) is not None


def _fits(path: str, size: int, room: int, contents: Contents) -> bool:
    """Whether there is room to keep a file; the first one that there is none for is told of."""
    if size > room and not contents.notices:
        contents.notices.append(f"/{path} and what follows is too large to be read: packages may be missing")
    return size <= room


def _large(pieces: Iterator[bytes], size: int, state: Any, keep: bytearray | None) -> tuple[int, int]:
    """The fingerprint of a file that comes in pieces, and the bytes that could be stripped from it."""
    edges: elf.Edges | None = None
    begun = False
    for piece in pieces:
        if not begun:
            begun = True
            edges = elf.Edges(size) if piece[:4] == elf.MAGIC else None
        state.update(piece)
        if edges:
            edges.add(piece)
        if keep is not None:
            keep += piece
    return state.intdigest(), edges.strippable() if edges else 0


class _Digest:
    """The SHA-256 of what passes, computed beside the reading: it takes as long as all the rest."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown()

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if len(piece) < _SMALL:
                self._wait()
                self._state.update(piece)
            else:
                self._pool = self._pool or ThreadPoolExecutor(1)
                before, self._last = self._last, self._pool.submit(self._state.update, piece)
                if before:
                    before.result()  # no more than two pieces wait
            yield piece

    def hexdigest(self) -> str:
        self._wait()
        return self._state.hexdigest()

    def _wait(self) -> None:
        if self._last:
            self._last.result()
            self._last = None


__all__ = ["FILE", "FOLDER", "HARDLINK", "OTHER", "SYMLINK", "Contents", "read", "normal"]
