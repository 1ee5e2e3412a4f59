"""Writing to real registries without an engine: manifests, blobs, copies, indexes, and who may."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_registry import BLOBS, UPLOADS, Fault, FaultyRegistry, answered, faulty
from guarded import SECRET, USER, running
from token_server import Guarded
from uploads import Uploads

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry import index, uploads
from tinyship.registry.client import Repository
from tinyship.registry.copying import Copied, copy
from tinyship.registry.images import find
from tinyship.registry.manifest import Manifest
from tinyship.registry.retry import Patience
from tinyship.registry.transport import Network

pytestmark = pytest.mark.engine

_CAPTAIN = Credential(USER, SECRET, identity_token=False, source="a test")
_QUICK = Patience(tries=4, pause=0.01)
_OCI = "application/vnd.oci.image.manifest.v1+json"
_LAYER = secrets.token_bytes(3 << 20)


@pytest.fixture
def proxy(registry: str) -> Iterator[FaultyRegistry]:
    """The registry behind a proxy that counts."""
    with faulty(registry) as found:
        yield found


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """Another registry."""
    with running(tmp_path, auth="") as host:
        yield host


def at(host: str, name: str, credential: Credential | None = None) -> Repository:
    """A repository, asked without much waiting."""
    return Repository(f"{host}/{name}", credential=credential, patience=_QUICK)


def digest_of(content: bytes) -> str:
    """The digest of these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def many(host: str, name: str) -> dict[str, Any]:
    """An index of two images and an attestation, `1.0`, put there by hand; its descriptor."""
    by_hand = Uploads(host, name)
    one, two = by_hand.image(_LAYER, b"one"), by_hand.image(_LAYER, b"two", platform="linux/arm64")
    beside = by_hand.image(b"a statement", platform="unknown/unknown")
    beside["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    return by_hand.index(one, two, beside, tag="1.0")


def every_blob(repository: Repository) -> set[str]:
    """The blobs of what `many` put there."""
    found = set()
    for entry in repository.manifest("1.0").parsed()["manifests"]:
        document = repository.manifest(entry["digest"]).parsed()
        found |= {part["digest"] for part in (document["config"], *document["layers"])}
    return found


# --- Manifests ---------------------------------------------------------------------------------------------------


def test_put_and_delete(registry: str, namespace: str) -> None:
    """A manifest under a further tag is the same bytes; deleted by its digest it is gone with its tags."""
    entry = Uploads(registry, f"{namespace}/foo").image(b"one", tag="1.0")
    with at(registry, f"{namespace}/foo") as repository:
        manifest = repository.manifest("1.0")
        assert repository.put(manifest, "stable") == entry["digest"]
        assert repository.manifest("stable") == manifest
        assert repository.exists("stable")
        repository.delete(manifest.digest)
        assert repository.digest("stable") is None
        assert not repository.exists(manifest.digest)
        with pytest.raises(RegistryError, match="so it is not deleted"):
            repository.delete(manifest.digest)


def test_manifest_without_its_blobs(registry: str, namespace: str) -> None:
    """The registry does not take what is not there, and we do not try it again."""
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"gone"), "size": 4}
    document = {"schemaVersion": 2, "mediaType": _OCI, "config": config, "layers": []}
    raw = json.dumps(document).encode()
    with at(registry, f"{namespace}/foo") as repository, pytest.raises(RegistryError) as caught:
        repository.put(Manifest(raw, digest_of(raw), _OCI), "1.0")
    assert "tried" not in str(caught.value)


# --- Blobs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_upload(proxy: FaultyRegistry, namespace: str, size: int) -> None:
    """A blob arrives piece by piece, with its length said before."""
    content = secrets.token_bytes(size)
    pieces = [content[start : start + 100_000] for start in range(0, size, 100_000)]
    with at(proxy.host, f"{namespace}/foo") as repository:
        assert size == 0 or not uploads.has_blob(repository, digest_of(content))
        assert uploads.upload(repository, digest_of(content), size, lambda: pieces)
        assert uploads.has_blob(repository, digest_of(content))
        assert b"".join(repository.blob(digest_of(content), size=size)) == content
    assert proxy.uploaded() == size


