"""How long `Project.load(path).plan()` takes in a process that has docker and git imported already.

    python benchmarks/api.py [RUNS]

Each run is a process of its own, and its first call counts; the second is shown. In examples/foo, with the engine that
DOCKER_HOST names. Bar: 100 ms at the median, on a machine where a plain `invoke --list` takes 0.12 s of user CPU; on
others it is scaled by what that takes there.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.startup import slowness

ONE = """
import time
import docker, git
import tinyship
for _ in range(2):
    begun, used = time.perf_counter(), time.process_time()
    tinyship.Project.load(".").plan()
    print(time.perf_counter() - begun, time.process_time() - used)
"""
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "foo"


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "foo")
        shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".tinyship", "bin", ".git"))
        author = ("-c", "user.name=Ship", "-c", "user.email=ship@example.com")
        for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "first"), ("tag", "v1.0.0")):
            subprocess.run(["git", *words], cwd=root, check=True)
        times = []
        for _ in range(runs + 1):
            done = subprocess.run([sys.executable, "-c", ONE], cwd=root, capture_output=True, text=True, check=True)
            times.append([float(word) for word in done.stdout.split()])
    first, first_used, second, second_used = (statistics.median(column) for column in zip(*times[1:], strict=True))
    slow = slowness()
    bar = 0.1 * slow
    print(f"Project.load().plan(), two calls in a process, median of {runs}; this machine is {slow:.2f} times slower")
    print(f"  first   {1000 * first:6.1f} ms, {1000 * first_used:6.1f} ms of it CPU   bar {1000 * bar:.0f} ms")
    print(f"  second  {1000 * second:6.1f} ms, {1000 * second_used:6.1f} ms of it CPU")
    sys.exit(first > bar)


if __name__ == "__main__":
    main()
