"""Contexts for the benchmarks: many small files, or one large one, the same each time."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

_PER_FOLDER = 100
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Tree:
    """What a context holds.

    Args:
        files: in folders of a hundred.
        size: bytes of each.
        ignored: files of 100 bytes beside them, which the ignore file names.
    """

    files: int
    size: int
    ignored: int = 0

    def make(self, root: Path, seed: int = 0) -> None:
        """Put it into a folder that is not there yet, with a Dockerfile that copies all of it.

        Args:
            root: the folder.
            seed: other contents for each.
        """
        chance = random.Random(seed)
        root.mkdir()
        (root / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        (root / ".dockerignore").write_text("node_modules\n")
        _fill(root / "source", self.files, self.size, chance)
        _fill(root / "node_modules", self.ignored, 100, chance)

    def change(self, root: Path) -> None:
        """Give one file contents that it never had."""
        path = root / "source" / "folder-0000" / "file-000"
        path.write_bytes(f"{time.time_ns()}".encode().ljust(self.size, b"."))


def _fill(folder: Path, files: int, size: int, chance: random.Random) -> None:
    folder.mkdir()
    for number in range(files):
        path = folder / f"folder-{number // _PER_FOLDER:04}" / f"file-{number % _PER_FOLDER:03}"
        if number % _PER_FOLDER == 0:
            path.parent.mkdir()
        with path.open("wb") as file:
            block = chance.randbytes(min(size, _BLOCK))
            for start in range(0, size, _BLOCK):
                file.write(block[: size - start])
