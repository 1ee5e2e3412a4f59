"""Images as engines describe them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tinyship.engine import images
from tinyship.engine.connect import Engine

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
