"""The example of three images, of which one is the base of the others: released, changed, broken and cleaned."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import containers, images
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.events import ignore
from tinyship.kept import record

pytestmark = pytest.mark.engine

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "monorepo"
ASK = """serve &
until wget -q -O /dev/null http://127.0.0.1:8080/healthz 2>/dev/null; do :; done
for path in "$@"; do wget -q -O - "http://127.0.0.1:8080/$path"; done
"""
VERSIONS = {"core": "1.0.0", "api": "2.0.0", "web": "1.0.0"}


@pytest.fixture
def shop(tmp_path: Path, namespace: str, registry: str, busybox: str) -> Iterator[Ship]:
    """A copy of the example whose images have names of the test's own, tagged as core and web 1.0.0 and api 2.0.0."""
    root = tmp_path / "shop"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".tinyship", "__pycache__"))
    for file in (path for path in root.rglob("*") if path.is_file()):
        file.write_text(file.read_text().replace("lacion/", f"{namespace}/"))
    rootfs = root / "core/rootfs.py"  # a layer of its own: what has the same stands on it, as pages' images do
    rootfs.write_text(rootfs.read_text().replace('("tmp", 0o1777)', f'("tmp", 0o1777), ("{namespace}", 0o755)'))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "TINYSHIP_PUSH_TO": registry, "PATH": path}
    ship = Ship(root, f"{namespace}/shop", registry, environment)
    ship.begin("v1.0.0", "api/v2.0.0")
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


def asked(engine: Engine, image: str, *paths: str) -> list[str]:
    """What the server of an image answers, a line each; asked for in its own container, whatever networks there are."""
    request = ContainerRequest(image=image, command=("sh", "-c", ASK, "ask", *paths))
    with containers.container(engine, request) as container:
        return list(containers.run(engine, container, ignore, source="x").tail)


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
    part = shop.invoke("release.graph", "--image=web", "--format=json").json
    assert [one["image"].rpartition("-")[2] for one in part["images"]] == ["rootfs:latest", "core:1.0.0", "web:1.0.0"]
    again = shop.invoke("release", "push")
    assert ids(shop) == {name: entry["id"] for name, entry in cold.items()}
    for name in ("rootfs:latest", "core:local", "api:local", "web:local"):
        assert f"{shop.image}-{name}: up to date" in again.err
    assert f"{shop.image}-core:local: built" not in again.err
    prices = asked(engine, cold["api"]["id"], "healthz", "cgi-bin/price?tea", "cgi-bin/price?milk")
    assert prices == ["ok", "tea 2.80", "milk is not sold here"]
    assert "<h1>The shop</h1>" in asked(engine, cold["web"]["id"], "index.html")


def test_after_one_change(shop: Ship, engine: Engine) -> None:
    """A page changes what serves it alone; what all stand on changes all, and they stand on the new one."""
    shop.invoke("release")
    first = {name: layers(engine, entry["id"]) for name, entry in released(shop).items()}
    write(shop, "web/index.html", "<h1>Another shop</h1>\n")
    shop.invoke("release")
    second = {name: layers(engine, entry["id"]) for name, entry in released(shop).items()}
    assert [name for name in VERSIONS if second[name] != first[name]] == ["web"]
    write(shop, "core/srv/healthz", "fine\n")
    shop.invoke("release")
    third = {name: layers(engine, entry["id"]) for name, entry in released(shop).items()}
    assert [name for name in VERSIONS if third[name] != second[name]] == list(VERSIONS)
    assert all(third[name][: len(third["core"])] == third["core"] for name in VERSIONS)
    assert asked(engine, released(shop)["api"]["id"], "healthz") == ["fine"]


