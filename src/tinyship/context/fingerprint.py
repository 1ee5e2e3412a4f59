"""Fingerprints of contexts: whether files are what they were, by content, without reading most of them.

A fingerprint is of names, kinds, permission bits, link targets and contents of what is not ignored, and of the rules
that say what is; owners, times and the order in a folder decide nothing. The Dockerfile is in it as far as it is a file
of the context that is not ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tinyship import state
from tinyship.context import statcache, table
from tinyship.context.ignore import Matcher
from tinyship.context.source import Context
from tinyship.context.statcache import Cache, Clock
from tinyship.context.table import Change, Changes
from tinyship.context.walk import Entry, Filter, open_file, read_link, unlistable, unreadable
from tinyship.running import cancelling

__all__ = ["Change", "Changes", "Fingerprint", "keep", "kept", "of_folder", "of_paths", "take"]

_MAGIC = b"tsprint1"
_BLOCK = 1 << 20
_TRIES = 3
_MOST = 10


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What files were at one moment.

    Args:
        digest: of everything.
        rules: that say what is ignored.
        rows: every path with its mode and digest, packed as ``context.table`` says.
        moment: another one after every change, even one that was taken back; it says nothing of fingerprints that are
            kept.
    """

    digest: str
    rules: tuple[str, ...] = field(repr=False)
    rows: bytes = field(repr=False, compare=False)
    moment: str = field(default="", repr=False, compare=False)

    def changes(self, before: Fingerprint, *, most: int = _MOST) -> Changes:
        """What became of files since another fingerprint of them.

        Args:
            before: the older one.
            most: how many changes are given; all are counted.
        """
        return table.changes(before.rows, self.rows, most, rules=before.rules != self.rules)


def take(context: Context, *more: Filter, state_root: Path, name: str) -> Fingerprint:
    """The fingerprint of a context.

    Args:
        context: a context.
        more: say what else is left out.
        state_root: the project's folder, whose ``.tinyship`` remembers digests.
        name: of what is remembered: one for each context that differs, like ``production``.

    Raises:
        ContextError: a file or folder cannot be read; names it.
    """
    ignored = Matcher(context.patterns)
    return of_folder(context.root, ignored, *more, rules=context.patterns, state_root=state_root, name=name)


def of_folder(
    root: Path,
    *filters: Filter,
    rules: Sequence[str] = (),
    state_root: Path,
    name: str,
    remember: bool = True,
) -> Fingerprint:
    """The fingerprint of a folder.

    Args:
        root: the folder; its own mode is not in it.
        filters: each says what is left out.
        rules: what the filters go by, as text.
        state_root: as for ``take``.
        name: as for ``take``.
        remember: what was seen, for the next time; else nothing is written.

    Raises:
        ContextError: a file or folder cannot be read; names it.
    """
    file = f"looks-{_safe(name)}"
    cache = statcache.load(state_root, file)
    look = _Look(root, cache, Clock(state_root if remember else None))
    look.walk(filters)
    moment = look.moment.hexdigest()
    if not look.is_news():
        if remember:
            state.of_use(state_root, file)
        return _fingerprint(tuple(rules), cache.rows, moment)
    rows = b"".join(look.rows)
    if remember:
        statcache.save(state_root, file, rows, b"".join(look.looks))
    return _fingerprint(tuple(rules), rows, moment)


def of_paths(root: Path, paths: Iterable[str], *, state_root: Path, name: str, remember: bool = True) -> Fingerprint:
    """The fingerprint of some files and folders below a folder, as far as they are there, and of the folders above.

    Args:
        root: the folder.
        paths: relative to it, with ``/``.
        state_root: as for ``take``.
        name: as for ``take``.
        remember: as for ``of_folder``.

    Raises:
        ContextError: a file or folder cannot be read; names it.
    """
    wanted = sorted({path.strip("/") for path in paths})
    return of_folder(root, _Only(wanted), rules=wanted, state_root=state_root, name=name, remember=remember)


