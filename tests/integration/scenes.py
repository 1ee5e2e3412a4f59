"""What a reader has before each page that needs an engine: a folder, names, and stand-ins for base images."""

from __future__ import annotations

import base64
import io
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import guarded
import scenes_of_docs
import shops
from tests.conftest import Repository
from tests.pages import ROOT
from tests.playing import Player, copied

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.events import ignore

_APPLETS = ("sh", "cat", "cp", "dirname", "echo", "env", "ls", "mkdir", "mv", "rm", "test", "true", "wget")
_GO = "tinyship-test-go:latest"
_OF_GO = ["ENV PATH=/usr/local/go/bin:/bin HOME=/root GOPATH=/go GOTOOLCHAIN=local GOPROXY=off", 'CMD ["sh"]']
_COMPILED = f"FROM {_GO}-cold\nRUN CGO_ENABLED=0 go build -trimpath net/http embed encoding/json\n"
_TASKS = {
    "tasks.py": '"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n',
    ".gitignore": ".tinyship/\n__pycache__/\nbin/\n",
}
_PYTHON = "tinyship-test-python:latest"


@dataclass(frozen=True)
class Scene:
    """What there is for a page.

    Args:
        place: an empty folder.
        engine: that docker-py finds.
        registry: host and port of the registry that takes pushes from anyone.
        word: the first part of the names of all images that the page makes; they go at the end.
        busybox: a base image with a shell.
        stack: what it holds ends with the page.
    """

    place: Path
    engine: Engine
    registry: str
    word: str
    busybox: str
    stack: ExitStack

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

    def names(self, owners: Sequence[str], *, go: str = "", busybox: str = "") -> dict[str, str]:
        """What owners of images are here, and the images that others stand in for."""
        names = dict.fromkeys(owners, f"{self.word}/")
        return names | ({go: self.go()} if go else {}) | ({busybox: self.busybox} if busybox else {})

    def go(self) -> str:
        """An image that stands in for Go's own: the real toolchain, and a shell; no builder compiled on it yet."""
        if not images.find(self.engine, _GO):
            with tempfile.TemporaryFile() as file:
                script = ROOT / "examples" / "foo" / "docker" / "gobuild.py"
                subprocess.run([sys.executable, str(script)], stdout=file, check=True)
                _add(file, {"etc/ssl/certs/ca-certificates.crt": _certificates(), **_shell()})
                _import(self.engine, file, f"{_GO}-cold", _OF_GO)
            compiled = io.BytesIO(_COMPILED.encode())
            self.engine.client.images.build(fileobj=compiled, tag=_GO, rm=True)
        name = f"{self.word}/go:1"
        fresh = io.BytesIO(f"FROM {_GO}\nENV READER={self.word}\n".encode())
        self.engine.client.images.build(fileobj=fresh, tag=name, rm=True)
        return name

    def python(self) -> str:
        """An image that stands in for Python's own: the interpreter that runs the tests, and a shell."""
        if not images.find(self.engine, _PYTHON):
            with tempfile.TemporaryFile() as file:
                script = ROOT / "examples" / "python-service" / "rootfs.py"
                subprocess.run([sys.executable, str(script)], stdout=file, check=True)
                _add(file, _shell())
                _import(self.engine, file, _PYTHON, ["ENV PATH=/usr/bin:/bin LD_LIBRARY_PATH=/lib"])
        return _PYTHON


def _certificates() -> bytes:
    """As many bytes as the real ones are, that compress as they do."""
    return base64.encodebytes(random.Random(1).randbytes(145_000))


def _shell() -> dict[str, bytes | str]:
    program = shutil.which("busybox")
    assert program
    return {"bin/busybox": Path(program).read_bytes(), **{f"bin/{applet}": "busybox" for applet in _APPLETS}}


def _add(file: IO[bytes], contents: Mapping[str, bytes | str]) -> None:
    """Add files to a tar, and links, whose contents are words."""
    file.seek(0)
    with tarfile.open(fileobj=file, mode="a") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))


def _import(engine: Engine, file: IO[bytes], name: str, changes: Sequence[str]) -> None:
    file.seek(0)
    images.import_rootfs(engine, iter(lambda: file.read(1 << 20), b""), name=name, changes=changes, events=ignore)


