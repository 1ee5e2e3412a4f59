"""Image layouts in folders: the same image as in an archive, or an error that says why not."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from making import Link, attestation, file, folder, gone, image, index, layer, layout, sha256, stored, write

from tinyship.errors import ImageError
from tinyship.sizes import account
from tinyship.sizes import layout as layouts

LAYERS = (layer(folder("d"), file("d/a", 700), file("b", 10)), layer(file("b", 20), gone("d")))
HELD = (710, 20)


def held(root: Path, *, wanted: str = "", platform: str = "") -> tuple[int, ...]:
    """What the layers of the image in a folder hold."""
    return account.take(layouts.read(root, wanted=wanted, platform=platform)).held


@pytest.mark.parametrize("nested", [0, 1, 3])
def test_reads(tmp_path: Path, nested: int) -> None:
    """An image, alone and below indexes, with an attestation beside it."""
    made = image(LAYERS)
    for _ in range(nested):
        made = index(made, attestation(made))
    write(tmp_path, layout(made))
    assert layouts.is_layout(tmp_path)
    assert held(tmp_path) == HELD
    (first, second) = layouts.read(tmp_path).layers
    assert (first.compression, second.compression) == ("gzip", "gzip")
    assert first.stored is not None


def test_plain_layers(tmp_path: Path) -> None:
    """Blobs that are tars have no bytes of a pull's own."""
    write(tmp_path, layout(image(LAYERS, compress=bytes)))
    assert {one.stored for one in layouts.read(tmp_path).layers} == {None}


def test_choices(tmp_path: Path) -> None:
    """By name and by platform."""
    arm = image(LAYERS[:1], arch="arm64", org_opencontainers_image_ref_name="arm")
    write(tmp_path, layout(image(LAYERS), arm))
    assert held(tmp_path, platform="linux/amd64") == HELD
    assert held(tmp_path, platform="linux/arm64") == held(tmp_path, wanted="arm") == HELD[:1]
    with pytest.raises(ImageError, match="several images: linux/amd64, linux/arm64"):
        layouts.read(tmp_path)
    with pytest.raises(ImageError, match="has no image other"):
        layouts.read(tmp_path, wanted="other")


def test_what_is_missing(tmp_path: Path) -> None:
    """Each file of it, but the one that says that it is a layout."""
    files = layout(image(LAYERS))
    for number, name in enumerate(files):
        root = write(tmp_path / str(number), {other: what for other, what in files.items() if other != name})
        if name == "oci-layout":
            assert held(root) == HELD
        else:
            with pytest.raises(ImageError):
                layouts.read(root)


def test_altered(tmp_path: Path) -> None:
    """A byte of any blob is told of, or it is one that nothing hangs on."""
    files = layout(image(LAYERS))
    for name, what in files.items():
        assert isinstance(what, bytes)
        place = write(tmp_path, files) / name
        place.write_bytes(what[:-1] + bytes([what[-1] ^ 1]))
        try:
            assert held(tmp_path) == HELD, name
        except ImageError:
            continue
        assert name == "oci-layout"


@pytest.mark.parametrize("at", range(1, 60, 7))
def test_cut_layers(tmp_path: Path, at: int) -> None:
    """Wherever a blob is cut."""
    name, blob = stored(image(LAYERS).blobs[f"blobs/sha256/{_digest(1)}"])  # type: ignore[arg-type]
    write(tmp_path, layout(image(LAYERS)))
    (tmp_path / name).write_bytes(blob[:-at])
    with pytest.raises(ImageError, match=r"cut short|cannot be read"):
        layouts.read(tmp_path)


def _digest(number: int) -> str:
    return list(image(LAYERS).blobs)[number].rpartition("/")[2]


def test_no_layout(tmp_path: Path) -> None:
    """A folder of anything else, a file, and nothing at all."""
    (tmp_path / "file").write_text("text")
    for place in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        assert not layouts.is_layout(place)
        with pytest.raises(ImageError, match=r"index\.json"):
            layouts.read(place)


def test_index_that_is_a_folder(tmp_path: Path) -> None:
    """It cannot be read, which is said."""
    write(tmp_path, layout(image(LAYERS)))
    (tmp_path / "index.json").unlink()
    (tmp_path / "index.json").mkdir()
    with pytest.raises(ImageError, match="cannot be read"):
        layouts.read(tmp_path)


@pytest.mark.parametrize(
    "digest", ["../../../etc/passwd", "sha256:../../x", "sha256:", "", ":", "sha256:" + "a" * 5000, "a/b:c", "x:\0"]
)
def test_digests_that_are_none(tmp_path: Path, digest: str) -> None:
    """None leads out of the folder."""
    made = image(LAYERS)
    made.descriptor["digest"] = digest
    write(tmp_path, layout(made))
    with pytest.raises(ImageError):
        layouts.read(tmp_path)


def test_links_in_circles(tmp_path: Path) -> None:
    """A blob that is a link to itself."""
    name = stored(image(LAYERS).blobs[f"blobs/sha256/{_digest(0)}"])[0]  # type: ignore[arg-type]
    files = {**layout(image(LAYERS)), name: Link(Path(name).name)}
    with pytest.raises(ImageError, match="cannot be read"):
        layouts.read(write(tmp_path, files))


def test_huge_documents(tmp_path: Path) -> None:
    """A config that is larger than any is not read."""
    files = layout(image(LAYERS))
    write(tmp_path, files)
    os.truncate(tmp_path / "index.json", 1 << 40)
    with pytest.raises(ImageError, match="larger than any"):
        layouts.read(tmp_path)


@contextmanager
def somebody() -> Iterator[None]:
    """Somebody without rights, where we are root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may look into; pytest's own are ours alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_no_permission(public: Path) -> None:
    """What may not be read is told by name: the folder, a document, a layer, an archive."""
    root = write(public / "layout", layout(image(LAYERS)))
    single = root / "blobs" / "sha256" / _digest(0)
    document = root / "index.json"
    for place in (single, document, root):
        mode = place.stat().st_mode
        place.chmod(0)
        try:
            with somebody(), pytest.raises(ImageError, match="Permission denied"):
                layouts.read(root)
            with somebody(), pytest.raises(ImageError, match="Permission denied"):
                list(layouts.pieces(place))
            with somebody():
                assert layouts.is_layout(root) is (place != root)
        finally:
            place.chmod(mode)
    assert held(root) == HELD


def test_pieces(tmp_path: Path) -> None:
    """A file comes a megabyte at a time; what is none is told of."""
    data = bytes(3 << 20) + b"end"
    (tmp_path / "file").write_bytes(data)
    assert [len(piece) for piece in layouts.pieces(tmp_path / "file")] == [1 << 20] * 3 + [3]
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ImageError, match="cannot be read"):
            list(layouts.pieces(place))


def test_digest_of_another_kind(tmp_path: Path) -> None:
    """A layer that the config does not name."""
    made = image(LAYERS)
    blobs = dict(made.blobs)
    first, second = (name for name in list(blobs)[:2])
    blobs[first] = blobs[second]
    assert sha256(b"") != first
    with pytest.raises(ImageError, match=r"not what the config says|bytes, not"):
        layouts.read(write(tmp_path, {**layout(made), **blobs}))
