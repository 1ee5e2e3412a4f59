"""What engines answer about images and containers, in the forms that they give it; fakes for what one does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from tinyship.engine import inventory
from tinyship.errors import EngineError


class Fake:
    """An engine that answers from a list, one after the other, and raises what is to be raised."""

    def __init__(self, answers: Sequence[Any], **more: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.__dict__.update(more)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The next answer."""
        self.asked.append((path, params or {}))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def engine(*answers: Any, api_version: str = "1.41", containerd: bool = False, podman: bool = False) -> Any:
    """An engine that gives these answers."""
    return Fake(answers, api_version=api_version, containerd_store=containerd, is_podman=podman)


def test_a_list_that_fails_for_what_goes_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """containerd's store does that while an image is removed; anything else is an error at once."""
    monkeypatch.setattr(inventory, "_PAUSE", 0.0)
    gone = NotFound("no such image")
    entry = {"Id": "sha256:1", "RepoTags": ["docker.io/library/foo:1", "<none>:<none>"], "Created": 5, "Labels": None}
    (found,) = inventory.images(engine(gone, gone, [entry]))
    assert (found.tags, found.parent, found.size, found.labels) == (("foo:1",), "", 0, {})
    with pytest.raises(EngineError, match="listing images"):
        inventory.images(engine(APIError("no"), [entry]))
    with pytest.raises(EngineError, match="listing images"):
        inventory.images(engine(*[gone] * 100))


def test_an_engine_that_looks_at_its_disk_for_another_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker 20.10 does that for one client at a time."""
    monkeypatch.setattr(inventory, "_PAUSE", 0.0)
    busy = APIError("500 Server Error: a disk usage operation is already running")
    assert inventory.usage(engine(*[busy] * 100, {"LayersSize": 5, "Images": []})).total == 5
    monkeypatch.setattr(inventory, "_PATIENCE", -1.0)
    with pytest.raises(EngineError, match="already running"):
        inventory.usage(engine(busy, busy))


@pytest.mark.parametrize("created", [0, -62135596800])
def test_no_date(created: int) -> None:
    """The beginning of time is none."""
    (found,) = inventory.images(engine([{"Id": "sha256:1", "RepoTags": None, "Created": created}]))
    assert found.created is None
    assert found.tags == ()


def test_containers() -> None:
    """Paused ones run; names come without a slash."""
    entries = [
        {"Id": "a" * 64, "Names": ["/web"], "ImageID": "sha256:1", "Image": "foo:1", "Labels": {}, "State": "paused"},
        {"Id": "b" * 64, "Names": None, "Image": "foo:1", "State": "exited"},
    ]
    web, nameless = inventory.containers(engine(entries))
    assert (web.name, web.running, web.image_id) == ("web", True, "sha256:1")
    assert (nameless.name, nameless.running) == ("b" * 12, False)


def test_usage_of_a_graph_driver() -> None:
    """What an image shares is said in bytes; -1 says nothing."""
    images = [{"Id": "a", "Size": 10, "SharedSize": 4}, {"Id": "b", "Size": 10, "SharedSize": -1}]
    asked = engine({"LayersSize": 16, "Images": images})
    found = inventory.usage(asked)
    assert (found.total, dict(found.alone), dict(found.shared)) == (16, {"a": 6}, {"a": 4})
    assert asked.asked[0][1] == {}


def test_usage_of_containerd() -> None:
    """Layers are there packed and unpacked, and only the unpacked ones count as shared; never less than nothing."""
    images = [{"Id": "a", "Size": 10, "SharedSize": 4}, {"Id": "b", "Size": 10, "SharedSize": 7}]
    asked = engine({"LayersSize": 16, "Images": images}, api_version="1.45", containerd=True)
    assert dict(inventory.usage(asked).alone) == {"a": 2, "b": 0}
    assert asked.asked[0][1] == {"type": "image"}


def test_usage_of_newer_engines() -> None:
    """Under another key."""
    items = {"TotalSize": 9, "Items": [{"Id": "a", "Size": 3, "SharedSize": 0}]}
    asked = engine({"ImageUsage": items}, api_version="1.52")
    found = inventory.usage(asked)
    assert (found.total, dict(found.alone)) == (9, {"a": 3})
    assert asked.asked[0][1] == {"type": "image", "verbose": "1"}
    assert inventory.usage(engine({"LayersSize": None, "Images": None})).total == 0


def test_images_and_usage_at_once() -> None:
    """One request where the answer has all that a list has; a list besides where it has not."""
    entry = {"Id": "a", "RepoTags": ["foo:1"], "Labels": {"a": "b"}, "Created": 5, "Size": 3, "SharedSize": 0}
    (found,), usage = inventory.images_and_usage(engine({"LayersSize": 3, "Images": [entry]}))
    assert (found.tags, found.labels, usage.alone) == (("foo:1",), {"a": "b"}, {"a": 3})
    poor = {"Id": "a", "Size": 3, "SharedSize": 0}
    (found,), _ = inventory.images_and_usage(engine({"LayersSize": 3, "Images": [poor]}, [entry]))
    assert found.tags == ("foo:1",)
    (found,), _ = inventory.images_and_usage(engine({"LayersSize": 3, "Images": [entry]}, [entry], podman=True))
    assert found.tags == ("foo:1",)