def keep(root: Path, key: str, fingerprint: Fingerprint) -> None:
    """Keep a fingerprint in ``.tinyship``, for whoever asks later what has changed.

    Args:
        root: the project's folder.
        key: of what it is kept for: one for each stage of each image.
        fingerprint: takes the place of one that was kept under this key.

    Raises:
        TinyshipError: it cannot be written.
    """
    rules = json.dumps(fingerprint.rules).encode()
    content = b"".join((len(rules).to_bytes(4, "little"), rules, fingerprint.rows))
    state.keep_checked(root, f"print-{_safe(key)}", _MAGIC, content)


def of_use(root: Path, key: str) -> None:
    """Note that the fingerprint that is kept under a key is of use."""
    state.of_use(root, f"print-{_safe(key)}")


def kept(root: Path, key: str) -> Fingerprint | None:
    """The fingerprint that is kept under a key; None where there is none, or a damaged one."""
    content = state.checked(root, f"print-{_safe(key)}", _MAGIC)
    if content is None:
        return None
    end = 4 + int.from_bytes(content[:4], "little")
    return _fingerprint(tuple(json.loads(bytes(content[4:end]))), bytes(content[end:]))


def _fingerprint(rules: tuple[str, ...], rows: bytes, moment: str = "") -> Fingerprint:
    digest = hashlib.sha256(hashlib.sha256(json.dumps(rules).encode()).digest())
    digest.update(rows)
    return Fingerprint(digest.hexdigest(), rules, rows, moment)


