"""What tinyship reads in a real registry: images that an engine pushed, indexes, tags, behind a password or not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from guarded import SECRET, USER
from uploads import Uploads

from tinyship.context.source import Context
from tinyship.credentials import Credential
from tinyship.engine import images as engine_images
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.push import Pushed, push
from tinyship.engine.request import BuildRequest
from tinyship.errors import RegistryError
from tinyship.events import ignore
from tinyship.registry import client
from tinyship.registry.client import Repository
from tinyship.registry.images import find, platforms, pull_size

pytestmark = pytest.mark.engine

_CAPTAIN = Credential(USER, SECRET, identity_token=False, source="a test")


def _pushed(engine: Engine, base: str, root: Path, name: str, credential: Credential | None = None) -> Pushed:
    """An image of two layers above nothing but a base, pushed by the engine."""
    (root / "file").write_text(name)
    (root / "Dockerfile").write_text(f"FROM {base}\nCOPY file /\nLABEL here=is\n")
    request = BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(name,))
    ClassicBuilder(engine).build(request, ignore)
    return push(engine, name, credential=credential, timeout=60, events=ignore)


@pytest.mark.needs("classic")
def test_image_of_an_engine(engine: Engine, registry: str, namespace: str, busybox: str, tmp_path: Path) -> None:
    """Digest, platform, config and layers are those that the engine has and pushed."""
    name = f"{registry}/{namespace}/foo:1.0"
    pushed = _pushed(engine, busybox, tmp_path, name)
    local = engine_images.find(engine, name)
    assert local
    with Repository(name, credential=None) as repository:
        image = find(repository, "1.0")
        assert image.digest == pushed.digest or image.index_digest == pushed.digest
        assert image.platform.startswith(f"{local.os}/{local.architecture}")
        assert tuple(image.config["rootfs"]["diff_ids"]) == local.layers
        assert image.config["config"]["Labels"]["here"] == "is"
        assert len(image.layers) == 2
        assert image.pull == pull_size(repository, pushed.digest)
        assert image.pull == image.manifest["config"]["size"] + sum(layer.size for layer in image.layers)
        assert repository.manifest(pushed.digest) == repository.manifest("1.0")
        for layer in image.layers:
            pieces = list(repository.blob(layer.digest, size=layer.size))
            assert f"sha256:{hashlib.sha256(b''.join(pieces)).hexdigest()}" == layer.digest
            assert max(map(len, pieces)) <= 256 << 10
        assert [each.pull for each in platforms(repository, "1.0")] == [image.pull]
        assert repository.tags() == ("1.0",)


def test_index_with_attestations(registry: str, namespace: str) -> None:
    """The images of an index are told apart from what BuildKit puts beside them."""
    uploads = Uploads(registry, f"{namespace}/many")
    one, two = uploads.image(b"amd", tag="one"), uploads.image(b"arm", b"more", platform="linux/arm64")
    beside = uploads.image(b"a statement in-toto makes", platform="unknown/unknown")
    beside["annotations"] = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": one["digest"],
    }
    index = uploads.index(beside, one, two, tag="1.0")
    with Repository(f"{registry}/{namespace}/many", credential=None) as repository:
        image = find(repository, "1.0", platform="linux/arm64")
        assert (image.digest, image.index_digest) == (two["digest"], index["digest"])
        assert [layer.size for layer in image.layers] == [3, 4]
        assert [(each.platform, each.digest) for each in platforms(repository, index["digest"])] == [
            ("linux/amd64", one["digest"]),
            ("linux/arm64", two["digest"]),
        ]
        assert sorted(repository.tags()) == ["1.0", "one"]
        with pytest.raises(RegistryError, match=r"It is for linux/amd64, linux/arm64\."):
            find(repository, "1.0", platform="linux/s390x")


def test_many_tags(registry: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages of them come, where the registry makes pages of them."""
    monkeypatch.setattr(client, "_PAGE", 7)
    uploads = Uploads(registry, f"{namespace}/tags")
    uploads.image(b"x", tag="t0")
    with Repository(f"{registry}/{namespace}/tags", credential=None) as repository:
        document = repository.manifest("t0").parsed()
        for number in range(1, 30):
            uploads.manifest(document, tag=f"t{number}")
        assert sorted(repository.tags()) == sorted(f"t{number}" for number in range(30))


def test_what_is_not_there(registry: str, namespace: str) -> None:
    """A repository, a tag, a digest and a blob: each is named."""
    digest = f"sha256:{'0' * 64}"
    with Repository(f"{registry}/{namespace}/none", credential=None) as repository:
        with pytest.raises(RegistryError, match="there is no such repository"):
            repository.tags()
        for reference in ("1.0", digest):
            with pytest.raises(RegistryError, match=f"{registry} does not have {namespace}/none.{reference}"):
                repository.manifest(reference)
        with pytest.raises(RegistryError, match=f"does not have the blob {digest}"):
            list(repository.blob(digest))


def test_behind_a_password(guarded: str) -> None:
    """With the right one all can be read, with a wrong one or none the error says whose it was."""
    uploads = Uploads(guarded, "lacion/foo", (USER, SECRET))
    entry = uploads.image(b"one", tag="1.0")
    with Repository(f"{guarded}/lacion/foo", credential=_CAPTAIN) as repository:
        image = find(repository, "1.0")
        assert image.digest == entry["digest"]
        assert b"".join(repository.blob(image.layers[0].digest)) == b"one"
        assert repository.tags() == ("1.0",)
    wrong = Credential(USER, "wr0ng-word", identity_token=False, source="another test")
    for credential, whose in ((wrong, "the credentials from another test"), (None, "no credentials")):
        with Repository(f"{guarded}/lacion/foo", credential=credential) as repository:
            with pytest.raises(RegistryError, match=f"{guarded} refused lacion/foo:1.0 with {whose}") as caught:
                repository.manifest("1.0")
            assert f"docker login {guarded}" in str(caught.value)
            assert "wr0ng-word" not in str(caught.value)


@pytest.mark.needs("classic")
def test_pushed_and_read_with_one_credential(
    engine: Engine, guarded: str, busybox: str, namespace: str, tmp_path: Path
) -> None:
    """What the engine may push with it, the registry client may read with it."""
    name = f"{guarded}/{namespace}/foo:1.0"
    pushed = _pushed(engine, busybox, tmp_path, name, _CAPTAIN)
    with Repository(name, credential=_CAPTAIN) as repository:
        assert pull_size(repository, pushed.digest) == find(repository, "1.0").pull
