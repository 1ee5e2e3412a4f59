"""Archives in every state of decay, or meant to do harm: errors that say why, and never a number."""

from __future__ import annotations

import bz2
import json
import lzma
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from archives import HELD, LAYERS, SHAPES, checked, read, told, zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from making import (
    Link,
    Made,
    config,
    damaged,
    file,
    folder,
    gzipped,
    image,
    index,
    layer,
    layout,
    legacy,
    packed,
    podman,
    sha256,
    stored,
)

from tinyship.errors import ImageError
from tinyship.sizes import account, archive


@pytest.mark.parametrize("shape", ["docker before 25", "docker", "podman", "layout"])
def test_what_is_missing(shape: str) -> None:
    """Each file that an image needs; and each that it does not."""
    files = SHAPES[shape]()
    whole = told(packed(files))
    for name in files:
        rest = packed({other: what for other, what in files.items() if other != name})
        needed = name.endswith((".tar", ".json")) or "blobs/" in name
        if shape == "docker" and (name in {"manifest.json", "index.json"} or name in _only_of_the_index(files)):
            needed = False  # one of both is enough
        if needed:
            with pytest.raises(ImageError):
                told(rest)
        else:
            assert told(rest)[:5] == whole[:5]


def _only_of_the_index(files: Mapping[str, bytes | Link]) -> set[str]:
    return {
        name
        for name, what in files.items()
        if isinstance(what, bytes) and what.startswith(b"{") and b'"mediaType"' in what and name.startswith("blobs/")
    }


