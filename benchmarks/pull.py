"""How long until a new machine serves: the same program in the image that compiles it, and in the one that ships.

    python benchmarks/pull.py [PAIRS]

examples/multistage is released, and both of its images are pushed: that of the build stage, which has the program as
well, and the release. An engine that has neither pulls one of them, starts it, is asked until it answers, and forgets
it; both by turns. The registry is on the same machine, so that a pull takes what registry and engine need for it: a
network comes on top, with the compressed bytes over its rate.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import docker
from tools import demo, matrix
from tools.kinds import Kind

from tinyship.registry.client import Repository
from tinyship.registry.images import pull_size

_NEW = Kind("new")
_FAT, _TINY = "build", "local"


@dataclass(frozen=True, slots=True)
class Run:
    """One pull and one start, in seconds."""

    pull: float
    start: float


def push(place: str) -> None:
    """Release the example, and push both of its images there."""
    with demo.repository() as root:
        words = [sys.executable, "-m", "invoke", "release"]
        subprocess.run(words, cwd=root / "multistage", check=True, capture_output=True)
    client = docker.from_env()
    for tag in (_FAT, _TINY):
        client.images.get(f"lacion/foo-multistage:{tag}").tag(f"{place}/foo", tag)
        client.images.push(f"{place}/foo", tag)
        client.images.remove(f"{place}/foo:{tag}")


def serve(client: Any, image: str) -> Run:
    """Pull an image, start it, ask until it answers, and forget it."""
    repository, _, tag = image.rpartition(":")
    begun = time.monotonic()
    client.images.pull(repository, tag)
    pulled = time.monotonic()
    container = client.containers.run(image, ["/foo"], detach=True, ports={"8080/tcp": ("127.0.0.1", None)})
    try:
        container.reload()
        port = container.ports["8080/tcp"][0]["HostPort"]
        while not answers(f"http://127.0.0.1:{port}/healthz"):
            time.sleep(0.005)
        return Run(pulled - begun, time.monotonic() - pulled)
    finally:
        container.remove(force=True)
        client.images.remove(image)


def answers(url: str) -> bool:
    """Whether it is served."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def row(name: str, bytes_: int, runs: Sequence[Run]) -> str:
    """A line of the table."""
    pull, start = (statistics.median(getattr(run, part) for run in runs) for part in ("pull", "start"))
    return f"{name:24} pull {bytes_ / 1e6:6.2f} MB in {pull:6.2f} s, answers after {start:5.2f} s more"


def main() -> None:
    """Measure, and print."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[Run]] = {_FAT: [], _TINY: []}
    with matrix.used(_NEW) as (engine, store):
        place = demo.place(store.host)
        push(place)
        client = docker.DockerClient(base_url=engine.host, timeout=600)
        print(f"Engine {client.version()['Version']}, {pairs} pairs, load {os.getloadavg()[0]:.1f}")
        for number in range(pairs):
            for tag in (_FAT, _TINY) if number % 2 else (_TINY, _FAT):
                found[tag].append(serve(client, f"{place}/foo:{tag}"))
        with Repository(f"{place}/foo", credential=None) as repository:
            sizes = {tag: pull_size(repository, tag) for tag in found}
    for name, tag in (("the build stage's image", _FAT), ("the release", _TINY)):
        print(row(name, sizes[tag], found[tag]))
    ratios = [fat.pull / tiny.pull for fat, tiny in zip(found[_FAT], found[_TINY], strict=True)]
    print(f"pull, fat over tiny: {statistics.median(ratios):.0f} times ({min(ratios):.0f} to {max(ratios):.0f})")


if __name__ == "__main__":
    main()
