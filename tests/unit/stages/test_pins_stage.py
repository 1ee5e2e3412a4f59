"""Which images come from elsewhere, what pins them, and what the labels of a release say: from files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tinyship.engine.connect import Engine
from tinyship.errors import ConfigError, ContextError
from tinyship.events import Event, Notice
from tinyship.kept import lock
from tinyship.kept.lock import Lock, Pin
from tinyship.settings.load import Layer, load
from tinyship.stages import building, moving, pins
from tinyship.stages.pins import BaseImage
from tinyship.stages.scope import Scope

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
NAME, DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"


def no_engine() -> Engine:
    """An engine that nothing here may ask for."""
    raise AssertionError("the engine was asked")


def scope_of(root: Path, text: str = "FROM scratch\n", image: str = "", **values: Any) -> Scope:
    """An image whose release has this Dockerfile."""
    (root / "Dockerfile").write_text(text)
    section = {"image": "lacion/foo", "version": {"literal": "1"}, **values}
    (loaded,) = load([Layer("invoke.yaml", section)], image=image, environ={})
    return Scope(
        root,
        loaded.settings,
        origins=loaded.origins,
        repositories=loaded.repositories,
        bases=loaded.bases,
        connect=no_engine,
    )


def names(root: Path, text: str, **values: Any) -> list[str]:
    """The names of the images from elsewhere."""
    return [base.name for base in pins.external(scope_of(root, text, **values))]


def sent(scope: Scope) -> str:
    """The Dockerfile that the release sends."""
    return building.of_release(scope, "lacion/foo:local").context.text


def labels(scope: Scope) -> dict[str, str]:
    """The labels of the release that are about bases."""
    found = building.of_release(scope, "lacion/foo:local").labels
    return {key: value for key, value in found.items() if key in {NAME, DIGEST, "tinyship.bases"}}


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("FROM alpine:3.22\n", {}, ["alpine:3.22"]),
        ("FROM scratch\n", {}, []),
        (
            "FROM golang:1 AS x\nFROM scratch\nCOPY --from=x / /\nCOPY --from=busybox /a /a\n",
            {},
            ["golang:1", "busybox"],
        ),
        ("FROM alpine\nFROM alpine\nCOPY --from=alpine / /\n", {}, ["alpine"]),
        ("FROM lacion/foo:build\n", {}, []),
        ("FROM docker.io/lacion/foo:1.0\n", {}, []),
        ("FROM registry.example.com/lacion/foo:1.0\n", {}, ["registry.example.com/lacion/foo:1.0"]),
        (
            "FROM lacion/base\nFROM lacion/base:other\n",
            {"base": [{"name": "lacion/base:latest", "rootfs": {"tar": "x"}}]},
            ["lacion/base:other"],
        ),
        ("FROM alpine:3.22\n", {"base": [{"name": "alpine:3.22", "pull": TWO}]}, ["alpine:3.22"]),
        (f"FROM alpine:3.22@{ONE}\n", {}, ["alpine:3.22"]),
        (
            "FROM sources\nCOPY --from=deps / /\n",
            {"contexts": ["sources=src", "deps=docker-image://debian:12"]},
            ["debian:12"],
        ),
        ("FROM alpine\n", {"contexts": ["alpine:latest=src"]}, []),
        ("ARG A=1\nARG B\nFROM a:$A\nFROM b:$B\nFROM c:$C\n", {"args": ["A=2"]}, ["a:2"]),
        ("FROM Upper/Case\nFROM a:b:c\n", {}, []),
    ],
)
def test_external(tmp_path: Path, text: str, values: dict[str, Any], found: list[str]) -> None:
    """What a Dockerfile names and the project does not make; each once."""
    assert names(tmp_path, text, **values) == found


def test_every_dockerfile_counts(tmp_path: Path) -> None:
    """Those of bases and of the build stage are looked at as well."""
    (tmp_path / "Dockerfile.base").write_text("FROM alpine:3.22\n")
    (tmp_path / "Dockerfile.build").write_text("FROM golang:1\n")
    base = [{"name": "lacion/base", "dockerfile": "Dockerfile.base"}]
    assert names(tmp_path, "FROM lacion/base\n", base=base, build={}) == ["alpine:3.22", "golang:1"]


def test_other_images_of_the_project(tmp_path: Path) -> None:
    """What another entry of `images` makes is made here, even where the tasks are those of one entry."""
    other = {"name": "web", "image": "lacion/web", "base": [{"name": "team/web-base", "rootfs": {"tar": "x"}}]}
    text = "FROM lacion/web:local\nFROM team/web-base\nFROM alpine\n"
    scope = scope_of(tmp_path, text, image="api", images=[{"name": "api", "image": "lacion/api"}, other])
    assert [base.name for base in pins.external(scope)] == ["alpine"]


def test_what_pins(tmp_path: Path) -> None:
    """The lock, the Dockerfile, the settings, or nothing."""
    text = f"FROM a:1\nFROM b:1@{TWO}\nFROM c:1\nFROM d:1\n"
    lock.write(tmp_path, Lock({"a:1": Pin(ONE)}))
    named = [f"deps=docker-image://e:1@{ONE}"]
    assert pins.external(scope_of(tmp_path, text, base=[{"name": "d:1", "pull": TWO}], contexts=named)) == (
        BaseImage("a:1", ONE, "tinyship.lock"),
        BaseImage("b:1", TWO, "Dockerfile"),
        BaseImage("c:1", ""),
        BaseImage("e:1", ONE, "contexts"),
        BaseImage("d:1", TWO, "settings"),
    )


def test_a_dockerfile_that_is_not_there(tmp_path: Path) -> None:
    """It is told which."""
    with pytest.raises(ContextError, match=r"Dockerfile\.build cannot be read"):
        pins.external(scope_of(tmp_path, build={}))


def test_names_that_are_not_known(tmp_path: Path) -> None:
    """They are told with their lines."""
    scope = scope_of(tmp_path, "ARG A\nFROM x\n\nFROM a:$A\n")
    assert pins.unknown(scope) == (("Dockerfile", 4, "a:$A"),)


def test_what_is_sent(tmp_path: Path) -> None:
    """With a lock, its digests are in the Dockerfile that is sent, and in named contexts that are images."""
    text = "ARG T=1\nFROM a:$T AS x\nRUN true\nFROM deps\nCOPY --from=b:1 / /\n"
    scope = scope_of(tmp_path, text, contexts=["deps=docker-image://c:1"])
    assert building.of_release(scope, "x").context.pinned is None
    lock.write(tmp_path, Lock({"a:1": Pin(ONE), "c:1": Pin(TWO)}))
    request = building.of_release(scope, "x")
    assert request.context.text == text.replace("a:$T", f"a:1@{ONE}")
    assert request.context.own_text == text
    assert request.contexts == {"deps": f"docker-image://c:1@{TWO}"}


def test_a_lock_that_has_none_of_them(tmp_path: Path) -> None:
    """Then the Dockerfile is sent as it is, and what is not pinned is named."""
    scope = scope_of(tmp_path, "FROM a:1\nFROM lacion/foo:build\nFROM a:1\n")
    context = building.of_release(scope, "x").context
    assert pins.unpinned(scope, context) == ()
    lock.write(tmp_path, Lock({}))
    assert building.of_release(scope, "x").context.pinned is None
    assert pins.unpinned(scope, context) == ("a:1",)


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("FROM scratch\n", {}, {}),
        ("FROM a:1 AS x\nFROM scratch\nCOPY --from=x / /\n", {}, {"tinyship.bases": f"docker.io/library/a:1@{ONE}"}),
        (
            "FROM a:1\n",
            {},
            {NAME: "docker.io/library/a:1", DIGEST: ONE, "tinyship.bases": f"docker.io/library/a:1@{ONE}"},
        ),
        (
            "FROM a:1 AS x\nFROM X\n",
            {},
            {NAME: "docker.io/library/a:1", DIGEST: ONE, "tinyship.bases": f"docker.io/library/a:1@{ONE}"},
        ),
        ("FROM b:1\n", {}, {NAME: "docker.io/library/b:1", DIGEST: "", "tinyship.bases": ""}),
        (
            f"FROM b@{TWO}\n",
            {},
            {NAME: "docker.io/library/b", DIGEST: TWO, "tinyship.bases": f"docker.io/library/b@{TWO}"},
        ),
        (
            "FROM registry.example.com/b:1\n",
            {"base": [{"name": "registry.example.com/b:1", "pull": TWO}]},
            {
                NAME: "registry.example.com/b:1",
                DIGEST: TWO,
                "tinyship.bases": f"registry.example.com/b:1@{TWO}",
            },
        ),
        (
            "FROM lacion/base\n",
            {"base": [{"name": "lacion/base:latest", "rootfs": {"tar": "x"}}]},
            {NAME: "lacion/base", DIGEST: "", "tinyship.bases": ""},
        ),
        (
            "FROM deps\n",
            {"contexts": ["deps=docker-image://a:1"]},
            {NAME: "docker.io/library/a:1", DIGEST: ONE, "tinyship.bases": f"docker.io/library/a:1@{ONE}"},
        ),
        ("FROM deps\n", {"contexts": ["deps=src"]}, {}),
        ("FROM b:$B\n", {}, {NAME: "", DIGEST: "", "tinyship.bases": ""}),
        (
            "FROM a:1\nFROM b:1 AS y\nFROM scratch\n",
            {"release": {"target": "y"}},
            {NAME: "docker.io/library/b:1", DIGEST: "", "tinyship.bases": f"docker.io/library/a:1@{ONE}"},
        ),
        ("FROM b:1\n", {"labels": [f"{NAME}=mine"]}, {NAME: "mine", DIGEST: "", "tinyship.bases": ""}),
    ],
)
def test_labels(tmp_path: Path, text: str, values: dict[str, Any], found: dict[str, str]) -> None:
    """The base of the last stage, and all that is pinned; empty rather than inherited; the project's own win."""
    lock.write(tmp_path, Lock({"a:1": Pin(ONE)}))
    assert labels(scope_of(tmp_path, text, **values)) == found