def ci(scene: Scene) -> Player:
    """In a project with a commit and a remote, beside the example."""
    copied("ci", scene.place / "ci")
    files = {"Dockerfile": "FROM scratch\nCOPY tasks.py /\n", ".gitignore": _TASKS[".gitignore"]}
    root = scene.repository("foo", files)
    remote = Repository(scene.folder("remote"))
    remote.git("config", "core.bare", "true")
    subprocess.run(["git", "remote", "add", "origin", str(remote.root)], cwd=root, check=True)
    return scene.reader(root, scene.names(("shop/",)))


def deploy(scene: Scene) -> Player:
    """In a copy of the example and of those whose scripts it runs, with a name and a port that are free."""
    names = scene.names(("lacion/",))
    for example in ("foo", "monorepo", "deploy"):
        copied(example, scene.place / "try" / example, names)
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = f"127.0.0.1:{free.getsockname()[1]}"
    scene.stack.callback(shops.cleared, scene.engine.client, scene.word)
    names |= {"shop-": f"{scene.word}-", "127.0.0.1:8080": front}
    variables = {"INVOKE_DEPLOY_NAME": scene.word, "INVOKE_DEPLOY_PUBLISH": front}
    return scene.reader(scene.place / "try" / "deploy", names, **variables)


def init(scene: Scene) -> Player:
    """From nothing but the files that the page has."""
    names = {"team/echo": f"{scene.word}/echo"}
    return scene.reader(scene.folder("echo"), names, TINYSHIP_ARGS=f"GO_IMAGE={scene.go()}")


def multistage(scene: Scene) -> Player:
    """In a folder with nothing but `tasks.py`."""
    return scene.reader(scene.repository("foo", _TASKS), scene.names(("shop/",), go="golang:1.24-alpine"))


def monorepo(scene: Scene) -> Player:
    """In a copy of the example."""
    names = {"lacion/": f"{scene.word}/"}
    return scene.reader(copied("monorepo", scene.place / "shop", names), names)


def private_registry(scene: Scene) -> Player:
    """Beside an empty registry there is one that wants a name and a password."""
    host = scene.stack.enter_context(guarded.running(scene.folder("guarded")))
    names = {**scene.names(("shop/",)), "registry.example.com": host}
    return scene.reader(scene.repository("foo", _TASKS), names)


def remote_engine(scene: Scene) -> Player:
    """The environment names no engine, and a context does: the one there is, by its address in place of `ssh`."""
    names = {**scene.names(("shop/",)), "ssh://ship@build.example.com": scene.engine.address}
    return scene.reader(scene.repository("foo", _TASKS), names, DOCKER_HOST="")


def secrets(scene: Scene) -> Player:
    """In a repository with nothing but `tasks.py`."""
    return scene.reader(scene.repository("foo", _TASKS), scene.names(("shop/",), busybox="alpine:3.22"))


def testing(scene: Scene) -> Player:
    """In an empty repository."""
    return scene.reader(scene.repository("page", {"README.md": "A page\n"}))


def tutorial(scene: Scene) -> Player:
    """From an empty folder; the two languages' images have stand-ins."""
    bases = f"GO_IMAGE={scene.go()},PYTHON_IMAGE={scene.python()}"
    names = {"hello:": f"{scene.word}/hello:", "": f"{scene.word}/"}
    return scene.reader(scene.folder("tutorial"), names, TINYSHIP_ARGS=bases, TINYSHIP_IMAGE=f"{scene.word}/hello")


SCENES: dict[str, Callable[[Scene], Player]] = {
    "docs/how-to/ci.md": ci,
    "docs/how-to/deploy.md": deploy,
    "docs/how-to/init.md": init,
    "docs/how-to/monorepo.md": monorepo,
    "docs/how-to/multistage.md": multistage,
    "docs/how-to/private-registry.md": private_registry,
    "docs/how-to/remote-engine.md": remote_engine,
    "docs/how-to/secrets.md": secrets,
    "docs/how-to/testing.md": testing,
    **scenes_of_docs.SCENES,
    "docs/tutorial.md": tutorial,
}
"""By the page."""
