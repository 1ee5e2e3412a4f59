"""A registry of a test's own, which wants a name and a password, or a token, or nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    (folder / "htpasswd").write_text(_HTPASSWD)
    if auth == "htpasswd":
        auth = f"{{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}"
    command = [program() or "docker-registry", "serve", str(folder / "config.yml")]
    with ExitStack() as stack:
        for last in (False, False, True):  # another test may get the port before the registry does
            with refusing(address) as host:
                pass
            (folder / "config.yml").write_text(
                f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
                f'http: {{addr: "{host}"{more and f", {more}"}}}\n' + (f"auth: {auth}\n" if auth else "") + also
            )
            log = stack.enter_context((folder / "log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(_end, process)
            if _comes(process, host):
                break
            assert not last, (folder / "log").read_text()
        yield host


@contextmanager
def refusing(address: str = "127.0.0.1") -> Iterator[str]:
    """Host and port that refuse connections: the port is taken, so that nobody else gets it, and nothing listens."""
    with socket.socket() as taken:
        taken.bind((address, 0))
        yield f"{address}:{taken.getsockname()[1]}"


def _comes(process: subprocess.Popen[bytes], host: str) -> bool:
    """Wait until a registry listens; False where it ends instead."""
    end = time.monotonic() + 60
    while not _listens(host):
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "the registry of the test does not listen"
        time.sleep(0.05)
    return process.poll() is None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _listens(host: str) -> bool:
    address, _, port = host.rpartition(":")
    try:
        socket.create_connection((address, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
