"""What an image weighs where the containerd store has not unpacked it, which no engine does on demand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import NotFound

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.errors import EngineError

_FOUND = {"Id": "sha256:1", "RepoTags": ["docker.io/library/foo:1", "docker.io/a/b:2", "localhost/c:3", "h:5/d:4"]}


class Api:
    """An engine that unpacks an image when a container of it is made, or never."""

    def __init__(self, *, unpacks: bool) -> None:
        self.unpacks = unpacks
        self.unpacked = False
        self.containers: list[str] = []

    def inspect_image(self, reference: str) -> dict[str, Any]:
        return _FOUND

    def history(self, image_id: str) -> list[dict[str, Any]]:
        if not self.unpacked:
            raise NotFound("snapshot sha256:2 does not exist: not found")
        return [{"Size": 4096}, {"Size": 8192}, {"Size": 0}]

    def create_container(self, image_id: str, command: list[str]) -> dict[str, str]:
        self.unpacked = self.unpacks
        self.containers.append("made")
        return {"Id": "made"}

    def remove_container(self, container_id: str) -> None:
        self.containers.remove(container_id)


def _engine(api: Api) -> Engine:
    return cast(Engine, SimpleNamespace(api=api, containerd_store=True))


def test_unpacked_on_demand() -> None:
    """A container that is never started has the engine unpack the image; nothing of it is left."""
    api = Api(unpacks=True)
    image = images.find(_engine(api), "foo:1")
    assert image
    assert images.unpacked(_engine(api), image) == 12288
    assert api.containers == []


def test_never_unpacked() -> None:
    """What cannot be unpacked is an error that names the image; nothing of the container is left."""
    api = Api(unpacks=False)
    image = images.find(_engine(api), "foo:1")
    assert image
    with pytest.raises(EngineError, match=r"weighing foo:1: .*does not exist"):
        images.unpacked(_engine(api), image)
    assert api.containers == []


def test_names_are_as_docker_writes_them() -> None:
    """Podman's names of Docker Hub's images are the short ones; others stay."""
    image = images.find(_engine(Api(unpacks=True)), "foo:1")
    assert image
    assert image.tags == ("foo:1", "a/b:2", "localhost/c:3", "h:5/d:4")
