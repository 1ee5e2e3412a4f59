"""Mirrors: asked first by those who only read, checked as ever, and their registry where they do not help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import Answer, Answers, Asked, Server, Store, serving

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.events import Event, Notice
from tinyship.registry.mirrors import Mirrored
from tinyship.settings.schema import Settings
from tinyship.settings.stages import Push
from tinyship.stages.scope import Scope

LAYER = b"a layer " * 100_000


@pytest.fixture
def store() -> Store:
    """What both sides have: an image of one layer."""
    found = Store()
    found.image(LAYER, tag="1.0")
    return found


@pytest.fixture
def origin(store: Store) -> Iterator[Server]:
    """The registry itself."""
    with serving(store) as found:
        yield found


@pytest.fixture
def told() -> list[Event]:
    """The events of a scope."""
    return []


def scope(origin: Server, mirror: str, told: list[Event], **more: object) -> Scope:
    """An image whose settings name a mirror of the registry."""
    settings = Settings(image="lacion/foo", mirrors=(f"{origin.host}={mirror}",), **more)  # type: ignore[arg-type]
    return Scope(Path(), settings, events=told.append)


def read(scope: Scope, origin: Server) -> bytes:
    """The only layer of `foo:1.0`, with the manifest before it."""
    with scope.reading(f"{origin.host}/foo:1.0") as repository:
        (layer,) = repository.manifest("1.0").parsed()["layers"]
        return b"".join(repository.blob(layer["digest"], size=layer["size"]))


def notices(told: list[Event]) -> list[str]:
    """What was said."""
    return [event.text for event in told if isinstance(event, Notice)]


def test_mirror_is_asked_alone(store: Store, origin: Server, told: list[Event]) -> None:
    """What it has comes from it, below its path; the registry is not asked."""
    with serving(store) as mirror:
        assert read(scope(origin, f"{mirror.host}/hub", told), origin) == LAYER
        assert {asked.path.partition("/foo/")[0] for asked in mirror.asked} == {"/v2/hub"}
    assert origin.asked == []
    assert notices(told) == []


def test_docker_hub_keeps_its_folder(store: Store) -> None:
    """`alpine` is `library/alpine` at a mirror too, and the mirror is never told Docker Hub's password."""
    with serving(store) as mirror:
        settings = Settings(image="lacion/foo", mirrors=(f"docker.io={mirror.host}/hub",))
        found = Scope(Path(), settings)
        found._credentials.update({"docker.io": Credential("captain", "s3cret", False, "a file"), mirror.host: None})
        with found.reading("alpine:3.22") as repository:
            assert isinstance(repository, Mirrored)
            assert (repository.host, repository.name) == ("docker.io", "library/alpine")
            with pytest.raises(RegistryError, match="does not have"):
                repository._mirror.manifest("3.22")
        (asked,) = mirror.asked
        assert asked.path == "/v2/hub/library/alpine/manifests/3.22"
        assert "Authorization" not in asked.headers


def test_what_it_does_not_have(origin: Server, told: list[Event]) -> None:
    """The registry gives what is missing; that is told once, and the mirror is asked further."""
    with serving(Store()) as mirror:
        assert read(scope(origin, mirror.host, told), origin) == LAYER
        assert len(mirror.asked) == 2
    assert len(notices(told)) == 1
    assert f"the mirror {mirror.host} does not help" in notices(told)[0]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_mirror_that_fails(origin: Server, told: list[Event], status: int) -> None:
    """It is asked once, not again and again, and then left alone."""
    with serving(lambda _: Answer(status)) as mirror:
        assert read(scope(origin, mirror.host, told), origin) == LAYER
        assert len(mirror.asked) == 1
    assert len(notices(told)) == 1


def test_mirror_that_is_away(origin: Server, told: list[Event]) -> None:
    """Nothing listens there: the registry is asked, in the same breath."""
    assert read(scope(origin, "127.0.0.1:1", told), origin) == LAYER
    assert len(notices(told)) == 1


def breaking(store: Store, after: int, alter: bool = False) -> Answers:
    """Answers as the store, whose blobs break off, and may begin with other bytes."""

    def answers(asked: Asked) -> Answer:
        found = store(asked)
        if "/blobs/" not in asked.path:
            return found
        if "Range" in asked.headers:
            return Answer(500)
        body = found.body[:after]
        return Answer(200, {"Content-Length": str(len(found.body))}, b"x" + body[1:] if alter else body)

    return answers


def test_blob_that_breaks_off(store: Store, origin: Server, told: list[Event]) -> None:
    """The registry goes on where the mirror ended, and all is checked as one."""
    with serving(breaking(store, 300_000)) as mirror:
        assert read(scope(origin, mirror.host, told), origin) == LAYER


def test_mirror_that_lies(store: Store, origin: Server, told: list[Event]) -> None:
    """Bytes that were passed on cannot be taken back: the mirror is named."""
    with (
        serving(breaking(store, 300_000, alter=True)) as mirror,
        pytest.raises(RegistryError, match=f"{mirror.host} gave something else for the blob"),
    ):
        read(scope(origin, mirror.host, told), origin)


def test_other_manifest_for_a_digest(store: Store, origin: Server, told: list[Event]) -> None:
    """A manifest that is not what was asked for by its digest is not taken from a mirror."""
    digest = next(key for key in store.manifests if key.startswith("sha256:"))
    other = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
    with (
        serving(lambda _: Answer(200, {"Content-Type": store.manifests[digest][0]}, other)) as mirror,
        scope(origin, mirror.host, told).reading(f"{origin.host}/foo") as repository,
    ):
        assert repository.manifest(digest).raw == store.manifests[digest][1]
    assert "gave something else" in notices(told)[0]


def test_what_we_push_is_not_read_from_a_mirror(store: Store, origin: Server, told: list[Event]) -> None:
    """A mirror may be older than what was just pushed; a release is looked at where it was pushed to."""
    with serving(Store()) as mirror:
        found = scope(origin, mirror.host, told, push=Push(to=(origin.host,)))
        for opened in (found.reading(f"{origin.host}/lacion/foo:1.0"), found.repository(f"{origin.host}/foo")):
            with opened as repository:
                assert not isinstance(repository, Mirrored)
        assert mirror.asked == []
