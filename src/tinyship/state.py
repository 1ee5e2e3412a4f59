"""The folder ``.tinyship`` of a project: what tinyship keeps between runs, hidden from git."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinyship.errors import TinyshipError
from tinyship.running import cancelling

_DAY = 86_400.0
_PASSING = ("looks-", "print-", "made-", "told-", "git-")
"""Of the names of files that cost no more than work when they are lost."""
_LONG = 30 * _DAY
_CHECK = 16
_PATIENCE = 30.0
_PAUSE = 0.01


def folder(root: Path) -> Path:
    """The folder, made with a ``.gitignore`` that ignores all of it where it is not there yet.

    Raises:
        TinyshipError: it cannot be made.
    """
    path = root / ".tinyship"
    try:
        path.mkdir(exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def write(root: Path, name: str, text: str | bytes) -> None:
    """Replace a file of the folder, atomically: whoever reads it has the old or the new text.

    Raises:
        TinyshipError: it cannot be written; the old file is as it was.
    """
    replace_file(folder(root) / name, text)


def keep(root: Path, name: str, text: str | bytes) -> None:
    """As ``write``, for what costs no more than work when it is lost: it goes after a month of no use.

    It goes when something of another name comes: such names come and go with contexts, ignore files and engines.

    Raises:
        TinyshipError: see ``write``.
    """
    path = folder(root)
    if not (path / name).exists():
        for old in (entry for prefix in _PASSING for entry in path.glob(f"{prefix}*")):
            with suppress(OSError):
                if time.time() - old.stat().st_mtime > _LONG:
                    old.unlink()
    replace_file(path / name, text)


def keep_checked(root: Path, name: str, magic: bytes, content: bytes) -> None:
    """As ``keep``, with what tells a damaged file from a whole one.

    Args:
        magic: what the file begins with: its kind and its form.
        content: of any form.
    """
    keep(root, name, b"".join((magic, _check(content), content)))


def checked(root: Path, name: str, magic: bytes) -> memoryview | None:
    """The content of a file of ``keep_checked``; None where it is not there, damaged, or of another kind."""
    try:
        data = (root / ".tinyship" / name).read_bytes()
    except OSError:
        return None
    start = len(magic) + _CHECK
    content = memoryview(data)[start:]
    return content if data.startswith(magic) and _check(content) == data[len(magic) : start] else None


def _check(content: bytes | memoryview) -> bytes:
    import xxhash

    return xxhash.xxh3_128_digest(content)


def of_use(root: Path, name: str) -> None:
    """Note that a file that is kept is of use, where that was not noted for a day."""
    file = root / ".tinyship" / name
    with suppress(OSError):
        if time.time() - file.stat().st_mtime > _DAY:
            os.utime(file)


def replace_file(file: Path, text: str | bytes) -> None:
    """Write a file, atomically, whatever was there before.

    Raises:
        TinyshipError: it cannot be written; what was there is as it was.
    """
    fresh = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        fresh.write_bytes(text.encode() if isinstance(text, str) else text)
        fresh.replace(file)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise _unwritable(file, error) from error


@contextmanager
def locked(root: Path, name: str, *, doing: str = "") -> Iterator[None]:
    """Keep other processes and threads that ask for the same lock out of a block.

    Args:
        root: the project's folder.
        name: of the lock's file, which stays.
        doing: what whoever has the lock may take long for: "pushing lacion/foo".

    Raises:
        TinyshipError: the lock's file cannot be written, or another process keeps it for half a minute.
    """
    file = folder(root) / name
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        given_up = time.monotonic() + _PATIENCE
        while not _lock(handle):
            if time.monotonic() > given_up:
                raise _busy(file, doing)
            cancelling.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)


def _busy(file: Path, doing: str) -> TinyshipError:
    if doing:
        return TinyshipError(f"another process is {doing}", hint=f"Wait for it; while it lives it keeps {file} locked.")
    return TinyshipError(f"another process keeps {file} locked", hint="Does one hang, or is one stopped?")


def _lock(handle: int) -> bool:
    """Whether the lock on an open file could be had; closing the file gives it back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Any other error is that of a file system without locks, which is no reason to write nothing.
        return error.errno not in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
    return True


def _unwritable(path: Path, error: OSError) -> TinyshipError:
    return TinyshipError(f"{path} cannot be written: {error.strerror}", hint="Is it this user's, and is there room?")
