"""Sends the files of folders to BuildKit: first what there is, then the content of what it asks for.

Source: github.com/tonistiigi/fsutil (send.go, validator.go), and buildkit, session/filesync.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinyship.context.walk import Entry
from tinyship.engine.buildkit.channel import NOT_FOUND, Handler, RpcError, Stream
from tinyship.engine.buildkit.selection import entries
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


def sender(
    folders: Mapping[str, Path], *, failed: Callable[[TinyshipError], None], sent: Callable[[str, int, bool], None]
) -> Handler:
    """Serve ``FileSync/DiffCopy``.

    Args:
        folders: by the name that BuildKit asks for: ``context``, ``dockerfile``.
        failed: gets what went wrong here, because BuildKit's own words for it say less.
        sent: gets a folder's name, the bytes of content sent so far, and whether it is done.
    """

    def answer(stream: Stream) -> None:
        name = next(iter(stream.headers.get("dir-name", ())), "")
        if name not in folders:
            raise RpcError(NOT_FOUND, f"there is no folder {name}")
        transfer = _Transfer(stream, lambda count, done: sent(name, count, done))
        try:
            transfer.run(entries(folders[name], stream.headers))
        except TinyshipError as error:
            failed(error)
            transfer.abort(error.message)

    return answer


class _Transfer:
    """One DiffCopy: a buffer of framed packets that is sent when it is full, or when there is nothing else to do."""

    def __init__(self, stream: Stream, sent: Callable[[int, bool], None]) -> None:
        from tinyship.engine.buildkit.proto import fsutil_pb2

        self._messages = fsutil_pb2
        self._stream = stream
        self._sent = sent
        self._buffer = bytearray()
        self._count = 0

    def run(self, entries: Iterator[Entry]) -> None:
        """Tell of every entry, then answer requests until the other side is content."""
        packet = self._messages.Packet
        files = []
        for entry in entries:
            files.append(entry)
            self._put(packet(stat=self._stat(entry)))
        self._put(packet())
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
                self._sent(self._count, True)
                return
            elif request.type == packet.PACKET_ERR:
                return  # the build fails, and says why itself

    def abort(self, why: str) -> None:
        """Tell the other side that nothing more comes."""
        packet = self._messages.Packet
        self._put(packet(type=packet.PACKET_ERR, data=why.encode()))
        self._flush()

    def _stat(self, entry: Entry) -> Any:
        mode = entry.stat.st_mode
        try:
            found = self._messages.Stat(path=entry.path, mode=_go_mode(mode), modTime=entry.stat.st_mtime_ns)
        except (UnicodeEncodeError, ValueError) as error:
            shown = os.fsencode(entry.path).decode(errors="replace")
            raise ContextError(
                f"the name of {shown} is no UTF-8, which BuildKit cannot take",
                hint="Rename it, name it in .dockerignore, or set `builder: classic`.",
            ) from error
        if stat.S_ISLNK(mode):
            found.linkname = _target(entry)
        elif stat.S_ISREG(mode):
            found.size = entry.stat.st_size
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            found.devmajor, found.devminor = os.major(entry.stat.st_rdev), os.minor(entry.stat.st_rdev)
        return found

    def _content(self, number: int, entry: Entry) -> None:
        packet = self._messages.Packet
        try:
            with open(entry.full, "rb", buffering=0) as file:  # noqa: PTH123  surrogates need no Path
                while data := file.read(_CHUNK):
                    self._put(packet(type=packet.PACKET_DATA, ID=number, data=data))
                    self._count += len(data)
                    self._sent(self._count, False)
        except FileNotFoundError:
            pass  # it vanished: it arrives empty
        except OSError as error:
            raise ContextError(
                f"{entry.path} cannot be read: {error.strerror}", hint="Make it readable, or name it in .dockerignore."
            ) from error
        self._put(packet(type=packet.PACKET_DATA, ID=number))

    def _put(self, packet: Any) -> None:
        message = packet.SerializeToString()
        self._buffer += b"\0" + len(message).to_bytes(4, "big")
        self._buffer += message
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._stream.send(self._buffer)
            self._buffer = bytearray()


def _target(entry: Entry) -> str:
    try:
        return os.readlink(entry.full)  # noqa: PTH115  surrogates need no Path
    except OSError as error:
        raise ContextError(f"{entry.path} cannot be read: {error.strerror}") from error


def _go_mode(mode: int) -> int:
    """Permissions and type of a file as Go's os.FileMode has them."""
    go = mode & 0o777 | _GO_TYPES.get(stat.S_IFMT(mode), 0)
    go |= 1 << 23 if mode & stat.S_ISUID else 0
    go |= 1 << 22 if mode & stat.S_ISGID else 0
    return go | (1 << 20 if mode & stat.S_ISVTX else 0)