@pytest.mark.parametrize("shape", ["docker before 25", "docker", "podman", "layout", "layout of zstd"])
def test_altered(shape: str) -> None:
    """A file that is not what it was: an error, or, where nothing hangs on it, the same account."""
    files = SHAPES[shape]()
    whole = told(packed(files))
    for name, what in files.items():
        if isinstance(what, Link):
            continue
        for at in (len(what) // 3, len(what) // 2, len(what) - 1):
            try:
                found = told(packed({**files, name: damaged(what, at, what[at] ^ 1)}))
            except ImageError:
                continue
            assert found == whole, (name, at)


def test_layer_that_is_another_one() -> None:
    """A layer is checked against the config."""
    files = podman(LAYERS)
    first, second, *_ = files
    with pytest.raises(ImageError, match=r"layer 1 of made\.tar is not what the config says"):
        read({**files, first: files[second]})


def test_config_that_was_altered() -> None:
    """A config is checked against its name."""
    files = legacy(LAYERS)
    name = next(name for name in files if name.endswith(".json"))
    with pytest.raises(ImageError, match=r"config of made\.tar is not what its name says"):
        read({**files, name: config(LAYERS, author="another one")})
    files = layout(image(LAYERS))
    name = stored(config(LAYERS))[0]
    with pytest.raises(ImageError, match="is not what its name says"):
        read({**files, name: config(LAYERS, author="another one")})


@pytest.mark.parametrize("change", [-1, 1])
def test_other_number_of_layers(change: int) -> None:
    """Manifest and config have to agree."""
    document = config(LAYERS[:2] if change < 0 else [*LAYERS, layer()])
    with pytest.raises(ImageError, match="3 layers in its manifest"):
        read(legacy(LAYERS, document=document))


@pytest.mark.parametrize(
    ("compress", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz"), (lambda data: b"?" + data, "no tar")]
)
def test_compression_that_is_not_known(compress: Callable[[bytes], bytes], name: str) -> None:
    """It is named: of a layer, and of the archive."""
    with pytest.raises(ImageError, match=name):
        read(layout(image(LAYERS, compress=compress)))
    with pytest.raises(ImageError, match=name):
        archive.read([compress(packed(legacy(LAYERS)))], "made.tar")


@pytest.mark.parametrize("entry", [file("../a", 1), file("d/../../a", 1)])
def test_layers_that_lead_out(entry: Any) -> None:
    """They are refused."""
    with pytest.raises(ImageError, match="leads out of the image"):
        read(legacy([layer(entry)]))


def test_archive_that_leads_out() -> None:
    """Nothing is written, so that names are only names; what the image needs is found or not."""
    files = {**legacy(LAYERS), "../../etc/passwd": b"x", "/etc/shadow": b"y"}
    checked(account.take(read(files)))


def test_links_in_circles() -> None:
    """A layer that is a link to itself is not there."""
    files = podman(LAYERS)
    first = next(iter(files))
    for target in (first, "../" * 50 + "x", "/etc/passwd", ""):
        with pytest.raises(ImageError, match="does not hold layer 1"):
            read({**files, first: Link(target)})


def test_docker_export() -> None:
    """A container's files are no image, which is said, with what to do."""
    with pytest.raises(ImageError, match=r"no archive of images: it has no manifest\.json and no index\.json") as error:
        archive.read([layer(folder("etc"), file("etc/passwd", b"root"), file("bin/sh", 5000))], "made.tar")
    assert "docker save" in str(error.value)


def test_archive_without_its_end() -> None:
    """An engine that fails in the middle closes what it writes as if it were whole."""
    for shape in SHAPES:
        files = {name: what for name, what in SHAPES[shape]().items() if name not in {"manifest.json", "index.json"}}
        with pytest.raises(ImageError, match="is cut short"):
            read(files)


@pytest.mark.parametrize("data", [b"", b"x", b"text" * 500, bytes(512), bytes(10240), b"{}", b"\x1f\x8b", gzipped(b"")])
def test_what_is_no_archive(data: bytes) -> None:
    """Empty, text, zeros, JSON, and half a compression."""
    with pytest.raises(ImageError, match=r"made\.tar"):
        archive.read([data], "made.tar")


DEEP = b"[" * 100_000 + b"]" * 100_000
NASTY = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"[1]",
    b'["a"]',
    b"[[]]",
    b"[{}]",
    b"[null]",
    b'[{"Config": 1, "Layers": 1}]',
    b'[{"Config": "a", "Layers": "abc"}]',
    b'[{"Config": "a", "Layers": [1], "RepoTags": [1]}, {"Config": "a", "Layers": null, "RepoTags": [[]]}]',
    b'[{"Config": "a", "Layers": [], "RepoTags": 7}]',
    b'{"manifests": null}',
    b'{"manifests": [1]}',
    b'{"manifests": [{"digest": 1}]}',
    b'{"manifests": [{"digest": "a", "annotations": 1}]}',
    b'{"manifests": [{"digest": "sha256:00", "annotations": [1], "platform": []}]}',
    b'{"manifests": [{"annotations": {"org.opencontainers.image.ref.name": [1]}}]}',
    DEEP,
    b'{"manifests": ' + DEEP + b"}",
    b"[" + b"9" * 10_000 + b"]",
    b"\xff\xfe",
    b"[NaN]",
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("name", ["manifest.json", "index.json"])
def test_documents_that_make_no_sense(name: str, text: bytes) -> None:
    """Each kind of JSON that is not what it should be, however deep."""
    files = legacy(LAYERS) if name == "manifest.json" else layout(image(LAYERS))
    for wanted in ("", "foo:1"):
        with pytest.raises(ImageError):
            read({**files, name: text}, wanted=wanted)


def around(manifest: bytes, document: bytes = b"{}", **platform: Any) -> dict[str, bytes | Link]:
    """A layout of an image with this manifest and this config."""
    made = Made({"digest": sha256(manifest), **platform}, dict(stored(one) for one in (manifest, document)))
    return {**layout(made), **image(LAYERS).blobs}


@pytest.mark.parametrize(
    "text",
    [
        *NASTY[1:],
        b'{"config": null, "layers": null}',
        b'{"config": {"digest": 5}, "layers": []}',
        b'{"config": {"digest": ["x"]}, "layers": {"a": 1}}',
        b'{"config": "text", "layers": ["a"]}',
        b'{"config": {"digest": "sha256:00"}, "layers": [{"digest": {}}]}',
        b'{"config": {"digest": "sha256:00"}, "layers": [null]}',
    ],
)
def test_manifests_that_make_no_sense(text: bytes) -> None:
    """They are no image's, which is said."""
    with pytest.raises(ImageError):
        read(around(text))
    with pytest.raises(ImageError):
        read(around(text, platform={"architecture": "amd64", "os": "linux"}))


@pytest.mark.parametrize(
    "document",
    [
        *NASTY[2:],
        b'{"rootfs": []}',
        b'{"rootfs": {"diff_ids": 3}}',
        b'{"rootfs": {"diff_ids": [1, 2, 3]}}',
        b'{"rootfs": {"diff_ids": ["a", "b", "c"]}, "history": {"a": 1}}',
        b'{"rootfs": {"diff_ids": []}}',
    ],
)
def test_configs_that_make_no_sense(document: bytes) -> None:
    """They name no layers, or others."""
    with pytest.raises(ImageError):
        read(legacy(LAYERS, document=document))
    manifest = json.loads(image(LAYERS).blobs[f"blobs/{image(LAYERS).descriptor['digest'].replace(':', '/')}"])  # type: ignore[arg-type]
    manifest["config"]["digest"] = sha256(document)
    with pytest.raises(ImageError):
        read(around(json.dumps(manifest).encode(), document))


@pytest.mark.parametrize("run", [None, [], "text", 5, {"Labels": None}, {"Labels": []}])
def test_labels_that_make_no_sense(run: Any) -> None:
    """They are none."""
    assert read(legacy(LAYERS, document=config(LAYERS, config=run))).labels == {}


def test_long_instructions() -> None:
    """A megabyte of blanks in an instruction does not take an hour."""
    text = "RUN a" + " " * 1_000_000 + "b # buildkit"
    found = read(legacy(LAYERS[:1], document=config(LAYERS[:1], steps=[text])))
    assert found.layers[0].instruction == text.removesuffix(" # buildkit")


def test_index_of_indexes() -> None:
    """One that holds itself many times over is read once, and not deeper than anybody nests."""
    made = index(image(LAYERS))
    for _ in range(3):
        made = index(*[made] * 50)
    checked(account.take(read(layout(made))))
    for _ in range(5):
        made = index(made)
    with pytest.raises(ImageError, match="an index in an index"):
        read(layout(made))


@pytest.mark.parametrize("size", [0, 10**12, "x", None, 1.5])
def test_size_in_the_manifest(size: Any) -> None:
    """What a pull transfers is what the manifest says; another number is told of."""
    made = image(LAYERS)
    manifest = json.loads(made.blobs[f"blobs/{made.descriptor['digest'].replace(':', '/')}"])  # type: ignore[arg-type]
    manifest["layers"][0]["size"] = size
    text = json.dumps(manifest).encode()
    files = around(text, config(LAYERS))
    if isinstance(size, int):
        with pytest.raises(ImageError, match="bytes, not"):
            read(files)
    else:
        assert account.take(read(files)).held == HELD


def test_layers_that_are_elsewhere() -> None:
    """Those of Windows are not in the image; there is nothing to count."""
    made = image(LAYERS)
    manifest = json.loads(made.blobs[f"blobs/{made.descriptor['digest'].replace(':', '/')}"])  # type: ignore[arg-type]
    manifest["layers"][0]["urls"] = ["https://example.com/layer"]
    with pytest.raises(ImageError, match="only linked from it"):
        read(around(json.dumps(manifest).encode(), config(LAYERS)))


@pytest.mark.parametrize("shape", ["docker before 25", "docker", "podman", "layout"])
def test_cut_archives(shape: str) -> None:
    """At each block: an error, or, where all that counts was there already, the same account."""
    data = packed(SHAPES[shape]())
    whole = told(data)
    errors = 0
    for at in range(0, len(data), 512):
        try:
            found = told(data[:at])
        except ImageError:
            errors += 1
            continue
        assert found[:5] == whole[:5]
        assert at > len(data) - 14_000  # the last files, and the padding behind them
    assert errors > 5


@pytest.mark.parametrize("compress", [bytes, gzipped, zstd])
def test_cut_layers(compress: Callable[[bytes], bytes]) -> None:
    """A layer that was cut at any block is an error, always, with names and sizes that fit it."""
    made = image(LAYERS, compress=compress)
    name, blob = stored(compress(LAYERS[2]))
    for at in range(0, len(blob), 512 if compress is bytes else 37):
        with pytest.raises(ImageError):
            read({**layout(made), name: blob[:at]})
    files = podman(LAYERS)
    place = list(files)[2]
    for at in range(0, len(LAYERS[2]), 512):
        with pytest.raises(ImageError):
            read({**files, place: LAYERS[2][:at]})


WHOLE = {shape: packed(make()) for shape, make in SHAPES.items() if shape in {"docker before 25", "docker", "layout"}}
TOLD = {shape: told(data) for shape, data in WHOLE.items()}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 7)), min_size=1, max_size=3)
)
def test_random_damage(shape: str, flips: list[tuple[float, int]]) -> None:
    """Bits that flipped anywhere: an error of ours, or the same account; never a wrong one."""
    data = WHOLE[shape]
    for where, bit in flips:
        at = int(where * len(data))
        data = damaged(data, at, data[at] ^ 1 << bit)
    try:
        found = told(data)
    except ImageError:
        return
    assert found == TOLD[shape]


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers of an archive together have a limit, before they fill the memory."""
    monkeypatch.setattr("tinyship.sizes.layer.MOST_ENTRIES", 30)
    monkeypatch.setattr("tinyship.sizes.account.MOST_ENTRIES", 30)
    many = [layer(*(file(f"{number}/{one}") for one in range(9))) for number in range(4)]
    with pytest.raises(ImageError):
        account.take(read(legacy(many)))


def test_too_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are kept, so that they have a limit too."""
    monkeypatch.setattr("tinyship.sizes.archive._MOST_DOCUMENTS", 10_000)
    files = {**legacy(LAYERS), **{f"{number}.txt": b"{" + bytes(1000) for number in range(20)}}
    with pytest.raises(ImageError, match="more documents"):
        read(files)


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_bombs(tmp_path: Path, how: str) -> None:
    """A kilobyte that unpacks to a gigabyte is read in a few megabytes."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import resource, sys, tarfile, zlib
import zstandard
sys.path.insert(0, {str(Path(__file__).parent)!r})
from making import layout, image, packed
from tinyship.errors import ImageError
from tinyship.sizes import archive
info = tarfile.TarInfo("zeros")
info.size = 1 << 30
state = zlib.compressobj(9, zlib.DEFLATED, 31) if {how!r} == "gzip" else zstandard.ZstdCompressor().compressobj()
blob = state.compress(info.tobuf())
for _ in range(1024):
    blob += state.compress(bytes(1 << 20))
blob += state.compress(bytes(1024)) + state.flush()
data = packed(layout(image([b""], compress=lambda _: blob)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    archive.read([data], "bomb")
except ImageError as error:
    assert "is not what the config says" in str(error), error
else:
    raise AssertionError
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60_000  # kB
