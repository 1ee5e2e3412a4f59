"""What we say of an image's files and bytes, beside what real engines make of the same image."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

import pytest
from making import (
    Entry,
    attestation,
    cut,
    device,
    file,
    folder,
    gone,
    hardlink,
    image,
    index,
    layer,
    legacy,
    opaque,
    packed,
    symlink,
)
from making import layout as layout_of

from tinyship.context.source import Context
from tinyship.engine import builder, images
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, Output
from tinyship.errors import ImageError
from tinyship.events import ignore
from tinyship.sizes import account, archive, layout
from tinyship.sizes.account import Account
from tinyship.sizes.layer import Contents
from tinyship.sizes.tar import FILE, FOLDER, OTHER, SYMLINK

pytestmark = pytest.mark.engine

_ADDED = (
    ".dockerenv",
    "dev",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc",
    "run",
    "sys",
)
"""What engines put into every container."""


def _kept(path: str) -> bool:
    return bool(path) and not any(path == one or path.startswith(f"{one}/") for one in _ADDED)


def read(engine: Engine, name: str) -> Account:
    """The account of an image, as the engine saves it."""
    return account.take(archive.read(engine.api.get_image(name), name))


@contextmanager
def created(engine: Engine, name: str) -> Iterator[str]:
    """A container that never runs."""
    container = engine.api.create_container(name, command=["none"])["Id"]
    try:
        yield container
    finally:
        engine.api.remove_container(container, force=True, v=True)


Shown = tuple[dict[str, tuple[str, int, str]], set[frozenset[str]]]


def flattened(engine: Engine, name: str) -> Shown:
    """The files of an image, as the engine has them: kind, size and link target by path, and groups of hard links."""
    with created(engine, name) as container:
        whole = io.BytesIO(b"".join(engine.api.export(container)))
    files: dict[str, tuple[str, int, str]] = {}
    groups: dict[str, set[str]] = {}
    with tarfile.open(fileobj=whole) as tar:
        for info in tar:
            path = str(PurePosixPath(info.name)).strip("/").removeprefix("./")
            if not _kept(path) or path == ".":
                continue
            if info.islnk():
                first = str(PurePosixPath(info.linkname)).strip("/")
                files[path] = files[first]
                groups.setdefault(first, {first}).add(path)
            elif info.issym():
                files[path] = ("link", len(info.linkname.encode()), info.linkname)
            else:
                kind = "folder" if info.isdir() else "file" if info.isreg() else "other"
                files[path] = (kind, info.size if info.isreg() else 0, "")
    return files, {frozenset(group) for group in groups.values()}


def ours(found: Account) -> Shown:
    """The files of an image, as we account for them, in the same way."""
    kinds = {FILE: "file", FOLDER: "folder", SYMLINK: "link", OTHER: "other"}
    sizes: dict[int, int] = {}
    names: dict[int, set[str]] = {}
    for one in found.files:
        sizes[one.inode] = max(sizes.get(one.inode, 0), one.size)
        names.setdefault(one.inode, set()).add(one.path)
    targets = _targets(found)
    files = {
        one.path: (kinds[one.kind], sizes[one.inode], targets.get(one.inode, ""))
        for one in found.files
        if _kept(one.path)
    }
    return files, {frozenset(group) for group in names.values() if len(group) > 1}


def _targets(found: Account) -> dict[int, str]:
    """The targets of symlinks, by inode."""
    targets: dict[int, str] = {}
    for one in found.files:
        if one.kind == SYMLINK:
            contents = found.image.layers[one.layer].contents
            at = max(
                (at for at in contents.links if contents.kinds[at] == SYMLINK and contents.paths[at] == one.path),
                default=None,
            )
            if at is not None:
                targets[one.inode] = contents.links[at]
    return targets


def compared(engine: Engine, name: str, *, by_buildkit: bool = False) -> Account:
    """Read an image, and hold it against what the engine shows and weighs."""
    found = read(engine, name)
    assert ours(found) == flattened(engine, name)
    assert found.unpacked == sum(found.live) + found.dead_bytes
    if not engine.containerd_store and engine.has_buildkit:
        # A graph driver weighs links, but the layers that BuildKit gives it come with a weight that leaves them out.
        links = sum(_links(layer.contents) for layer in found.image.layers[1:]) if by_buildkit else 0
        assert found.unpacked - links == engine.api.inspect_image(name)["Size"]
    return found


def _links(contents: Contents) -> int:
    return sum(size for kind, size in zip(contents.kinds, contents.sizes, strict=True) if kind == SYMLINK)


def build(engine: Engine, kind: str, name: str, root: Path, dockerfile: str, *outputs: Output) -> None:
    """Build in one of the ways that the engine has."""
    if kind == "classic" and engine.has_buildkit:
        made: builder.Builder = ClassicBuilder(engine)
    elif kind == "classic":
        pytest.skip("Podman has one builder")
    else:
        made = builder.choose(engine, "auto")
    (root / "Dockerfile").write_text(dockerfile)
    (root / "more").write_text("more")
    made.build(
        BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(name,), no_cache=True, outputs=outputs),
        ignore,
    )


WRITE = "RUN mkdir -p /d/e && echo 12345 > /d/a && echo 123 > /d/e/b && echo 1 > /c && ln -s d/a /l\n"


@pytest.mark.parametrize(
    ("then", "dead"),
    [
        pytest.param("RUN rm /c", [("c", 2, "removed")], id="rm"),
        pytest.param(
            "RUN rm -r /d",
            [("d/a", 6, "removed with its folder"), ("d/e/b", 4, "removed with its folder")],
            id="rm -r",
        ),
        pytest.param("RUN echo other > /c", [("c", 2, "overwritten")], id="overwrite"),
        pytest.param("RUN chmod 600 /c", [("c", 2, "metadata")], id="chmod"),
        pytest.param("RUN ln /c /again", None, id="ln"),
        pytest.param("RUN rm -r /d && ln -s /tmp /d", None, id="folder by a link"),
        pytest.param("RUN rm -r /d && mkdir /d && echo x > /d/new", None, id="folder anew"),
        pytest.param("RUN rm /c && mkdir -p /c/d && echo x > /c/d/e", [("c", 2, "replaced")], id="file by a folder"),
        pytest.param("RUN rm /l && echo x > /l", [("l", 3, "replaced")], id="link by a file"),
        pytest.param("COPY more /d/a", [("d/a", 6, "overwritten")], id="COPY over"),
        pytest.param("RUN cat /c > /new && rm /c", [("c", 2, "removed")], id="moved"),
        pytest.param("RUN ln /c /again\nRUN rm /c\nRUN rm /again", None, id="hard link, and both gone"),
        pytest.param("RUN echo a > /x && ln /x /y && ln /x /d/z\nRUN rm /x", None, id="hard links in a layer"),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "classic"])
def test_each_kind_of_death(
    engine: Engine,
    busybox: str,
    namespace: str,
    tmp_path: Path,
    kind: str,
    then: str,
    dead: list[tuple[str, int, str]] | None,
) -> None:
    """What a Dockerfile removes, writes over, changes and replaces: by path, in bytes, and how."""
    name = f"{namespace}/foo:1"
    build(engine, kind, name, tmp_path, f"FROM {busybox}\n{WRITE}{then}\n")
    found = compared(engine, name, by_buildkit=kind == "auto")
    if dead is not None:
        died = [(one.path, one.size, one.cause) for one in found.dead if one.written]
        assert sorted(died) == sorted(dead)


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["auto", "classic"])
def test_instructions(engine: Engine, busybox: str, namespace: str, tmp_path: Path, kind: str) -> None:
    """Each layer has the instruction that made it."""
    name = f"{namespace}/foo:1"
    build(engine, kind, name, tmp_path, f"FROM {busybox}\nENV A=1\nCOPY more /m\nRUN rm /m\n")
    found = read(engine, name)
    assert not found.image.notices
    copied, removed = found.image.layers[-2:]
    assert copied.instruction.startswith("COPY")
    assert removed.instruction == "RUN rm /m"
    assert [(one.path, one.size) for one in found.dead] == [("m", 4)]


@pytest.mark.needs("buildkit", "containerd")
@pytest.mark.parametrize("form", ["oci", "docker"])
def test_archives_of_buildkit(
    engine: Engine, busybox: str, namespace: str, tmp_path: Path, form: Literal["oci", "docker"]
) -> None:
    """What BuildKit writes as an archive is the image that it puts into the engine."""
    name = f"{namespace}/foo:1"
    root = tmp_path / "context"
    root.mkdir()
    output = Output(form, {}, tmp_path / "made.tar")
    build(engine, "auto", name, root, f"FROM {busybox}\n{WRITE}RUN rm -r /d\n", output)
    made = account.take(archive.read(layout.pieces(tmp_path / "made.tar"), "made.tar"))
    found = compared(engine, name)
    assert (made.held, made.live, made.dead) == (found.held, found.live, found.dead)
    assert {one.compression for one in made.image.layers} == {"gzip"}


def loaded(engine: Engine, name: str, layers: Iterable[bytes]) -> None:
    """Have an image of these layers in the engine."""
    made = packed(legacy(list(layers), tag=name))
    images.load(engine, cut(made, 1 << 16), events=ignore)


NAMES = ("a", "b", "c")


def _path(chance: random.Random) -> str:
    return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))


def random_layers(seed: int, *, named: bool) -> list[bytes]:
    """Layers such as engines could have written: links lead to what is there, no path is named twice.

    Args:
        named: every folder around an entry has an entry of its own.
    """
    chance = random.Random(seed)
    stack = []
    for number in range(chance.randint(2, 7)):
        entries: list[Entry] = []
        kinds: dict[str, str] = {}
        hidden: set[str] = set()
        for _ in range(chance.randint(0, 9)):
            path = _path(chance)
            above = [path.rsplit("/", times)[0] for times in range(1, path.count("/") + 1)]
            below = [one for one in kinds if one.startswith(f"{path}/")]
            if path in kinds or path in hidden or below:
                continue
            if any(kinds.get(one, "folder") != "folder" or one in hidden for one in above):
                continue
            if named:
                entries += [folder(one) for one in reversed(above) if one not in kinds]
                kinds.update(dict.fromkeys(above, "folder"))
            what = chance.choice(["file", "file", "folder", "link", "hard", "device", "gone", "opaque"])
            if what == "file":
                entries.append(file(path, bytes(chance.randint(0, 3000)) + bytes([number])))
            elif what == "folder":
                entries.append(folder(path))
            elif what == "link":
                entries.append(symlink(path, chance.choice(["a", "/b", "../c", "nothing" * 20])))
            elif what == "hard":
                files = [one for one, kind in kinds.items() if kind == "file"]
                if not files:
                    continue
                entries.append(hardlink(path, chance.choice(files)))
            elif what == "device":
                entries.append(device(path))
            elif what == "gone":
                entries.append(gone(path))
                hidden.add(path)
                what = "folder"
            else:
                entries += [folder(path), opaque(path)]
                what = "folder"
            if path not in hidden:
                kinds[path] = what
            for one in above:
                kinds[one] = "folder"
        stack.append(layer(folder("etc"), file("x/base", b"base" * number), *entries))
    return stack


def _random(engine: Engine, namespace: str, seed: int, *, named: bool) -> None:
    name = f"{namespace}/random:{seed}"
    layers = random_layers(seed, named=named)
    loaded(engine, name, layers)
    direct = account.take(archive.read([packed(legacy(layers))], "made"))
    found = compared(engine, name)
    assert (found.held, found.live, found.dead) == (direct.held, direct.live, direct.dead)


@pytest.mark.parametrize("seed", range(25))
def test_random_images(engine: Engine, namespace: str, seed: int) -> None:
    """Images of random layers are for us what they are for the engine that loaded them."""
    _random(engine, namespace, seed, named=True)


@pytest.mark.parametrize("seed", range(25))
def test_random_images_without_folders(engine: Engine, namespace: str, seed: int) -> None:
    """Folders that have no entries are made where they are missing, in the place of whatever is there."""
    if engine.containerd_store:
        pytest.skip("containerd makes no folder in the place of a file or a link below it, and refuses such layers")
    _random(engine, namespace, 1000 + seed, named=False)


@pytest.mark.needs("containerd")
@pytest.mark.parametrize("whole", [True, False])
def test_platforms(engine: Engine, namespace: str, whole: bool) -> None:
    """An engine saves the whole index of an image; of the platforms in it, those are read that it has."""
    name = f"{namespace}/foo:1"
    amd = image([layer(folder("d"), file("d/a", 100)), layer(file("b", 5))])
    arm = image([layer(file("other", 9))], arch="arm64")
    files = layout_of(index(amd, arm, attestation(amd), io_containerd_image_name=f"docker.io/{name}"))
    there = {path: what for path, what in files.items() if whole or path not in arm.blobs}
    images.load(engine, [packed(there)], events=ignore)
    saved = b"".join(engine.api.get_image(name))

    def held(platform: str = "") -> tuple[int, ...]:
        return account.take(archive.read([saved], name, platform=platform)).held

    assert held(platform="linux/amd64") == (100, 5)
    if whole:
        assert held(platform="linux/arm64") == (9,)
    else:
        assert held() == (100, 5)
        with pytest.raises(ImageError, match="no image for linux/arm64"):
            held(platform="linux/arm64")
