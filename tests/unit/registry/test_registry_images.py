"""What a registry says of an image: the right one of several, its sizes, and manifests that make no sense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from registries import CONFIG, INDEX, LAYER, OCI, Server, Store, described, digest_of, serving, with_platform

from tinyship.errors import RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.descriptor import normal
from tinyship.registry.images import CONFIG_LIMIT, PlatformImage, RemoteLayer, find, platforms, pull_size

ATTESTS = {"vnd.docker.reference.type": "attestation-manifest"}


@pytest.fixture
def store() -> Store:
    """What the registry has."""
    return Store()


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    """The registry that has it."""
    with serving(store) as server:
        yield server


@pytest.fixture
def foo(server: Server) -> Iterator[Repository]:
    """Its repository `foo`."""
    with Repository(f"{server.host}/foo", credential=None, timeout=5) as repository:
        yield repository


def listed(store: Store, *names: str) -> list[dict[str, Any]]:
    """An image for each of these platforms, as an index lists it; each has a layer of another size."""
    return [with_platform(store.image(b"x" * (number + 1), platform=name), name) for number, name in enumerate(names)]


def attestation(store: Store, of: dict[str, Any]) -> dict[str, Any]:
    """What BuildKit lists beside an image: it looks like one."""
    entry = with_platform(store.image(b"provenance"), "unknown/unknown")
    return {**entry, "annotations": {**ATTESTS, "vnd.docker.reference.digest": of["digest"]}}


def asked(server: Server, kind: str) -> int:
    """How often content of a kind was asked for."""
    return sum(f"/{kind}/" in each.path for each in server.asked)


def test_image_without_an_index(store: Store, foo: Repository, server: Server) -> None:
    """Its layers, its config and its size, and no layer pulled."""
    entry = store.image(b"one", b"three", tag="1.0")
    image = find(foo, "1.0")
    config = json.dumps(image.config).encode()
    assert image.layers == tuple(RemoteLayer(digest_of(raw), len(raw), LAYER) for raw in (b"one", b"three"))
    assert image.pull == len(config) + 8 == pull_size(foo, "1.0")
    assert (image.reference, image.digest, image.index_digest) == ("1.0", entry["digest"], "")
    assert image.platform == "linux/amd64"
    assert image.manifest["config"]["digest"] == digest_of(config)
    assert asked(server, "blobs") == 1
    assert find(foo, entry["digest"]).layers == image.layers


def test_image_of_a_platform(store: Store, foo: Repository) -> None:
    """An index has several; attestations are none of them."""
    entries = listed(store, "linux/amd64", "linux/arm64", "linux/arm/v7")
    index = store.index(attestation(store, entries[0]), *entries, tag="1.0")
    for number, name in enumerate(("linux/amd64", "linux/arm64", "linux/arm/v7")):
        image = find(foo, "1.0", platform=name)
        assert (image.digest, image.platform) == (entries[number]["digest"], name)
        assert image.index_digest == index["digest"]
        assert image.layers[0].size == number + 1
        assert pull_size(foo, index["digest"], platform=name) == image.pull
    assert find(foo, "1.0").digest == entries[0]["digest"]
    assert [(each.platform, each.digest) for each in platforms(foo, "1.0")] == [
        (name, entry["digest"])
        for name, entry in zip(("linux/amd64", "linux/arm64", "linux/arm/v7"), entries, strict=True)
    ]
    assert platforms(foo, "1.0")[2].pull == pull_size(foo, "1.0", platform="linux/arm/v7")


def test_sizes_need_no_configs(store: Store, foo: Repository, server: Server) -> None:
    """The pull size is in the manifests alone."""
    store.index(*listed(store, "linux/amd64", "linux/arm64"), tag="1.0")
    assert pull_size(foo, "1.0", platform="linux/arm64") > 0
    assert len(platforms(foo, "1.0")) == 2
    assert asked(server, "blobs") == 0


@pytest.mark.parametrize("how", ["annotation", "platform", "artifact"])
def test_what_stands_beside_images(store: Store, foo: Repository, how: str) -> None:
    """Each way in which an entry says that it is no image is heard."""
    (image,) = listed(store, "linux/amd64")
    beside = {
        "annotation": with_platform(store.image(b"x"), "linux/arm64") | {"annotations": ATTESTS},
        "platform": with_platform(store.image(b"x"), "unknown/unknown"),
        "artifact": {**store.image(b"x"), "artifactType": "application/vnd.example.signature"},
    }[how]
    store.index(beside, image, described(b"text", "text/plain"), tag="1.0")
    assert [each.digest for each in platforms(foo, "1.0")] == [image["digest"]]
    assert find(foo, "1.0").digest == image["digest"]


@pytest.mark.parametrize(
    ("platform", "there", "index"),
    [
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], 1),
        ("linux/arm64/v8", ["linux/amd64", "linux/arm64"], 1),
        ("linux/aarch64", ["linux/amd64", "linux/arm64/v9"], 1),
        ("linux/aarch64", ["linux/amd64", "linux/arm64"], 1),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm", ["linux/amd64", "linux/arm/v6", "linux/arm/v5"], 1),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], 1),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v6"], 1),
    ],
)
def test_names_of_a_platform(store: Store, foo: Repository, platform: str, there: list[str], index: int) -> None:
    """Several names are one platform; the exact one goes before a near one."""
    entries = listed(store, *there)
    store.index(*entries, tag="1.0")
    assert find(foo, "1.0", platform=platform).digest == entries[index]["digest"]


@pytest.mark.parametrize("platform", ["linux/riscv64", "linux/arm", "linux", "arm64", "ä/ö", "linux/arm64/v9"])
def test_platform_that_is_not_there(store: Store, foo: Repository, platform: str) -> None:
    """The error lists those that are, with or without an index."""
    entries = listed(store, "linux/amd64", "linux/arm64")
    store.index(attestation(store, entries[0]), *entries, tag="1.0")
    with pytest.raises(RegistryError, match=f"foo:1.0 at .* is not for {platform}") as caught:
        find(foo, "1.0", platform=platform)
    assert "It is for linux/amd64, linux/arm64." in str(caught.value)
    with pytest.raises(RegistryError, match=f"is not for {platform}"):
        pull_size(foo, "1.0", platform=platform)
    store.image(b"x", platform="linux/s390x", tag="2.0")
    with pytest.raises(RegistryError, match=r"It is for linux/s390x\."):
        find(foo, "2.0", platform=platform)


def test_index_in_an_index(store: Store, foo: Repository) -> None:
    """The images of both are those of the tag."""
    first, second, third = listed(store, "linux/amd64", "linux/arm64", "linux/s390x")
    index = store.index(first, store.index(second, store.index(third)), tag="1.0")
    assert find(foo, "1.0", platform="linux/s390x").digest == third["digest"]
    assert find(foo, "1.0", platform="linux/s390x").index_digest == index["digest"]
    assert len(platforms(foo, "1.0")) == 3


def test_indexes_without_end(store: Store, foo: Repository, server: Server) -> None:
    """Deep or wide, there is an end to what is asked for."""
    deep = store.index(*listed(store, "linux/amd64"))
    for _ in range(50):
        deep = store.index(deep)
    store.index(deep, tag="deep")
    store.index(store.index(), tag="empty")
    wide = [store.manifest({"manifests": [], "n": number}, INDEX) for number in range(100)]
    store.index(*wide, tag="wide")
    for tag in ("deep", "wide"):
        with pytest.raises(RegistryError, match="too many"):
            platforms(foo, tag)
    assert len(server.asked) < 80
    assert platforms(foo, "empty") == ()
    with pytest.raises(RegistryError, match="lists no images"):
        find(foo, "empty", platform="linux/amd64")


def test_entry_without_a_platform(store: Store, foo: Repository) -> None:
    """The image's own config tells it."""
    first, second = store.image(b"x"), store.image(b"y", platform="linux/arm/v7")
    store.index(first, second, tag="1.0")
    assert find(foo, "1.0", platform="linux/arm/v7").digest == second["digest"]
    assert [each.platform for each in platforms(foo, "1.0")] == ["linux/amd64", "linux/arm/v7"]


