"""What users test with: all in a namespace goes, nothing else does, and the page about it is right."""

from __future__ import annotations

import io
import tarfile

import pytest
from docker.errors import NotFound

from tinyship import testing
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.events import ignore

pytestmark = pytest.mark.engine


def imported(engine: Engine, name: str, *more: str) -> str:
    """Make an image of one file, which has that name as its content, and return its id."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("name")
        entry.size = len(name)
        tar.addfile(entry, io.BytesIO(name.encode()))
    changes = ['CMD ["/name"]', *more]
    return images.import_rootfs(engine, iter([packed.getvalue()]), name=name, changes=changes, events=ignore)


def test_all_in_a_namespace_goes(engine: Engine, namespace: str) -> None:
    """Images by each of their names, and containers, although the block fails; others stay."""
    made: list[str] = []

    def fill_and_fail() -> None:
        with testing.namespace(engine) as name:
            made.extend(f"{host}{name}/{rest}" for host in ("", "registry.example.com/") for rest in ("a:1", "b/c:1"))
            for each in made:
                imported(engine, each)
            made.append(engine.api.create_container(made[0], command=["/name"])["Id"])
            assert all(images.find(engine, each) for each in made[:-1])
            raise ZeroDivisionError

    other = f"{namespace}/other:latest"
    imported(engine, other)
    with pytest.raises(ZeroDivisionError):
        fill_and_fail()
    *names, container = made
    assert not any(images.find(engine, each) for each in names)
    with pytest.raises(NotFound):
        engine.api.inspect_container(container)
    assert images.find(engine, other)


def test_what_lost_its_name_goes(engine: Engine) -> None:
    """An image that tinyship made for a project of the namespace, whose name a later one has."""
    with testing.namespace(engine) as name:
        label = f"LABEL tinyship.project={name}/foo"
        first = imported(engine, f"{name}/foo:local", label)
        second = imported(engine, f"{name}/foo:local", label, "ENV later=1")
        assert first != second
    for image_id in (first, second):
        with pytest.raises(NotFound):
            engine.api.inspect_image(image_id)
