"""Files out of a container, with no trust in what it hands back: all is checked before the first is put in place."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.engine.pieces import Pieces
from tinyship.errors import ArtifactError
from tinyship.state import folder

_CHUNK = 1 << 18
_INCOMING = "incoming-"
_UNTRUSTED = "Nothing was written. The archive that the container handed back is not to be trusted."


def copy_out(engine: Engine, container_id: str, paths: Mapping[str, str], root: Path) -> tuple[Path, ...]:
    """Copy files or folders out of a container, all or none of them.

    Each arrives in a folder of its own below ``.tinyship`` first; only when all are complete and checked do they
    replace what was there, each in one move. They belong to whoever runs this; permission bits are kept, set-user-id,
    set-group-id and sticky bits are not.

    Args:
        paths: absolute paths in the container, each with the path below ``root`` that it replaces.
        root: the project's folder.

    Returns:
        what was replaced, in the order of ``paths``.

    Raises:
        ArtifactError: one is missing, leads out of its place, or cannot be written; then nothing was replaced.
    """
    with _incoming(root) as incoming:
        arrived = []
        for number, (inside, below) in enumerate(paths.items()):
            into = incoming / str(number)
            into.mkdir()
            _receive(engine, container_id, inside, below, into)
            arrived.append((into / PurePosixPath(inside).name, _place(root, below)))
        return _replace_all(arrived, incoming)


def unpack(stream: IO[bytes], name: str, into: Path) -> None:
    """Unpack a tar of one file or folder.

    Args:
        stream: the tar, read once from its beginning to its end.
        name: of the one entry that everything in the tar is, or is below.
        into: an empty folder; nothing is written outside of it.

    Raises:
        ArtifactError: something in it has another name, leads out, is no file, folder or link, or the tar is cut.
        OSError: it cannot be written.
    """
    folders: list[tuple[Path, int]] = []
    links: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
            for member in tar:
                _unpack(tar, member, name, into, folders)
                if member.issym():
                    links.append(member)
        _check_links(links, name, into)
        for path, mode in reversed(folders):
            path.chmod(mode)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ArtifactError(f"the archive of {name} is damaged: {error}", hint=_UNTRUSTED) from error
    if not os.path.lexists(into / name):
        raise ArtifactError(f"the archive of {name} does not hold it", hint=_UNTRUSTED)


class _Member(tarfile.TarInfo):
    """A member; tarfile takes a header that is cut or damaged for the end, unless it is the first."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _check_links(links: list[tarfile.TarInfo], name: str, into: Path) -> None:
    """Follow the links, which one by one look harmless and lead out together."""
    inside = Path(os.path.realpath(into)) / name
    for link in links:
        if not Path(os.path.realpath(into / _clean(link.name))).is_relative_to(inside):
            raise _refused(link, f"links to {link.linkname}, which leads out")


def _unpack(
    tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, into: Path, folders: list[tuple[Path, int]]
) -> None:
    path = _checked(member, name, into)
    mode = stat.S_IMODE(member.mode) & 0o777
    if member.isdir():
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
        folders.append((path, mode))
    elif member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk():
        shutil.copyfile(into / _clean(member.linkname), path)
        shutil.copymode(into / _clean(member.linkname), path)
    else:
        content = tar.extractfile(member)
        assert content
        with path.open("xb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
            if file.tell() != member.size:
                raise ArtifactError(f"the archive of {name} ends in the middle of {member.name}", hint=_UNTRUSTED)
        path.chmod(mode)


def _checked(member: tarfile.TarInfo, name: str, into: Path) -> Path:
    """Where a member goes.

    Raises:
        ArtifactError: that would not be a new place below ``name``, reached through real folders only.
    """
    inside = _clean(member.name)
    if not inside.parts or inside.parts[0] != name or inside.is_absolute() or ".." in PurePosixPath(member.name).parts:
        raise _refused(member, "lies outside of it")
    path = into / inside
    if any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(into)):
        raise _refused(member, "goes through a link")
    if os.path.lexists(path) and not (member.isdir() and path.is_dir() and not path.is_symlink()):
        raise _refused(member, "is there twice")
    if not path.parent.is_dir():
        raise _refused(member, "comes before its folder")
    if member.issym():
        target = PurePosixPath(os.path.normpath(inside.parent / member.linkname))
        if PurePosixPath(member.linkname).is_absolute() or target.parts[:1] != (name,):
            raise _refused(member, f"links to {member.linkname}, which leads out")
    elif member.islnk():
        source = into / _clean(member.linkname)
        outside = ".." in PurePosixPath(member.linkname).parts or _clean(member.linkname).parts[:1] != (name,)
        if (
            outside
            or source.is_symlink()
            or not source.is_file()
            or any(parent.is_symlink() for parent in source.parents if parent.is_relative_to(into))
        ):
            raise _refused(member, f"is a hard link to {member.linkname}, which leads out")
    elif not member.isfile() and not member.isdir():
        raise _refused(member, "is neither a file nor a folder nor a link")
    return path


def _clean(name: str) -> PurePosixPath:
    return PurePosixPath(*(part for part in PurePosixPath(name).parts if part != "."))


