"""Contexts on a real engine: what BuildKit and the classic builder make of the same folder, odd files and all."""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tinyship.context.source import Context
from tinyship.context.walk import Entry
from tinyship.engine import containers
from tinyship.engine.buildkit import filesync, selection
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.engine.request import BuildRequest
from tinyship.errors import ContextError
from tinyship.events import ignore

pytestmark = pytest.mark.engine
Builder = type[BuildKitBuilder | ClassicBuilder]
both = pytest.mark.parametrize("kind", [BuildKitBuilder, ClassicBuilder], ids=["buildkit", "classic"])


def build(engine: Engine, kind: Builder, root: Path, tag: str) -> None:
    """Build an image that has all of a context below /all."""
    root.joinpath("Dockerfile").write_text("FROM scratch\nCOPY . /all\n")
    context = Context.open(root, root / "Dockerfile")
    kind(engine).build(BuildRequest(context=context, tags=(tag,), no_cache=True), ignore)


def files(engine: Engine, image: str) -> dict[str, tuple[bytes, int, bytes]]:
    """What is below /all in an image but the Dockerfile: type, permissions, and content or target, by name."""
    with containers.container(engine, ContainerRequest(image=image, command=("/none",))) as container:
        chunks, _ = engine.api.get_archive(container, "/all")
        packed = io.BytesIO(b"".join(chunks))
    found = {}
    with tarfile.open(fileobj=packed) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            text = content.read() if content else os.fsencode(member.linkname)
            found[member.name.removeprefix("all/")] = (member.type, stat.S_IMODE(member.mode), text)
    return {name: entry for name, entry in found.items() if name not in {"all", "Dockerfile", ".dockerignore"}}


def from_both(engine: Engine, root: Path, namespace: str) -> dict[str, tuple[bytes, int, bytes]]:
    """What both builders make of a context; the same."""
    made = []
    for kind in (BuildKitBuilder, ClassicBuilder):
        build(engine, kind, root, f"{namespace}/{kind.name}:1")
        made.append(files(engine, f"{namespace}/{kind.name}:1"))
    assert made[0] == made[1]
    return made[0]


