"""The example of three images, of which one is the base of the others: released, changed, broken and cleaned."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ships import Ship

from tinyship import record
from tinyship.engine import containers, images
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.events import ignore

pytestmark = pytest.mark.engine

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "monorepo"
VERSIONS = {"core": "1.0.0", "api": "2.0.0", "web": "1.0.0"}


@pytest.fixture
def shop(tmp_path: Path, namespace: str, registry: str) -> Iterator[Ship]:
    """A copy of the example whose images have names of the test's own, tagged as core and web 1.0.0 and api 2.0.0."""
    root = tmp_path / "shop"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".tinyship", "__pycache__"))
    for file in (path for path in root.rglob("*") if path.is_file()):
        file.write_text(file.read_text().replace("lacion/", f"{namespace}/"))
    environment = {**os.environ, "TINYSHIP_PUSH_TO": registry}
    ship = Ship(root, f"{namespace}/shop", registry, environment)
    ship.git("init", "-q", "-b", "main")
    ship.commit("first")
    ship.git("tag", "v1.0.0")
    ship.git("tag", "api/v2.0.0")
    yield ship
    schema = json.loads(record.schema())
    jsonschema.validate(json.loads(record.path(root).read_text()), schema, jsonschema.Draft202012Validator)


def released(shop: Ship) -> dict[str, dict[str, Any]]:
    """The entries of the record, by the names that the config has for the images."""
    entries = json.loads(record.path(shop.root).read_text())["images"]
    return {entry["image"].removeprefix(f"{shop.image}-"): entry for entry in entries}


def ids(shop: Ship) -> dict[str, str]:
    """The engine's ids of what the record says."""
    return {name: entry["id"] for name, entry in released(shop).items()}


def layers(engine: Engine, reference: str) -> tuple[str, ...]:
    """The digests of an image's layers."""
    image = images.find(engine, reference)
    assert image
    return image.layers


def write(shop: Ship, name: str, text: str) -> None:
    """Write a file of the example anew, and commit it."""
    (shop.root / name).write_text(text)
    shop.commit(f"change {name}")


def get(url: str) -> bytes:
    """What a server that was started a moment ago says."""
    import time

    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def asked(engine: Engine, image: str, *paths: str) -> list[str]:
    """What a container of an image answers."""
    with containers.container(engine, ContainerRequest(image=image, ports=("127.0.0.1::8080",))) as container:
        containers.start(engine, container)
        address = containers.published(engine, container)["8080/tcp"]
        return [get(f"http://{address}/{path}").decode() for path in paths]


def test_cold_and_with_nothing_to_do(shop: Ship, engine: Engine) -> None:
    """Each with a version of its own, both on the layers of core, which count once; a second time nothing is made."""
    shop.invoke("release", "push")
    cold = released(shop)
    assert {name: entry["version"] for name, entry in cold.items()} == VERSIONS
    core = layers(engine, cold["core"]["id"])
    for name in ("api", "web"):
        assert layers(engine, cold[name]["id"])[: len(core)] == core
        assert len(layers(engine, cold[name]["id"])) > len(core)
        assert {pushed["reference"].rpartition(":")[2] for pushed in cold[name]["pushed"]} == {
            VERSIONS[name], cold[name]["commit"], "latest",
        }  # fmt: skip
    graph = shop.invoke("release.graph", "--json").json
    weights = {one["image"]: one["unpacked"] for one in graph["images"]}
    base = weights[f"{shop.image}-rootfs:latest"]
    assert graph["total"]["missing"] == []
    assert graph["releases"]["unpacked"] < base + 1000 < 3 * base < graph["releases"]["apart"]
    assert {(edge["image"], edge["on"]) for edge in graph["edges"]} == {
        (f"{shop.image}-api:2.0.0", f"{shop.image}-core:1.0.0"),
        (f"{shop.image}-web:1.0.0", f"{shop.image}-core:1.0.0"),
        (f"{shop.image}-core:1.0.0", f"{shop.image}-rootfs:latest"),
    }
    assert not any(edge["stale"] for edge in graph["edges"])
    again = shop.invoke("release", "push")
    assert ids(shop) == {name: entry["id"] for name, entry in cold.items()}
    for name in ("rootfs:latest", "core:local", "api:local", "web:local"):
        assert f"{shop.image}-{name}: up to date" in again.err
    assert f"{shop.image}-core:local: built" not in again.err
    prices = asked(engine, cold["api"]["id"], "healthz", "cgi-bin/price?tea", "cgi-bin/price?milk")
    assert prices == ["ok\n", "tea 2.80\n", "milk is not sold here\n"]
    assert "<h1>The shop</h1>" in asked(engine, cold["web"]["id"], "")[0]


def test_after_one_change(shop: Ship, engine: Engine) -> None:
    """A page changes what serves it alone; what all stand on changes all, and they stand on the new one."""
    shop.invoke("release")
    before = released(shop)
    unpushed = {name: layers(engine, entry["id"]) for name, entry in before.items()}
    write(shop, "web/index.html", "<h1>Another shop</h1>\n")
    shop.invoke("release")
    after = {name: layers(engine, entry["id"]) for name, entry in released(shop).items()}
    assert [name for name in after if after[name] != unpushed[name]] == ["web"]
    write(shop, "core/srv/healthz", "fine\n")
    shop.invoke("release")
    last = {name: layers(engine, entry["id"]) for name, entry in released(shop).items()}
    assert [name for name in VERSIONS if last[name] != after[name]] == list(VERSIONS)
    assert all(last[name][: len(last["core"])] == last["core"] for name in VERSIONS)
    assert asked(engine, released(shop)["api"]["id"], "healthz") == ["fine\n"]


def test_a_failing_image(shop: Ship) -> None:
    """It is named, with the step that failed; the others are released, and the record has what it had of it."""
    shop.invoke("release")
    before = released(shop)
    good = (shop.root / "web" / "Dockerfile").read_text()
    write(shop, "api/prices", "tea 3.00\n")
    write(shop, "web/Dockerfile", f'{good}RUN ["sh", "-c", "echo out of tea; exit 3"]\n')
    failed = shop.invoke("release", code=1)
    assert f"{shop.image}-web:local" in failed.err
    assert "out of tea" in failed.err
    after = released(shop)
    assert after["web"] == before["web"]
    assert after["api"]["id"] != before["api"]["id"]
    write(shop, "web/Dockerfile", good)
    shop.invoke("release")
    assert released(shop)["web"]["commit"] == shop.git("rev-parse", "HEAD")


def test_clean(shop: Ship, engine: Engine) -> None:
    """All that the example made goes from the engine, and nothing from the registry; a release brings it back."""
    shop.invoke("release", "push")
    pushed = {name: entry["pushed"][0] for name, entry in released(shop).items()}
    weights = {one["image"]: one["unpacked"] for one in shop.invoke("release.graph", "--json").json["images"]}
    shop.invoke("clean.all")
    there = [tag for image in engine.api.images() for tag in image["RepoTags"] or () if f"{shop.image}-" in tag]
    assert there == []
    repository = pushed["web"]["reference"].rpartition(":")[0]
    images.pull(engine, f"{repository}:back", pushed["web"]["digest"], credential=None, events=ignore)
    assert "<h1>The shop</h1>" in asked(engine, f"{repository}:back", "")[0]
    shop.invoke("release")
    again = {one["image"]: one["unpacked"] for one in shop.invoke("release.graph", "--json").json["images"]}
    assert again == weights
