"""What images stand on, from Dockerfiles and settings; an engine that cannot be reached is no error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tinyship.engine.connect import Engine
from tinyship.errors import ContextError, EngineUnreachable
from tinyship.lineage import Lineage
from tinyship.settings.load import Layer, load
from tinyship.stages import standing
from tinyship.stages.scope import Scope


def unreachable() -> Engine:
    """No engine."""
    raise EngineUnreachable("there is no engine at unix:///nowhere.sock")


def scopes_of(root: Path, files: dict[str, str], image: str = "", **values: Any) -> list[Scope]:
    """The images of a project with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    section = {"image": "lacion/foo", "version": {"literal": "1"}, **values}
    loaded = load([Layer("invoke.yaml", section)], image=image, environ={})
    return [
        Scope(
            root,
            one.settings,
            origins=one.origins,
            repositories=one.repositories,
            bases=one.bases,
            connect=unreachable,
        )
        for one in loaded
    ]


def drawn(root: Path, files: dict[str, str], image: str = "", **values: Any) -> Lineage:
    """Their graph."""
    return standing.find(scopes_of(root, files, image, **values))


def edges(graph: Lineage) -> set[tuple[str, str, str]]:
    """What leads where, and how."""
    return {(one.image, one.how, one.on) for one in graph.edges}


def test_the_articles_pipeline(tmp_path: Path) -> None:
    """Two bases, a build image that hands over artifacts, a release; without an engine that is all there is to say."""
    graph = drawn(
        tmp_path,
        {
            "Dockerfile": "FROM lacion/docker-alpine\nCOPY bin/foo /\n",
            "Dockerfile.build": "FROM lacion/docker-alpine:gobuildimage\n",
            "docker/Dockerfile": "FROM alpine:3.22\n",
        },
        base=[
            {"name": "lacion/docker-alpine:latest", "dockerfile": "docker/Dockerfile"},
            {"name": "lacion/docker-alpine:gobuildimage", "rootfs": {"tar": "x.tar"}},
        ],
        build={"artifacts": ["bin/foo"]},
    )
    assert edges(graph) == {
        ("lacion/docker-alpine:latest", "FROM", "alpine:3.22"),
        ("lacion/foo:build", "FROM", "lacion/docker-alpine:gobuildimage"),
        ("lacion/foo:local", "FROM", "lacion/docker-alpine:latest"),
        ("lacion/foo:local", "artifacts", "lacion/foo:build"),
    }
    assert {one.image: one.stage for one in graph.nodes} == {
        "lacion/docker-alpine:latest": "base",
        "lacion/docker-alpine:gobuildimage": "base",
        "lacion/foo:build": "build",
        "lacion/foo:local": "release",
        "alpine:3.22": "external",
    }
    assert not any(one.is_there for one in graph.nodes)
    assert graph.notes == ("no image is looked at: there is no engine at unix:///nowhere.sock",)


def test_several_images(tmp_path: Path) -> None:
    """A base image that two share is one; another image is known by its name, its tag, or a named context."""
    graph = drawn(
        tmp_path,
        {
            "core/Dockerfile": "FROM shared/base\n",
            "api/Dockerfile": "FROM lacion/core:local\nCOPY --from=docker.io/lacion/web:local /a /a\n",
            "web/Dockerfile": "FROM core\nCOPY --from=lacion/core /b /b\n",
        },
        base=[{"name": "shared/base", "rootfs": {"tar": "x.tar"}}],
        images=[
            {"name": "core", "image": "lacion/core", "release": {"dockerfile": "core/Dockerfile"}},
            {
                "name": "web",
                "image": "lacion/web",
                "release": {"dockerfile": "web/Dockerfile"},
                "contexts": ["core=target:core"],
            },
            {"name": "api", "image": "lacion/api", "release": {"dockerfile": "api/Dockerfile"}},
        ],
    )
    assert edges(graph) == {
        ("lacion/core:local", "FROM", "shared/base"),
        ("lacion/api:local", "FROM", "lacion/core:local"),
        ("lacion/api:local", "uses", "lacion/web:local"),
        ("lacion/web:local", "FROM", "lacion/core:local"),
    }
    assert len(graph.nodes) == 4
    assert graph.node("shared/base").of == ("lacion/core", "lacion/web", "lacion/api")
    assert [one.image for one in graph.tops()] == ["lacion/api:local"]