def test_word_of_the_index(store: Store, foo: Repository) -> None:
    """A variant that the index tells and the config does not is the image's."""
    entry = with_platform(store.image(b"x", platform="linux/arm"), "linux/arm/v6")
    store.index(entry, tag="1.0")
    assert find(foo, "1.0", platform="linux/arm/v6").platform == "linux/arm/v6"


def test_platforms_without_an_index(store: Store, foo: Repository) -> None:
    """One image is one platform."""
    entry = store.image(b"x", platform="linux/arm64", tag="1.0")
    assert platforms(foo, "1.0") == (PlatformImage("linux/arm64", entry["digest"], pull_size(foo, "1.0")),)


def test_foreign_layers(store: Store, foo: Repository) -> None:
    """They count, for they are pulled, and are told."""
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layers = [
        described(b"base", LAYER, urls=["https://example.com/base"]),
        described(b"system", kind),
        store.blob(b"own", LAYER),
    ]
    config = {"os": "windows", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["a", "b", "c"]}}
    store.manifest({"config": store.blob(json.dumps(config).encode(), CONFIG), "layers": layers}, OCI, "1.0")
    image = find(foo, "1.0", platform="windows/amd64")
    assert [layer.foreign for layer in image.layers] == [True, True, False]
    assert image.pull == len(json.dumps(config)) + 4 + 6 + 3


