"""A registry of a test's own, which wants a name and a password, or a token, or nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "captain"
SECRET = "s3cret-word"
_HTPASSWD = f"{USER}:$2b$05$rs47w8nNZKjsN258rWni1uYJVu/GGeXBODNCsObLCmUX5xtdbzRm.\n"


def program() -> str | None:
    """The registry's program, where this machine has it."""
    return shutil.which("docker-registry") or shutil.which("registry")


@contextmanager
def running(
    folder: Path, *, auth: str = "htpasswd", address: str = "127.0.0.1", more: str = "", also: str = ""
) -> Iterator[str]:
    """Host and port of one while a test needs it; its state lies in the folder.

    Args:
        auth: `htpasswd` for the name and the password of this module, empty for nothing, or YAML for its config.
        address: that it listens on.
        more: YAML that is put below `http` in its config.
        also: YAML that is put at the end of its config.
    """
    host = free(address)
    (folder / "htpasswd").write_text(_HTPASSWD)
    if auth == "htpasswd":
        auth = f"{{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}"
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f'http: {{addr: "{host}"{more and f", {more}"}}}\n' + (f"auth: {auth}\n" if auth else "") + also
    )
    command = [program() or "docker-registry", "serve", str(folder / "config.yml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 10
            while not _listens(host):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end, "the registry of the test does not listen"
                time.sleep(0.05)
            yield host
        finally:
            process.kill()
            process.wait()


def free(address: str = "127.0.0.1") -> str:
    """A port of the address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return f"{address}:{probe.getsockname()[1]}"


def _listens(host: str) -> bool:
    address, _, port = host.rpartition(":")
    try:
        socket.create_connection((address, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