def test_one_of_several(tmp_path: Path) -> None:
    """Where one image is looked at, those of the project that it stands on are no strangers."""
    graph = drawn(
        tmp_path,
        {"Dockerfile": "FROM lacion/core:local\n"},
        image="api",
        images=[{"name": "core", "image": "lacion/core"}, {"name": "api", "image": "lacion/api"}],
    )
    assert graph.node("lacion/core:local").stage == "release"


def test_stages_of_one_dockerfile(tmp_path: Path) -> None:
    """What the build image's stages name is its own; the release uses the build image; what comes later is nobody's."""
    text = (
        "FROM golang:1 AS build\nCOPY --from=tools /x /x\n"
        "FROM scratch AS ship\nCOPY --from=build /foo /foo\nCOPY --from=certs /c /c\n"
        "FROM debian AS debug\nCOPY --from=ship /foo /foo\n"
    )
    graph = drawn(tmp_path, {"Dockerfile": text}, build={"dockerfile": "Dockerfile", "target": "build"},
                  release={"target": "ship"})  # fmt: skip
    assert edges(graph) == {
        ("lacion/foo:build", "FROM", "golang:1"),
        ("lacion/foo:build", "uses", "tools"),
        ("lacion/foo:local", "uses", "lacion/foo:build"),
        ("lacion/foo:local", "uses", "certs"),
    }


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    """It is no ring to name oneself, a folder is no image; what is not known before the build is noted."""
    graph = drawn(
        tmp_path,
        {"Dockerfile": "ARG X\nFROM $X AS a\nFROM lacion/foo\nCOPY --from=lib /l /l\n"},
        contexts=["lib=../lib"],
    )
    assert edges(graph) == set()
    assert "Dockerfile:2: `$X` is not known before it is built" in graph.notes


def test_earlier_releases_come_from_elsewhere(tmp_path: Path) -> None:
    """Be it an image's own, or another's; the one that a release makes now does not."""
    text = "FROM lacion/foo:0.9\nCOPY --from=lacion/core:0.1 /a /a\nCOPY --from=lacion/core:1 /b /b\n"
    graph = drawn(
        tmp_path,
        {"Dockerfile": text, "core": "FROM scratch\n"},
        images=[
            {"name": "core", "image": "lacion/core", "release": {"dockerfile": "core"}},
            {"name": "foo", "image": "lacion/foo"},
        ],
    )
    assert edges(graph) == {
        ("lacion/foo:local", "FROM", "lacion/foo:0.9"),
        ("lacion/foo:local", "uses", "lacion/core:0.1"),
        ("lacion/foo:local", "uses", "lacion/core:local"),
    }
    assert {one.image for one in graph.nodes if one.stage == "external"} == {"lacion/foo:0.9", "lacion/core:0.1"}


def test_pulled_bases_come_from_elsewhere(tmp_path: Path) -> None:
    """Although the settings name them."""
    pulled = {"name": "alpine:3.22", "pull": f"sha256:{'1' * 64}"}
    graph = drawn(tmp_path, {"Dockerfile": "FROM alpine:3.22\n"}, base=[pulled])
    assert graph.node("alpine:3.22").stage == "external"
    assert edges(graph) == {("lacion/foo:local", "FROM", "alpine:3.22")}


def test_a_dockerfile_that_is_not_there(tmp_path: Path) -> None:
    """It is named, with its image."""
    with pytest.raises(ContextError, match=r"the Dockerfile .*/Dockerfile cannot be read") as caught:
        drawn(tmp_path, {})
    assert caught.value.image == "lacion/foo"
