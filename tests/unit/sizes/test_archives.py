"""Archives in every shape that image tools write: the image that they hold."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives import HELD, LAYERS, SHAPES, checked, members, read, zstd
from making import (
    Link,
    attestation,
    config,
    cut,
    file,
    gzipped,
    image,
    index,
    layer,
    layout,
    legacy,
    modern,
    packed,
    sha256,
)

from tinyship.errors import ImageError
from tinyship.sizes import account, archive


@pytest.mark.parametrize("wrap", [bytes, gzipped, members, zstd])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: str, wrap: Callable[[bytes], bytes]) -> None:
    """The same image, whoever wrote the archive, compressed or not, in any order."""
    files = SHAPES[shape]()
    for order in (files, dict(reversed(files.items()))):
        checked(account.take(archive.read(cut(wrap(packed(order)), 1000), "made.tar")))


@pytest.mark.parametrize("prefix", ["./", "/", ".//"])
def test_names(prefix: str) -> None:
    """Tar writes names in several ways."""
    checked(account.take(read({prefix + name: what for name, what in legacy(LAYERS).items()})))


def test_layer_in_every_format() -> None:
    """A layer's tar may be of any age."""
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        made = layer(file("a", 5), format=form)
        assert account.take(read(legacy([made]))).held == (5,)


def test_layer_of_before_posix(tmp_path: Path) -> None:
    """Such a tar has no mark but its checksum."""
    (tmp_path / "{").write_bytes(b"12345")
    made = subprocess.run(
        ["tar", "--format=v7", "-C", str(tmp_path), "-c", "{"], check=True, capture_output=True
    ).stdout
    assert account.take(read(legacy([made]))).held == (5,)


def test_stored_bytes() -> None:
    """Those of a compressed blob; none for a tar, which a registry would compress first."""
    compressed = read(layout(image(LAYERS))).layers
    assert [one.stored for one in compressed] == [len(gzipped(tar)) for tar in LAYERS]
    assert {one.compression for one in compressed} == {"gzip"}
    assert {one.compression for one in read(layout(image(LAYERS, compress=zstd))).layers} == {"zstd"}
    assert {(one.stored, one.compression) for one in read(modern(LAYERS)).layers} == {(None, "")}


def test_layers_that_are_shared() -> None:
    """Docker links a layer that is there already; it counts twice all the same."""
    empty = layer()
    for files in (legacy([LAYERS[0], empty, empty]), legacy([LAYERS[0], LAYERS[0]])):
        assert any(isinstance(what, Link) for what in files.values())
        found = account.take(read(files))
        assert found.held[0] == 710
        assert found.live[-1] == found.held[-1]


def test_hard_links_in_the_archive() -> None:
    """A layer that is there already may be one, too."""
    files = legacy([LAYERS[0], LAYERS[0]])
    packed_up = io.BytesIO()
    with tarfile.open(fileobj=packed_up, mode="w") as tar:
        for name, what in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(what, Link):
                info.type, info.linkname = tarfile.LNKTYPE, what.target.removeprefix("../")
                tar.addfile(info)
            else:
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
    assert account.take(archive.read([packed_up.getvalue()], "made.tar")).held == (710, 710)


def two() -> dict[str, bytes | Link]:
    """Two images in one archive."""
    first, second = legacy(LAYERS, tag="foo:1"), legacy(LAYERS[:1], tag="foo:2")
    both = json.loads(str(first["manifest.json"], "utf-8")) + json.loads(str(second["manifest.json"], "utf-8"))  # type: ignore[arg-type]
    return {**first, **second, "manifest.json": json.dumps(both).encode()}


def test_several_images() -> None:
    """One has to be named; those that are there are told."""
    assert read(two(), wanted="foo:2").id == sha256(config(LAYERS[:1]))
    with pytest.raises(ImageError, match="holds 2 images") as error:
        read(two())
    assert "foo:1, foo:2" in str(error.value)
    with pytest.raises(ImageError, match="has no image foo:3"):
        read(two(), wanted="foo:3")


