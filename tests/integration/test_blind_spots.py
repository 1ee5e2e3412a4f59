"""What BuildKit does not see on its own: it asks for a file again only when size, time and the like differ."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyship.context.source import Context
from tinyship.engine import containers
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.engine.request import BuildRequest
from tinyship.errors import TinyshipError
from tinyship.events import ignore

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit")]
LONG_AGO = 1_500_000_000 * 10**9


class Folder:
    """A context that is built again and again."""

    def __init__(self, engine: Engine, root: Path, tag: str) -> None:
        self.engine = engine
        self.root = root / "context"
        self.state = root / "project"
        self.tag = tag
        (self.root / "sub").mkdir(parents=True)
        self.state.mkdir()
        for name in ["a", "b", "sub/c"]:
            (self.root / name).write_text(f"{tag} {name}")
        (self.root / "link").symlink_to("a")
        (self.root / "Dockerfile").write_text("FROM scratch\nCOPY . /all\n")
        self.age()

    def age(self) -> None:
        """Give everything the same times."""
        for path in [self.root, *self.root.rglob("*")]:
            os.utime(path, ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)

    def build(self, **contexts: Path) -> str:
        """Build it; returns the image's id."""
        context = Context.open(self.root, self.root / "Dockerfile")
        request = BuildRequest(context=context, tags=(self.tag,), contexts=contexts, state=self.state)
        return BuildKitBuilder(self.engine).build(request, ignore).image_id

    def files(self) -> dict[str, tuple[int, float, bytes]]:
        """What is in the image: permissions, time, and content or target, by name."""
        with containers.container(self.engine, ContainerRequest(image=self.tag, command=("/none",))) as container:
            chunks, _ = self.engine.api.get_archive(container, "/all")
            packed = io.BytesIO(b"".join(chunks))
        found = {}
        with tarfile.open(fileobj=packed) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                text = content.read() if content else os.fsencode(member.linkname)
                found[member.name.removeprefix("all/")] = (stat.S_IMODE(member.mode), float(member.mtime), text)
        return found

    def expected(self) -> dict[str, tuple[int, bytes]]:
        """What has to be in the image, by the folder."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            text = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[path.relative_to(self.root).as_posix()] = (stat.S_IMODE(path.lstat().st_mode), text)
        return found

    def check(self) -> None:
        """Build it, and compare what comes out with what is here."""
        self.build()
        made = {name: (mode, text) for name, (mode, _, text) in self.files().items() if name != "all"}
        assert made == self.expected()


@pytest.fixture
def folder(engine: Engine, tmp_path: Path, namespace: str) -> Folder:
    """A context of the test's own."""
    return Folder(engine, tmp_path, f"{namespace}/blind:1")


def other_content(root: Path) -> None:
    """The same size and time."""
    (root / "a").write_text((root / "a").read_text().upper())


def other_file(root: Path) -> None:
    """Another file in its place, of the same size and time."""
    (root / "new").write_text((root / "a").read_text().upper())
    (root / "new").replace(root / "a")


def other_mode(root: Path) -> None:
    """A program."""
    (root / "sub" / "c").chmod(0o755)


def other_folder_mode(root: Path) -> None:
    """A private folder."""
    (root / "sub").chmod(0o700)


def other_target(root: Path) -> None:
    """A link to another file whose name has the same length."""
    (root / "link").unlink()
    (root / "link").symlink_to("b")


@pytest.mark.parametrize("change", [other_content, other_file, other_mode, other_folder_mode, other_target])
def test_nothing_is_missed(folder: Folder, change: Callable[[Path], None]) -> None:
    """A change that leaves size and time as they were comes into the image, and so does the way back."""
    folder.check()
    before = folder.expected()
    change(folder.root)
    folder.age()
    assert folder.expected() != before
    folder.check()


def test_back_and_forth(folder: Folder) -> None:
    """One content and another under the same size and time, in turns."""
    for _ in range(2):
        folder.check()
        other_content(folder.root)
        folder.age()
        folder.check()
        (folder.root / "a").write_text(f"{folder.tag} a")
        folder.age()


def test_images_are_the_same(folder: Folder) -> None:
    """What was doubted and found to be the same gives the same image, with the same times in whole seconds."""
    first = folder.build()
    files = folder.files()
    for path in folder.root.rglob("*"):
        path.chmod(stat.S_IMODE(path.stat().st_mode))
    assert folder.build() == first
    assert folder.files() == files
    assert {when for name, (_, when, _) in files.items() if name in {"a", "b", "sub/c"}} == {LONG_AGO / 10**9}


def test_another_dockerfile(folder: Folder) -> None:
    """A Dockerfile and an ignore file that change under the same size and time are read again."""
    (folder.root / ".dockerignore").write_text("a\n")
    folder.age()
    folder.build()
    assert "a" not in folder.files()
    (folder.root / ".dockerignore").write_text("b\n")
    folder.age()
    folder.build()
    assert "b" not in folder.files()
    (folder.root / "Dockerfile").write_text("FROM scratch\nCOPY a /all\n")
    folder.age()
    folder.build()
    assert folder.files()["all"][2] == b"%s a" % folder.tag.encode()


def test_without_memory(folder: Folder) -> None:
    """Where what was told is forgotten, everything is sent."""
    folder.check()
    shutil.rmtree(folder.state / ".tinyship")
    other_content(folder.root)
    folder.age()
    folder.check()


def test_a_build_that_fails(folder: Folder) -> None:
    """What a build that failed has taken counts too."""
    folder.check()
    text = (folder.root / "Dockerfile").read_text()
    other_content(folder.root)
    (folder.root / "Dockerfile").write_text(f"{text}COPY none /\n")
    folder.age()
    with pytest.raises(TinyshipError):
        folder.build()
    (folder.root / "a").write_text(f"{folder.tag} a")
    (folder.root / "Dockerfile").write_text(text)
    folder.age()
    folder.check()


@pytest.mark.needs("buildkit of 23")
def test_named_contexts(folder: Folder, tmp_path: Path) -> None:
    """The folder of a named context is one like the context's own."""
    named = tmp_path / "named"
    (named / "sub").mkdir(parents=True)
    (folder.root / "Dockerfile").write_text("FROM scratch\nCOPY --from=more . /all/\n")
    for text, mode in [("1", 0o755), ("2", 0o755), ("2", 0o700), ("1", 0o700)]:
        (named / "x").write_text(text)
        os.utime(named / "x", ns=(LONG_AGO, LONG_AGO))
        (named / "sub").chmod(mode)
        folder.build(more=named)
        files = folder.files()
        assert (files["x"][2], files["sub"][0]) == (text.encode(), mode)
