"""The base: the interpreter that runs this script, and the service's packages, as a tar on standard output.

What a service does not need stays out: tests, bytecode, pip, what builds extensions or draws windows, symbols, and
OpenSSL, because TLS ends at the proxy in front; without `_ssl` and `_hashlib` below, it comes along with 5 MB.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_PACKAGES = "distutils|ensurepip|idlelib|lib2to3|pydoc_data|tkinter|turtledemo|venv"
_LEFT_OUT = re.compile(
    rf"^(?:{_PACKAGES}|config-[^/]*|(?:site|dist)-packages)/|(?:^|/)(?:__pycache__|tests?|idle_test)/"
    r"|\.(?:pyc|a|exe)$|^(?:antigravity|this|turtle)\.py$"
)
_EXTENSIONS = re.compile(
    r"/(?:_ssl|_hashlib|_tkinter|_curses\w*|_dbm|_gdbm|_sqlite3|_ctypes\w*|_test\w*|_?xx\w*|nis|ossaudiodev|readline)\."
)
_FOR_THOSE = re.compile(r"^(?:sqlite3|curses|ctypes|dbm)/")  # packages that are nothing without these extensions
_USERS = b"root:x:0:0:root:/:\ngreeter:x:65532:65532:greeter:/tmp:\n"
_GROUPS = b"root:x:0:\ngreeter:x:65532:\n"


def main() -> None:
    """Write the tar; the same each time, so that the image is."""
    files = {"etc/passwd": _USERS, "etc/group": _GROUPS, **_interpreter(), **_packages()}
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for folder in sorted({*folders, "tmp", "usr/lib/" + _VERSION + "/lib-dynload"}):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755))
        for name, content in sorted(files.items()):
            program = name.startswith(("usr/bin/", "lib")) or name.endswith(".so")
            entry = _entry(name, tarfile.REGTYPE, 0o755 if program else 0o644)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _interpreter() -> dict[str, bytes]:
    """Python as /usr/bin/python, its standard library, and the libraries of the system that both need."""
    library = Path(sysconfig.get_path("stdlib"))
    binaries = {"usr/bin/python": Path(sys.executable).resolve()}
    files: dict[str, bytes] = {}
    for path in (path for path in library.rglob("*") if path.is_file()):
        name = path.relative_to(library).as_posix()
        if _LEFT_OUT.search(name) or _EXTENSIONS.search(name) or _FOR_THOSE.search(name):
            continue
        if path.suffix == ".so":
            binaries[f"usr/lib/{_VERSION}/{name}"] = path
        else:
            files[f"usr/lib/{_VERSION}/{name}"] = path.read_bytes()
    # The shared libraries that these are linked with go to /lib, and the loader to where it is looked for.
    linked = subprocess.run(["ldd", *map(str, binaries.values())], check=True, capture_output=True, text=True).stdout
    binaries |= {f"lib/{Path(found).name}": Path(found) for found in re.findall(r"=> (/\S+)", linked)}
    loaders = {Path(found) for found in re.findall(r"^\s*(/\S+) \(", linked, re.M)}
    return {**files, **_stripped(binaries), **{str(path).lstrip("/"): path.read_bytes() for path in loaders}}


def _packages() -> dict[str, bytes]:
    """What requirements.txt pins, without what installed it, where PYTHONPATH points."""
    pins = Path(__file__).with_name("requirements.txt")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-compile", "--only-binary=:all:", "--require-hashes", "--requirement", str(pins)]
        subprocess.run([*command, "--target", folder], check=True, stdout=sys.stderr)
        # By METADATA and RECORD scanners know the packages; licences stay too. No data, no scripts, no tests.
        kept = re.compile(r"\.py$|\.dist-info/(?:METADATA|RECORD|licenses/.*|LICEN[CS]E.*)$")
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        names = {path.relative_to(folder).as_posix(): path for path in paths}
        return {
            f"srv/site-packages/{name}": path.read_bytes()
            for name, path in names.items()
            if kept.search(name) and not re.search(r"^bin/|(?:^|/)tests?/", name)
        }


def _stripped(binaries: dict[str, Path]) -> dict[str, bytes]:
    """Programs and libraries without symbols, where this machine has `strip` (`apt-get install binutils`)."""
    with tempfile.TemporaryDirectory() as folder:
        copies = {name: Path(folder, str(number)) for number, name in enumerate(binaries)}
        for name, copy in copies.items():
            copy.write_bytes(binaries[name].read_bytes())
        if shutil.which("strip"):
            subprocess.run(["strip", "--strip-unneeded", *map(str, copies.values())], check=True)
        return {name: copy.read_bytes() for name, copy in copies.items()}


if __name__ == "__main__":
    main()
