"""What a reader has before each page that needs an engine: a folder, names, and stand-ins for base images."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import scenes_of_docs
from tests.conftest import Repository
from tests.pages import ROOT
from tests.playing import Player

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.events import ignore

_APPLETS = ("sh", "cat", "cp", "dirname", "echo", "env", "ls", "mkdir", "mv", "rm", "test", "true", "wget")
_GO = "tinyship-test-go:latest"


@dataclass(frozen=True)
class Scene:
    """What there is for a page.

    Args:
        place: an empty folder.
        engine: that docker-py finds.
        registry: host and port of the registry that takes pushes from anyone.
        word: the first part of the names of all images that the page makes; they go at the end.
        busybox: a base image with a shell.
    """

    place: Path
    engine: Engine
    registry: str
    word: str
    busybox: str

    def reader(self, root: Path, names: Mapping[str, str] | None = None, **variables: str) -> Player:
        """Somebody in a folder of the scene, for whom `localhost:5000` and registry.example.com are the registry."""
        port = self.registry.rpartition(":")[2]
        registries = {"localhost:5000": f"localhost:{port}", "registry.example.com": f"127.0.0.1:{port}"}
        return Player(root, self.place / "reader", {**registries, **(names or {})}, **variables)

    def folder(self, name: str) -> Path:
        """An empty folder."""
        (self.place / name).mkdir()
        return self.place / name

    def repository(self, name: str, files: Mapping[str, str]) -> Path:
        """A folder with a repository that has these files in a commit."""
        repository = Repository(self.folder(name))
        for file, text in files.items():
            (repository.root / file).write_text(text)
        repository.git("add", "-A")
        repository.git("commit", "-q", "-m", "First")
        return repository.root

    def go(self) -> str:
        """An image that stands in for Go's own: the real toolchain, and a shell."""
        return _GO if images.find(self.engine, _GO) else _import_go(self.engine)


def _import_go(engine: Engine) -> str:
    program = shutil.which("busybox")
    assert program
    with tempfile.TemporaryFile() as file:
        toolchain = [sys.executable, str(ROOT / "examples" / "foo" / "docker" / "gobuild.py")]
        subprocess.run(toolchain, stdout=file, check=True)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="a") as tar:
            certificates = b"certificates\n" * 15_000
            for name, content in {
                "bin/busybox": Path(program).read_bytes(),
                "etc/ssl/certs/ca-certificates.crt": certificates,
            }.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))
            for applet in _APPLETS:
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
        file.seek(0)
        changes = [
            "ENV PATH=/usr/local/go/bin:/bin HOME=/root GOPATH=/go GOTOOLCHAIN=local GOFLAGS=-mod=mod GOPROXY=off",
            'CMD ["sh"]',
        ]
        images.import_rootfs(engine, iter(lambda: file.read(1 << 20), b""), name=_GO, changes=changes, events=ignore)
    return _GO


def init(scene: Scene) -> Player:
    """From nothing but the files that the page has."""
    names = {"team/echo": f"{scene.word}/echo"}
    return scene.reader(scene.folder("echo"), names, TINYSHIP_ARGS=f"GO_IMAGE={scene.go()}")


def testing(scene: Scene) -> Player:
    """In an empty repository."""
    return scene.reader(scene.repository("page", {"README.md": "A page\n"}))


SCENES: dict[str, Callable[[Scene], Player]] = {
    "docs/how-to/init.md": init,
    "docs/how-to/testing.md": testing,
    **scenes_of_docs.SCENES,
}
"""By the page."""
