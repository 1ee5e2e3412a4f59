"""What `push.promote` is told: which image of a project is meant, and what cannot be."""

from __future__ import annotations

import pytest

from tinyship.errors import ConfigError
from tinyship.settings.load import Layer, Loaded, load
from tinyship.stages import goals
from tinyship.stages.route import concerned

DIGEST = f"sha256:{'a' * 64}"
TWO = {
    "push": {"to": ["registry.example.com", "other.example.com/team"]},
    "images": [{"name": "api", "image": "lacion/api"}, {"name": "web", "image": "lacion/web"}],
}
HUB = {"images": [{"name": "api", "image": "lacion/api"}, {"name": "web", "image": "lacion/web"}]}
HOSTS = {"images": [{"name": name, "image": f"registry.example.com/{name}"} for name in ("a", "b")]}
NESTED = {
    "push": {"to": ["registry.example.com"]},
    "images": [{"name": "one", "image": "foo"}, {"name": "two", "image": "lacion/foo"}],
}
ONE = {"image": "lacion/foo"}


def images(section: object) -> tuple[Loaded, ...]:
    """The images of a config."""
    return tuple(load([Layer("invoke.yaml", section)], environ={}))


def names(section: object, source: str, target: str) -> list[str]:
    """Those that a promotion is for."""
    return [one.settings.image for one in concerned(images(section), source, target)]


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("1.0.0", "stable", ["lacion/api", "lacion/web"]),
        ("release", "stable,live", ["lacion/api", "lacion/web"]),
        ("registry.example.com/lacion/web:1.0.0", "stable", ["lacion/web"]),
        ("Registry.Example.com/lacion/web:1.0.0", "stable", ["lacion/web"]),
        ("other.example.com/team/lacion/web:1.0.0", "stable", ["lacion/web"]),
        ("registry.example.com/lacion/web:1.0.0", "registry.example.com/lacion/api:1.0.0, stable", ["lacion/web"]),
        ("other.example.com/x/y:1", "stable, registry.example.com/lacion/web:1", ["lacion/web"]),
        ("1.0.0", "stable, registry.example.com/lacion/web:stable", ["lacion/web"]),
        (DIGEST, "registry.example.com/lacion/web:stable", ["lacion/web"]),
        ("other.example.com/x/y:1", "other.example.com/x/y:2", ["lacion/api"]),
    ],
)
def test_one_of_several_images(source: str, target: str, found: list[str]) -> None:
    """All where tags are named alone; the one that a reference names; whichever where nothing depends on it."""
    assert names(TWO, source, target) == found


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (DIGEST, "stable"),
        ("registry.example.com/team/lacion/web:1.0.0", "stable"),
        ("other.example.com/lacion/web:1.0.0", "stable"),
        ("1.0.0", "registry.example.com/lacion/web:stable,registry.example.com/lacion/api:stable"),
        ("1.0.0", "registry.example.com/x/y:stable"),
        ("release", "registry.example.com/x/y:stable"),
        ("registry.example.com/x/y:1.0.0", "stable"),
        (DIGEST, "registry.example.com/x/y:stable"),
    ],
)
def test_which_of_several_images_is_not_said(source: str, target: str) -> None:
    """Two images would come to have one tag, or one digest would be looked for twice: it is asked what is meant."""
    with pytest.raises(ConfigError, match="which of the project's 2 images is meant") as caught:
        names(TWO, source, target)
    assert "`registry.example.com/lacion/api:1.0` or `registry.example.com/lacion/web:stable`" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "source", "target", "found"),
    [
        (HUB, "lacion/web:1.0.0", "stable", "lacion/web"),
        (HUB, "docker.io/lacion/web:1.0.0", "stable", "lacion/web"),
        (HOSTS, "registry.example.com/b:1.4", "stable", "registry.example.com/b"),
        (HOSTS, "registry.example.com/b:1.4", "registry.example.com/b:stable", "registry.example.com/b"),
        (NESTED, "registry.example.com/lacion/foo:1.4", "stable", "lacion/foo"),
        (NESTED, "registry.example.com/foo:1.4", "stable", "foo"),
    ],
)
def test_repository_that_another_one_looks_like(section: object, source: str, target: str, found: str) -> None:
    """Host and repository are compared as a whole, however the names of the images are written."""
    assert names(section, source, target) == [found]


@pytest.mark.parametrize("source", [DIGEST, "1.0.0", "release", "registry.example.com/x/y:1.0.0"])
def test_the_only_image(source: str) -> None:
    """It is always meant."""
    assert names(ONE, source, "stable") == names(ONE, source, "registry.example.com/x/z:stable") == ["lacion/foo"]


def test_registry_that_is_named_twice() -> None:
    """A push goes to it once, and is told of once."""
    (one,) = images({**ONE, "push": {"to": ["a.example.com", "b.example.com", "a.example.com"]}})
    assert goals.repositories(one.settings) == ("a.example.com/lacion/foo", "b.example.com/lacion/foo")
