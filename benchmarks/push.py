"""Pushes: tinyship against the docker CLI pushing the same image to a registry of the same kind.

    python benchmarks/push.py [PAIRS]

Rows: the first push of three tags against one `docker push` of one tag (bar: 0.3 s more); a push with nothing to do
against `docker push` of the three tags (bar: 0.5 times its time, and at most three requests per tag); and a promotion
inside one registry (bar: no bytes of blobs). Every first push goes to an empty registry of its own, so that neither
side finds the layers of the other.

The first two are measured three times: with the registry on this machine's loopback, and as far away as registries
are, 25 and 100 ms there and back, for both sides alike (benchmarks/distance.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.distance import away
from benchmarks.processes import Comparison, Run, compare, median, run
from tools import daemon, demo, peers
from tools.registry import PrivateRegistry

INVOKE = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from invoke.main import program
program.run()
"""
_DISTANCES = (0.0, 0.025, 0.1)
"""Seconds to a registry, there and back."""
_REQUEST = re.compile(r'"(?P<method>[A-Z]+) (?P<path>/v2/\S*) HTTP/1\.1" (?P<status>\d+) (?P<bytes>\d+)')


@contextmanager
def empty_registry() -> Iterator[PrivateRegistry]:
    """A registry that has nothing, and writes down each request."""
    with tempfile.TemporaryDirectory() as folder:
        registry = PrivateRegistry(Path(folder))
        registry.up()
        daemon.stop(str(registry.config))
        text = registry.config.read_text().replace("accesslog: {disabled: true}", "accesslog: {disabled: false}")
        registry.config.write_text(text)
        daemon.start(
            [shutil.which("docker-registry") or "docker-registry", "serve", str(registry.config)], registry.log
        )
        daemon.await_ready(registry.answers, str(registry.config), registry.log, seconds=30)
        registry.log.write_bytes(b"")
        try:
            yield registry
        finally:
            registry.down()


def requests(registry: PrivateRegistry) -> list[re.Match[str]]:
    """What the registry was asked since its log was cut."""
    return [found for line in registry.log.read_text().splitlines() if (found := _REQUEST.search(line))]


class Sides:
    """The same image, pushed by tinyship and by the docker CLI."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peers = peers.fetch()
        self.image = "lacion/foo"

    def tags(self) -> list[str]:
        """The three tags that tinyship pushes."""
        record = json.loads((self.folder / ".tinyship" / "release.json").read_text())["images"][0]
        return [record["version"], record["commit"], "latest"]

    def ours(self, *words: str, to: str) -> Run:
        """Run `invoke` with these words."""
        environment = {"TINYSHIP_PUSH_TO": to, "TINYSHIP_PUSH_SMOKE": "false"}
        here = os.getcwd()  # noqa: PTH109  a process of its own would be measured too
        os.chdir(self.folder)
        try:
            return run([sys.executable, "-c", INVOKE, *words], environment)
        finally:
            os.chdir(here)

    def theirs(self, to: str, tags: list[str]) -> Run:
        """Push these tags, one after the other."""
        names = [f"{to}/{self.image}:{tag}" for tag in tags]
        for name in names:
            self.docker("tag", f"{self.image}:local", name)
        done = run(["sh", "-ec", "\n".join(f"docker push {name}" for name in names)], self.peers.environment)
        for name in names:
            self.docker("rmi", name)
        return done

    def docker(self, *words: str) -> None:
        """Run the docker CLI, unmeasured."""
        subprocess.run(
            ["docker", *words], env={**os.environ, **self.peers.environment}, check=True, capture_output=True
        )


def first(sides: Sides, pairs: int, distance: float) -> bool:
    """Three tags to an empty registry, against one tag by the docker CLI."""

    def ours() -> Run:
        with empty_registry() as registry, away(registry.host, distance) as host:
            return sides.ours("push", to=host)

    def theirs() -> Run:
        with empty_registry() as registry, away(registry.host, distance) as host:
            return sides.theirs(host, ["latest"])

    found = compare(ours, theirs, pairs)
    more = median(found.ours) - median(found.peer)
    _show(f"first push, 3 tags / docker push, 1 tag{_far(distance)}", found)
    with empty_registry() as registry:
        sides.ours("push", to=registry.host)
        uploads = [one for one in requests(registry) if one["method"] == "PUT" and "/blobs/uploads/" in one["path"]]
        blobs = {one["path"].partition("digest=")[2] for one in uploads}
    print(f"    {more:+.2f} s (bar +0.30); {len(uploads)} blobs uploaded, each once: {len(blobs) == len(uploads)}")
    return more <= 0.3 and len(blobs) == len(uploads)


def again(sides: Sides, pairs: int, distance: float) -> bool:
    """Nothing to do, against the docker CLI with nothing to do."""
    with empty_registry() as registry, away(registry.host, distance) as host:
        sides.ours("push", to=host)
        registry.log.write_bytes(b"")
        sides.ours("push", to=host)
        count = len(requests(registry))
        sides.theirs(host, sides.tags())
        found = compare(lambda: sides.ours("push", to=host), lambda: sides.theirs(host, sides.tags()), pairs)
    _show(f"nothing to do, 3 tags / docker push, 3 tags{_far(distance)}", found)
    print(f"    bar 0.5; {count} requests for 3 tags (bar 9)")
    return found.ratios[1] <= 0.5 and count <= 9


IN_PROCESS = """
import os, sys, time
sys.modules["paramiko"] = None  # here for tests; docker-py imports it
from tinyship import Project
for host in sys.argv[1:]:
    os.environ["TINYSHIP_PUSH_TO"] = host
    project = Project.load(".")
    begun = time.monotonic()
    project.push()
    print(time.monotonic() - begun)