def test_odd_names(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """Whatever is UTF-8 is a name, of files, of folders, and of what links lead to."""
    names = [
        "-dash", " space ", "new\nline", "tab\there", "quo'te\"s", "back\\slash", "*", "[x]", "dol$lar", "#hash",
        "!bang", "a:b", "ü", "\U0001f600", "\ufffd", "n" * 255, "...", "~",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).write_text(name)
        (tmp_path / f"d{name[:200]}").mkdir()
        (tmp_path / f"d{name[:200]}" / name).symlink_to(name)
    found = from_both(engine, tmp_path, namespace)
    assert {path for path in found if "/" not in path} == {*names, *(f"d{name[:200]}" for name in names)}
    assert all(found[name] == (b"0", 0o644, name.encode()) for name in names)
    assert all(found[f"d{name[:200]}/{name}"][2] == name.encode() for name in names)


def test_modes_and_links(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """Permissions, sticky and setgid folders, empty folders, hard links, and links that lead anywhere."""
    for name in ("file", "locked", "sticky"):
        (tmp_path / name).write_text(name)
    for name in ("empty", "tmp", "shared"):
        (tmp_path / name).mkdir()
    modes = {"file": 0o751, "locked": 0o000, "sticky": 0o1644, "tmp": 0o1777, "shared": 0o2775, "empty": 0o700}
    for name, mode in modes.items():
        (tmp_path / name).chmod(mode)
    os.link(tmp_path / "file", tmp_path / "second")
    targets = {"absolute": "/etc/passwd", "dangling": "no/where", "loop": "loop", "ping": "pong", "pong": "ping"}
    for name, target in targets.items():
        (tmp_path / name).symlink_to(target)
    found = from_both(engine, tmp_path, namespace)
    assert {name: found[name][1] for name in modes} == modes
    assert {name: found[name][2].decode() for name in targets} == targets
    assert found["second"] == found["file"] == (b"0", 0o751, b"file")
    (tmp_path / "empty").chmod(0o755)


def test_setuid(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """BuildKit keeps the bits of a file; the classic builder drops them as it makes root the owner."""
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o6755)
    build(engine, BuildKitBuilder, tmp_path, f"{namespace}/setuid:1")
    assert files(engine, f"{namespace}/setuid:1")["file"][1] == 0o6755


@both
def test_special_files(
    engine: Engine, tmp_path: Path, namespace: str, kind: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sockets stay out; pipes and devices are the engine's matter; neither keeps the rest from arriving."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        os.mkfifo("pipe")
        try:
            os.mknod("null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            Path("null").touch()
        Path("zzz").write_text("zzz")
        build(engine, kind, tmp_path, f"{namespace}/special:1")
    found = files(engine, f"{namespace}/special:1")
    assert found["zzz"][2] == b"zzz"
    assert set(found) - {"pipe", "null"} == {"zzz"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"", {"a", "a/b.md", "a/c.txt", "B.md", "d.md", "e f", "x"}),
        (b"\xef\xbb\xbf#a\r\n\r\n  /a/b.md  \r\n./x\r\n", {"a", "a/c.txt", "B.md", "d.md", "e f"}),
        (b"*.md\n#d\n #d\n", {"a", "a/b.md", "a/c.txt", "e f", "x"}),
        (b"**/*.md\n!a\n", {"a", "a/c.txt", "e f", "x"}),
        (b"*\n!a/c*\n!**/B*\n", {"a", "a/c.txt", "B.md"}),
        (b"a\n!a/c.txt\na/./c.txt/\n", {"B.md", "d.md", "e f", "x"}),
        (b"[^a-d]*\n\\d.md\n", {"a", "a/b.md", "a/c.txt", "d.md"}),
        (b"?\ne f\n**b.md\n", {"B.md", "d.md"}),
        (b"a/**\n!a/b.md\n", {"a", "a/b.md", "B.md", "d.md", "e f", "x"}),
    ],
)
def test_ignore_files(engine: Engine, tmp_path: Path, namespace: str, text: bytes, left: set[str]) -> None:
    """Both builders leave out the same: BuildKit reads the file itself and asks us to, for the other we read it."""
    for name in ("a/b.md", "a/c.txt", "B.md", "d.md", "e f", "x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_bytes(text)
    assert set(from_both(engine, tmp_path, namespace)) == left


@both
@pytest.mark.parametrize("where", ["root", "own"])
def test_ignore_files_that_are_links(engine: Engine, tmp_path: Path, namespace: str, kind: Builder, where: str) -> None:
    """A Dockerfile and an ignore file may be links that lead out of the context, and have odd names."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /all\n")
    (tmp_path / "ignore").write_text("secret\n")
    for name in ("secret", "open"):
        (root / name).touch()
    (root / "Dockerfile [1]").symlink_to("../Dockerfile")
    (root / (".dockerignore" if where == "root" else "Dockerfile [1].dockerignore")).symlink_to("../ignore")
    context = Context.open(root, root / "Dockerfile [1]")
    kind(engine).build(BuildRequest(context=context, tags=(f"{namespace}/links:1",)), ignore)
    found = files(engine, f"{namespace}/links:1")
    assert "open" in found
    assert "secret" not in found


@pytest.mark.parametrize("line", [b"bad*", b"bad\xff", b"**/bad\xff", b"b\xc3\xbc\nbad?", b"*\n!good"])
def test_names_that_are_no_utf8_are_ignored(engine: Engine, tmp_path: Path, namespace: str, line: bytes) -> None:
    """What the ignore file names does not have to be UTF-8 for either builder."""
    for name in ("good", "bad\udcff"):
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_bytes(line)
    assert set(from_both(engine, tmp_path, namespace)) == {"good"}


def test_names_that_are_no_utf8(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """BuildKit cannot take them, and the error says what to do; the classic builder can."""
    (tmp_path / "bad\udcff").write_text("x")
    with pytest.raises(ContextError, match=r"the name of bad\\xff is no UTF-8") as caught:
        build(engine, BuildKitBuilder, tmp_path, f"{namespace}/utf8:1")
    assert "builder: classic" in caught.value.hint
    build(engine, ClassicBuilder, tmp_path, f"{namespace}/utf8:1")
    assert set(files(engine, f"{namespace}/utf8:1")) == {"bad\udcff"}


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's rights, but still of the group to which the engine's socket belongs."""
    if os.geteuid() != 0:
        yield
        return
    scheme, _, address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    try:
        if scheme == "unix":
            os.setegid(Path(address).stat().st_gid)
        os.seteuid(65534)
    except OSError as error:
        pytest.skip(f"root cannot give its rights up here: {error}")
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@both
@pytest.mark.parametrize("what", ["file", "folder"])
def test_unreadable(engine: Engine, namespace: str, kind: Builder, what: str) -> None:
    """What cannot be read is one error that names it; ignored it is none."""
    root = Path(tempfile.mkdtemp())  # others may come here
    try:
        root.chmod(0o755)
        (root / "folder").mkdir()
        (root / "folder" / "file").touch()
        (root / "Dockerfile").write_text("FROM scratch\nCOPY . /all\n")
        (root / "folder" if what == "folder" else root / "folder" / "file").chmod(0)
        request = BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(f"{namespace}/x:1",))
        kind(engine).build(request, ignore)  # as root, who may; all is imported then
        (root / "folder" / "file").write_text(namespace)  # so that it is asked for again
        with nobody():
            named = "the folder folder of the context" if what == "folder" else "folder/file"
            with pytest.raises(ContextError, match=f"{named} cannot be read: Permission denied"):
                kind(engine).build(request, ignore)
        (root / ".dockerignore").write_text("folder\n")
        request = BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(f"{namespace}/x:1",))
        with nobody():
            kind(engine).build(request, ignore)
    finally:
        (root / "folder").chmod(0o755)
        shutil.rmtree(root)


def between(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let something happen once, after BuildKit was told of all files and before any is sent."""
    done: list[bool] = []

    def entries(root: Path, headers: Any, known: Any = None, **more: Any) -> Iterator[Entry]:
        yield from selection.entries(root, headers, known, **more)
        if not done and "exclude-patterns" in headers:
            done.append(True)
            change()

    monkeypatch.setattr(filesync, "entries", entries)


@pytest.mark.parametrize(("change", "now"), [("grow", b"x" * 200_000), ("shrink", b"xx")])
def test_files_that_change_their_size(
    engine: Engine, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch, change: str, now: bytes
) -> None:
    """The build goes on with what was there, cut at what BuildKit was told; the next one has the file as it is then."""
    (tmp_path / ".dockerignore").write_text("none\n")
    (tmp_path / "a").write_bytes(b"x" * 200_000)
    (tmp_path / "b").write_text(namespace)
    after = b"x" * 900_000 if change == "grow" else b"xx"
    between(monkeypatch, lambda: (tmp_path / "a").write_bytes(after))
    for expected in (now, after, after):
        build(engine, BuildKitBuilder, tmp_path, f"{namespace}/size:1")
        found = files(engine, f"{namespace}/size:1")
        assert (found["a"][2] == expected, found["b"][2]) == (True, namespace.encode())


def test_files_that_vanish(engine: Engine, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build fails and names the file, where `docker build` makes an image with an empty one; the next one works."""
    (tmp_path / ".dockerignore").write_text("none\n")
    (tmp_path / "a").write_text(namespace)
    (tmp_path / "b").write_text(namespace)
    between(monkeypatch, (tmp_path / "a").unlink)
    with pytest.raises(ContextError, match="a vanished while the context was sent"):
        build(engine, BuildKitBuilder, tmp_path, f"{namespace}/gone:1")
    build(engine, BuildKitBuilder, tmp_path, f"{namespace}/gone:1")
    assert files(engine, f"{namespace}/gone:1") == {"b": (b"0", 0o644, namespace.encode())}


def test_folders_that_vanish(engine: Engine, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for all that was in a folder."""
    (tmp_path / ".dockerignore").write_text("none\n")
    (tmp_path / "folder").mkdir()
    for number in range(200):
        (tmp_path / "folder" / f"{number:03}").write_text(namespace)
    between(monkeypatch, lambda: shutil.rmtree(tmp_path / "folder"))
    with pytest.raises(ContextError, match=r"^folder/\d+ vanished while the context was sent"):
        build(engine, BuildKitBuilder, tmp_path, f"{namespace}/gone:1")


@pytest.mark.slow
@both
def test_ignore_file_of_40_000_lines(engine: Engine, tmp_path: Path, namespace: str, kind: Builder) -> None:
    """A megabyte of patterns, of which each leaves out one file."""
    (tmp_path / "some" / "folder").mkdir(parents=True)
    for number in range(100):
        (tmp_path / "some" / "folder" / f"file-{number * 399:05}.bin").touch()
        (tmp_path / "some" / "folder" / f"keep-{number * 399:05}.bin").touch()
    (tmp_path / ".dockerignore").write_text("".join(f"some/folder/file-{number:05}.bin\n" for number in range(40_000)))
    build(engine, kind, tmp_path, f"{namespace}/lines:1")
    found = files(engine, f"{namespace}/lines:1")
    assert (len(found), sum("keep" in name for name in found)) == (102, 100)


@pytest.mark.slow
@both
def test_large_sparse_file(engine: Engine, tmp_path: Path, namespace: str, kind: Builder) -> None:
    """Holes arrive as zeros."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(300 << 20)
    build(engine, kind, tmp_path, f"{namespace}/sparse:1")
    content = files(engine, f"{namespace}/sparse:1")["sparse"][2]
    assert (len(content), content.strip(b"\0")) == (300 << 20, b"")
