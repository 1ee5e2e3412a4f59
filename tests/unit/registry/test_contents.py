"""What the tags of a repository lead to: each digest asked for once, what cannot be read told apart from what fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from registries import CONFIG, LAYER, OCI, Answer, Asked, Server, Store, serving, with_platform

from tinyship.errors import RegistryError
from tinyship.registry import contents
from tinyship.registry.client import Repository
from tinyship.registry.contents import Contents, each, read_all
from tinyship.registry.retry import Patience


class Tagged(Store):
    """A repository that lists its tags, and fails at what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Answer:
        for part, status in self.failing.items():
            if part in asked.path:
                return Answer(status)
        if "/tags/list" in asked.path:
            tags = [key for key in self.manifests if key and not key.startswith("sha256:")]
            return Answer(200, {"Content-Type": "application/json"}, json.dumps({"tags": tags}).encode())
        return super().__call__(asked)

    def labelled(self, tag: str = "", **config: Any) -> str:
        """An image with a config of the test's own; its digest."""
        raw = json.dumps({"os": "linux", "architecture": "amd64", **config}).encode()
        layers = [self.blob(f"layer of {tag}".encode(), LAYER)]
        document = {"schemaVersion": 2, "mediaType": OCI, "config": self.blob(raw, CONFIG), "layers": layers}
        return str(self.manifest(document, OCI, tag)["digest"])


@pytest.fixture
def store() -> Tagged:
    """What the registry has."""
    return Tagged()


@pytest.fixture
def server(store: Tagged) -> Iterator[Server]:
    """The registry that has it."""
    with serving(store) as server:
        yield server


@pytest.fixture
def foo(server: Server) -> Iterator[Repository]:
    """Its repository `foo`."""
    with Repository(f"{server.host}/foo", credential=None, timeout=5, patience=Patience(tries=1)) as repository:
        yield repository


def fetched(server: Server) -> list[str]:
    """What was fetched, and not only looked for."""
    return sorted(
        each.path.rpartition("/")[2] for each in server.asked if each.method == "GET" and "sha256:" in each.path
    )


def test_labels_and_dates(store: Tagged, foo: Repository, server: Server) -> None:
    """Of the config; several tags of one digest are one image, and no layer is pulled."""
    labels = {"tinyship.project": "foo", "odd": 1}
    digest = store.labelled("1.0", created="2026-01-02T03:04:05Z", config={"Labels": labels})
    store.manifests["latest"] = store.manifests["1.0"]
    found = read_all(foo)
    assert found.tags == {"1.0": digest, "latest": digest}
    (content,) = found.manifests.values()
    assert content.labels == {"tinyship.project": "foo"}
    assert content.created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert digest in content.blobs
    assert len(content.blobs) == 3
    assert len(fetched(server)) == 2, "the manifest and the config"


@pytest.mark.parametrize("created", ["", "soon", "1970-01-01T00:00:00Z", "2026-01-01T00:00:00", 7])
def test_no_date(store: Tagged, foo: Repository, created: Any) -> None:
    """What is none, has no time zone, or is from before there were images."""
    digest = store.labelled("1.0", created=created)
    assert read_all(foo).manifests[digest].created is None


def test_what_indexes_list(store: Tagged, foo: Repository, server: Server) -> None:
    """Images and attestations, through indexes in indexes, each fetched once."""
    amd = with_platform(store.image(b"amd"), "linux/amd64")
    arm = with_platform(store.image(b"arm"), "linux/arm64")
    proof = with_platform(store.image(b"proof"), "unknown/unknown")
    inner = store.index(arm, amd)
    outer = store.index(amd, proof, inner, tag="1.0")
    found = read_all(foo)
    top = found.manifests[outer["digest"]]
    assert set(top.lists) == {one["digest"] for one in (amd, proof, inner)}
    assert set(top.images) == {amd["digest"], inner["digest"]}
    assert set(found.manifests) == {one["digest"] for one in (amd, arm, proof, inner, outer)}
    asked = fetched(server)
    assert len(asked) == len(set(asked))


def test_known_digests_are_not_asked_for(store: Tagged, foo: Repository, server: Server) -> None:
    """A second look costs the tags, and what is new."""
    store.index(store.image(b"one"), tag="1.0")
    first = read_all(foo)
    fresh = store.image(b"two", tag="1.1")
    server.asked.clear()
    second = read_all(foo, first.manifests)
    assert set(second.manifests) == {*first.manifests, fresh["digest"]}
    assert len(fetched(server)) == 2
    del store.manifests["1.0"]
    assert set(read_all(foo, second.manifests).manifests) == {fresh["digest"]}


def test_what_is_no_image(store: Tagged, foo: Repository) -> None:
    """A chart, a signature: without labels, and no fault; what it is about is told."""
    about = store.image(b"one")
    config = store.blob(b"{}", "application/vnd.cncf.helm.config.v1+json")
    document = {"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [], "subject": about}
    digest = store.manifest(document, OCI, "chart")["digest"]
    content = read_all(foo).manifests[digest]
    assert (content.labels, content.fault, content.subject) == (None, "", about["digest"])


def test_what_cannot_be_read(store: Tagged, foo: Repository) -> None:
    """Of an unknown kind, a config that is none or gone, an entry that is not there: told apart, and no error."""
    riddle = store.manifest({"mediaType": "application/x.riddle"}, "application/x.riddle", "riddle")["digest"]
    broken = store.manifest({"mediaType": OCI, "config": store.blob(b"[]", CONFIG), "layers": []}, OCI, "broken")
    bare = store.labelled("bare")
    store.blobs = {digest: raw for digest, raw in store.blobs.items() if b"architecture" not in raw}
    gone = store.image(b"gone")
    store.index(gone, tag="index")
    del store.manifests[gone["digest"]]
    found = read_all(foo).manifests
    assert found[riddle].opaque
    assert "no image" in found[riddle].fault
    assert found[broken["digest"]].fault
    assert not found[broken["digest"]].opaque
    assert found[bare].fault
    assert not found[bare].missing
    assert found[gone["digest"]].missing


def test_indexes_without_end(store: Tagged, foo: Repository) -> None:
    """They are not followed for ever, and what is below is not known."""
    entry = store.image(b"one")
    for _ in range(6):
        entry = store.index(entry)
    store.index(entry, tag="deep")
    assert any(one.opaque for one in read_all(foo).manifests.values())


@pytest.mark.parametrize(("part", "status"), [("/tags/", 500), ("/manifests/sha256", 503), ("/blobs/", 403)])
def test_a_registry_that_fails(store: Tagged, foo: Repository, part: str, status: int) -> None:
    """That is an error: nobody knows what there is."""
    store.image(b"one", tag="1.0")
    store.failing[part] = status
    with pytest.raises(RegistryError):
        read_all(foo)


def test_nothing_is_there(store: Tagged, foo: Repository) -> None:
    """A repository that was never pushed to; and a tag that leads nowhere."""
    store.failing["/tags/"] = 404
    assert read_all(foo) == Contents()
    store.failing = {"/manifests/1.0": 404}
    store.image(b"one", tag="1.0")
    assert read_all(foo) == Contents()


def test_each_keeps_the_order() -> None:
    """Whoever is done first."""
    assert each(str, range(50)) == [str(number) for number in range(50)]


def test_nothing_is_begun_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails ends it, and is what is raised."""
    monkeypatch.setattr(contents, "AT_ONCE", 1)
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        if number == 2:
            raise RegistryError("no", host="x")

    with pytest.raises(RegistryError, match="no"):
        each(act, range(100))
    assert begun == [0, 1, 2]