"""


def in_process(sides: Sides, *hosts: str) -> list[float]:
    """Push to these registries from one process, which has everything imported after the first; seconds of each."""
    environment = {**os.environ, "TINYSHIP_PUSH_SMOKE": "false"}
    command = [sys.executable, "-c", IN_PROCESS, *hosts]
    said = subprocess.run(command, cwd=sides.folder, env=environment, check=True, capture_output=True, text=True)
    return [float(line) for line in said.stdout.split()]


def running(sides: Sides, pairs: int) -> bool:
    """Both once more from a process that runs already, as a deployment script is; the CLI starts anew each time."""
    firsts, seconds = [], []
    for _ in range(pairs):
        with empty_registry() as one, empty_registry() as two, empty_registry() as three:
            _, first_push, second_push = in_process(sides, one.host, two.host, two.host)
            firsts.append((first_push, sides.theirs(three.host, ["latest"]).seconds))
            sides.theirs(two.host, sides.tags())
            seconds.append((second_push, sides.theirs(two.host, sides.tags()).seconds))
    more = statistics.median(ours - theirs for ours, theirs in firsts)
    ratio = statistics.median(ours / theirs for ours, theirs in seconds)
    mine, other = (1000 * statistics.median(column) for column in zip(*firsts, strict=True))
    print(
        f"Project.push() in a running process, first push: {mine:.0f} ms / {other:.0f} ms   {more:+.2f} s (bar +0.30)"
    )
    mine, other = (1000 * statistics.median(column) for column in zip(*seconds, strict=True))
    print(f"    nothing to do: {mine:.0f} ms / {other:.0f} ms   ratio {ratio:.2f} (bar 0.5)", flush=True)
    return more <= 0.3 and ratio <= 0.5


def promotion(sides: Sides) -> bool:
    """To another repository of the same registry."""
    with empty_registry() as registry:
        sides.ours("push", to=registry.host)
        registry.log.write_bytes(b"")
        version = sides.tags()[0]
        done = sides.ours("push.promote", version, f"{registry.host}/lacion/stable:{version}", to=registry.host)
        asked = requests(registry)
    sent = [one for one in asked if one["method"] in {"PUT", "PATCH"} and "/blobs/" in one["path"]]
    fetched = [one for one in asked if one["method"] == "GET" and "/blobs/" in one["path"]]
    print(f"promotion to another repository: {1000 * done.seconds:.0f} ms, {len(asked)} requests")
    print(f"    {len(sent)} blobs uploaded, {len(fetched)} fetched (bar 0)")
    return not sent and not fetched


def _far(distance: float) -> str:
    return f", {1000 * distance:.0f} ms away" if distance else ""


def _show(name: str, found: Comparison) -> None:
    low, middle, high = found.ratios
    print(f"{name}: {1000 * median(found.ours):.0f} ms / {1000 * median(found.peer):.0f} ms", end="")
    print(f"   ratio {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)


def main() -> None:
    """Measure all rows."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with demo.repository() as root:
        sides = Sides(root / "foo")
        sides.ours("release", to="")
        print(f"wall time, medians of {pairs} interleaved pairs; {sides.peers.version}")
        reached = [row(sides, pairs, distance) for distance in _DISTANCES for row in (first, again)]
        reached += [running(sides, pairs), promotion(sides)]
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
