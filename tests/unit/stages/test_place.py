"""What a push makes of the digests in a repository: which of them are its image."""

from __future__ import annotations

import json

from registries import CONFIG, LAYER, OCI, Store, digest_of, serving

from tinyship.kept.record import Release
from tinyship.registry.client import Repository
from tinyship.stages.place import Place


def _release(id: str) -> Release:
    return Release("foo", "1.0.0", "", "", False, "", "", "", id, ("local",), ())


def test_images_are_compared_by_their_configs() -> None:
    """Two manifests of one config are one image; another config is another; an index is none unless it is the id."""
    store = Store()
    config = store.blob(b'{"os": "linux", "architecture": "amd64"}', CONFIG)
    plain, packed = store.blob(b"plain", LAYER), store.blob(b"packed", LAYER)
    one = store.manifest({"mediaType": OCI, "config": config, "layers": [plain]}, OCI, "1.0.0")
    two = store.manifest({"mediaType": OCI, "config": config, "layers": [packed]}, OCI, "again")
    other = store.image(b"x", tag="other")
    index = store.index(one, tag="index")
    with serving(store) as registry, Repository(f"{registry.host}/foo", credential=None) as repository:
        place = Place("foo", repository, _release(config["digest"]))
        place.there = {"1.0.0": one["digest"], "again": two["digest"], "other": other["digest"]}
        assert place.has("1.0.0")
        assert place.has("again")
        assert not place.has("none")
        assert place.others(["1.0.0", "again", "other", "none"]) == {"other": other["digest"]}
        assert not place.is_ours(index["digest"])
        place.digest = one["digest"]
        assert place.is_of_release()
        asked = len(registry.asked)
        assert place.others(["again", "other"]) == {"other": other["digest"]}
        assert len(registry.asked) == asked, "each digest is looked at once"
        by_manifest = Place("foo", repository, _release(index["digest"]), digest=other["digest"])
        assert by_manifest.is_ours(index["digest"])
        assert not by_manifest.is_of_release()
        nothing = Place("foo", repository, _release(""), there={"1.0.0": one["digest"]})
        assert not nothing.has("1.0.0")


def test_a_digest_that_the_record_knows_is_asked_for() -> None:
    """The image is here by its digest alone, or not at all any more."""
    store = Store()
    raw = json.dumps({"mediaType": OCI, "config": store.blob(b"{}", CONFIG), "layers": []}).encode()
    store.manifest(raw, OCI)
    with serving(store) as registry, Repository(f"{registry.host}/foo", credential=None) as repository:
        place = Place("foo", repository, _release("sha256:" + "0" * 64))
        place.find(["sha256:" + "1" * 64, digest_of(raw)])
        assert place.digest == digest_of(raw)
        place.find([])
        assert place.digest == ""
