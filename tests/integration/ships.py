"""A small project to release in tests: a base, a build image that compiles a shell script, a release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPILE = """#!/bin/sh
set -e
echo compiling for "$VERSION"
mkdir -p bin
{ echo '#!/bin/sh'; echo "echo $VERSION $GIT_COMMIT"; } > bin/foo
chmod 755 bin/foo
"""


@dataclass
class Ship:
    """A project in a git repository of its own, and the means to run its tasks as a user would.

    Args:
        root: its folder.
        image: its repository name.
        registry: where it pushes to, `host:port`.
        environment: that its tasks run in.
    """

    root: Path
    image: str
    registry: str
    environment: dict[str, str]

    @property
    def base(self) -> str:
        """The reference of its base image."""
        return f"{self.image}-base:latest"

    def invoke(self, *words: str, code: int | None = 0, folder: str = ".", **variables: str) -> Ran:
        """Run `invoke` with these words; `code` is the exit code that must come, None for any."""
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=self.root / folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        if code is not None:
            assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Ran(done.returncode, done.stdout, done.stderr)

    def git(self, *words: str) -> str:
        """Run git in the project."""
        done = subprocess.run(
            ["git", *words], cwd=self.root, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def configure(self, **changes: Any) -> None:
        """Lay these keys over the config, and commit it."""
        file = self.root / "invoke.json"
        config = json.loads(file.read_text())
        for key, value in changes.items():
            old = config["tinyship"].get(key)
            config["tinyship"][key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        file.write_text(json.dumps(config, indent=2))
        self.commit("configure")

    def begin(self, *tags: str) -> None:
        """Make a repository of the folder, with one commit that has these tags."""
        self.git("init", "-q", "-b", "main")
        self.commit("first")
        for tag in tags:
            self.git("tag", tag)

    def commit(self, message: str) -> None:
        """Commit all there is."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    @property
    def record(self) -> dict[str, Any]:
        """The entry of its only image in the record."""
        entry: dict[str, Any] = json.loads((self.root / ".tinyship" / "release.json").read_text())["images"][0]
        return entry


@dataclass(frozen=True)
class Ran:
    """What a run of invoke left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON on standard output."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def launch(root: Path, image: str, registry: str, busybox: str) -> Ship:
    """Make the project at `root`, tagged v1.0.0 and clean."""
    files = {
        "tasks.py": '"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n',
        "compile.sh": COMPILE,
        "src/main.txt": "source\n",
        "docker/Dockerfile.base": f"FROM {busybox}\nRUN echo base > /etc/base\n",
        "Dockerfile.build": f'FROM {image}-base:latest\nWORKDIR /src\nCMD ["sh", "compile.sh"]\n',
        "Dockerfile": (
            f"FROM {image}-base:latest\nARG GIT_COMMIT\nARG VERSION\n"
            'LABEL seen=$VERSION-$GIT_COMMIT\nCOPY bin/foo /bin/foo\nCMD ["/bin/foo"]\n'
        ),
        ".dockerignore": ".git\n.tinyship\n",
        ".gitignore": "bin/\n",
    }
    config = {
        "image": image,
        "base": [{"name": f"{image}-base:latest", "dockerfile": "docker/Dockerfile.base"}],
        "build": {"artifacts": ["bin/foo"], "test": ["sh", "-c", "test -f src/main.txt"]},
        "push": {"to": [registry], "tags": ["{version}", "{commit}", "latest"]},
    }
    for name, text in {**files, "invoke.json": json.dumps({"tinyship": config}, indent=2)}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    ship = Ship(root, image, registry, dict(os.environ))
    ship.begin("v1.0.0")
    return ship
