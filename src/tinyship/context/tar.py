"""Streams the entries of a context as a tar: no temporary file, memory flat for any size.

The format is GNU's, whose long names may hold any bytes. Owners are what the caller says, modes are kept, times are
kept to the second, no user or group names go along.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping

from tinyship.context.walk import Entry, open_file, read_link, unreadable

_CHUNK = 1 << 17
_BLOCK = tarfile.BLOCKSIZE
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


def stream(
    entries: Iterable[Entry],
    *,
    prefix: str = "",
    owner: tuple[int, int] = (0, 0),
    extra: Mapping[str, bytes] | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """The tar, piece by piece.

    A file that grows while it is read is cut at the size that it had, one that shrinks is filled up with zeros: the
    size stands before the content and cannot be taken back.

    Args:
        entries: what goes in, in this order.
        prefix: a folder inside the tar that everything goes below. It is an entry itself where ``owner`` is not root,
            so that it becomes the owner's; what is above it is left as it is.
        owner: user and group id of every entry.
        extra: small files behind the entries, by name; mode 0644.
        on_bytes: gets the length of each piece.

    Raises:
        ContextError: a file cannot be read; names it.
    """
    for piece in _pieces(entries, prefix.strip("/"), owner, extra or {}):
        if on_bytes:
            on_bytes(len(piece))
        yield piece


def _pieces(
    entries: Iterable[Entry], prefix: str, owner: tuple[int, int], extra: Mapping[str, bytes]
) -> Iterator[bytes]:
    buffer = bytearray()
    if prefix and owner != (0, 0):
        folder = tarfile.TarInfo(prefix)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        buffer += _header(folder, owner)
    inside = f"{prefix}/" if prefix else ""
    for entry in entries:
        if stat.S_ISREG(entry.stat.st_mode):
            yield from _file(entry, inside, owner, buffer)
        else:
            buffer += _special(entry, inside, owner)
        if len(buffer) >= _CHUNK:
            yield bytes(buffer)
            buffer.clear()
    for name, content in extra.items():
        info = tarfile.TarInfo(inside + name)
        info.size = len(content)
        buffer += _header(info, owner) + content + b"\0" * (-len(content) % _BLOCK)
    buffer += b"\0" * (2 * _BLOCK)
    yield bytes(buffer)


def _file(entry: Entry, inside: str, owner: tuple[int, int], buffer: bytearray) -> Iterator[bytes]:
    """A regular file; small ones go into the buffer, the content of large ones passes through in pieces."""
    file = open_file(entry)
    if file is None:
        return
    with file:
        info = _info(entry, inside)
        left = info.size = entry.stat.st_size
        buffer += _header(info, owner)
        try:
            while left and (data := file.read(min(left, _CHUNK))):
                left -= len(data)
                buffer += data
                if len(buffer) >= _CHUNK:
                    yield bytes(buffer)
                    buffer.clear()
        except OSError as error:
            raise unreadable(entry.path, error) from error
    while left:
        filling = min(left, _CHUNK)
        left -= filling
        yield bytes(buffer) + bytes(filling)
        buffer.clear()
    buffer += bytes(-info.size % _BLOCK)


def _special(entry: Entry, inside: str, owner: tuple[int, int]) -> bytes:
    """A folder, a link, a pipe or a device: all header."""
    info = _info(entry, inside)
    if info.issym():
        target = read_link(entry)
        if target is None:
            return b""
        info.linkname = target
    if info.isdev() and not info.isfifo():
        info.devmajor, info.devminor = os.major(entry.stat.st_rdev), os.minor(entry.stat.st_rdev)
    return _header(info, owner)


def _info(entry: Entry, inside: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(inside + entry.path)
    info.type = _TYPES[stat.S_IFMT(entry.stat.st_mode)]
    info.mode = stat.S_IMODE(entry.stat.st_mode)
    info.mtime = int(entry.stat.st_mtime)
    return info


def _header(info: tarfile.TarInfo, owner: tuple[int, int]) -> bytes:
    info.uid, info.gid = owner
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
