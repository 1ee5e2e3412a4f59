"""A private engine for development: its own data, sockets and bridge, beside any other engine."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import bridge, daemon, dockerd, podman
from tools.kinds import INSTALLED, Kind
from tools.packages import ensure, run_as_root


@dataclass(frozen=True)
class PrivateEngine:
    """The engine whose state lies in one folder.

    Args:
        state: holds images and logs; may be deep in the file system.
        kind: what it is.
        programs: a folder like ``/`` with programs that go before those of the machine; None where there is none.
    """

    state: Path
    kind: Kind = INSTALLED
    programs: Path | None = None

    @property
    def key(self) -> str:
        """What tells it from other engines of this machine, in 8 letters."""
        return hashlib.sha256(str(self.state.resolve()).encode()).hexdigest()[:8]

    @property
    def runtime(self) -> Path:
        """The folder of its sockets: a short one, because the path of a unix socket has at most 108 bytes."""
        parents = [Path("/run")] if os.geteuid() == 0 else []
        parents += [Path(folder) for folder in [os.environ.get("XDG_RUNTIME_DIR", "")] if folder]
        parent = next((folder for folder in parents if os.access(folder, os.W_OK)), Path(tempfile.gettempdir()))
        return parent / f"tinyship-dev-{self.key}"

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
        return f"tship{self.key}"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.state / f"{self.kind.program}.log"

    def answers(self) -> bool:
        """Whether it runs and answers."""
        return self._ask("/_ping") is not None

    def version(self) -> str:
        """The version that it says it has; empty where it does not answer."""
        said: Any = json.loads(self._ask("/version") or "{}")
        return str(said.get("Version", "")).partition("+")[0]

    def up(self) -> None:
        """Have it running: what a crash left behind is cleared away first.

        Raises:
            SystemExit: it does not start; shows the end of its log.
        """
        if self.answers():
            return
        needed = podman.NEEDED if self.kind.program == "podman" else () if self.programs else ("dockerd",)
        ensure(*needed, "runc", "ip")
        self._clear()
        self.state.mkdir(parents=True, exist_ok=True)
        self.runtime.mkdir(mode=0o755, parents=True, exist_ok=True)
        network = bridge.up(self.bridge)
        print(f"dev: starting a private engine, {self.host}", file=sys.stderr, flush=True)
        for command in podman.commands(self, network) if self.kind.program == "podman" else dockerd.commands(self):
            daemon.start(["env", f"PATH={self._path}", *command], self.log, root=True)
        if not daemon.await_ready(self.answers, self.host, self.log, seconds=60):
            raise SystemExit(f"{daemon.tail(self.log)}\ndev: {self.kind.program} ended; its log is {self.log}")

    def down(self) -> bool:
        """Stop it, and remove its bridge and its sockets; images stay. False where it did not run."""
        ran = bool(daemon.find(str(self.runtime)))
        self._clear()
        if shutil.which("ip"):
            bridge.down(self.bridge)
        return ran

    @property
    def _path(self) -> str:
        own = [f"{self.programs}/usr/sbin", f"{self.programs}/usr/bin"] if self.programs else []
        return os.pathsep.join((*own, os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))

    def _ask(self, path: str) -> bytes | None:
        """What it answers to a GET; None where it does not answer."""
        connection = http.client.HTTPConnection("engine", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        return daemon.answer(connection, path, lambda: connection.sock.connect(str(self.socket)))

    def _clear(self) -> None:
        """Stop what still runs of it, and remove sockets and pid files: their numbers may be another's by now."""
        if self.kind.program == "podman":
            podman.remove_containers(self)
        daemon.stop(str(self.runtime))
        daemon.kill(daemon.contained(self.state.resolve()))  # they outlive an engine that was killed
        for mounted in self._mounts():
            run_as_root("umount", "--lazy", mounted)
        if self.runtime.exists():
            run_as_root("rm", "-rf", str(self.runtime))

    def _mounts(self) -> list[str]:
        """What a killed engine left mounted, the innermost first; other engines may have their state below ours."""
        state = self.state.resolve()
        own = tuple(f"{folder}/" for folder in (state / "data", state / "containerd", self.runtime))
        lines = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
        paths = [line.split(" ")[1].encode().decode("unicode_escape") for line in lines]
        return sorted((path for path in paths if f"{path}/".startswith(own)), reverse=True)
