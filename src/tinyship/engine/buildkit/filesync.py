"""Sends the files of folders to BuildKit: first what there is, then the content of what it asks for.

Source: github.com/tonistiigi/fsutil (send.go, validator.go), and buildkit, session/filesync.
"""

from __future__ import annotations

import gc
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tinyship.context.names import shown
from tinyship.context.walk import Entry, Known, open_file, read_link, unreadable
from tinyship.engine.buildkit.channel import NOT_FOUND, Handler, RpcError, Stream
from tinyship.engine.buildkit.selection import entries, reads_only, values
from tinyship.engine.buildkit.told import Told, bounded, of_content
from tinyship.errors import ContextError, TinyshipError

_BUFFER = 1 << 17
_CHUNK = 1 << 15
# Bits of Go's os.FileMode, which the protocol has.
_GO_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
}


class _NoCollection:
    """Keeps the collector of cycles from looking again and again at objects that are there to stay; may be nested."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_enabled = True

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._was_enabled:
                gc.enable()


_QUIET = _NoCollection()


def sender(
    folders: Mapping[str, Path],
    *,
    failed: Callable[[TinyshipError], None],
    known: Mapping[str, Known] | None = None,
    hidden: Mapping[str, Sequence[str]] | None = None,
    told: Told | None = None,
) -> Handler:
    """Serve ``FileSync/DiffCopy``.

    Args:
        folders: by the name that BuildKit asks for: ``context``, ``dockerfile``.
        failed: gets what went wrong here, because BuildKit's own words for it say less.
        known: what somebody has looked at of a folder before, by the same names.
        hidden: patterns of what is not sent, by the same names; an ignore file may take it in again.
        told: remembers what is told; without it a file that changes under the same size and time is not sent again.
    """

    def answer(stream: Stream) -> None:
        name = next(iter(values(stream.headers, "dir-name")), "")
        if name not in folders:
            raise RpcError(NOT_FOUND, f"there is no folder {name}")
        transfer = _Transfer(stream, _times(name, stream, told))
        try:
            out = (hidden or {}).get(name, ())
            transfer.run(entries(folders[name], stream.headers, (known or {}).get(name), hidden=out), told)
        except TinyshipError as error:
            failed(error)
            transfer.abort(error.message)

    return answer


def _times(name: str, stream: Stream, told: Told | None) -> Callable[[Entry], int]:
    """Gives the time that is told of an entry."""
    if reads_only(stream.headers, values(stream.headers, "followpaths")):
        return lambda entry: of_content(entry.full, entry.stat)
    if not told:
        return lambda entry: bounded(entry.stat.st_mtime_ns)
    known = told  # as mypy wants it

    def time(entry: Entry) -> int:
        if stat.S_ISDIR(entry.stat.st_mode):
            known.folder(name, entry.path, entry.stat.st_mode)
            return bounded(entry.stat.st_mtime_ns)
        return known.time(name, entry.path, entry.stat)

    return time


class _Transfer:
    """One DiffCopy: a buffer of framed packets that is sent when it is full, or when there is nothing else to do."""

    def __init__(self, stream: Stream, time: Callable[[Entry], int]) -> None:
        from tinyship.engine.buildkit.proto import fsutil_pb2

        self._messages = fsutil_pb2
        self._stream = stream
        self._time = time
        self._buffer = bytearray()

    def run(self, entries: Iterator[Entry], told: Told | None) -> None:
        """Tell of every entry, then answer requests until the other side is content."""
        packet = self._messages.Packet
        files = self._tell(entries)
        if told:
            told.save()
        while True:
            if not self._stream.waiting():
                self._flush()
            message = self._stream.receive()
            if message is None:
                return
            request = packet.FromString(message)
            if request.type == packet.PACKET_REQ:
                self._content(request.ID, files[request.ID])
            elif request.type == packet.PACKET_FIN:
                self._put(packet(type=packet.PACKET_FIN))
                self._flush()
                return
            elif request.type == packet.PACKET_ERR:
                return  # the build fails, and says why itself

    def _tell(self, entries: Iterator[Entry]) -> list[Entry]:
        """Tell of every entry; returns them by the numbers that they are asked for with."""
        with _QUIET:
            return self._telling(entries)

    def _telling(self, entries: Iterator[Entry]) -> list[Entry]:
        files = []
        telling = self._messages.Packet()
        found, time = telling.stat, self._time
        is_plain = True
        for entry in entries:
            mode = entry.stat.st_mode
            if not is_plain:  # one message serves all, which is cheaper than one for each
                found.Clear()
                is_plain = True
            if (kind := stat.S_IFMT(mode)) == stat.S_IFREG or kind == stat.S_IFDIR:
                found.size = entry.stat.st_size if kind == stat.S_IFREG else 0
            elif not self._describe(found, entry):
                continue
            else:
                is_plain = False
            if not entry.path.isascii() and not _is_utf8(entry.path):
                raise _no_utf8("the name of", entry)
            found.path = entry.path
            found.mode = _go_mode(mode)
            found.modTime = time(entry)
            files.append(entry)
            self._put(telling)
        self._put(self._messages.Packet())
        return files

    def abort(self, why: str) -> None:
        """Tell the other side that nothing more comes."""
        packet = self._messages.Packet
        self._put(packet(type=packet.PACKET_ERR, data=why.encode("utf-8", "replace")))
        self._flush()

    def _describe(self, found: Any, entry: Entry) -> bool:
        """Tell what is special about a link or a device; False for a link that is gone meanwhile."""
        status = entry.stat
        found.size = status.st_size
        if stat.S_ISLNK(status.st_mode):
            target = read_link(entry)
            if target is None:
                return False
            if not _is_utf8(target):
                raise _no_utf8("the target of the link", entry)
            found.linkname = target
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            found.devmajor, found.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        return True

    def _content(self, number: int, entry: Entry) -> None:
        """The content, at most as much of it as BuildKit was told: a file that grows all the time has an end too."""
        packet = self._messages.Packet
        file = open_file(entry)
        if file is None:
            raise ContextError(
                f"{shown(entry.path)} vanished while the context was sent",
                hint="Build again; what comes and goes should be named in .dockerignore.",
            )
        left = entry.stat.st_size
        with file:
            try:
                while left and (data := file.read(min(left, _CHUNK))):
                    left -= len(data)
                    self._put(packet(type=packet.PACKET_DATA, ID=number, data=data))
            except OSError as error:
                raise unreadable(entry.path, error) from error
        self._put(packet(type=packet.PACKET_DATA, ID=number))

    def _put(self, packet: Any) -> None:
        message = packet.SerializeToString()
        buffer = self._buffer
        buffer += len(message).to_bytes(5, "big")  # not compressed, which is a zero, and the length in four bytes
        buffer += message
        if len(buffer) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._stream.send(self._buffer)
            self._buffer = bytearray()


def _no_utf8(what: str, entry: Entry) -> ContextError:
    return ContextError(
        f"{what} {shown(entry.path)} is no UTF-8, which BuildKit cannot take",
        hint="Rename it, name it in .dockerignore, or set `builder: classic`.",
    )


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name)


@cache
def _go_mode(mode: int) -> int:
    """Permissions and type of a file as Go's os.FileMode has them."""
    go = mode & 0o777 | _GO_TYPES.get(stat.S_IFMT(mode), 0)
    go |= 1 << 23 if mode & stat.S_ISUID else 0
    go |= 1 << 22 if mode & stat.S_ISGID else 0
    return go | (1 << 20 if mode & stat.S_ISVTX else 0)
