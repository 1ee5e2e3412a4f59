"""Takes what a build hands out: an archive of the image into a file, or the files of the image into a folder.

Source: buildkit, ``session/filesync`` (moby.filesync.v1.FileSend); a folder's files come as a tar.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tinyship.engine.buildkit.channel import Handler, Stream
from tinyship.engine.pieces import Pieces
from tinyship.errors import ArtifactError, TinyshipError

Taker = Callable[[Iterator[bytes]], None]
"""Gets the pieces of what a build hands out; ends when these do."""


def receiver(take: Taker, *, failed: Callable[[TinyshipError], None]) -> Handler:
    """Serve ``FileSend/DiffCopy``.

    Args:
        take: gets what comes.
        failed: gets what went wrong in ``take``; the build fails then.
    """

    def answer(stream: Stream) -> None:
        try:
            take(_pieces(stream))
        except TinyshipError as error:
            failed(error)
            raise

    return answer


def to_file(dest: Path) -> Taker:
    """Write what comes to a file, which it replaces when it is complete.

    Raises (the taker):
        ArtifactError: the file cannot be written; what was there is as it was.
    """

    def take(pieces: Iterator[bytes]) -> None:
        try:
            dest.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".tinyship-", dir=dest.parent) as folder:
                fresh = Path(folder, "fresh")
                with fresh.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)
                fresh.replace(dest)
        except OSError as error:
            raise _unwritable(dest, error) from error

    return take


def to_folder(dest: Path) -> Taker:
    """Unpack what comes, a tar, into a folder: its files replace those of the same name, all others stay.

    Owners are whoever runs this; devices and the like are left out; nothing is written outside of the folder.

    Raises (the taker):
        ArtifactError: something cannot be written, or is not to be trusted.
    """

    def take(pieces: Iterator[bytes]) -> None:
        try:
            dest.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".tinyship-", dir=dest.parent) as folder:
                with tarfile.open(fileobj=io.BufferedReader(Pieces(pieces)), mode="r|") as tar:
                    tar.extractall(folder, filter=_harmless)  # noqa: S202  the filter is what it asks for
                _merge(Path(folder), dest)
        except tarfile.TarError as error:
            raise ArtifactError(f"what the build made for {dest} is not to be trusted: {error}") from error
        except OSError as error:
            raise _unwritable(dest, error) from error

    return take


def _pieces(stream: Stream) -> Iterator[bytes]:
    from tinyship.engine.buildkit.proto.session_pb2 import BytesMessage

    for message in stream:
        yield BytesMessage.FromString(message).data


def _harmless(member: tarfile.TarInfo, into: str) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    if member.islnk():
        tarfile.data_filter(member, into)  # raises for a hard link to what lies outside; others may point anywhere
    kept = tarfile.tar_filter(member, into)
    return kept.replace(uid=os.getuid(), gid=os.getgid(), uname="", gname="", deep=False)


def _merge(fresh: Path, dest: Path) -> None:
    """Move everything below one folder to the same place below another."""
    for entry in sorted(fresh.iterdir()):
        place = dest / entry.name
        if entry.is_dir() and not entry.is_symlink():
            if place.is_dir() and not place.is_symlink():
                _merge(entry, place)
                shutil.copymode(entry, place)
                continue
            if os.path.lexists(place):
                place.unlink()
        elif place.is_dir() and not place.is_symlink():
            raise ArtifactError(f"{place} is a folder, and the build made a file of that name", hint="Remove one.")
        entry.replace(place)


def _unwritable(dest: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"{dest} cannot be written: {error.strerror or error}", hint="Is it this user's, and is there room?"
    )
