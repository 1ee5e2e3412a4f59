"""Remembers what BuildKit was told of files, so that one size and time never stand for two contents.

BuildKit keeps its own copy of a context, under a key of ours, and asks for a file again only where what it is told of
it differs: size, time and mode. Content that changed under the same size and time would be missed. So where a file may
be another than the one that BuildKit was told of with this time, it is told of with a time some nanoseconds off;
images hold whole seconds. The mode of a folder that changed alone is missed too, in the cache of COPY; then the copy is
left behind: another key is taken, and everything is sent once.

It does not matter which engine was told, or whether the build came to its end.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tinyship import state
from tinyship.context import statcache
from tinyship.context.statcache import LOOK, Clock

_MAGIC = b"tstold1\n"
_TIME = struct.Struct("<q")
_ENTRY = LOOK + _TIME.size
_SECOND = 1_000_000_000
_LATEST = 1 << 63
_ROOM = 50_000
_TURNS = 3
_Files = dict[str, dict[str, bytes]]
_Folders = dict[str, dict[str, int]]


class Told:
    """What was told of the files of one context, and of its named contexts.

    Args:
        root: the project's folder, whose ``.tinyship`` holds it.
        context: the context's folder.
        folders: by the names that BuildKit asks for.
    """

    def __init__(self, root: Path, context: Path, folders: Mapping[str, Path]) -> None:
        digest = hashlib.sha256(os.fsencode(context)).hexdigest()
        self._root = root
        self._name = f"told-{digest[:16]}"
        self._clock = Clock(root)
        self._clock.start()
        self._lock = threading.Lock()
        self._fresh = False
        found = _Memory.load(self._root, self._name)
        self._found = found.key if found else ""
        self._memory = found if found and not found.is_full() and found.fits(folders) else _Memory()

    @property
    def key(self) -> str:
        """What BuildKit keeps its copy under."""
        return self._memory.key

    def folder(self, name: str, path: str, mode: int) -> None:
        """Remember a folder; the first mode, which is the one that BuildKit goes on with.

        Args:
            name: that BuildKit asks for.
            path: in that folder.
            mode: its mode.
        """
        known = self._memory.folders.setdefault(name, {})
        if path not in known:
            known[path] = mode
            self._fresh = True

    def time(self, name: str, path: str, status: os.stat_result) -> int:
        """The time to tell of a file or link, in nanoseconds: its own, unless that stands for something else.

        Args:
            name: that BuildKit asks for.
            path: in that folder.
            status: looked at after this object was made.
        """
        look = statcache.look(status)
        known = self._memory.files.setdefault(name, {})
        entries = known.get(path, b"")
        if entries[:LOOK] == look:
            return int(_TIME.unpack_from(entries, LOOK)[0])
        used = set()
        for start in range(0, len(entries), _ENTRY):
            (told,) = _TIME.unpack_from(entries, start + LOOK)
            if entries[start : start + LOOK] == look:
                return int(told)
            used.add(told)
        time = bounded(status.st_mtime_ns)
        step = -1 if time % _SECOND > _SECOND // 2 else 1
        while time in used:
            time += step
        kept = look if self._clock.is_old(status) else statcache.never(status.st_mode)
        known[path] = entries + kept + _TIME.pack(time)
        self._fresh = True
        return time

    def save(self) -> None:
        """Remember what was told, before anything of it can have been taken.

        Raises:
            TinyshipError: it cannot be written.
        """
        with self._lock:
            if not self._fresh:
                state.of_use(self._root, self._name)
                return
            self._fresh = False
            with state.locked(self._root, "told.lock"):
                other = _Memory.load(self._root, self._name)
                if (other.key if other else "") not in {self._found, self._memory.key}:
                    return  # another process began anew; what was told here is of a copy that nobody will ask for again
                kept = self._memory.merged(other) if other and other.key == self._memory.key else self._memory
                state.keep_checked(self._root, self._name, _MAGIC, kept.packed())
                self._found = kept.key


def of_content(path: str, status: os.stat_result) -> int:
    """A time for a small file that goes by its content, for those that no image holds the times of."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        data = b""  # whoever sends it says why
    fraction = int.from_bytes(hashlib.sha256(data).digest()[:8], "little") % _SECOND
    return bounded(status.st_mtime_ns // _SECOND * _SECOND + fraction)


def bounded(nanoseconds: int) -> int:
    """A time as the protocol can hold it: 64 bits, from 1677 to 2262."""
    return max(-_LATEST, min(nanoseconds, _LATEST - 1))


class _Memory:
    """What is in the file.

    Args:
        key: that BuildKit keeps its copy under; a new one where empty.
        files: looks and times that were told, by name and path.
        folders: modes that were told, by name and path.
        room: how many entries there may be.
    """

    def __init__(
        self,
        key: str = "",
        files: _Files | None = None,
        folders: _Folders | None = None,
        room: int = 0,
    ) -> None:
        self.key = key or secrets.token_hex(32)
        self.files = files or {}
        self.folders = folders or {}
        self.room = room or _ROOM

    @classmethod
    def load(cls, root: Path, name: str) -> _Memory | None:
        """What a file has; None where that is damaged or not there."""
        import msgspec

        content = state.checked(root, name, _MAGIC)
        return (
            None if content is None else cls(*msgspec.msgpack.decode(content, type=tuple[str, _Files, _Folders, int]))
        )

    def packed(self) -> bytes:
        """As ``load`` finds it in a file."""
        import msgspec

        self.room = max(self.room, _ROOM + _TURNS * max((len(known) for known in self.files.values()), default=0))
        return msgspec.msgpack.encode((self.key, self.files, self.folders, self.room))

    def is_full(self) -> bool:
        """Whether there is so much that to send everything again is cheaper than to remember it."""
        count = sum(len(entries) for known in self.files.values() for entries in known.values()) // _ENTRY
        return count > self.room

    def fits(self, folders: Mapping[str, Path]) -> bool:
        """Whether the folders that BuildKit was told of have the modes that it was told."""
        for name, known in self.folders.items():
            if name not in folders:
                continue
            base = str(folders[name])
            for path, mode in known.items():
                try:
                    found = os.lstat(f"{base}/{path}").st_mode
                except OSError:
                    continue
                if found != mode and stat.S_ISDIR(found):
                    return False
        return True

    def merged(self, other: _Memory) -> _Memory:
        """With what another process remembered meanwhile; where the two do not fit, nothing, under another key."""
        for name, known in other.files.items():
            ours = self.files.setdefault(name, {})
            for path, entries in known.items():
                if ours.get(path) != entries and not _merge(ours, path, entries):
                    return _Memory()
        for name, modes in other.folders.items():
            self.folders[name] = {**self.folders.get(name, {}), **modes}
        return self


def _merge(ours: dict[str, bytes], path: str, theirs: bytes) -> bool:
    """Add entries to those of a path; whether none of their times stands for another look with us."""
    mine = ours.get(path, b"")
    looks = dict(_entries(mine))
    added = [(time, look) for time, look in _entries(theirs) if looks.get(time) != look]
    ours[path] = mine + b"".join(look + time for time, look in added)
    return not any(time in looks for time, _ in added)


def _entries(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Time and look of each."""
    for start in range(0, len(packed), _ENTRY):
        yield packed[start + LOOK : start + _ENTRY], packed[start : start + LOOK]
