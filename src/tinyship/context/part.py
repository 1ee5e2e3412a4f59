"""A part of a fingerprint: as if only some of the files had been looked at."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from tinyship.context import table
from tinyship.context.fingerprint import Fingerprint
from tinyship.context.table import Row

_ALL, _NONE, _SOME = "all", "none", "some"


def only(fingerprint: Fingerprint, paths: Collection[str]) -> Fingerprint:
    """What there is of some files and folders, and of all that is in these.

    Where one of them is a link, or is reached through one, it is the whole: it may lead anywhere.

    Args:
        paths: relative, with ``/``, as they are without ``.`` and ``..``.
    """
    wanted = {os.fsencode(path) for path in paths}
    above = _above(wanted)
    if b"" in wanted or any(_links(fingerprint, wanted | above)):
        return fingerprint

    def of(folder: bytes) -> str:
        if folder in wanted or _parents(folder) & wanted:
            return _ALL
        return _SOME if folder in above else _NONE

    return _part(fingerprint, of, lambda path: path in wanted)


def without(fingerprint: Fingerprint, paths: Collection[str]) -> Fingerprint:
    """What there is beside some files and folders, and all that is in these.

    A folder that nothing else is in is left out too, and the mode of one that holds others is.
    """
    unwanted = {os.fsencode(path.strip("/")) for path in paths}
    above = _above(unwanted)

    def of(folder: bytes) -> str:
        if folder in unwanted or _parents(folder) & unwanted:
            return _NONE
        return _SOME if folder in above else _ALL

    return _part(fingerprint, of, lambda path: path not in unwanted)


def _part(fingerprint: Fingerprint, of: Callable[[bytes], str], wanted: Callable[[bytes], bool]) -> Fingerprint:
    whole = memoryview(fingerprint.rows)
    kept: list[bytes | memoryview] = []
    for row in table.rows(whole):
        how = of(row.path)
        if how == _ALL:
            kept.append(whole[row.start : row.end])
        elif how == _SOME and (some := _some(row, wanted)):
            kept.append(some)
    rows = b"".join(kept)
    return replace(fingerprint, digest=hashlib.sha256(rows).hexdigest(), rules=(), rows=rows)


def _some(row: Row, wanted: Callable[[bytes], bool]) -> bytes:
    """A row with some of its names; empty where none of them is wanted."""
    found = [one for one in row.members() if wanted(_joined(row.path, one[0]))]
    if not found:
        return b""
    names, modes, digests = zip(*found, strict=True)
    return table.head(row.path, 0, b"\0".join(names), len(names)) + table.body(modes, digests)


def _links(fingerprint: Fingerprint, paths: Collection[bytes]) -> Iterator[bytes]:
    """Those of some paths that are links."""
    folders = {path.rpartition(b"/")[0] for path in paths}
    for row in table.rows(memoryview(fingerprint.rows)):
        if row.path in folders:
            for name, mode, _ in row.members():
                if stat.S_ISLNK(mode) and (path := _joined(row.path, name)) in paths:
                    yield path


def _above(paths: Collection[bytes]) -> set[bytes]:
    """The folders that paths are in, with the one that all are in."""
    return {parent for path in paths for parent in _parents(path)}


def _parents(path: bytes) -> set[bytes]:
    """The folders above a path, with the one that all are in, which is empty."""
    if not path:
        return set()
    return {b"", *(path[:at] for at, letter in enumerate(path) if letter == ord("/"))}


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