def _refused(member: tarfile.TarInfo, why: str) -> ArtifactError:
    return ArtifactError(f"`{member.name}` {why}", hint=_UNTRUSTED)


def _receive(engine: Engine, container_id: str, inside: str, below: str, into: Path) -> None:
    from docker.errors import NotFound

    api = engine.api
    with translated(f"copying {inside} out of the container"):
        response = api._get(
            api._url("/containers/{0}/archive", container_id), params={"path": inside}, stream=True, timeout=None
        )
        try:
            if response.status_code == 404:
                raise ArtifactError(
                    f"the command did not make {below}: there is no {inside} in the container",
                    hint=_instead(engine, container_id, inside),
                )
            api._raise_for_status(response)
            unpack(
                io.BufferedReader(Pieces(response.iter_content(chunk_size=_CHUNK))), PurePosixPath(inside).name, into
            )
        except NotFound as error:
            raise ArtifactError(f"the container is gone: {error}") from error
        except OSError as error:
            if error.errno is None:
                raise
            raise ArtifactError(f"{below} cannot be written: {error.strerror}", hint="Nothing was replaced.") from error
        finally:
            response.close()


def _instead(engine: Engine, container_id: str, inside: str) -> str:
    """What is in the folder where something was expected, for whoever misspelt it."""
    parent = PurePosixPath(inside).parent
    try:
        with translated("looking into the container"):
            chunks, _ = engine.api.get_archive(container_id, f"{parent}/.")
            names: list[str] = []
            with tarfile.open(fileobj=io.BufferedReader(Pieces(chunks)), mode="r|") as tar:
                for member in tar:
                    path = _clean(member.name)
                    if len(path.parts) == 1 and len(names) < 10:
                        names.append(path.name)
    except Exception:  # only a hint is at stake
        return f"`build.artifacts` are relative to the working directory; {parent} cannot be looked into."
    return f"In {parent} there is {', '.join(sorted(names)) or 'nothing'}."


def _place(root: Path, below: str) -> Path:
    """Where an artifact goes; refuses a way that leads out of the project through a link."""
    place = root / below
    real = Path(os.path.realpath(place.parent))
    if not real.is_relative_to(os.path.realpath(root)):
        raise ArtifactError(f"{below} would be written to {real}, outside of the project", hint="Remove that link.")
    return place


@contextmanager
def _incoming(root: Path) -> Iterator[Path]:
    """A private folder below ``.tinyship``, gone afterwards; what a crash left there before is removed."""
    try:
        state = folder(root)
        for left in state.glob(f"{_INCOMING}*"):
            if not _alive(left):
                shutil.rmtree(left, ignore_errors=True)
        path = Path(tempfile.mkdtemp(prefix=f"{_INCOMING}{os.getpid()}-", dir=state))
    except OSError as error:
        raise ArtifactError(
            f"{root / '.tinyship'} cannot be written: {error.strerror}", hint="Nothing was replaced."
        ) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _alive(left: Path) -> bool:
    """Whether the process that made an incoming folder still runs."""
    pid = left.name.removeprefix(_INCOMING).partition("-")[0]
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True


def _replace_all(arrived: list[tuple[Path, Path]], incoming: Path) -> tuple[Path, ...]:
    """Move everything into place; when one cannot be moved, those before it go back."""
    done: list[tuple[Path, Path | None]] = []
    with ExitStack() as stack:
        try:
            near = [stack.enter_context(_near(fresh, place, incoming)) for fresh, place in arrived]
            for number, (fresh, place) in enumerate(near):
                old = fresh.parent / f"old-{number}"
                if os.path.lexists(place) and (place.is_dir() or fresh.is_dir() or place.is_symlink()):
                    place.rename(old)
                    done.append((place, old))
                    fresh.rename(place)
                else:
                    if os.path.lexists(place):
                        os.link(place, old)
                    done.append((place, old if os.path.lexists(old) else None))
                    fresh.replace(place)
        except OSError as error:
            _put_back(done)
            raise ArtifactError(
                f"{error.filename2 or error.filename} cannot be written: {error.strerror}", hint="Nothing was replaced."
            ) from error
    return tuple(place for _, place in arrived)


@contextmanager
def _near(fresh: Path, place: Path, incoming: Path) -> Iterator[tuple[Path, Path]]:
    """What arrived on the disk that its place is on, so that it can be moved there: a copy where it is on another."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if incoming.stat().st_dev == place.parent.stat().st_dev:
        yield fresh, place
        return
    with tempfile.TemporaryDirectory(prefix=".tinyship-", dir=place.parent) as folder:
        copy = Path(folder, fresh.name)
        if fresh.is_dir() and not fresh.is_symlink():
            shutil.copytree(fresh, copy, symlinks=True)
        else:
            shutil.copy2(fresh, copy, follow_symlinks=False)
        yield copy, place


def _put_back(done: list[tuple[Path, Path | None]]) -> None:
    for place, old in reversed(done):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        if old:
            old.replace(place)
        else:
            place.unlink(missing_ok=True)
