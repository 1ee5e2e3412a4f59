"""A private Docker engine for development: its own data, sockets and bridge, beside any other engine."""

from __future__ import annotations

import grp
import hashlib
import http.client
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools import bridge, daemon
from tools.packages import ensure, find, run_as_root


@dataclass(frozen=True)
class PrivateEngine:
    """The engine whose state lies in one folder.

    Args:
        state: holds images and logs; may be deep in the file system.
    """

    state: Path

    @property
    def _key(self) -> str:
        return hashlib.sha256(str(self.state.resolve()).encode()).hexdigest()[:8]

    @property
    def runtime(self) -> Path:
        """The folder of its sockets: a short one, because the path of a unix socket has at most 108 bytes."""
        parents = [Path("/run")] if os.geteuid() == 0 else []
        parents += [Path(folder) for folder in [os.environ.get("XDG_RUNTIME_DIR", "")] if folder]
        parent = next((folder for folder in parents if os.access(folder, os.W_OK)), Path(tempfile.gettempdir()))
        return parent / f"tinyship-dev-{self._key}"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.runtime / "docker.sock"

    @property
    def host(self) -> str:
        """Its DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def bridge(self) -> str:
        """The name of its bridge; a device's name has at most 15 bytes."""
        return f"tship{self._key}"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.state / "dockerd.log"

    def answers(self) -> bool:
        """Whether it runs and answers."""
        connection = http.client.HTTPConnection("engine", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        return daemon.answers(connection, "/_ping", lambda: connection.sock.connect(str(self.socket)))

    def up(self) -> None:
        """Have it running: what a crash left behind is cleared away first.

        Raises:
            SystemExit: it does not start; shows the end of its log.
        """
        if self.answers():
            return
        ensure("dockerd", "ip")
        self._clear()
        self.state.mkdir(parents=True, exist_ok=True)
        self.runtime.mkdir(mode=0o755, parents=True, exist_ok=True)
        bridge.up(self.bridge)
        print(f"dev: starting a private engine, {self.host}", file=sys.stderr, flush=True)
        daemon.start(self._command(), self.log, root=True)
        if not daemon.await_ready(self.answers, str(self.runtime), self.log, seconds=60):
            raise SystemExit(f"{daemon.tail(self.log)}\ndev: dockerd ended; its log is {self.log}")

    def down(self) -> bool:
        """Stop it, and remove its bridge and its sockets; images stay. False where it did not run."""
        ran = bool(daemon.find(str(self.runtime)))
        self._clear()
        if shutil.which("ip"):
            bridge.down(self.bridge)
        return ran

    def _clear(self) -> None:
        """Stop what still runs of it, and remove sockets and pid files: their numbers may be another's by now."""
        daemon.stop(str(self.runtime))
        for mounted in self._mounts():
            run_as_root("umount", "--lazy", mounted)
        if self.runtime.exists():
            run_as_root("rm", "-rf", str(self.runtime))

    def _mounts(self) -> list[str]:
        """What a killed engine left mounted, the innermost first."""
        below = tuple(f"{folder}/" for folder in (self.state.resolve(), self.runtime))
        lines = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
        paths = [line.split(" ")[1].encode().decode("unicode_escape") for line in lines]
        return sorted((path for path in paths if path.startswith(below)), reverse=True)

    def _command(self) -> list[str]:
        return [
            find("dockerd") or "dockerd",
            *("--data-root", str(self.state / "data")),
            *("--exec-root", str(self.runtime / "exec")),
            *("--pidfile", str(self.runtime / "docker.pid")),
            *("--host", self.host),
            *("--group", grp.getgrgid(os.getgid()).gr_name),
            f"--bridge={self.bridge}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        ]
