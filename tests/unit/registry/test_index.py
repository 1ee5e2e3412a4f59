"""Indexes that are made of images in a repository: their entries, their kind, and what cannot be in one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from registries import CONFIG, Store, digest_of, serving, with_platform

from tinyship.errors import ConfigError, RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.index import make
from tinyship.registry.manifest import Manifest

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def store() -> Store:
    """What the registry has."""
    return Store()


@pytest.fixture
def foo(store: Store) -> Iterator[Repository]:
    """Its repository `foo`."""
    with serving(store) as server, Repository(f"{server.host}/foo", credential=None, timeout=5) as repository:
        yield repository


def docker(store: Store, architecture: str) -> dict[str, Any]:
    """Have an image of Docker's kind, and return its descriptor."""
    config = store.blob(json.dumps({"os": "linux", "architecture": architecture}).encode(), CONFIG)
    document = {"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": []}
    return store.manifest(document, DOCKER)


def test_platforms_come_from_the_configs(store: Store, foo: Repository) -> None:
    """As an index has them, with the variant, in the order that was asked for."""
    one = store.image(b"a", platform="linux/amd64", tag="one")
    two = store.image(b"b", platform="linux/arm/v7", tag="two")
    made = make(foo, ["two", one["digest"]])
    assert isinstance(made, Manifest)
    assert made.parsed() == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [with_platform(two, "linux/arm/v7"), with_platform(one, "linux/amd64")],
    }
    assert made.digest == digest_of(made.raw)
    assert made.media_type == OCI_INDEX


def test_same_bytes(store: Store, foo: Repository) -> None:
    """By tags or by digests, and once where one is named twice."""
    one = store.image(b"a", tag="one")
    two = store.image(b"b", platform="linux/arm64", tag="two")
    assert make(foo, ["one", "two"]) == make(foo, [one["digest"], "two", two["digest"], "one"])


def test_windows_versions(store: Store, foo: Repository) -> None:
    """Two images for one platform differ by the version of the system that they run on."""
    for version in ("10.0.17763.1", "10.0.20348.1"):
        told = {"os": "windows", "architecture": "amd64", "os.version": version}
        config = store.blob(json.dumps(told).encode(), CONFIG)
        store.manifest({"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": []}, DOCKER, version)
    made = make(foo, ["10.0.17763.1", "10.0.20348.1"])
    assert [entry["platform"]["os.version"] for entry in made.parsed()["manifests"]] == ["10.0.17763.1", "10.0.20348.1"]


def test_kind(store: Store, foo: Repository) -> None:
    """A manifest list where all are Docker's; what mixes them is OCI's."""
    amd, arm = docker(store, "amd64"), docker(store, "arm64")
    made = make(foo, [amd["digest"], arm["digest"]])
    assert made.media_type == made.parsed()["mediaType"] == LIST
    other = store.image(b"x", platform="linux/s390x")
    assert make(foo, [amd["digest"], other["digest"]]).media_type == OCI_INDEX


def test_indexes_are_joined(store: Store, foo: Repository) -> None:
    """What they list is listed as it is, attestations included: each builder pushed one of its own."""
    every = []
    for number, platform in enumerate(("linux/amd64", "linux/arm64")):
        image = with_platform(store.image(bytes([number]), platform=platform), platform)
        beside = with_platform(store.image(b"says" + bytes([number])), "unknown/unknown")
        beside["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
        store.index(image, beside, tag=platform.replace("/", "-"))
        every += [image, beside]
    assert make(foo, ["linux-amd64", "linux-arm64"]).parsed()["manifests"] == every


def test_two_for_one_platform(store: Store, foo: Repository) -> None:
    """Which one a pull gets would be chance: `arm64` and `arm64/v8` are one."""
    one = store.image(b"a", platform="linux/arm64")
    two = store.image(b"b", platform="linux/arm64/v8")
    with pytest.raises(RegistryError, match=f"{one['digest']} and {two['digest']} are both for linux/arm64/v8"):
        make(foo, [one["digest"], two["digest"]])


def test_what_is_no_image(store: Store, foo: Repository) -> None:
    """Something without a platform has no place in an index."""
    config = store.blob(b"{}", CONFIG)
    chart = store.manifest({"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": []}, DOCKER)
    with pytest.raises(RegistryError, match="does not say its platform"):
        make(foo, [chart["digest"]])
    store.index(tag="empty")
    with pytest.raises(RegistryError, match="list no images"):
        make(foo, ["empty"])
    with pytest.raises(RegistryError, match="does not have foo:gone"):
        make(foo, ["gone"])
    with pytest.raises(ConfigError):
        make(foo, [])
