"""A second release with nothing changed: tinyship against `docker buildx bake`, and against `make` with the docker CLI.

    python benchmarks/noop_release.py [PAIRS]

Bake has the three targets of the article's pipeline (`examples/foo`): a base image, made of the 6,000 files of its
toolchain, the build image and the release image, whose context is filled up to 12,000 files for both sides. The
bar is 0.75 times its wall time, the median of interleaved pairs.

Make does the same builds and tags, one after the other, with the same Dockerfiles, labels and tags. All sides use
BuildKit, the CLI through buildx (tools/peers.py). The bar, at most 1.5 times make's wall time, is that of the article's
pipeline (build image, compile in a container, release image). `examples/multistage`, which compiles in a layer, shows
what is left where all is cached.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contexts import Tree
from tools import demo, peers

MAKEFILE = """\
IMAGE   := lacion/{name}
VERSION := $(shell git describe --tags --abbrev=0 | sed s/^v//)
COMMIT  := $(shell git rev-parse HEAD)
DATE    := $(shell git log -1 --format=%cI)
DIRTY   := $(shell git status --porcelain)
BUILD   := docker build -q --network none --build-arg VERSION=$(VERSION) --build-arg GIT_COMMIT=$(COMMIT)
LABELS  := --label GIT_COMMIT=$(COMMIT) --label VERSION=$(VERSION) \\
\t--label org.opencontainers.image.created=$(DATE) --label org.opencontainers.image.ref.name=v$(VERSION) \\
\t--label org.opencontainers.image.revision=$(COMMIT) --label org.opencontainers.image.title=foo \\
\t--label org.opencontainers.image.version=$(VERSION) --label project=$(IMAGE) --label stage=release

release: compile
\t$(BUILD) $(LABELS) -f Dockerfile -t $(IMAGE):local ../foo
\tdocker tag $(IMAGE):local $(IMAGE):$(VERSION)
\tdocker tag $(IMAGE):local $(IMAGE):$(COMMIT)
\tdocker images $(IMAGE)

compile:
\t$(BUILD) --label project=$(IMAGE) --label stage=build -t $(IMAGE):build {build}
"""
INVOKE = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from invoke.main import program
program.run()
"""
_BAKED = "tinyship-benchmark/baked"
_BAR = 0.75
_FILES = 12_000
COMPILE = "\tdocker run --rm --network none -v $(CURDIR):/gopath/src/github.com/lacion/foo $(IMAGE):build\n"


def seconds(command: list[str], folder: Path) -> float:
    """Wall seconds of a command."""
    environment = {**os.environ, **peers.fetch().environment}
    begun = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.monotonic() - begun


def fill(folder: Path) -> int:
    """Fill a project's folder up, commit that as its version, and return the number of its files."""
    Tree(_FILES - _count(folder) - 2, 100).make(folder / "data")
    author = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")
    for words in (("add", "--all"), (*author, "commit", "--quiet", "-m", "Data"), ("tag", "--force", "v1.0.0")):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return _count(folder)


def _count(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def measure_bake(pairs: int) -> float:
    """Print the comparison with bake, and return its ratio."""
    with demo.repository() as root, tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as beside:
        folder, base = root / "foo", Path(beside)
        rootfs = subprocess.run([sys.executable, "docker/gobuild.py"], cwd=folder, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(rootfs.stdout)) as tar:
            tar.extractall(base / "toolchain", filter="tar")
        count, toolchain = fill(folder), _count(base / "toolchain")
        (base / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        targets: dict[str, dict[str, object]] = {
            "base": {"context": str(base / "toolchain"), "dockerfile": str(base / "Dockerfile")},
            "build": {"context": str(folder), "dockerfile": "Dockerfile.build", "network": "none"},
            "release": {"context": str(folder), "dockerfile": "Dockerfile", "network": "none"},
        }
        for name, target in targets.items():
            target |= {"tags": [f"{_BAKED}:{name}"], "output": ["type=docker"]}
        file = base / "docker-bake.json"
        file.write_text(json.dumps({"group": {"default": {"targets": [*targets]}}, "target": targets}))
        ours = [sys.executable, "-c", INVOKE, "release"]
        bake = ["docker", "buildx", "bake", "-f", str(file)]
        for command in (ours, bake, ours, bake):
            seconds(command, folder)
        times = [(seconds(bake, folder), seconds(ours, folder)) for _ in range(pairs)]
        seconds(["docker", "rmi", "--force", *(f"{_BAKED}:{name}" for name in targets)], folder)
    theirs, mine = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(ours / theirs for theirs, ours in times)
    print(f"  foo         context of {count:,} files, toolchain of {toolchain:,}")
    print(f"  {'':<11} buildx bake         {1000 * theirs:6.0f} ms")
    print(f"  {'':<11} invoke release      {1000 * mine:6.0f} ms   ratio {ratio:.2f}   bar {_BAR}", flush=True)
    return ratio


def measure(example: str, makefile: str, pairs: int) -> float:
    """Print one comparison, and return its ratio."""
    make, ours = ["make", "-s", "release"], [sys.executable, "-c", INVOKE, "release"]
    with demo.repository() as root:
        folder = root / example
        (root / ".git" / "info" / "exclude").write_text("Makefile\n")
        (folder / "Makefile").write_text(makefile)
        for command in (ours, make, ours, make):
            seconds(command, folder)
        times = [(seconds(make, folder), seconds(ours, folder)) for _ in range(pairs)]
    without, with_ = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(with_ / without for without, with_ in times)
    print(f"  {example:<11} make and docker CLI {1000 * without:6.0f} ms")
    print(f"  {'':<11} invoke release      {1000 * with_:6.0f} ms   ratio {ratio:.2f}", flush=True)
    return ratio


def main() -> None:
    """Measure both examples."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    print(f"a second release with nothing changed, wall time, median of {pairs} interleaved pairs")
    print(f"bars for foo: {_BAR} of bake, 1.5 of make")
    baked = measure_bake(pairs)
    ratio = measure("foo", MAKEFILE.format(name="foo", build="-f Dockerfile.build .") + COMPILE, pairs)
    multistage = "-f Dockerfile --target build-stage ../foo"
    measure("multistage", MAKEFILE.format(name="foo-multistage", build=multistage), pairs)
    sys.exit(ratio > 1.5 or baked > _BAR)


if __name__ == "__main__":
    main()
