"""What mounting tinyship adds to `invoke --list`: user CPU of interleaved pairs, with and without it.

    python benchmarks/startup.py [PAIRS]

Bar: at most 5 ms more at the median of 41 pairs, on a machine where `invoke --list` without tinyship takes 0.12 s; on
others it is scaled by what that takes there. Modules must be precompiled (`python -m compileall -q src`), as those of
an installed package are: Invoke itself writes no bytecode.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PLAIN_SECONDS = 0.12
"""User CPU of `invoke --list` without tinyship, where bars are not scaled."""
PLAIN = '''"""A project."""
from invoke import Collection, task


@task
def hello(c):
    """Say hello."""


ns = Collection(hello)
'''
MOUNTED = (
    PLAIN.replace("from invoke", "import tinyship\nfrom invoke", 1)
    + "ns.add_collection(tinyship.collection(), 'ship')\n"
)


def user_seconds(folder: Path) -> float:
    """User CPU seconds of one `invoke --list` in a folder."""
    process = subprocess.Popen([sys.executable, "-m", "invoke", "--list"], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"invoke --list failed in {folder}")
    return usage.ru_utime


def slowness(runs: int = 11) -> float:
    """How much slower this machine is than the one that bars are for, by a plain `invoke --list`."""
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, "tasks.py").write_text(PLAIN)
        return statistics.median(user_seconds(Path(temporary)) for _ in range(runs)) / PLAIN_SECONDS


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 41
    with tempfile.TemporaryDirectory() as temporary:
        plain, mounted = Path(temporary, "plain"), Path(temporary, "mounted")
        for folder, text in ((plain, PLAIN), (mounted, MOUNTED)):
            folder.mkdir()
            (folder / "tasks.py").write_text(text)
            user_seconds(folder)
        times = [(user_seconds(plain), user_seconds(mounted)) for _ in range(pairs)]
    without, with_ = (statistics.median(column) for column in zip(*times, strict=True))
    added = statistics.median(with_ - without for without, with_ in times)
    print(f"invoke --list, user CPU, median of {pairs} interleaved pairs")
    print(f"  without tinyship  {1000 * without:6.1f} ms")
    print(f"  with tinyship     {1000 * with_:6.1f} ms   ratio {with_ / without:.3f}")
    bar = 0.005 * without / PLAIN_SECONDS
    print(
        f"  added             {1000 * added:6.1f} ms   bar {1000 * bar:.1f} ms (5.0 ms where it takes 120 ms without)"
    )
    sys.exit(added > bar)


if __name__ == "__main__":
    main()