def test_image_without_layers(store: Store, foo: Repository) -> None:
    """`FROM scratch` and a label: some builders leave the empty list out."""
    for tag, root in (("a", {"type": "layers", "diff_ids": []}), ("b", {"type": "layers"})):
        raw = json.dumps({"rootfs": root}).encode()
        store.manifest({"config": store.blob(raw, CONFIG), "layers": []}, OCI, tag)
        image = find(foo, tag)
        assert (image.layers, image.pull, image.platform) == ((), len(raw), "")
        assert find(foo, tag, platform="linux/amd64").digest == image.digest


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "without a list of `layers`|no descriptor"),
        ({"layers": []}, "no descriptor"),
        ({"layers": None, "config": described(b"{}", CONFIG)}, "without a list"),
        ({"layers": {}, "config": described(b"{}", CONFIG)}, "without a list"),
        ({"layers": ["x"], "config": described(b"{}", CONFIG)}, "no descriptor"),
        ({"layers": [{}], "config": described(b"{}", CONFIG)}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"size": -1}], "config": described(b"{}", CONFIG)}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"size": True}], "config": described(b"{}", CONFIG)}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"size": "9"}], "config": described(b"{}", CONFIG)}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"size": 1.5}], "config": described(b"{}", CONFIG)}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"digest": "x/../y"}], "config": {}}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"digest": 7}], "config": {}}, "no descriptor"),
        ({"layers": [described(b"", LAYER) | {"mediaType": None}], "config": {}}, "no descriptor"),
        ({"layers": [described(b"", LAYER, annotations=[1])], "config": {}}, "no descriptor"),
        ({"layers": [described(b"", LAYER, platform={"os": 1})], "config": {}}, "no descriptor"),
    ],
)
def test_manifests_that_make_no_sense(store: Store, foo: Repository, document: object, words: str) -> None:
    """An error of ours, which names the manifest."""
    entry = store.manifest(document, OCI, "1.0")
    for look in (find, pull_size, platforms):
        with pytest.raises(RegistryError, match=rf"{words}|does not have") as caught:
            look(foo, "1.0")
        assert entry["digest"] in str(caught.value) or "blob" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"", "is no image: its config is a"),
        (b"[]", "is no image: its config is a"),
        (b"[" * 100_000, "is no image: its config is a"),
        (b"\xff", "is no image: its config is a"),
        (b"{}", "names no layers"),
        (b'{"rootfs": []}', "names no layers"),
        (b'{"rootfs": {"diff_ids": "x"}}', "names no layers"),
        (b'{"rootfs": {"diff_ids": []}}', "has 1 layers, and its config names 0"),
        (b'{"rootfs": {"diff_ids": ["a"]}, "os": 1, "architecture": 2}', "a platform that is none"),
    ],
)
def test_configs_that_make_no_sense(store: Store, foo: Repository, config: bytes, words: str) -> None:
    """Charts, signatures and such are no images."""
    layers = [store.blob(b"x", LAYER)]
    store.manifest({"config": store.blob(config, "application/x-config"), "layers": layers}, OCI, "1.0")
    with pytest.raises(RegistryError, match=words):
        find(foo, "1.0")


def test_large_config(store: Store, foo: Repository, server: Server) -> None:
    """What is larger than any config is not read; a small word for a large one does not help."""
    entry = described(b"", CONFIG) | {"size": CONFIG_LIMIT + 1}
    store.manifest({"config": entry, "layers": []}, OCI, "1.0")
    with pytest.raises(RegistryError, match="are the most"):
        find(foo, "1.0")
    assert asked(server, "blobs") == 0
    lied = store.blob(b"{" + b" " * (20 << 20) + b"}", CONFIG) | {"size": 2}
    store.manifest({"config": lied, "layers": []}, OCI, "2.0")
    with pytest.raises(RegistryError, match="gave more bytes"):
        find(foo, "2.0")


def test_altered_parts(store: Store, foo: Repository) -> None:
    """The index vouches for its manifests, and these for their configs."""
    (entry,) = listed(store, "linux/amd64")
    store.index(entry, tag="1.0")
    config = find(foo, "1.0").manifest["config"]["digest"]
    store.blobs[config] = store.blobs[config].replace(b"amd64", b"arm64")
    with pytest.raises(RegistryError, match=f"gave something else for the blob {config}"):
        find(foo, "1.0")
    store.manifests[entry["digest"]] = (OCI, b"{}")
    with pytest.raises(RegistryError, match=f"gave something else for foo@{entry['digest']}"):
        pull_size(foo, "1.0")


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("", ""),
    ],
)
def test_normal(name: str, one: str) -> None:
    """The spellings that containerd takes for one."""
    assert normal(name) == one