def test_changed_since(shop: Ship) -> None:
    """Only what changed is pushed, and what it stands on is there for it; nothing to release is no failure."""
    nothing = shop.invoke("release", "--push", "--changed-since", "HEAD", "--json").json
    assert (nothing["outcome"], nothing["released"], nothing["images"]) == ("nothing to release", [], [])
    assert nothing["changed"]["images"] == {"core": [], "api": [], "web": []}
    assert shop.invoke("release", "--changed-since=v1.0.0").out == "nothing to release\n"
    assert shop.invoke("--dry", "release", "--changed-since=v1.0.0").out == "nothing to release\n"
    assert not record.path(shop.root).exists()
    write(shop, "web/index.html", "<h1>Another shop</h1>\n")
    shop.git("tag", "v1.0.1")
    done = shop.invoke("release", "--push", "--changed-since", "HEAD~1", "--json")
    assert "web: web/index.html changed" in done.err
    assert done.json["outcome"] == "released"
    assert done.json["released"] == [f"{shop.image}-core", f"{shop.image}-web"]
    assert done.json["changed"]["since"] == shop.git("rev-parse", "HEAD~1")
    assert done.json["changed"]["images"]["web"] == [{"kind": "changed", "name": "web/index.html"}]
    assert {name: bool(entry["pushed"]) for name, entry in released(shop).items()} == {"core": False, "web": True}
    assert shop.invoke("release", "--changed-since=HEAD~1", "--image=api").out == "nothing to release\n"
    words = ("release", "--push", "--changed-since=HEAD~1", "--image=api", "--image=w*", "--json")
    plans = [(plan["task"], plan["image"]) for plan in shop.invoke("--dry", *words).json["plans"]]
    core, web = f"{shop.image}-core", f"{shop.image}-web"
    assert plans == [("release", core), ("release", web), ("push", web)]
    wrong = shop.invoke("release", "--changed-since=origin/main", "--json", code=2)
    assert wrong.json["error"]["message"] == "git knows no `origin/main` here"
    outcome = Project.load(shop.root).release(changed_since="HEAD")
    assert (outcome.released, len(outcome.images)) == ((), 2)
    assert Project.load(shop.root).release(changed_since="HEAD~1", images=("api", "web")).released == (core, web)


def test_a_failing_image(shop: Ship) -> None:
    """It is named, with the step that failed, and what stands on it is not begun; the others are released."""
    shop.invoke("release")
    before = released(shop)
    good = (shop.root / "api" / "Dockerfile").read_text()
    write(shop, "web/index.html", "<h1>Another shop</h1>\n")
    write(shop, "api/Dockerfile", f'{good}RUN ["sh", "-c", "echo out of tea; exit 3"]\n')
    failed = shop.invoke("release", code=1)
    assert f"{shop.image}-api:local" in failed.err
    assert "out of tea" in failed.err
    after = released(shop)
    assert after["api"] == before["api"]
    assert after["web"]["id"] != before["web"]["id"]
    write(shop, "api/Dockerfile", good)
    core = (shop.root / "core" / "Dockerfile").read_text()
    write(shop, "core/Dockerfile", f'{core}RUN ["false"]\n')
    error = shop.invoke("release", "--json", code=1).json["error"]
    assert (list(error["failed"]), error["stopped"]) == (["core"], {"api": ["core"], "web": ["core"]})
    assert released(shop) == after
    write(shop, "core/Dockerfile", core)
    shop.invoke("release")
    assert {entry["commit"] for entry in released(shop).values()} == {shop.git("rev-parse", "HEAD")}


def test_clean(shop: Ship, engine: Engine) -> None:
    """All that the example made goes from the engine, and nothing from the registry."""
    shop.invoke("release", "push")
    pushed = {name: entry["pushed"][0] for name, entry in released(shop).items()}
    shop.invoke("clean.all", "--yes")
    there = [tag for image in engine.api.images() for tag in image["RepoTags"] or () if f"{shop.image}-" in tag]
    assert there == []
    repository = pushed["web"]["reference"].rpartition(":")[0]
    images.pull(engine, f"{repository}:back", pushed["web"]["digest"], credential=None, events=ignore)
    assert "<h1>The shop</h1>" in asked(engine, f"{repository}:back", "index.html")
