"""The example of a deployment where there is nothing to deploy, or no way to: quick, because nothing is built."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import shops
from ships import Ship

from tinyship.engine.connect import Engine

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit")]


@pytest.fixture
def shop(engine: Engine, registry: str, namespace: str, tmp_path: Path) -> Iterator[Ship]:
    """The example, of which nothing is released."""
    yield shops.shop(tmp_path, namespace, registry)
    assert shops.containers(engine.client, namespace) == {}
    assert engine.client.networks.list(names=[namespace]) == []


def test_nothing_is_there(shop: Ship) -> None:
    """Nothing released, deployed, or to go back to: exit code 3, and one line; the plan is shown, and nothing done."""
    assert "no release of" in shop.invoke("deploy", "--no-release", code=3).err
    for words in (["deploy.rollback"], ["deploy.status"], ["deploy.status", "--json"]):
        ran = shop.invoke(*words, code=3)
        assert ran.err.startswith("local: nothing is deployed: ")
        assert len(ran.err.splitlines()) == 1
        assert ran.out == ""
    plan = shop.invoke("--dry", "deploy").out.splitlines()
    assert f"would push {shop.image}:1.0.0" in plan
    assert plan[-1] == "local: nothing is deployed; would start what is released beside it"
    assert not (shop.root / shops.RECORD).exists()


@pytest.mark.parametrize("way", ["command", "paramiko"])
def test_engine_is_not_there(shop: Ship, way: str) -> None:
    """Before anything is released, and with the engine's name; of the others, the status is shown nevertheless."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        ssh = f"ssh://root@127.0.0.1:{free.getsockname()[1]}"
    both = {"INVOKE_DEPLOY_ENGINES": f"unix:///run/absent.sock, {ssh}, local", "INVOKE_DEPLOY_SSH": way}
    ran = shop.invoke("deploy", code=1, **both)
    assert ran.err == "unix:///run/absent.sock: FileNotFoundError: [Errno 2] No such file or directory\n"
    assert "releasing" not in ran.out
    found = shop.invoke("deploy.status", code=1, **both).err
    assert f"does `ssh {ssh} docker version` work?" in found
    assert "local: nothing is deployed: " in found


def test_help(shop: Ship) -> None:
    """Says what each task does, and in which file the rest stands."""
    assert "--[no-]release" in shop.invoke("--help", "deploy").out
    assert "Go back to the version" in shop.invoke("--help", "deploy.rollback").out
    assert "--json" in shop.invoke("--help", "deploy.status").out
