"""Builds with BuildKit: tinyship against `docker buildx`, whole processes on the same engine.

    python benchmarks/buildkit.py [--rows NAME ...] [--pairs N]

The peers are fetched from Debian (tools/peers.py). Both sides build the same folders, with the same Dockerfile and
ignore file, into the same engine, and say nothing while they do; the images of both are compared. A first build
is one of a context whose every trace was taken from the engine before. What was made is removed in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contexts import Tree
from benchmarks.processes import Comparison, Run, compare, median, peak, run
from tools import peers

OURS = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tinyship.context.source import Context
from tinyship.engine.builder import choose
from tinyship.engine.connect import connect
from tinyship.engine.request import BuildRequest
from tinyship.events import ignore
engine = connect()
def build(word):
    root, tag = word.split("=")
    context = Context.open(Path(root), Path(root, "Dockerfile"))
    choose(engine, "auto").build(BuildRequest(context=context, tags=(tag,)), ignore)
words = sys.argv[1:]
if len(words) == 1:
    build(words[0])
else:
    with ThreadPoolExecutor(len(words)) as pool:
        list(pool.map(build, words))
engine.close()
"""
DOCKER_PY = """
import sys, docker
root, tag = sys.argv[1].split("=")
docker.from_env(timeout=600).images.build(path=root, tag=tag, rm=True)
"""
_NAME = "tinyship-benchmark"
_FASTER = 20.0
_MEMORY = 100.0


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison.

    Args:
        work: what is done.
        bar: the ratio of our time to the peer's that is to be reached.
        tree: of the context.
        before: each build, ``forget`` takes all traces from the engine, ``change`` changes a file.
        pairs: how many.
        contexts: so many are built at once.
        memory: our peak in MB that must not be reached; 0 for any.
        classic: measure docker-py's `images.build` as well.
    """

    work: str
    bar: float
    tree: Tree
    before: Literal["nothing", "forget", "change"]
    pairs: int
    contexts: int = 1
    memory: float = 0
    classic: bool = False


_MANY = Tree(files=20_000, size=2_050, ignored=20_000)
_SEVERAL = Tree(files=2_000, size=2_050, ignored=2_000)
ROWS = {
    "unchanged": Row("20,000 files, nothing changed", 0.7, _MANY, "nothing", 11, classic=True),
    "first": Row("20,000 files, first build", 0.9, _MANY, "forget", 7),
    "changed": Row("20,000 files, one changed", 0.8, _MANY, "change", 7),
    "large": Row("one file of 2 GB, first build", 1.05, Tree(1, 2_000_000_000), "forget", 3, memory=_MEMORY),
    "100000": Row("100,000 files, nothing changed", 0.8, Tree(files=100_000, size=200), "nothing", 7),
    "ten": Row("ten builds at once, nothing changed", 1.0, _SEVERAL, "nothing", 9, contexts=10),
    "ten-first": Row("ten builds at once, first builds", 1.0, _SEVERAL, "forget", 5, contexts=10),
}


class Traces:
    """What builds leave in the engine from now on."""

    def __init__(self) -> None:
        import docker

        self._api: Any = docker.from_env(timeout=600).api
        self._before = self._records()
        self.engine = str(self._api.version()["Version"])

    def forget(self) -> None:
        """Remove it: images by their names, records of the build cache one by one, because they cannot be labelled."""
        for image in self._api.images(name=_NAME):
            for tag in image["RepoTags"] or ():
                self._api.remove_image(tag, force=True)
        while records := self._records() - self._before:
            for record in records:
                self._api.prune_builds(filters={"id": record}, all=True)
            if records == self._records() - self._before:
                raise SystemExit(f"the engine keeps {len(records)} records of its build cache")

    def made(self, tag: str, *, afresh: bool) -> tuple[str, ...]:
        """What was built: its layers, or their size where folders have the time of the build for their date."""
        image = self._api.inspect_image(tag)
        return (str(image["Size"]),) if afresh else tuple(image["RootFS"]["Layers"])

    def _records(self) -> set[str]:
        return {entry["ID"] for entry in self._api.df().get("BuildCache") or ()}


class Bench:
    """Measures rows.

    Args:
        traces: of the builds.
        peers: what is measured against.
        folder: empty, for contexts.
    """

    def __init__(self, traces: Traces, peers: peers.Peers, folder: Path) -> None:
        self._traces = traces
        self._environment = peers.environment
        self._folder = folder
        self._built: dict[str, list[tuple[tuple[str, ...], ...]]] = {}

    def measure(self, name: str, row: Row, pairs: int) -> bool:
        """Measure a row, print it, and say whether its bars are reached."""
        roots = [self._folder / f"{name}-{number}" for number in range(row.contexts)]
        for number, root in enumerate(roots):
            row.tree.make(root, number)
        ours = partial(self._build, row, roots, "ours", self._ours)
        peer = partial(self._build, row, roots, "peer", self._peer)
        if row.before != "forget":
            ours()
            peer()
        comparison = compare(ours, peer, pairs)
        reached = _show(row, comparison)
        if row.classic:
            tags = {root: f"{_NAME}:{root.name}-classic" for root in roots}
            slow = median([self._classic(tags) for _ in range(3)])
            faster = slow / median(comparison.ours)
            reached &= faster >= _FASTER
            print(f"{'':37}  docker-py {slow:.1f} s: {faster:.0f} times as long; bar {_FASTER:.0f}", flush=True)
        self._traces.forget()
        return reached

    def _build(self, row: Row, roots: list[Path], side: str, build: Callable[[dict[Path, str]], Run]) -> Run:
        if row.before == "forget":
            self._traces.forget()
            os.sync()
        elif row.before == "change":
            row.tree.change(roots[0])
        tags = {root: f"{_NAME}:{root.name}-{side}" for root in roots}
        done = build(tags)
        self._check(row, tags)
        return done

    def _check(self, row: Row, tags: dict[Path, str]) -> None:
        """See that what was built is what the other side builds, or, after a change, what none has built before."""
        layers = tuple(self._traces.made(tag, afresh=row.before == "forget") for tag in tags.values())
        known = self._built.setdefault(row.work, [])
        if known and (layers in known) == (row.before == "change"):
            raise SystemExit(f"{', '.join(tags.values())} are not what they have to be")
        known.append(layers)

    def _ours(self, tags: dict[Path, str]) -> Run:
        return run([sys.executable, "-c", OURS, *(f"{root}={tag}" for root, tag in tags.items())])

    def _classic(self, tags: dict[Path, str]) -> Run:
        return run([sys.executable, "-c", DOCKER_PY, *(f"{root}={tag}" for root, tag in tags.items())])

    def _peer(self, tags: dict[Path, str]) -> Run:
        if len(tags) == 1:
            [(root, tag)] = tags.items()
            return run(["docker", "buildx", "build", "--quiet", "--tag", tag, str(root)], self._environment)
        targets = {root.name: {"context": str(root), "tags": [tag]} for root, tag in tags.items()}
        file = self._folder / "docker-bake.json"
        file.write_text(json.dumps({"group": {"default": {"targets": list(targets)}}, "target": targets}))
        return run(["docker", "buildx", "bake", "--progress", "quiet", "--file", str(file)], self._environment)


def _show(row: Row, comparison: Comparison) -> bool:
    """Print a row of the table; whether its bars are reached."""
    least, middle, most = comparison.ratios
    ours, theirs = (f"{median(runs):6.2f} s {peak(runs):4.0f} MB" for runs in (comparison.ours, comparison.peer))
    reached = middle <= row.bar and (not row.memory or peak(comparison.ours) < row.memory)
    bar = f"bar {row.bar:.2f}{f', {row.memory:.0f} MB' if row.memory else ''}"
    verdict = "reached" if reached else "MISSED"
    print(f"{row.work:37} {ours}  {theirs}   {middle:.2f} ({least:.2f} to {most:.2f})  {bar}: {verdict}", flush=True)
    return reached


def main() -> None:
    """Measure the rows that the command line names; all where it names none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--pairs", type=int, default=0, help="of each row, instead of its own number")
    chosen = parser.parse_args()
    peer = peers.fetch()
    traces = Traces()
    load = os.getloadavg()[0]
    print(f"engine {traces.engine}, {peer.version}, {os.cpu_count()} cores, load {load:.1f} at the start")
    print(f"{'':37} {'tinyship':17}  {'peer':17}  ratio of the times, median of the pairs")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        bench = Bench(traces, peer, Path(folder))
        try:
            reached = [bench.measure(name, ROWS[name], chosen.pairs or ROWS[name].pairs) for name in chosen.rows]
        finally:
            traces.forget()
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
