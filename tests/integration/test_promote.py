"""`push.promote` on real registries: tags and repositories that come to name an image, without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from faulty_registry import BLOBS, UPLOADS, Fault, faulty
from guarded import running
from ships import Ship
from uploads import Uploads

from tinyship import Project
from tinyship.errors import ConfigError, Refused
from tinyship.registry.client import Repository

pytestmark = pytest.mark.engine

_NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def _project(root: Path, image: str, registry: str) -> Ship:
    """A project with nothing but a config: nothing is built here."""
    from ships import launch

    return launch(root, image, registry, "unused")


@pytest.fixture
def promoter(tmp_path: Path, namespace: str, registry: str) -> Ship:
    """A project of which 1.0.0 and 1.1.0 are in the registry, and no engine at all."""
    root = tmp_path / "project"
    root.mkdir()
    ship = _project(root, f"{namespace}/foo", registry)
    ship.environment.update(_NO_ENGINE)
    there = Uploads(registry, ship.image)
    there.image(b"one", b"below" * 1000, tag="1.0.0")
    there.image(b"two", b"below" * 1000, tag="1.1.0")
    return ship


def digest(registry: str, image: str, tag: str) -> str | None:
    """What a tag names."""
    with Repository.open(f"{registry}/{image}", credential=None) as repository:
        return repository.digest(tag)


def test_another_tag(promoter: Ship, registry: str) -> None:
    """A tag that was free, then moved: the result says what it named before."""
    one, two = (digest(registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    ran = promoter.invoke("push.promote", "1.0.0", "stable")
    assert f"{registry}/{promoter.image}@{one}" in ran.out
    assert "nothing sent" in ran.out
    assert digest(registry, promoter.image, "stable") == one
    ran = promoter.invoke("push.promote", "1.1.0", "stable", "--json")
    assert ran.json["promoted"] == [
        {
            "image": promoter.image,
            "source": f"{registry}/{promoter.image}@{two}",
            "digest": two,
            "tags": [{"reference": f"{registry}/{promoter.image}:stable", "before": one}],
            "sent": 0,
            "mounted": 0,
            "present": 0,
        }
    ]
    assert f"{registry}/{promoter.image}:stable named {one}, and is replaced" in ran.err
    assert digest(registry, promoter.image, "stable") == two
    assert "was there" in promoter.invoke("push.promote", str(two), "stable").out


def test_version_is_not_replaced(promoter: Ship, registry: str) -> None:
    """Not without --force, and then it is said; none of several tags is given where one is refused."""
    one, two = (digest(registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    ran = promoter.invoke("push.promote", "1.0.0", "stable, 1.1.0", code=1)
    assert f"{registry}/{promoter.image}:1.1.0 is {two}" in ran.err
    assert "--force" in ran.err
    assert digest(registry, promoter.image, "stable") is None
    ran = promoter.invoke("push.promote", "1.0.0", "stable,1.1.0", "--force")
    assert f"1.1.0 named {two}, and is replaced" in ran.err
    assert {digest(registry, promoter.image, tag) for tag in ("stable", "1.1.0")} == {one}
