"""Peak memory of a process that sends a context of 2 GB to the builder.

    python benchmarks/context_memory.py [GIGABYTES]

Bar: below 100 MB. The engine's own memory does not count; the peer is docker-py's `images.build`, which first writes
the context to a temporary file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = """
import sys
from pathlib import Path
from tinyship.context.source import Context
from tinyship.engine.builder import choose
from tinyship.engine.connect import connect
from tinyship.engine.request import BuildRequest
from tinyship.events import ignore
root = Path(sys.argv[1])
engine = connect()
context = Context.open(root, root / "Dockerfile")
choose(engine, sys.argv[2]).build(BuildRequest(context=context, tags=("tinyship-benchmark:context",)), ignore)
engine.close()
"""
PEER = """
import sys, docker
client = docker.from_env(timeout=600)
client.images.build(path=sys.argv[1], tag="tinyship-benchmark:context", rm=True)
"""


def measure(script: str, folder: Path, *words: str) -> tuple[float, float]:
    """Peak resident memory in MB and wall seconds of a Python process."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", script, str(folder), *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}")
    return usage.ru_maxrss / 1000, time.monotonic() - begun


def main() -> None:
    """Measure both."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as temporary:
        folder = Path(temporary)
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        block = os.urandom(1 << 20)
        for number in range(4):
            with (folder / f"large-{number}").open("wb") as file:
                for _ in range(round(gigabytes * 1000 / 4)):
                    file.write(block)
        measure(PEER, folder)  # so that none of those that count reads the files from the disk first
        ours = {builder: measure(OURS, folder, builder) for builder in ("classic", "buildkit")}
        peer = measure(PEER, folder)
    import docker

    client = docker.from_env()
    client.images.remove("tinyship-benchmark:context", force=True)
    print(f"a context of {gigabytes:g} GB, sent to the engine")
    print(f"  docker-py images.build  {peer[0]:6.0f} MB peak  {peer[1]:6.1f} s")
    for builder, (memory, seconds) in ours.items():
        ratio = seconds / peer[1]
        print(f"  tinyship, {builder:<12}  {memory:6.0f} MB peak  {seconds:6.1f} s   ratio of times {ratio:.2f}")
    print("  bar                        100 MB")
    sys.exit(max(memory for memory, _ in ours.values()) >= 100)


if __name__ == "__main__":
    main()