@pytest.mark.parametrize(
    "fault",
    [Fault(resets_at=1 << 20), answered(500), answered(503), answered(429, Retry_After="0"), Fault(lost=True)],
    ids=["reset", "500", "503", "429", "answer lost"],
)
def test_upload_that_fails_once(proxy: FaultyRegistry, namespace: str, fault: Fault) -> None:
    """It is sent again from its beginning, or found to be there where only the answer was lost."""
    proxy.on("PUT", UPLOADS, fault)
    content = secrets.token_bytes(2 << 20)
    with at(proxy.host, f"{namespace}/foo") as repository:
        assert uploads.upload(repository, digest_of(content), len(content), lambda: [content])
        assert uploads.has_blob(repository, digest_of(content))
    assert len(proxy.requests("PUT", UPLOADS)) == (1 if fault.lost else 2)


def test_upload_that_stalls(proxy: FaultyRegistry, namespace: str) -> None:
    """Silence is an end as well, after the time that the registry may take for the bytes."""
    proxy.on("PUT", UPLOADS, Fault(stalls_at=1 << 20, stalls_for=60))
    content = secrets.token_bytes(2 << 20)
    quick = Repository(f"{proxy.host}/{namespace}/foo", credential=None, patience=_QUICK, timeout=5)
    with quick as repository:
        assert uploads.upload(repository, digest_of(content), len(content), lambda: [content])
        assert b"".join(repository.blob(digest_of(content))) == content
    assert len(proxy.requests("PUT", UPLOADS)) == 2


def test_upload_of_something_else(proxy: FaultyRegistry, namespace: str) -> None:
    """The registry checks the digest; once is enough, and nothing is there."""
    with at(proxy.host, f"{namespace}/foo") as repository:
        with pytest.raises(RegistryError, match="status 400"):
            uploads.upload(repository, digest_of(b"right"), 5, lambda: [b"wrong"])
        assert not uploads.has_blob(repository, digest_of(b"right"))
    assert len(proxy.requests("PUT", UPLOADS)) == 1


def test_mount(proxy: FaultyRegistry, namespace: str) -> None:
    """A blob is taken from the repository that has it; what has it not is no source, and leaves no upload behind."""
    content = secrets.token_bytes(1000)
    Uploads(proxy.backend, f"{namespace}/one").blob(content, "x")
    with at(proxy.host, f"{namespace}/two") as repository:
        assert not uploads.mount(repository, digest_of(b"never there"), f"{namespace}/one")
        assert [seen.status for seen in proxy.requests("DELETE", UPLOADS)] == [204]
        assert uploads.mount(repository, digest_of(content), f"{namespace}/one")
        assert b"".join(repository.blob(digest_of(content))) == content
    assert proxy.uploaded() == 0


# --- Copies ------------------------------------------------------------------------------------------------------


def test_copy_within_a_repository(proxy: FaultyRegistry, namespace: str) -> None:
    """One question and one manifest a tag."""
    entry = many(proxy.backend, f"{namespace}/foo")
    with at(proxy.host, f"{namespace}/foo") as repository:
        copied = copy(repository, repository, "1.0", tags=("stable", "1"))
        assert copied == Copied(entry["digest"])
        assert [seen.method for seen in proxy.requests()] == ["GET", "PUT", "PUT"]
        assert repository.digest("stable") == repository.digest("1") == entry["digest"]


