"""Programs that a development machine needs, and how they get there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = {
    "dockerd": "docker.io",
    "podman": "podman",
    "host-local": "containernetworking-plugins",
    "iptables": "iptables",
    "runc": "runc",
    "docker-registry": "docker-registry",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "git": "git",
    "ssh-agent": "openssh-client",
    "sshd": "openssh-server",
    "chromium": "chromium",
}
_POLICY = Path("/usr/sbin/policy-rc.d")


def ensure(*programs: str) -> None:
    """Have these programs on the machine; installed with apt where they are missing.

    Raises:
        SystemExit: that is not possible here; says in two lines what to install.
    """
    missing = [program for program in programs if not find(program)]
    if not missing:
        return
    packages = sorted({_PACKAGES[program] for program in missing})
    if not shutil.which("apt-get") or not may_be_root():
        raise SystemExit(
            f"dev: {' and '.join(missing)} missing, and this is no Debian or Ubuntu with root or sudo\n"
            "dev: start Docker, or set DOCKER_HOST; install the CNCF registry as docker-registry, and busybox"
        )
    print(f"dev: installing {' '.join(packages)}", file=sys.stderr, flush=True)
    with _no_services():
        _apt("update")
        _apt("install", "--yes", "--no-remove", "--no-install-recommends", *packages)
    still = [program for program in missing if not find(program)]
    if still:
        raise SystemExit(f"dev: {' and '.join(still)} missing even after installing {' '.join(packages)}")


def wish(program: str) -> None:
    """Have a program where it can be had; the tests that need it are skipped without it, and fail in CI."""
    try:
        ensure(program)
    except SystemExit:
        print(f"dev: {program} cannot be had here: the tests that need it are skipped", file=sys.stderr, flush=True)


def find(program: str) -> str | None:
    """Where a program is; the folders of root's programs and of Podman's network are looked into as well."""
    folders = (os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/cni")
    return shutil.which(program, path=os.pathsep.join(folders))


def may_be_root() -> bool:
    """Whether commands can be run as root."""
    return os.geteuid() == 0 or find("sudo") is not None


def as_root(*command: str) -> list[str]:
    """The command, to be run by root."""
    program = find(command[0]) or command[0]
    return [*([] if os.geteuid() == 0 else ["sudo"]), program, *command[1:]]


def run_as_root(*command: str) -> None:
    """Run a command as root; its output is shown only where it fails.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(as_root(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}dev: `{' '.join(command)}` failed with exit code {done.returncode}")


def _apt(*words: str) -> None:
    run_as_root("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *words)


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep the packages from starting their services: ours are private."""
    if _POLICY.exists():
        yield
        return
    run_as_root("sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {_POLICY} && chmod 755 {_POLICY}")
    try:
        yield
    finally:
        run_as_root("rm", "-f", str(_POLICY))