def test_several_images_of_a_layout() -> None:
    """They have names in annotations."""
    files = layout(
        image(LAYERS, org_opencontainers_image_ref_name="one"), image(LAYERS[:1], io_containerd_image_name="two")
    )
    assert read(files, wanted="two").id == sha256(config(LAYERS[:1]))
    with pytest.raises(ImageError, match="holds 2 images for linux/amd64\n  Those in it: one, two"):
        read(files)
    with pytest.raises(ImageError, match="no image three") as error:
        read(files, wanted="three")
    assert "one, two" in str(error.value)


def test_one_image_by_two_names() -> None:
    """It is one all the same."""
    made, again = image(LAYERS, a_b="x"), image(LAYERS, a_b="y")
    checked(account.take(read(layout(made, again))))


@pytest.mark.parametrize("said", [True, False])
def test_platforms(said: bool) -> None:
    """One of two is chosen; without a choice, those that are there are told."""
    arm = image(LAYERS[:1], arch="arm64", said=said)
    files = layout(index(image(LAYERS, said=said), arm, attestation(arm)))
    assert read(files, platform="linux/arm64").platform == "linux/arm64"
    assert len(read(files, platform="linux/amd64").layers) == 3
    with pytest.raises(ImageError, match="several images: linux/amd64, linux/arm64"):
        read(files)
    with pytest.raises(ImageError, match="no image for linux/s390x"):
        read(files, platform="linux/s390x")
    with pytest.raises(ImageError, match="no image for linux/arm"):
        read(files, platform="linux/arm")


def test_platforms_that_are_not_there() -> None:
    """An engine saves the whole index of an image that it pulled for one platform."""
    arm = image(LAYERS[:1], arch="arm64")
    files = {name: what for name, what in layout(index(image(LAYERS), arm)).items() if name not in arm.blobs}
    checked(account.take(read({**files, **image(LAYERS).blobs})))
    with pytest.raises(ImageError, match="no image for linux/arm64"):
        read({**files, **image(LAYERS).blobs}, platform="linux/arm64")
    with pytest.raises(ImageError, match="does not hold"):
        read({name: what for name, what in files.items() if name not in image(LAYERS).blobs})


def test_platform_of_a_saved_image() -> None:
    """Where only one is there, the choice must fit."""
    checked(account.take(read(legacy(LAYERS), platform="linux/amd64")))
    checked(account.take(read(modern(LAYERS), platform="linux/amd64")))
    for files in (legacy(LAYERS), modern(LAYERS)):
        with pytest.raises(ImageError, match="no image for linux/arm64"):
            read(files, platform="linux/arm64")


@pytest.mark.parametrize(
    ("history", "gap"),
    [
        ({"steps": ["one"]}, "its history names 1 of 3 layers"),
        ({"steps": [], "history": None}, "it has no history"),
        ({"history": "text"}, "it has no history"),
        ({"history": [1, None, []]}, "it has no history"),
        ({"history": [{"created_by": ["x"]}] * 3}, ""),
    ],
)
def test_history(history: dict[str, Any], gap: str) -> None:
    """A history that does not fit is a gap that is named; the numbers stand."""
    found = account.take(read(legacy(LAYERS, document=config(LAYERS, **history))))
    assert found.held == HELD
    assert [gap in notice for notice in found.notices] == ([True] if gap else [])


def test_history_with_empty_steps() -> None:
    """Instructions without a layer are passed over."""
    steps = [{"created_by": f"/bin/sh -c #(nop) COPY {number}"} for number in range(3)]
    history = [{"created_by": "ENV a=b", "empty_layer": True}, *steps, {"comment": "end", "empty_layer": True}]
    found = read(legacy(LAYERS, document=config(LAYERS, history=history)))
    assert [one.instruction for one in found.layers] == ["COPY 0", "COPY 1", "COPY 2"]
