"""Programs that the benchmarks measure against, from a suite of Debian, without installing them.

python -m tools.peers    prints the environment for a shell in which `docker buildx` is the peer's
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools import suites
from tools.provide import STATE

_SUITE = "trixie"  # a stable one: its versions stay
_PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx"
_PARCEL = suites.Parcel(
    "docker CLI with buildx", "-peers", ("docker-buildx", "docker-cli"), ("usr/bin/docker", _PLUGIN)
)


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the peers are.

    Args:
        docker: the CLI.
        config: its folder of configuration, with buildx as its plugin and nothing else.
    """

    docker: Path
    config: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs so that ``docker`` is the peer's."""
        path = f"{self.docker.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {"PATH": path, "DOCKER_CONFIG": str(self.config)}

    @property
    def version(self) -> str:
        """What both say of themselves, in a line."""
        environment = {**os.environ, **self.environment}
        said = [
            subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
            for command in (["docker", "--version"], ["docker", "buildx", "version"])
        ]
        return f"docker CLI {said[0][2].rstrip(',')}, buildx {said[1][1]}"


def fetch(state: Path = STATE) -> Peers:
    """Have the docker CLI and buildx, downloaded where they are not there yet.

    Raises:
        SystemExit: that is not possible here; says why.
    """
    root = suites.folder(_SUITE, state, _PARCEL)
    config = root / "config"
    link = config / "cli-plugins" / "docker-buildx"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(root / _PLUGIN)
    return Peers(root / "usr/bin/docker", config)


def main() -> None:
    """Fetch the peers, and print the environment."""
    for name, value in fetch().environment.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
