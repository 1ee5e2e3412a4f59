"""TLS on an address of this machine that is not loopback: engines check certificates there, as of any other host."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

_CERTIFICATES = Path("/etc/docker/certs.d")  # Docker's engines read it at each push, and Podman does too


def address() -> str:
    """An IPv4 address of this machine that is not loopback; empty where it has none."""
    words = ["ip", "-json", "-4", "address", "show", "up", "scope", "global"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return next((each["local"] for device in json.loads(done.stdout) for each in device.get("addr_info") or ()), "")


class Authority:
    """A certificate authority of a test's own.

    Args:
        folder: its files lie there.
    """

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.RSA)
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issued(self, name: str) -> trustme.LeafCert:
        """A certificate for a host's name or address."""
        return self._ca.issue_cert(name, key_type=trustme.KeyType.RSA)

    def context(self, name: str) -> ssl.SSLContext:
        """What a server of this name or address speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issued(name).configure_cert(context)
        return context

    @contextmanager
    def trusted_by_engines(self, host: str) -> Iterator[None]:
        """Have the engines of this machine trust it for one registry, `host:port`; needs root."""
        folder = _CERTIFICATES / host
        parents = [_CERTIFICATES.parent, _CERTIFICATES]
        made = [parent for parent in parents if not parent.exists()]
        while True:
            try:
                folder.mkdir(parents=True)
                break
            except FileNotFoundError:  # another test's end took a parent away
                continue
        try:
            (folder / "ca.crt").write_bytes(self.file.read_bytes())
            yield
        finally:
            (folder / "ca.crt").unlink()
            folder.rmdir()
            for parent in reversed(made):
                with suppress(OSError):  # another test may have its own there by now
                    parent.rmdir()
