"""Many images of one project: tinyship against `docker buildx bake` making the same images, on the same engine.

    python benchmarks/many.py [PAIRS] [--fifty]

Ten independent images, each a folder of 200 kB that a step packs, on a base of one static program: cold, which is with
a new file in each folder, so that no step is cached, and with nothing to do. With `--fifty`: fifty of them of which one
changed, beside the release of that one alone. Both sides use BuildKit, the CLI through buildx (tools/peers.py), with
the same folders and Dockerfiles, and labels of the same kind. The bars are 1.0 and 0.75 times bake's wall time at the
median of interleaved pairs, and for fifty the time of that one image plus a second.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import peers

from tinyship.engine import images
from tinyship.engine.connect import connect
from tinyship.events import ignore

BASE = "tinyship-bench-many:latest"
DOCKERFILE = f"FROM {BASE}\nCOPY . /srv/\nRUN busybox gzip -c /srv/data > /srv/data.gz\n"
INVOKE = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from invoke.main import program
program.run()
"""


class Fleet:
    """A project of so many images, and a Bake file of the same.

    Args:
        root: its folder.
        count: of images.
        prefix: of their names.
    """

    def __init__(self, root: Path, count: int, prefix: str) -> None:
        self.root = root
        self.names = [f"n{number:02}" for number in range(count)]
        self.environment = {**os.environ, **peers.fetch().environment}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each run would measure the compiler
        data = secrets.token_bytes(100_000) + bytes(100_000)
        for name in self.names:
            (root / name).mkdir()
            (root / name / "Dockerfile").write_text(DOCKERFILE)
            (root / name / "data").write_bytes(data)
        (root / "tasks.py").write_text("import tinyship\nns = tinyship.collection()\n")
        entries = [
            {
                "name": name,
                "image": f"{prefix}/{name}",
                "release": {"dockerfile": f"{name}/Dockerfile", "context": name},
            }
            for name in self.names
        ]
        config = {"version": {"literal": "1.0"}, "network": "none", "images": entries}
        (root / "invoke.json").write_text(json.dumps({"tinyship": config}))
        targets = {
            name: {
                "context": name,
                "network": "none",
                "tags": [f"{prefix}/bake-{name}:{tag}" for tag in ("local", "1.0", "commit")],
                "labels": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": "1.0"},
            }
            for name in self.names
        }
        (root / "docker-bake.json").write_text(
            json.dumps({"group": {"default": {"targets": self.names}}, "target": targets})
        )
        (root / ".gitignore").write_text(".tinyship\n*/nonce\n__pycache__\n")
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "first")):
            subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=root, check=True)

    def change(self, *names: str) -> None:
        """Let no step of these images be cached."""
        for name in names:
            (self.root / name / "nonce").write_text(secrets.token_hex())

    def ours(self, *words: str) -> float:
        """Seconds of a release."""
        return self._seconds([sys.executable, "-c", INVOKE, "release", *words])

    def bake(self) -> float:
        """Seconds of Bake."""
        return self._seconds(["docker", "buildx", "bake", "--progress", "quiet", "--file", "docker-bake.json"])

    def _seconds(self, command: list[str]) -> float:
        begun = time.monotonic()
        subprocess.run(command, cwd=self.root, env=self.environment, check=True, capture_output=True)
        return time.monotonic() - begun


@contextmanager
def fleet(count: int) -> Iterator[Fleet]:
    """A project; its images go with it."""
    prefix = f"tinyship-bench-{secrets.token_hex(3)}"
    engine = connect()
    program = shutil.which("busybox")
    if not program:
        raise SystemExit("no busybox on PATH")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for name in ("sh", "gzip"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    images.import_rootfs(engine, iter([packed.getvalue()]), name=BASE, changes=["ENV PATH=/bin"], events=ignore)
    try:
        with tempfile.TemporaryDirectory(prefix="tinyship-") as folder:
            yield Fleet(Path(folder), count, prefix)
    finally:
        for image in engine.api.images():
            for tag in image.get("RepoTags") or ():
                if tag.startswith(f"{prefix}/"):
                    engine.api.remove_image(tag, force=True)
        engine.api.remove_image(BASE, force=True)
        engine.close()


def compare(title: str, pairs: list[tuple[float, float]], bar: float) -> None:
    """Print bake's and our seconds."""
    theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(ours / theirs for theirs, ours in pairs)
    print(f"  {title:<24} bake {theirs:6.2f} s   invoke release {ours:6.2f} s", end="")
    print(f"   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), bar {bar}", flush=True)


def ten(pairs: int) -> None:
    """Ten independent images, cold and with nothing to do."""
    with fleet(10) as ship:
        ship.ours(), ship.bake()
        cold, warm = [], []
        for _ in range(pairs):
            ship.change(*ship.names)
            theirs = ship.bake()
            ship.change(*ship.names)
            cold.append((theirs, ship.ours()))
            warm.append((ship.bake(), ship.ours()))
        compare("ten images, cold", cold, 1.0)
        compare("ten, nothing to do", warm, 0.75)


def fifty(pairs: int) -> None:
    """Fifty images of which one changed."""
    with fleet(50) as ship:
        ship.ours()
        found = []
        for _ in range(pairs):
            ship.change("n07")
            alone = ship.ours("--image", "n07")
            ship.change("n07")
            found.append(ship.ours() - alone)
        print(f"  fifty, one changed: {statistics.median(found):+.2f} s beside that one alone; bar +1 s", flush=True)


def main() -> None:
    """Measure."""
    pairs = next((int(word) for word in sys.argv[1:] if word.isdigit()), 5)
    load = os.getloadavg()[0]
    print(f"many images, wall time, median of {pairs} interleaved pairs, load {load:.1f}; {peers.fetch().version}")
    ten(pairs)
    if "--fifty" in sys.argv:
        fifty(pairs)


if __name__ == "__main__":
    main()
