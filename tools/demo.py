"""The demonstration: `examples/foo` in a throw-away repository, released and pushed by its own tasks.

python -m tools.demo        its output unaltered; `./dev release` calls it
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
WORDS = ("release", "push")


@contextmanager
def repository() -> Iterator[Path]:
    """A throw-away git repository with the examples in it, tagged v1.0.0."""
    with tempfile.TemporaryDirectory(prefix="tinyship-") as folder:
        root = Path(folder)
        ignored = shutil.ignore_patterns("bin", ".tinyship", "__pycache__")
        for example in ("foo", "multistage"):
            shutil.copytree(EXAMPLES / example, root / example, ignore=ignored)
        for words in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            ("-c", "user.name=tinyship", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", "First"),
            ("tag", "v1.0.0"),
        ):
            subprocess.run(["git", *words], cwd=root, check=True)
        yield root


def place(registry: str) -> str:
    """Somewhere in a registry that has nothing yet.

    Each throw-away repository has a commit of its own, and a version that was released once stays what it is.
    """
    return f"{registry}/{secrets.token_hex(2)}"


def environment() -> dict[str, str]:
    """What the project's tasks run in: a place in the registry of this machine as the one to push to."""
    return {**os.environ, "TINYSHIP_PUSH_TO": place(os.environ["DEV_REGISTRY"])}


def main() -> None:
    """Release and push."""
    with repository() as root:
        done = subprocess.run([sys.executable, "-m", "invoke", *WORDS], cwd=root / "foo", env=environment())
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
