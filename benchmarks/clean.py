"""Cleaning: `invoke clean.images --yes` with 200 of 1,000 images to go, against `docker rmi` of those 200 by hand.

    python benchmarks/clean.py [PAIRS [IMAGES [GOING]]]

The bar is 1.2 times the time of `docker rmi`, in which ours finds out by itself which go. The images are tiny, of one
layer each, under a name of their own, and gone at the end. Before each run those that go are made again.
"""

from __future__ import annotations

import compileall
import io
import json
import os
import secrets
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.processes import Run, compare, median, peak, run
from tools import peers

from tinyship.engine.connect import Engine, connect

INVOKE = """
import sys
sys.modules["paramiko"] = None  # here for tests; without `docker[ssh]` nobody has it, and docker-py imports it
from invoke.main import program
program.run()
"""


class Yard:
    """A project in a folder, and its images in an engine."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root = root
        self.engine = engine
        self.name = f"tinyship-bench-{secrets.token_hex(4)}/clean"
        self.peers = peers.fetch()
        config = {"image": self.name, "clean": {"keep": 1}}
        (root / "invoke.json").write_text(json.dumps({"tinyship": config}))
        (root / "tasks.py").write_text('"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n')
        for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
            author = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")
            subprocess.run(["git", *author, *words], cwd=root, check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True)
        self.commit = head.stdout.strip()

    def make(self, tags: Sequence[str], *, kept: bool) -> None:
        """Make releases; those of the commit that is checked out are kept."""
        labels = {"tinyship.project": self.name, "tinyship.stage": "release"}
        labels |= {"org.opencontainers.image.revision": self.commit} if kept else {}
        labels |= {"org.opencontainers.image.version": "2.0" if kept else "1.0"}  # engines list dates by the second
        changes = [f"LABEL {key}={value}" for key, value in labels.items()]

        def one(tag: str) -> None:
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as tar:
                entry = tarfile.TarInfo("file")
                entry.size = 4096
                tar.addfile(entry, io.BytesIO(secrets.token_bytes(4096)))
            self.engine.api.import_image_from_data(packed.getvalue(), repository=self.name, tag=tag, changes=changes)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, tags))

    def tags(self) -> set[str]:
        """The tags that the engine has."""
        found = self.engine.api.images(name=self.name)
        return {name.rpartition(":")[2] for entry in found for name in entry["RepoTags"] or ()}

    def ours(self, going: Sequence[str]) -> Run:
        """Make those that go, and clean."""
        self._prepare(going)
        done = run([sys.executable, "-c", INVOKE, "--search-root", str(self.root), "clean.images", "--yes"])
        return self._checked(done, going)

    def theirs(self, going: Sequence[str]) -> Run:
        """Make those that go, and remove them by hand."""
        self._prepare(going)
        names = [f"{self.name}:{tag}" for tag in going]
        return self._checked(run(["docker", "rmi", *names], self.peers.environment), going)

    def _prepare(self, going: Sequence[str]) -> None:
        """Make those that go, and after them the one that is the last release."""
        self.make(going, kept=False)
        self.make(["last"], kept=True)

    def _checked(self, done: Run, going: Sequence[str]) -> Run:
        left = self.tags()
        if left & set(going) or not left:
            raise SystemExit(f"{len(left & set(going))} are left of those that go, and {len(left)} of all")
        return done


@contextmanager
def yard() -> Iterator[Yard]:
    """A project whose images are gone at the end."""
    engine = connect(timeout=300)
    with tempfile.TemporaryDirectory() as folder:
        made = Yard(Path(folder), engine)
        try:
            yield made
        finally:
            for tag in made.tags():
                engine.api.remove_image(f"{made.name}:{tag}")
            engine.close()


def main(pairs: int, images: int, going: int) -> None:
    """Compare, and print."""
    compileall.compile_dir(Path(__file__).parent.parent / "src", quiet=1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    old = [f"old-{number}" for number in range(going)]
    with yard() as made:
        made.make([f"kept-{number}" for number in range(images - going - 1)], kept=True)
        print(f"{made.engine.version}, {len(made.engine.api.images())} images in all; {made.peers.version}")
        found = compare(lambda: made.ours(old), lambda: made.theirs(old), pairs)
    least, middle, most = found.ratios
    print(f"{going} of {images}: invoke clean.images {median(found.ours):.2f} s ({peak(found.ours):.0f} MB), ", end="")
    print(f"docker rmi {median(found.peer):.2f} s: {middle:.2f} times ({least:.2f} to {most:.2f}), bar 1.2")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [3, 1000, 200][len(numbers) :]))
