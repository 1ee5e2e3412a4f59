"""The runtime base: what a static server needs, and no more.

CA certificates from certifi, time zones from tzdata, a user, and /tmp. Of the time zones it takes those that
zonenow.tab lists, one for each set of rules in force today, and UTC: a third of them all. `zone1970.tab` would take
every zone that ever differed, for 140 kB more.
"""

from __future__ import annotations

from wheels import Rootfs, wheel

_ZONES = "zonenow.tab"
_USERS = "root:x:0:0:root:/:\nfoo:x:65532:65532:foo:/tmp:\n"
_GROUPS = "root:x:0:\nfoo:x:65532:\n"


def main() -> None:
    """Write the tar."""
    with Rootfs() as rootfs:
        rootfs.file("etc/passwd", _USERS.encode())
        rootfs.file("etc/group", _GROUPS.encode())
        rootfs.folder("tmp", 0o1777)
        with wheel("certifi") as certifi:
            rootfs.file("etc/ssl/certs/ca-certificates.crt", _certificates(certifi.read("certifi/cacert.pem")))
        with wheel("tzdata") as tzdata:
            folder = "tzdata/zoneinfo"
            lines = tzdata.read(f"{folder}/{_ZONES}").decode().splitlines()
            zones = {line.split("\t")[2].strip() for line in lines if line and not line.startswith("#")}
            for zone in sorted({*zones, "UTC"}):
                rootfs.file(f"usr/share/zoneinfo/{zone}", tzdata.read(f"{folder}/{zone}"))


def _certificates(bundle: bytes) -> bytes:
    """The bundle without its comments, which are a quarter of it."""
    lines = bundle.decode().splitlines()
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#")).encode()


if __name__ == "__main__":
    main()
