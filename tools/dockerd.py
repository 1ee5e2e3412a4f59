"""How a private Docker engine is started: with a containerd of its own, and without the config of the machine's."""

from __future__ import annotations

import grp
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.engine import PrivateEngine

_CONTAINERD = """\
version = 2
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.nri.v1.nri",
]
[plugins."io.containerd.internal.v1.opt"]
path = "{opt}"
"""


def commands(engine: PrivateEngine) -> list[list[str]]:
    """Write its config files, and return what is to be started, in this order.

    An engine without ``--containerd`` would take the machine's, where that runs, and share its images and containers.
    """
    runtime = engine.runtime
    (runtime / "daemon.json").write_text(json.dumps(_config(engine)))
    (runtime / "containerd.toml").write_text(_CONTAINERD.format(opt=engine.state / "containerd" / "opt"))
    containerd = [
        "containerd",
        *("--log-level", "warn"),
        *("--config", str(runtime / "containerd.toml")),
        *("--root", str(engine.state / "containerd")),
        *("--state", str(runtime / "containerd")),
        *("--address", str(runtime / "containerd.sock")),
    ]
    dockerd = [
        "dockerd",
        *("--config-file", str(runtime / "daemon.json")),
        *("--containerd", str(runtime / "containerd.sock")),
        *("--data-root", str(engine.state / "data")),
        *("--exec-root", str(runtime / "exec")),
        *("--pidfile", str(runtime / "docker.pid")),
        *("--host", engine.host),
        *("--group", grp.getgrgid(os.getgid()).gr_name),
        f"--bridge={engine.bridge}",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
    ]
    return [containerd, dockerd]


def _config(engine: PrivateEngine) -> dict[str, Any]:
    """What no flag of every version says; new engines would choose containerd's store by themselves."""
    if engine.kind.store is None:
        return {}
    if engine.kind.store == "containerd":
        return {"features": {"containerd-snapshotter": True}}
    return {"features": {"containerd-snapshotter": False}, "storage-driver": "overlay2"}