def test_copy_within_a_registry(proxy: FaultyRegistry, namespace: str) -> None:
    """An index with all it lists, and not one byte of a blob; the second time nothing is mounted."""
    entry = many(proxy.backend, f"{namespace}/foo")
    with at(proxy.host, f"{namespace}/foo") as source, at(proxy.host, f"{namespace}/bar") as target:
        copied = copy(source, target, "1.0", tags=("1.0", "stable"))
        assert copied.digest == entry["digest"]
        assert (copied.sent, copied.present) == (0, 0)
        assert copied.mounted > len(_LAYER)
        assert proxy.uploaded() == 0
        assert not proxy.requests("GET", BLOBS)
        assert target.manifest("stable") == source.manifest("1.0")
        for digest in every_blob(source):
            assert uploads.has_blob(target, digest)
        assert find(target, "1.0", platform="linux/arm64") == find(source, "1.0", platform="linux/arm64")
        proxy.heal()
        assert copy(source, target, "1.0", tags=("1.0",)) == Copied(entry["digest"], present=copied.mounted)
        assert not proxy.requests("POST")


def test_copy_between_registries(proxy: FaultyRegistry, namespace: str, other: str) -> None:
    """Each blob is read and sent once, whatever lists it, and everything is what it was."""
    many(proxy.backend, f"{namespace}/foo")
    with at(proxy.host, f"{namespace}/foo") as source, at(other, "lacion/foo") as target:
        copied = copy(source, target, "1.0", tags=("1.0",))
        assert (copied.mounted, copied.present) == (0, 0)
        assert copied.sent == sum(seen.sent for seen in proxy.requests("GET", BLOBS))
        assert copied.sent > len(_LAYER)
        assert len(proxy.requests("GET", BLOBS)) == len(every_blob(source))
        assert target.manifest("1.0") == source.manifest("1.0")
        assert b"".join(target.blob(digest_of(_LAYER))) == _LAYER
        (_, by_digest, _) = source.manifest("1.0").parsed()["manifests"]
        assert target.manifest(by_digest["digest"]) == source.manifest(by_digest["digest"])


def test_copy_that_breaks_off(proxy: FaultyRegistry, namespace: str, other: str) -> None:
    """Nothing is tagged, and the next copy goes on with what is missing."""
    many(other, "lacion/foo")
    with at(other, "lacion/foo") as source, at(proxy.host, f"{namespace}/foo") as target:
        proxy.on("PUT", UPLOADS, answered(400, "BLOB_UPLOAD_INVALID"), first=3)
        with pytest.raises(RegistryError, match="status 400"):
            copy(source, target, "1.0", tags=("1.0",))
        assert target.digest("1.0") is None
        proxy.heal()
        copied = copy(source, target, "1.0", tags=("1.0",))
        assert copied.sent > 0
        assert copied.present > 0
        assert target.manifest("1.0") == source.manifest("1.0")


def test_blob_that_is_resumed_on_its_way(proxy: FaultyRegistry, namespace: str, other: str) -> None:
    """The source breaks off in the middle of a layer: the rest alone is read again, and nothing is sent twice."""
    Uploads(proxy.backend, f"{namespace}/foo").image(_LAYER, tag="1.0")
    proxy.on("GET", f"{BLOBS[:-7]}{digest_of(_LAYER)}", Fault(ends_at=1 << 20))
    with at(proxy.host, f"{namespace}/foo") as source, at(other, "lacion/foo") as target:
        copy(source, target, "1.0", tags=("1.0",))
        assert b"".join(target.blob(digest_of(_LAYER))) == _LAYER
    first, second = proxy.requests("GET", digest_of(_LAYER))
    assert first.sent + second.sent == len(_LAYER)


def test_source_that_lies(proxy: FaultyRegistry, namespace: str, other: str) -> None:
    """A blob that is not what its digest says is found on the way, and nothing of it is kept."""
    Uploads(proxy.backend, f"{namespace}/foo").image(b"right", tag="1.0")
    proxy.on("GET", digest_of(b"right"), Fault(body=b"wrong"), times=0)
    with at(proxy.host, f"{namespace}/foo") as source, at(other, "lacion/foo") as target:
        with pytest.raises(RegistryError, match=f"{proxy.host} gave something else for the blob"):
            copy(source, target, "1.0", tags=("1.0",))
        assert target.digest("1.0") is None
        assert not uploads.has_blob(target, digest_of(b"right"))


