"""What one layer holds, read from its tar in one pass.

Source of the whiteout names: the OCI image specification, "Image Layer Filesystem Changeset".
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from tinyship.sizes import elf
from tinyship.sizes.beside import beside
from tinyship.sizes.estimate import Estimate
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
    r"|.*\.dist-info/(?:RECORD|METADATA)"
    r"|.*\.egg-info/(?:PKG-INFO|installed-files\.txt)"
    r"|(?:usr/lib|etc)/os-release"
)
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
        compressed: what it would take in a registry, by compression, where that was asked for; estimates.
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
    compressed: dict[str, int] = field(default_factory=dict)
    weight: int = 0
    notices: list[str] = field(default_factory=list)


def read(pieces: Iterable[bytes], *, most: int = MOST_ENTRIES, estimated: bool = False) -> Contents:
    """Read a layer's tar, uncompressed, from its beginning to its end.

    Args:
        pieces: the tar, in pieces of any length; none is kept.
        most: entries that it may have.
        estimated: whether to compress it as well, which takes most of the time, to know what it would take.

    Raises:
        Truncated: it ends in the middle of an entry.
        Damaged: it is no tar, an entry leads out of the image, or there are too many.
    """
    contents = Contents()
    digest = hashlib.sha256()
    estimate = Estimate() if estimated else None
    with closing(beside(pieces, digest.update, *(estimate.work if estimate else ()))) as stream:
        feed = Feed(stream)
        extra = _read(feed, contents, most)
        feed.drain()
    contents.diff_id = f"sha256:{digest.hexdigest()}"
    contents.length = feed.total
    if estimate:
        contents.compressed = estimate.sizes()
    contents.weight = len(contents.paths) + extra
    return contents


def _read(feed: Feed, contents: Contents, most: int) -> int:
    """Read the entries, one after the other; returns how many more they count as, for long names and whiteouts."""
    import xxhash

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
    return extra


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
    # Most paths are none of these, and asking so is ten times as fast as the expression.
    likely = "-info/" in path or "/dpkg/" in path or "/apk/" in path or path.endswith("os-release")
    return likely and _WANTED.fullmatch(path) is not None


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


__all__ = ["FILE", "FOLDER", "HARDLINK", "OTHER", "SYMLINK", "Contents", "read", "normal"]