def test_update_of_what_is_not_there(tmp_path: Path) -> None:
    """A name that is none is refused before anything is asked for or written."""
    scope = scope_of(tmp_path, "FROM a:1\n")
    with pytest.raises(ConfigError) as caught:
        moving.update([scope], only=["a:2"])
    assert caught.value.hint == "There are a:1."
    assert lock.read(tmp_path) is None


def test_update_without_bases(tmp_path: Path) -> None:
    """Where nothing comes from elsewhere there is nothing to pin, and no file comes; pins that were there go."""
    scope = scope_of(tmp_path)
    assert moving.update([scope]) == moving.Update((), (), (), ())
    assert lock.read(tmp_path) is None
    lock.write(tmp_path, Lock({"a:1": Pin(ONE)}))
    assert moving.update([scope], dry=True).gone == ("a:1",)
    assert lock.read(tmp_path) == Lock({"a:1": Pin(ONE)})
    assert moving.update([scope]).gone == ("a:1",)
    assert lock.read(tmp_path) == Lock({})


def test_update_of_one_image_keeps_the_pins_of_others(tmp_path: Path) -> None:
    """Whoever sees one image of several does not know what the others name."""
    two = [{"name": "api", "image": "lacion/api"}, {"name": "web", "image": "lacion/web"}]
    lock.write(tmp_path, Lock({"a:1": Pin(ONE)}))
    assert moving.update([scope_of(tmp_path, image="api", images=two)]) == moving.Update((), (), (), ())
    assert lock.read(tmp_path) == Lock({"a:1": Pin(ONE)})


def test_update_tells_what_it_cannot_pin(tmp_path: Path) -> None:
    """An argument without a value is worth a warning that names the line."""
    scope = scope_of(tmp_path, "ARG A\nFROM a:$A\n")
    told: list[Event] = []
    object.__setattr__(scope, "events", told.append)
    moving.update([scope])
    assert told == [Notice("Dockerfile:2: `a:$A` cannot be pinned: an argument in it has no value", "warning")]
