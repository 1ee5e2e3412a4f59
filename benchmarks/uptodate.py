"""A release with nothing to do, of a context of 100,000 files: seconds and memory of the whole process.

    python benchmarks/uptodate.py [--pairs N] [--files N]

The peer is `docker buildx bake` of the same target, which asks the engine to find out. Bars: one second, and 150 MB.
Beside it stands what the look at the files takes alone, and what `git status` takes for the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contexts import Tree
from benchmarks.processes import Run, compare, median, peak, run
from tools import peers

LOOK = """
import sys
from pathlib import Path
from tinyship.context import fingerprint
from tinyship.context.source import Context
root = Path(sys.argv[1])
context = Context.open(root / "files", root / "files/Dockerfile", without=root / ".tinyship")
fingerprint.take(context, state_root=root, name="look")
"""
INVOKE = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from invoke.main import program
program.run()
"""
_IMAGE = "tinyship-benchmark/files"
_SECONDS = 1.0
_MEMORY = 150.0


def make(root: Path, files: int) -> None:
    """A project whose image is of many files, committed and tagged."""
    Tree(files, 100).make(root / "files")
    (root / "tasks.py").write_text("import tinyship\n\nns = tinyship.collection()\n")
    (root / ".gitignore").write_text(".tinyship\n__pycache__\n")
    (root / "invoke.yaml").write_text(
        f"tinyship:\n  image: {_IMAGE}\n  release: {{dockerfile: files/Dockerfile, context: files}}\n"
    )
    target = {"context": "files", "tags": [f"{_IMAGE}:bake"], "output": ["type=docker"]}
    (root / "docker-bake.json").write_text(json.dumps({"target": {"default": target}}))
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("-c", "user.name=tinyship", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", "First"),
        ("tag", "v1.0.0"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)


def inside(root: Path, command: list[str], environment: dict[str, str]) -> Run:
    """Run a command in a project."""
    before = Path.cwd()
    os.chdir(root)
    try:
        return run(command, environment)
    finally:
        os.chdir(before)


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description="A release with nothing to do, of many files.")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    tools = peers.fetch()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        root = Path(folder)
        make(root, options.files)
        at = partial(inside, root, environment=tools.environment)
        ours = partial(at, [sys.executable, "-c", INVOKE, "release"])
        look = partial(at, [sys.executable, "-c", LOOK, str(root)])
        bake = partial(at, ["docker", "buildx", "bake", "-f", "docker-bake.json"])
        status = partial(at, ["git", "status", "--porcelain"])
        for command in (ours, bake, look, status, ours, bake, look):
            command()
        releases = compare(ours, bake, options.pairs)
        looks = compare(look, status, options.pairs)
    subprocess.run(["docker", "rmi", "--force", f"{_IMAGE}:bake"], env={**os.environ, **tools.environment}, check=True)
    seconds, memory = median(releases.ours), peak(releases.ours)
    print(f"{options.files:,} files, nothing to do, median of {options.pairs} interleaved pairs; {tools.version}")
    print(f"  docker buildx bake  {median(releases.peer):6.2f} s")
    print(
        f"  invoke release      {seconds:6.2f} s   ratio {releases.ratios[1]:.2f}   {memory:4.0f} MB"
        f"   bars: {_SECONDS:.0f} s, {_MEMORY:.0f} MB"
    )
    print(f"  git status          {median(looks.peer):6.2f} s")
    print(
        f"  the look alone      {median(looks.ours):6.2f} s   ratio {looks.ratios[1]:.2f}   {peak(looks.ours):4.0f} MB"
    )
    sys.exit(seconds >= _SECONDS or memory >= _MEMORY)


if __name__ == "__main__":
    main()
