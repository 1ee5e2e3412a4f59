"""A real SSH server on loopback, in front of an engine, and clients that know it or not."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ships import Ship

_SSHD = "/usr/sbin/sshd"
_CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv DOCKER_HOST={engine} PATH={path} HOME={folder}/served
"""
_CLIENT = """
Host *
  IdentityFile {folder}/key
  UserKnownHostsFile {folder}/known_hosts
  BatchMode yes
  ConnectTimeout 10
  ServerAliveInterval 2
  ServerAliveCountMax 2
"""


def missing() -> str:
    """What this machine lacks for it; empty where all is there."""
    if os.geteuid() != 0:
        return "root, as whom sshd has to run"
    return " and ".join(name for name in (_SSHD, "ssh", "docker") if not shutil.which(name))


class Server:
    """An SSH server, with a home for its clients.

    Args:
        folder: for the keys, the configs, and the home.
        engine: the address of the engine that `docker` there leads to.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder, self._engine = folder, engine
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (self.home / ".ssh" / "config").write_text(_CLIENT.format(folder=folder))
        (self.home / ".gitconfig").write_text("[user]\nname = Test\nemail = test@example.com\n")
        # The command looks into the home that the system knows, docker-py into HOME.
        (folder / "bin").mkdir()
        program = folder / "bin" / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.home}/.ssh/config "$@"\n')
        program.chmod(0o755)
        self.know()

    @property
    def address(self) -> str:
        """For docker-py."""
        return f"ssh://root@127.0.0.1:{self.port}"

    def environment(self, ship: Ship) -> dict[str, str]:
        """In which `ssh`, and docker-py, are clients of it: what changes in that of a project."""
        path = f"{self._folder / 'bin'}{os.pathsep}{ship.environment['PATH']}"
        return {"HOME": str(self.home), "PATH": path, "SSH_AUTH_SOCK": ""}

    def know(self, known: bool = True) -> None:
        """Have its clients know it, or not."""
        text = f"[127.0.0.1]:{self.port} {(self._folder / 'host.pub').read_text()}" if known else ""
        for file in (self._folder / "known_hosts", self.home / ".ssh" / "known_hosts"):
            file.write_text(text)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Have it let nobody in."""
        keys = self._folder / "key.pub"
        keys.rename(self._folder / "kept")
        yield
        (self._folder / "kept").rename(keys)

    def up(self) -> None:
        """Have it listen."""
        Path("/run/sshd").mkdir(exist_ok=True)
        # Each request is a shell, which would read what root's home has for one.
        (self._folder / "served").mkdir(exist_ok=True)
        config = self._folder / "config"
        config.write_text(
            _CONFIG.format(port=self.port, folder=self._folder, engine=self._engine, path=os.environ["PATH"])
        )
        words = [_SSHD, "-D", "-f", str(config), "-E", str(self._folder / "log")]
        self._process = subprocess.Popen(words, start_new_session=True)
        end = time.monotonic() + 20
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            assert time.monotonic() < end, (self._folder / "log").read_text()
            time.sleep(0.05)

    def down(self) -> None:
        """End it, with all that goes through it."""
        self.send(signal.SIGKILL)
        if self._process:
            self._process.wait()
            self._process = None

    def send(self, number: int) -> None:
        """Send a signal to the server and all its children, which have sessions of their own."""
        if not self._process:
            return
        pending, found = [self._process.pid], []
        while pending:
            found.append(pid := pending.pop())
            for file in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError):
                    pending += [int(word) for word in file.read_text().split()]
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def serving(folder: Path, engine: str) -> Iterator[Server]:
    """A server that listens, in front of an engine."""
    folder.mkdir()
    server = Server(folder, engine)
    server.up()
    try:
        yield server
    finally:
        server.down()
