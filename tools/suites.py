"""Programs of one of Debian's suites, unpacked into a folder: nothing of it is installed, and apt's own state stays."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.locks import alone

_UNPACKED = "version"  # written last: without it, a folder is not whole
_CONFIG = """\
Dir::State "{state}";
Dir::State::Lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "{state}/none";
Dir::Etc::preferences "{state}/none/preferences";
Dir::Etc::preferencesparts "{state}/none";
Dir::Etc::main "{state}/none/apt.conf";
Dir::Etc::parts "{state}/none";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
{acquire}
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is fetched of a suite.

    Args:
        what: it is, for people.
        suffix: of its folder's name.
        packages: that it is made of; the first one's version is its own.
        programs: that have to be there when it is whole.
    """

    what: str
    suffix: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]


ENGINE = Parcel(
    "Docker engine",
    "",
    ("docker.io", "containerd"),
    ("usr/sbin/dockerd", "usr/bin/containerd", "usr/bin/containerd-shim-runc-v2"),
)
"""Without its runc: that of a later suite wants a later libc, the machine's own serves."""


def folder(suite: str, state: Path, parcel: Parcel = ENGINE) -> Path:
    """The folder with a suite's programs, fetched where it is not there or not whole.

    Args:
        suite: a code name of Debian's, like ``trixie``.
        state: below it lie the folders of all suites.
        parcel: what is wanted.

    Raises:
        SystemExit: it cannot be fetched; says in two lines why, and what to do.
    """
    unpacked = _place(suite, state, parcel)
    with alone(unpacked.with_name(f"{unpacked.name}.lock")):
        if not version(suite, state, parcel):
            print(f"dev: fetching the {parcel.what} of Debian {suite}", file=sys.stderr, flush=True)
            _fetch(suite, unpacked, parcel)
            print(f"dev: fetched {version(suite, state, parcel)}", file=sys.stderr, flush=True)
    return unpacked


def version(suite: str, state: Path, parcel: Parcel = ENGINE) -> str:
    """The package's version that lies there; empty where none does, or not the whole of it."""
    unpacked = _place(suite, state, parcel)
    if not all((unpacked / program).is_file() for program in parcel.programs):
        return ""
    try:
        return (unpacked / _UNPACKED).read_text().strip()
    except OSError:
        return ""


def _place(suite: str, state: Path, parcel: Parcel) -> Path:
    return state / "suites" / f"{suite}{parcel.suffix}"


def own() -> str:
    """The code name of the suite that this machine has; empty where it is no Debian."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    return release.get("VERSION_CODENAME", "") if release.get("ID") == "debian" else ""


def _fetch(suite: str, unpacked: Path, parcel: Parcel) -> None:
    """Download with a state of apt's own, unpack beside the folder, and move it into its place when it is whole."""
    if not own() or not shutil.which("apt-get") or not shutil.which("dpkg"):
        _give_up(suite, "this is no Debian")
    work = unpacked.with_name(f"{unpacked.name}.part")
    for left in (work, unpacked):
        if left.exists():
            shutil.rmtree(left)
    config = _configure(suite, work / "apt")
    _run(suite, work, config, "apt-get", "-qq", "update")
    _run(suite, work, config, "apt-get", "-qq", "download", *parcel.packages)
    for package in sorted(work.glob("*.deb")):
        _run(suite, work, config, "dpkg", "-x", package.name, "root")
    (name,) = work.glob(f"{parcel.packages[0]}_*.deb")
    (work / "root" / _UNPACKED).write_text(name.name.split("_")[1].replace("%3a", ":") + "\n")
    (work / "root").rename(unpacked)
    shutil.rmtree(work)


def _configure(suite: str, state: Path) -> Path:
    """An apt.conf with a state of its own; proxies, certificates and the like are those of the machine's apt."""
    for name in ("lists/partial", "cache/archives/partial", "none"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(
        f"deb [arch={_said('dpkg', '--print-architecture').strip()} signed-by={_keyring(suite)}] "
        f"{_mirror(suite)} {suite} main\n"
    )
    said = _said("apt-config", "dump", "--format", '%F "%v";%n', "Acquire").splitlines()
    acquire = [line for line in said if not line.startswith(("Acquire::IndexTargets", "Acquire::Languages"))]
    config = state / "apt.conf"
    config.write_text(_CONFIG.format(state=state, acquire="\n".join(acquire)))
    return config


def _mirror(suite: str) -> str:
    """Where this machine's apt takes Debian from."""
    names = rf"(?:{own()}|(?:old)*stable|testing|unstable|sid)"
    uris = re.findall(rf"'(\S+?)/dists/{names}/InRelease'", _said("apt-get", "update", "--print-uris"))
    if not uris:
        _give_up(suite, f"apt's sources name no mirror of {own()}")
    return str(uris[0])


def _keyring(suite: str) -> Path:
    found = sorted(Path("/usr/share/keyrings").glob("debian-archive-keyring.*"))
    if not found:
        _give_up(suite, "the package debian-archive-keyring is missing")
    return found[0]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def _run(suite: str, work: Path, config: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=work,
        env={**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(work)
        _give_up(suite, _reason(done.stdout.splitlines()) or f"{command[0]} ended with exit code {done.returncode}")


def _reason(lines: Sequence[str]) -> str:
    """The first of apt's complaints, which is the cause of the others."""
    said = [line.partition(": ")[2] for line in lines if line.startswith(("E: ", "W: ", "dpkg"))]
    return said[0].strip() if said else ""


def _give_up(suite: str, why: str) -> None:
    raise SystemExit(
        f"dev: what is needed of Debian {suite} cannot be fetched: {why}\n"
        "dev: it comes from the mirror that this machine's apt uses; the engine that is installed needs no fetch"
    )
