"""The toolchain base: this machine's gcc, and the C library musl as Debian packages it, as a tar on standard output."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_PACKAGE = "musl-dev"
_FETCH = ("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", _PACKAGE)
_START = re.compile(r"^\./usr/(?:(include)/[^/]+-linux-musl[^/]*|(lib)/[^/]+-linux-musl[^/]*)/(.+)$")
_LINKED = ("libc.a", "crt1.o")


def main() -> None:
    """Write the tar; the same each time, so that the image is."""
    files = {**_compiler(), **_musl()}
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for folder in sorted({*folders, "tmp"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))


def _compiler() -> dict[str, bytes]:
    """The programs that make a C program, where gcc looks for them, and the libraries that they need."""
    files: dict[str, bytes] = {}
    for name in ("gcc", "as", "ld"):
        found = shutil.which(name)
        if not found:
            sys.exit(f"there is no {name} on PATH: `apt-get install gcc`")
        files |= _program(Path(found), f"usr/bin/{name}")
    for part in ("cc1", "collect2"):
        path = Path(_run("gcc", f"-print-prog-name={part}").strip())
        files |= _program(path, str(path).lstrip("/"))
    library = Path(_run("gcc", "-print-libgcc-file-name").strip())
    return {**files, str(library).lstrip("/"): library.read_bytes()}


def _program(path: Path, name: str) -> dict[str, bytes]:
    """A program by the name it gets, its libraries in /lib, and its loader where it says."""
    files = {name: path.read_bytes()}
    linked = subprocess.run(["ldd", str(path)], check=False, capture_output=True, text=True).stdout
    for library in re.findall(r"=> (/\S+)", linked):
        files[f"lib/{Path(library).name}"] = Path(library).read_bytes()
    for loader in re.findall(r"^\s*(/\S+)", linked, re.M):
        files[loader.lstrip("/")] = Path(loader).read_bytes()
    return files


def _musl() -> dict[str, bytes]:
    """Headers and library of the package; it is fetched as apt fetches it, and installed nowhere."""
    files: dict[str, bytes] = {}
    if not shutil.which("apt-get"):
        sys.exit("there is no apt-get on PATH, which fetches musl: this needs Debian, or a relative of it")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(_FETCH, cwd=folder, check=True, stdout=sys.stderr)
        (package,) = Path(folder).glob("*.deb")
        unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        for member in tar:
            match = _START.match(member.name)
            if match and member.isfile() and (match[1] or match[3] in _LINKED):
                file = tar.extractfile(member)
                assert file
                files[f"musl/{match[1] or match[2]}/{match[3]}"] = file.read()
    return files


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
