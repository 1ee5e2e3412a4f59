"""A network bridge of the private engine's own, so that it shares nothing with another engine on the machine.

Never ``--bridge=none``: an engine that starts so removes the ``docker0`` of another engine.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

from tools.locks import alone
from tools.packages import as_root, run_as_root

_EVERYONES = Path("/")  # two worktrees that look for a free network at once would find the same one


def up(name: str) -> ipaddress.IPv4Network:
    """Have the bridge, with an address from a network that nothing here uses; one that is left over serves again.

    Returns:
        its network.
    """
    with alone(_EVERYONES):
        known = _addresses(name)
        if known is None:
            run_as_root("ip", "link", "add", name, "type", "bridge")
        address = known[0] if known else _free_network()[1]
        if not known:
            run_as_root("ip", "address", "add", f"{address}/24", "dev", name)
        run_as_root("ip", "link", "set", name, "up")
    return ipaddress.IPv4Network(f"{address}/24", strict=False)


def down(name: str) -> None:
    """Remove the bridge, where it is there."""
    if _addresses(name) is not None:
        run_as_root("ip", "link", "delete", name)


def _addresses(name: str) -> list[str] | None:
    """The IPv4 addresses of a device; None where there is no such device."""
    done = subprocess.run(as_root("ip", "-json", "-4", "address", "show", "dev", name), capture_output=True, text=True)
    if done.returncode:
        return None
    return [address["local"] for device in json.loads(done.stdout or "[]") for address in device.get("addr_info") or []]


def _free_network() -> ipaddress.IPv4Network:
    done = subprocess.run(as_root("ip", "-json", "-4", "route", "show", "table", "all"), capture_output=True, text=True)
    routes = json.loads(done.stdout or "[]")
    used = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"][:1].isdigit()]
    for number in range(213 * 256 + 16, 255 * 256):
        network = ipaddress.IPv4Network(f"10.{number // 256}.{number % 256}.0/24")
        if not any(network.overlaps(other) for other in used if isinstance(other, ipaddress.IPv4Network)):
            return network
    raise SystemExit("dev: every network from 10.213.16.0/24 on is in use")