def test_foreign_layers_stay_where_they_are(tmp_path: Path) -> None:
    """The registry need not have them: their manifest says where they come from."""
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    foreign = {"mediaType": kind, "digest": digest_of(b"far"), "size": 3, "urls": ["https://store.example.com/x"]}
    with running(tmp_path, auth="", also="validation: {manifests: {urls: {allow: ['^https://store']}}}\n") as host:
        by_hand = Uploads(host, "lacion/foo")
        config = by_hand.blob(b'{"os": "windows", "architecture": "amd64"}', "application/vnd.oci.image.config.v1+json")
        by_hand.manifest({"schemaVersion": 2, "mediaType": _OCI, "config": config, "layers": [foreign]}, "1.0")
        with at(host, "lacion/foo") as source, at(host, "lacion/bar") as target:
            copied = copy(source, target, "1.0", tags=("1.0",))
            assert copied.mounted == config["size"]
            assert target.manifest("1.0") == source.manifest("1.0")


# --- Indexes -----------------------------------------------------------------------------------------------------


def test_index_of_two_images(registry: str, namespace: str) -> None:
    """Each has the platform that its config says; the same images make the same index."""
    by_hand = Uploads(registry, f"{namespace}/foo")
    one = by_hand.image(b"one", tag="one")
    two = by_hand.image(b"two", platform="linux/arm64", tag="two")
    with at(registry, f"{namespace}/foo") as repository:
        made = index.make(repository, ["one", two["digest"]])
        assert made == index.make(repository, [one["digest"], "two"])
        repository.put(made, "1.0")
        assert repository.manifest("1.0") == made
        assert made.parsed()["manifests"] == [one, two]
        assert find(repository, "1.0", platform="linux/arm64").digest == two["digest"]


# --- Who may -----------------------------------------------------------------------------------------------------


def test_who_may_push(guarded: str) -> None:
    """Asked before anything is built: with the right password yes, with another one or none no, and whose it was."""
    with at(guarded, "lacion/foo", _CAPTAIN) as repository:
        repository.check_push()
    wrong = Credential(USER, "wr0ng-word", identity_token=False, source="another test")
    for credential, whose in ((wrong, "the credentials from another test"), (None, "no credentials")):
        with at(guarded, "lacion/foo", credential) as repository:
            with pytest.raises(RegistryError, match=f"refused a push to lacion/foo with {whose}") as caught:
                repository.check_push()
            assert "may they push" in str(caught.value)
            assert "wr0ng-word" not in str(caught.value)


def test_copy_with_tokens(tokened: Guarded, authority: Any, tmp_path: Path) -> None:
    """A mount needs a token for both repositories, and both are asked for."""
    network = Network(ca=str(authority.file))
    host = tokened.proxy.host
    with (
        Repository(f"{host}/lacion/one", credential=_CAPTAIN, network=network, patience=_QUICK) as source,
        Repository(f"{host}/lacion/two", credential=_CAPTAIN, network=network, patience=_QUICK) as target,
    ):
        config, layer = b'{"os": "linux", "architecture": "amd64"}', b"layer"
        for content in (config, layer):
            uploads.upload(source, digest_of(content), len(content), lambda content=content: [content])  # type: ignore[misc]
        parts = [{"mediaType": "x/y", "digest": digest_of(one), "size": len(one)} for one in (config, layer)]
        document = {"schemaVersion": 2, "mediaType": _OCI, "config": parts[0], "layers": parts[1:]}
        raw = json.dumps(document).encode()
        source.put(Manifest(raw, digest_of(raw), _OCI), "1.0")
        tokened.proxy.heal()
        copied = copy(source, target, "1.0", tags=("1.0",))
        assert copied.mounted == len(config) + len(layer)
        assert tokened.proxy.uploaded() == 0
        asked = [(scope.rpartition(":")[0], set(scope.rpartition(":")[2].split(","))) for scope in tokened.tokens.asked]
        assert ("repository:lacion/one", {"pull"}) in asked
        assert ("repository:lacion/two", {"pull", "push"}) in asked