def _safe(name: str) -> str:
    """A name as that of a file; no two give the same."""
    plain = re.sub(r"[^a-z0-9.-]", "_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


class _Only:
    """A filter that leaves out all but some paths and what is below them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._above = {path[:at] for path in self._paths for at, letter in enumerate(path) if letter == "/"}

    def ignores(self, path: str) -> bool:
        """Whether a path is neither one of them nor below one."""
        return path not in self._paths and not any(path.startswith(f"{one}/") for one in self._paths)

    def may_reopen(self, directory: str) -> bool:
        """Whether one of them is below a folder."""
        return directory in self._above

    def may_ignore(self, directory: str) -> bool:
        """Whether something below one of them is left out, which it never is."""
        return self.ignores(directory)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to be looked into: path with a slash behind it, mode, who is to be asked, whether it is ignored.

    ``changed`` is when anything about it did, in nanoseconds.
    """

    prefix: str
    mode: int
    asked: tuple[Filter, ...]
    ignored: bool
    changed: int = 0


class _Look:
    """One walk: rows and looks of all folders, old ones as they are where nothing changed."""

    def __init__(self, root: Path, cache: Cache, clock: Clock) -> None:
        self.rows: list[bytes | memoryview] = []
        self.looks: list[bytes | memoryview] = []
        self._base = os.path.join(str(root), "")  # noqa: PTH118  with a slash behind it, for 100,000 paths
        self._cache = cache
        self._clock = clock
        self._fresh = False
        self._length = 0
        self.moment = hashlib.sha256()

    def is_news(self) -> bool:
        """Whether anything is not as the cache has it."""
        return self._fresh or self._length != len(self._cache.rows)

    def walk(self, filters: tuple[Filter, ...]) -> None:
        """Look at everything that is not ignored.

        The rules are those of ``context.walk``: an ignored folder is there only when something in it is.
        """
        todo = [_Folder("", 0, filters, ignored=False)]
        held: list[_Folder] = []  # ignored folders that nothing was found in yet
        while todo:
            cancelling.check()
            folder = todo.pop()
            names, looks, below = self._list(folder)
            todo += reversed(below)
            while held and not folder.prefix.startswith(held[-1].prefix):
                held.pop()
            if folder.ignored and not names:
                held.append(folder)
                continue
            for one in held:
                self._put(one, [], [])
            held.clear()
            self._put(folder, names, looks)

    def _list(self, folder: _Folder) -> tuple[list[str], list[bytes], list[_Folder]]:
        """What is in a folder: names and looks of what is no folder, and folders."""
        base, prefix, asked = self._base + folder.prefix, folder.prefix, folder.asked
        names: list[str] = []
        looks: list[bytes] = []
        below: list[_Folder] = []
        lstat, look = os.lstat, statcache.look  # a hundred thousand times
        for name in self._names(folder):
            ignoring = [one for one in asked if one.ignores(prefix + name)] if asked else ()
            if ignoring and not all(one.may_reopen(prefix + name) for one in ignoring):
                continue
            try:
                status = lstat(base + name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise unreadable(prefix + name, error) from error
            kind = status.st_mode & 0o170000
            if kind == stat.S_IFDIR:
                path = prefix + name
                still = tuple(one for one in asked if one in ignoring or one.may_ignore(path))
                below.append(_Folder(f"{path}/", status.st_mode, still, bool(ignoring), status.st_ctime_ns))
            elif not ignoring and kind != stat.S_IFSOCK:
                names.append(name)
                looks.append(look(status))
        return names, looks, below

    def _names(self, folder: _Folder) -> list[str]:
        try:
            names = os.listdir(self._base + folder.prefix)  # noqa: PTH208  no object for each
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            if folder.ignored and isinstance(error, PermissionError):
                return []
            raise unlistable(folder.prefix.rstrip("/") or self._base, error) from error
        names.sort()
        return names

    def _put(self, folder: _Folder, names: list[str], looks: list[bytes]) -> None:
        """Add a folder, as the cache has it or anew."""
        path, joined, looked = os.fsencode(folder.prefix[:-1]), os.fsencode("\0".join(names)), b"".join(looks)
        head = table.head(path, folder.mode, joined, len(names))
        for part in (head, looked, b"%d" % folder.changed):
            self.moment.update(part)
        same = self._cache.same(head, looked, len(names))
        if same:
            row, old = same
            self.rows.append(row)
            self.looks.append(old)
            self._length += len(row)
            return
        self._fresh = True
        known = self._cache.find(path)
        digests = known.digests() if known else {}
        there, modes, found, settled = [], [], [], []
        for name, look in zip(names, looks, strict=True):
            encoded = os.fsencode(name)
            before, digest = digests.get(encoded, (b"", b""))
            as_before = _Seen(statcache.mode(look), digest, look) if before == look else None
            seen = as_before or self._read(folder.prefix + name)
            if not seen:
                continue
            there.append(encoded)
            modes.append(seen.mode)
            found.append(seen.digest)
            settled.append(seen.look)
        self.rows.append(table.head(path, folder.mode, b"\0".join(there), len(there)) + table.body(modes, found))
        self.looks.append(b"".join(settled))

    def _read(self, path: str) -> _Seen | None:
        """What is at a path; None where it is gone, or something else at every look."""
        self._clock.start()
        full = self._base + path
        for _ in range(_TRIES):
            try:
                status = os.lstat(full)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise unreadable(path, error) from error
            if stat.S_ISDIR(status.st_mode) or stat.S_ISSOCK(status.st_mode):
                return None
            digest = _digest(Entry(path, full, status))
            if digest is not None:
                mode = status.st_mode
                # The look is that from before: whatever was done to an old file since then gives it another one.
                look = statcache.look(status) if self._clock.is_old(status) else statcache.never(mode)
                return _Seen(mode, digest, look)
        return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file that was looked at."""

    mode: int
    digest: bytes
    look: bytes


def _digest(entry: Entry) -> bytes | None:
    """A digest of a file's content, a link's target, or a device's number; None where it is gone."""
    mode = entry.stat.st_mode
    if stat.S_ISLNK(mode):
        target = read_link(entry)
        return None if target is None else hashlib.sha256(os.fsencode(target)).digest()
    if not stat.S_ISREG(mode):
        return hashlib.sha256(str(entry.stat.st_rdev).encode()).digest()
    file = open_file(entry)
    if file is None:
        return None
    digest = hashlib.sha256()
    with file:
        try:
            while data := file.read(_BLOCK if entry.stat.st_size >= _BLOCK else entry.stat.st_size + 1):
                cancelling.check()
                digest.update(data)
        except OSError as error:
            raise unreadable(entry.path, error) from error
    return digest.digest()
