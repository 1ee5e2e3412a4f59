"""What releases contain and stand on, drawn after real ones: each layer is one, however many images have it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import images
from tinyship.engine.connect import Engine

pytestmark = pytest.mark.engine


def layers(engine: Engine, name: str) -> tuple[str, ...]:
    """The digests of an image's layers, as the engine has them."""
    image = images.find(engine, name)
    assert image
    return image.layers


def drawn(ship: Ship, *words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The graph as data, and its images by their names."""
    data = ship.invoke(*words, "release.graph", "--json").json
    return data, {one["image"]: one for one in data["images"]}


@pytest.fixture
def several(ship: Ship) -> Ship:
    """Two images on one base, of which one has a build image."""
    config = json.loads((ship.root / "invoke.json").read_text())["tinyship"]
    build = config.pop("build")
    config["images"] = [
        {"name": "one", "image": f"{ship.image}-one", "build": build},
        {"name": "two", "image": f"{ship.image}-two", "release": {"dockerfile": "Dockerfile.two"}},
    ]
    (ship.root / "invoke.json").write_text(json.dumps({"tinyship": config}))
    (ship.root / "Dockerfile.two").write_text(
        f"FROM {ship.base}\nCOPY --from={ship.image}-one:local /bin/foo /bin/two\n"
    )
    ship.commit("two images")
    ship.git("tag", "-f", "v1.0.0")
    return ship


def test_graph_of_a_release(several: Ship, engine: Engine) -> None:
    """Sizes are those of the size table, shared layers those of the engine, and the total has each layer once."""
    ship, base = several, several.base
    nothing, _ = drawn(ship)
    assert len(nothing["total"]["missing"]) == 4
    assert "releases: not known" in ship.invoke("release.graph").out
    ship.invoke("release")
    data, found = drawn(ship)
    one, two, build = f"{ship.image}-one:1.0.0", f"{ship.image}-two:1.0.0", f"{ship.image}-one:build"
    busybox = "tinyship-test-busybox:latest"
    assert {name: entry["stage"] for name, entry in found.items()} == {
        base: "base", build: "build", one: "release", two: "release", busybox: "external",
    }  # fmt: skip
    weighed = {row["image"]: row["unpacked"] for row in ship.invoke("size.table", "--json").json["images"]}
    assert weighed == {name: found[name]["unpacked"] for name in weighed}
    for name, entry in found.items():
        assert [layer["digest"] for layer in entry["layers"]] == list(layers(engine, name))
    edges = {(edge["image"], edge["on"]): edge for edge in data["edges"]}
    assert {pair: edge["how"] for pair, edge in edges.items()} == {
        (base, busybox): "FROM", (build, base): "FROM", (one, base): "FROM", (one, build): "artifacts",
        (two, base): "FROM", (two, one): "uses",
    }  # fmt: skip
    shared = edges[two, one]["shared"]
    count = len(layers(engine, base))
    assert layers(engine, one)[:count] == layers(engine, two)[:count] == layers(engine, base)
    assert shared == {"layers": count, "of": count + 1, "unpacked": found[base]["unpacked"]}
    assert edges[two, base]["shared"] == {**shared, "of": count}
    distinct = {layer["digest"]: layer["unpacked"] for entry in found.values() for layer in entry["layers"]}
    assert data["total"]["layers"] == len(distinct)
    assert data["total"]["unpacked"] == sum(distinct.values())
    assert data["total"]["apart"] == sum(entry["unpacked"] for entry in found.values())
    assert data["total"]["missing"] == data["notes"] == []
    assert found[two]["unique"] == found[two]["unpacked"] - shared["unpacked"]
    lineage = Project.load(ship.root).lineage()
    assert lineage.total().unpacked == data["total"]["unpacked"]
    assert json.loads(ship.invoke("release.graph", "--format", "json").out) == data
    assert ship.invoke("release.graph", "--format=mermaid").out.startswith("flowchart TD\n")
    assert "exclude each other" in ship.invoke("release.graph", "--format=mermaid", "--json", code=2).err


def test_graph_of_what_changed_since(several: Ship) -> None:
    """A base that was made anew is not what the releases were made from; an image that was removed is missing."""
    ship = several
    ship.invoke("release")
    (ship.root / "docker" / "Dockerfile.base").write_text(
        "FROM tinyship-test-busybox:latest\nRUN echo new > /etc/base\n"
    )
    ship.invoke("base")
    kept = {file.name: file.read_bytes() for file in (ship.root / ".tinyship").iterdir() if file.is_file()}
    _, found = drawn(ship, "--dry")
    assert found[ship.base]["unpacked"] is None
    assert kept == {file.name: file.read_bytes() for file in (ship.root / ".tinyship").iterdir() if file.is_file()}
    data, found = drawn(ship)
    assert found[ship.base]["unpacked"] > 0
    stale = {edge["image"] for edge in data["edges"] if edge["stale"]}
    assert stale == {f"{ship.image}-one:1.0.0", f"{ship.image}-one:build", f"{ship.image}-two:1.0.0"}
    ship.invoke("clean.all", "--yes")
    data, found = drawn(ship)
    assert {name for name, entry in found.items() if entry["in_engine"]} == {"tinyship-test-busybox:latest"}
    assert data["releases"]["missing"] == [f"{ship.image}-one:local", f"{ship.image}-two:local"]
    assert ship.invoke("release.graph", DOCKER_HOST="unix:///nowhere.sock").out.count("missing") == 7
