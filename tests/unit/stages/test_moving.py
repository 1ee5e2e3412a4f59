"""Pins and registries: what moved, by how many bytes, what cannot be asked for; and what stands on what is old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from registries import CONFIG, LAYER, OCI, Answer, Asked, Server, Store, serving, with_platform

from tinyship.engine.connect import Engine
from tinyship.errors import EngineUnreachable
from tinyship.events import Event, Notice
from tinyship.kept import lock
from tinyship.kept.lock import Lock, Pin
from tinyship.settings.load import Layer, load
from tinyship.stages import moving, outdated
from tinyship.stages.scope import Scope

ZERO = f"sha256:{'0' * 64}"


class Shop(Store):
    """A repository that lists its tags."""

    def release(self, tag: str, labels: Any) -> None:
        """Have a release with these labels."""
        config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [ZERO]}}
        document = {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": self.blob(json.dumps({**config, "config": {"Labels": labels}}).encode(), CONFIG),
            "layers": [self.blob(tag.encode(), LAYER)],
        }
        self.manifest(document, OCI, tag)

    def __call__(self, asked: Asked) -> Answer:
        if "/tags/list" in asked.path:
            tags = [tag for tag in self.manifests if tag and ":" not in tag]
            return Answer(200, {}, json.dumps({"name": "foo", "tags": tags}).encode())
        return super().__call__(asked)


@pytest.fixture
def shop() -> Shop:
    """What the registry has."""
    return Shop()


@pytest.fixture
def server(shop: Shop) -> Iterator[Server]:
    """The registry, and what it was asked."""
    with serving(shop) as found:
        yield found


@pytest.fixture
def host(server: Server) -> str:
    """Where it is."""
    return server.host


def no_engine() -> Engine:
    """There is none."""
    raise EngineUnreachable("no engine")


def scope_of(root: Path, text: str, told: list[Event] | None = None, **values: Any) -> Scope:
    """An image whose release has this Dockerfile."""
    (root / "Dockerfile").write_text(text)
    section = {"image": "lacion/own", "version": {"literal": "1"}, "platforms": ["linux/amd64"], **values}
    (loaded,) = load([Layer("invoke.yaml", section)], environ={})
    events = [] if told is None else told
    return Scope(root, loaded.settings, events.append, repositories=loaded.repositories, connect=no_engine)


def test_moves_of_an_index(shop: Shop, host: str, tmp_path: Path) -> None:
    """The index is pinned, and sizes are those of the platform; layers are new that the old image did not have."""
    arm = with_platform(shop.image(b"arm" * 100, platform="linux/arm64"), "linux/arm64")
    shop.index(arm, with_platform(shop.image(b"base", b"one"), "linux/amd64"), tag="1")
    scope = scope_of(tmp_path, f"FROM {host}/foo:1\n")
    (first,) = moving.update([scope]).moved
    assert (first.name, first.old, first.layers, first.new_layers, first.change) == (
        f"{host}/foo:1", None, 2, None, None,
    )  # fmt: skip
    assert first.new.platform == "linux/amd64"
    assert lock.read(tmp_path) == Lock({f"{host}/foo:1": first.new})

    shop.index(arm, with_platform(shop.image(b"base", b"and two"), "linux/amd64"), tag="1")
    (second,) = moving.update([scope]).moved
    assert second.old == first.new
    assert (second.layers, second.new_layers, second.change) == (2, 1, 4)
    assert moving.update([scope]) == moving.Update((), (f"{host}/foo:1",), (), ())


def test_another_update_meanwhile(shop: Shop, tmp_path: Path) -> None:
    """What it pinned and removed while ours asked stays so; each changes its own pins only."""
    shop.image(b"one", tag="1")

    def answers(asked: Asked) -> Answer:
        lock.write(tmp_path, Lock({"new:1": Pin(ZERO), "gone:2": Pin(ZERO)}))
        return shop(asked)

    with serving(answers) as server:
        name = f"{server.host}/foo:1"
        lock.write(tmp_path, Lock({"gone:1": Pin(ZERO), "gone:2": Pin(ZERO), name: Pin(ZERO)}))
        done = moving.update([scope_of(tmp_path, f"FROM {name}\n")])
    assert done.gone == ("gone:1", "gone:2")
    assert lock.read(tmp_path) == Lock({"new:1": Pin(ZERO), name: done.moved[0].new})


def test_an_old_image_that_is_gone(shop: Shop, host: str, tmp_path: Path) -> None:
    """What the lock says of its size counts, where it is of the same platform; its layers are not known."""
    shop.image(b"one", tag="1")
    name = f"{host}/foo:1"
    scope = scope_of(tmp_path, f"FROM {name}\n")
    for old, change in ((Pin(ZERO, "linux/amd64", 7), True), (Pin(ZERO, "linux/arm64", 7), False), (Pin(ZERO), False)):
        lock.write(tmp_path, Lock({name: old}))
        (moved,) = moving.update([scope]).moved
        assert moved.old
        assert moved.old.digest == ZERO
        assert moved.new_layers is None
        assert moved.change == (moved.new.pull - 7 if change and moved.new.pull else None)


def test_a_base_of_another_platform(shop: Shop, host: str, tmp_path: Path) -> None:
    """It is pinned too, and the lock says which platform its size is of."""
    shop.image(b"one", platform="linux/arm64", tag="1")
    (moved,) = moving.update([scope_of(tmp_path, f"FROM --platform=linux/arm64 {host}/foo:1\n")]).moved
    assert moved.new.platform == "linux/arm64"


def test_without_an_engine(shop: Shop, host: str, tmp_path: Path) -> None:
    """Nothing but the platform is asked of one, and this machine's is as good."""
    shop.image(b"one", tag="1")
    assert moving.update([scope_of(tmp_path, f"FROM {host}/foo:1\n", platforms=[])]).moved


