"""How a private Podman is started: its service, with config files of its own."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from tools.packages import find

if TYPE_CHECKING:
    from tools.engine import PrivateEngine

NEEDED = ("podman", "host-local", "iptables")
"""The programs without which it does not work."""

_CONTAINERS = """\
[containers]
default_ulimits = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{runtime}/tmp"
[network]
network_backend = "cni"
network_config_dir = "{runtime}/networks"
default_network = "{name}"
"""
_REGISTRIES = """\
[[registry]]
location = "127.0.0.1"
insecure = true
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{state}/data"
runroot = "{runtime}/run"
"""


def commands(engine: PrivateEngine, network: ipaddress.IPv4Network) -> list[list[str]]:
    """Write its config files, and return what is to be started.

    Args:
        network: of its bridge.

    Raises:
        SystemExit: whoever calls is not root.
    """
    if os.geteuid() != 0:
        raise SystemExit("dev: only root starts a private Podman\ndev: run this as root, or leave it out with --on")
    runtime = engine.runtime
    (runtime / "networks").mkdir()
    for name, text in {
        "containers.conf": _CONTAINERS.format(runtime=runtime, name=engine.bridge),
        "registries.conf": _REGISTRIES,
        "storage.conf": _STORAGE.format(runtime=runtime, state=engine.state),
        f"networks/{engine.bridge}.conflist": json.dumps(_network(engine, network)),
    }.items():
        (runtime / name).write_text(text)
    return [[*_podman(engine), "system", "service", "--time=0", engine.host]]


def remove_containers(engine: PrivateEngine) -> None:
    """Remove the containers, which outlive the service, with their mounts and networks."""
    if (engine.runtime / "storage.conf").exists() and find("podman"):
        subprocess.run([*_podman(engine), "rm", "--all", "--force", "--time=0"], capture_output=True, timeout=60)


def _podman(engine: PrivateEngine) -> list[str]:
    """Podman with our config; the two folders are arguments so that its processes are known by them."""
    variables = {"CONTAINERS_CONF": "containers", "CONTAINERS_REGISTRIES_CONF": "registries"}
    variables["CONTAINERS_STORAGE_CONF"] = "storage"
    return [
        "env",
        *(f"{variable}={engine.runtime / name}.conf" for variable, name in variables.items()),
        "podman",
        *("--root", str(engine.state / "data")),
        *("--runroot", str(engine.runtime / "run")),
    ]


def _network(engine: PrivateEngine, network: ipaddress.IPv4Network) -> dict[str, Any]:
    """The network of its containers: on our bridge, and with the ports that are asked for."""
    ranges = [[{"subnet": str(network), "gateway": str(network[1])}]]
    ipam = {"type": "host-local", "dataDir": str(engine.runtime / "addresses"), "ranges": ranges}
    return {
        "cniVersion": "0.4.0",
        "name": engine.bridge,
        "plugins": [
            {
                "type": "bridge",
                "bridge": engine.bridge,
                "isGateway": True,
                "ipam": {**ipam, "routes": [{"dst": "0.0.0.0/0"}]},
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
