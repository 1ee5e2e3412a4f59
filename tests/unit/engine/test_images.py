"""Images as engines describe them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import APIError

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.errors import EngineError

_FOUND = {"Id": "sha256:1", "RepoTags": ["docker.io/library/foo:1", "docker.io/a/b:2", "localhost/c:3", "h:5/d:4"]}


class Api:
    """An engine that has one image."""

    def inspect_image(self, reference: str) -> dict[str, Any]:
        return _FOUND


def test_names_are_as_docker_writes_them() -> None:
    """Podman's names of Docker Hub's images are the short ones; others stay."""
    image = images.find(cast(Engine, SimpleNamespace(api=Api())), "foo:1")
    assert image
    assert image.tags == ("foo:1", "a/b:2", "localhost/c:3", "h:5/d:4")


class Busy:
    """An engine that cannot give a name while somebody else gives it."""

    def __init__(self, *errors: str) -> None:
        self.errors = list(errors)
        self.given: list[str] = []

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        """Give it, once all errors are over."""
        if self.errors:
            raise APIError(self.errors.pop(0), explanation="it failed: already exists")
        self.given.append(f"{repository}:{tag}")


def test_a_name_that_somebody_else_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given again, but not for ever."""
    monkeypatch.setattr(images, "_PAUSES", (0.0, 0.0))
    api = Busy("once", "twice")
    images.tag(cast(Engine, SimpleNamespace(api=api)), "sha256:1", "h:5/foo:1")
    assert api.given == ["h:5/foo:1"]
    with pytest.raises(EngineError, match="tagging foo:1: it failed: already exists"):
        images.tag(cast(Engine, SimpleNamespace(api=Busy(*"abc"))), "sha256:1", "foo:1")