def test_a_base_that_is_not_there(shop: Shop, host: str, tmp_path: Path) -> None:
    """It is told, its pin stays, the others move."""
    shop.image(b"one", tag="1")
    lock.write(tmp_path, Lock({f"{host}/foo:none": Pin(ZERO)}))
    done = moving.update([scope_of(tmp_path, f"FROM {host}/foo:none\nFROM {host}/foo:1\n")])
    ((name, why),) = done.failures
    assert name == f"{host}/foo:none"
    assert "none" in why
    kept = lock.read(tmp_path)
    assert kept
    assert set(kept.pins) == {f"{host}/foo:none", f"{host}/foo:1"}
    assert kept.pins[f"{host}/foo:none"] == Pin(ZERO)


def test_what_is_old(shop: Shop, server: Server, host: str, tmp_path: Path) -> None:
    """Releases say by their labels what they were made with; each name is asked for once."""
    now = shop.image(b"now", tag="base")["digest"]
    base = f"{host}/foo:base"
    shop.release("1.0", {"tinyship.bases": f"{base}@{ZERO}", "org.opencontainers.image.base.name": base})
    shop.release("1.1", {"org.opencontainers.image.base.name": base, "org.opencontainers.image.base.digest": now})
    shop.release("1.2", {"org.opencontainers.image.base.name": base})
    shop.release(
        "1.3", {"org.opencontainers.image.base.name": "No:name:at all", "tinyship.bases": "@x ://y z@sha256:1"}
    )
    shop.release("1.4", {"tinyship.bases": f"{host}/foo@{ZERO}"})
    shop.release("1.5", "labels that are none")
    scope = scope_of(tmp_path, f"FROM {base}@{ZERO}\nFROM {host}/foo:none\n", image="foo", push={"to": [host]})
    found = outdated.find([scope])
    assert [(one.base.name, one.now, one.state) for one in found.bases] == [
        (base, now, "moved"),
        (f"{host}/foo:none", "", "not pinned"),
    ]
    assert found.bases[1].why
    states = {entry.reference.rpartition(":")[2]: entry.standing and entry.standing.state for entry in found.releases}
    assert states == {
        "1.0": "moved", "1.1": "current", "1.2": "not pinned", "1.3": None, "1.4": "not known", "1.5": None,
    }  # fmt: skip
    assert [asked.path for asked in server.asked].count("/v2/foo/manifests/base") == 1
    assert found.moved == 1
    assert found.old == (f"{host}/foo:1.0",)
    assert {entry.reference for entry in found.releases if entry.is_last} == {f"{host}/foo:1.5"}
    assert found.calls_for_work
    assert not outdated.Outdated(found.bases[1:], found.releases).calls_for_work


def test_a_registry_that_is_away(tmp_path: Path) -> None:
    """What cannot be asked is not known, and is no error."""
    told: list[Event] = []
    lock.write(tmp_path, Lock({"127.0.0.1:1/foo:1": Pin(ZERO)}))
    scope = scope_of(tmp_path, "FROM 127.0.0.1:1/foo:1\n", told, push={"to": ["127.0.0.1:1"]})
    found = outdated.find([scope])
    assert [(one.state, bool(one.why)) for one in found.bases] == [("not known", True)]
    assert (found.releases, found.moved, found.old) == ((), 0, ())
    (notice,) = told
    assert isinstance(notice, Notice)
    assert notice.text.startswith("the releases in the registry are not known: ")
