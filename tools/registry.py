"""A private registry for development, on a port of the loopback address that it keeps."""

from __future__ import annotations

import http.client
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import daemon
from tools.packages import ensure, find

_CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class PrivateRegistry:
    """The registry whose state lies in one folder."""

    state: Path

    @property
    def config(self) -> Path:
        """Its config file, by which its process is known."""
        return self.state / "registry.yml"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.state / "registry.log"

    @property
    def port(self) -> int:
        """The port that it had last; 0 where it had none."""
        try:
            return int((self.state / "registry.port").read_text())
        except (OSError, ValueError):
            return 0

    @property
    def host(self) -> str:
        """Where it listens: host and port."""
        return f"127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether it, and not another program at its port, answers."""
        if not self.port or not daemon.find(str(self.config)):
            return False
        return daemon.answer(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5), "/v2/") is not None

    def up(self) -> None:
        """Have it running, on its port, or on another where a stranger has taken that.

        Raises:
            SystemExit: it does not start; shows the end of its log.
        """
        if self.answers():
            return
        ensure("docker-registry")
        daemon.stop(str(self.config))
        self.state.mkdir(parents=True, exist_ok=True)
        for port in (self.port or _free_port(), _free_port(), _free_port()):
            (self.state / "registry.port").write_text(f"{port}\n")
            self.config.write_text(_CONFIG.format(data=self.state / "registry", port=port))
            print(f"dev: starting a private registry, {self.host}", file=sys.stderr, flush=True)
            program = find("docker-registry") or "docker-registry"
            daemon.start([program, "serve", str(self.config)], self.log)
            if daemon.await_ready(self.answers, str(self.config), self.log, seconds=30):
                return
        raise SystemExit(f"{daemon.tail(self.log)}\ndev: docker-registry does not start; its log is {self.log}")

    def down(self) -> bool:
        """Stop it; what was pushed stays. False where it did not run."""
        return bool(daemon.stop(str(self.config)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
