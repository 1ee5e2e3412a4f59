"""Every command of a page that needs an engine runs, in the order of the page, and writes what the page shows."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from scenes import SCENES, Scene
from tests.pages import ROOT

from conftest import named, unavailable
from tinyship import testing
from tinyship.engine.connect import Engine

# Pages show what an engine with a graph driver writes; sizes and names of images differ a little with another store.
pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit", "graph-driver")]


@pytest.fixture
def scene(tmp_path: Path, engine: Engine, busybox: str) -> Iterator[Scene]:
    """A scene with an empty registry; the images that are made in it have short names, as on pages."""
    if not testing.registry_program():
        unavailable("no docker-registry on PATH")
    word = "".join(secrets.choice("bcdfghjklmnpqrstvwxz") for _ in range(6))
    with ExitStack() as stack, testing.registry(tmp_path / "registry") as registry, named(engine, word) as name:
        yield Scene(tmp_path, engine, registry, name, busybox, stack)


_THOROUGH = {
    "docs/how-to/deploy.md",
    "docs/how-to/init.md",
    "docs/how-to/multistage.md",
    "docs/how-to/monorepo.md",
    "docs/tutorial.md",
}
"""Pages that take long; what their commands do has tests of its own."""
_PAGES = [pytest.param(page, marks=[pytest.mark.thorough] if page in _THOROUGH else []) for page in SCENES]


@pytest.mark.parametrize("page", _PAGES)
def test_page(page: str, scene: Scene) -> None:
    """As its reader would type it, without an error that the page does not show."""
    SCENES[page](scene).play(ROOT / page)
