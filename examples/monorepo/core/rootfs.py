"""The root filesystem of the shop: busybox as it is on this machine, a user, and /tmp, as a tar on standard output."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
from pathlib import Path

_APPLETS = ("cat", "grep", "httpd", "sh", "wget")
_USERS = b"root:x:0:0:root:/:\nshop:x:65532:65532:shop:/tmp:\n"
_GROUPS = b"root:x:0:\nshop:x:65532:\n"


def main() -> None:
    """Write the tar; the same each time, so that the image is."""
    program = _busybox()
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, mode))
        for name, content, mode in (
            ("bin/busybox", program, 0o755),
            ("etc/passwd", _USERS, 0o644),
            ("etc/group", _GROUPS, 0o644),
        ):
            entry = _entry(name, tarfile.REGTYPE, mode)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for applet in _APPLETS:
            entry = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            entry.linkname = "busybox"
            tar.addfile(entry)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _busybox() -> bytes:
    found = shutil.which("busybox")
    if not found:
        sys.exit("there is no busybox on PATH: `apt-get install busybox-static`")
    program = Path(found).read_bytes()
    if b"/ld-" in program[:4096]:  # where a program names what has to load its libraries
        sys.exit(f"{found} needs libraries, which the image has not: `apt-get install busybox-static`")
    return program


if __name__ == "__main__":
    main()
