"""The example of a deployment, under load: versions come, fail and go back, and no request is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import shops
import sshd
from ships import Ran, Ship
from shops import Load, Shelf, begun, cleared, containers, front, loads
from sshd import Server
from tools import matrix, packages
from tools.kinds import choose

from conftest import named, unavailable
from tinyship.engine.connect import Engine

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit"), pytest.mark.slow]


@pytest.fixture(scope="module")
def shelf(engine: Engine, registry: str, busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Versions of the example that a registry has."""
    with named(engine) as name:
        yield shops.stocked(shops.shop(tmp_path_factory.mktemp("shelf"), name, registry))


@pytest.fixture
def shop(engine: Engine, shelf: Shelf, tmp_path: Path, namespace: str) -> Iterator[Ship]:
    """A project of the test's own, of which nothing is deployed."""
    yield shelf.clone(tmp_path / "deploy", namespace)
    cleared(engine.client, namespace)


@pytest.fixture(scope="module")
def second_engine(engine: Engine) -> Iterator[str]:
    """The address of an engine of the other image store."""
    ((kind, _),) = choose("20.10" if engine.containerd_store else "26-containerd")
    try:
        with matrix.used(kind) as (other, _):
            yield other.host
    except SystemExit as error:
        unavailable(str(error))


@pytest.fixture
def second(second_engine: str, shelf: Shelf, namespace: str) -> Iterator[docker.DockerClient]:
    """A client of it; what the test deploys there goes with it."""
    client = docker.DockerClient(base_url=second_engine)
    yield client
    cleared(client, namespace)
    for image in client.images.list():
        if any(f"/{shelf.ship.image.partition('/')[0]}/" in digest for digest in image.attrs["RepoDigests"] or ()):
            client.images.remove(str(image.id), force=True)
    client.close()


@pytest.fixture
def server(engine: Engine, tmp_path: Path) -> Iterator[Server]:
    """An SSH server in front of the engine."""
    try:
        packages.ensure("sshd")
    except SystemExit as error:
        unavailable(str(error))
    if lacking := sshd.missing():
        unavailable(f"no {lacking}")
    with sshd.serving(tmp_path / "sshd", engine.address) as found:
        yield found


def deploy(shelf: Shelf, ship: Ship, version: str, code: int = 0, **variables: Any) -> Ran:
    """Deploy a version that was released; by `ssh`, which is a process for each request, that may take minutes."""
    shelf.take(ship, version)
    with begun(ship, "deploy", "--no-release", **variables) as running:
        out, err = running.communicate(timeout=400)
    assert running.returncode == code, f"exit code {running.returncode}\n{out}\n{err}"
    return Ran(running.returncode, out, err)


def seen(ship: Ship, **variables: Any) -> list[dict[str, Any]]:
    """What `deploy.status` says for scripts."""
    return [json.loads(line) for line in ship.invoke("deploy.status", "--json", **variables).out.splitlines()]


def until(what: Any) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_no_request_is_lost(engine: Engine, shelf: Shelf, shop: Ship, namespace: str) -> None:
    """While a version fails, one comes, and one goes back: each request is answered, by a version that was well."""
    assert "nothing is deployed" in shop.invoke("deploy.rollback", code=3).err
    shelf.take(shop, "one")
    dry = shop.invoke("--dry", "deploy", "--no-release")
    assert "local: nothing is deployed; would start" in dry.out
    assert containers(engine.client, namespace) == {}
    deploy(shelf, shop, "one")
    (one,) = containers(engine.client, namespace)
    with loads([front(engine.client, namespace)]) as (load,):
        assert set(load.during(lambda: deploy(shelf, shop, "ill", 4))) == {"one"}
        assert containers(engine.client, namespace) == {one: "running"}
        late: dict[str, Any] = {"INVOKE_DEPLOY_HEALTHY_WITHIN": "1"}
        assert set(load.during(lambda: deploy(shelf, shop, "late", 5, **late))) == {"one"}
        assert containers(engine.client, namespace) == {one: "running"}

        slow = threading.Thread(target=load.ask_once, args=("/cgi-bin/slower",))
        slow.start()
        assert set(load.during(lambda: deploy(shelf, shop, "two"))) == {"one", "two"}
        slow.join()
        assert set(load.during(load.more)) == {"two"}
        assert sorted(containers(engine.client, namespace).values()) == ["exited", "running"]

        assert "would go back to" in shop.invoke("--dry", "deploy.rollback").out
        assert set(load.during(lambda: shop.invoke("deploy.rollback"))) == {"one", "two"}
        assert set(load.during(load.more)) == {"one"}
        assert containers(engine.client, namespace)[one] == "running"
        assert f"{one} is live already" in deploy(shelf, shop, "one").out
    assert f"{one} (1.0.0, running) is live" in shop.invoke("deploy.status").out


def test_release_and_roll_out(engine: Engine, shelf: Shelf, shop: Ship, namespace: str) -> None:
    """`invoke deploy` alone: the front stays the one that was released, the service is released and goes live."""
    (shop.root / "app" / "srv" / "index.html").write_text("three\n")
    shop.git("checkout", "-q", "v1.1.0", "--", "app/Dockerfile")
    shop.commit("three")
    shop.git("tag", "v3.0.0")
    assert f"would push {shop.image}:3.0.0" in shop.invoke("--dry", "deploy").out
    assert "is live" in shop.invoke("deploy").out
    load = Load(front(engine.client, namespace))
    load.ask_once("/")
    assert (load.answers, load.lost) == (["three"], [])


def test_two_engines(
    engine: Engine, second: docker.DockerClient, second_engine: str, shelf: Shelf, shop: Ship, namespace: str
) -> None:
    """A version that is well on one of them goes live on none; rolled out and back, no request is lost on either."""
    both: dict[str, Any] = {"INVOKE_DEPLOY_ENGINES": f"local, {second_engine}"}
    clients = (engine.client, second)
    deploy(shelf, shop, "one", **both)
    (one,) = containers(engine.client, namespace)
    with loads([front(client, namespace) for client in clients]) as two:

        def all_answer(version: str) -> None:
            assert [set(load.during(load.more)) for load in two] == [{version}] * 2

        failed = deploy(shelf, shop, "picky", 4, **both).err
        assert "is unhealthy" in failed
        for address in ("local", second_engine):
            assert f"{address}: {one} is live, as before" in failed
        assert [containers(client, namespace) for client in clients] == [{one: "running"}] * 2
        all_answer("one")

        deploy(shelf, shop, "two", **both)
        all_answer("two")
        shop.invoke("deploy.rollback", **both)
        all_answer("one")
        assert len({status["live"] for status in seen(shop, **both)}) == 1

        # What was before is `two` here and `one` there: it is for people to say which one it should be.
        deploy(shelf, shop, "two", INVOKE_DEPLOY_ENGINES=second_engine)
        assert len({status["live"] for status in seen(shop, **both)}) == 2
        assert "no one version" in shop.invoke("deploy.rollback", code=3, **both).err
        deploy(shelf, shop, "two", **both)
        all_answer("two")


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("way", ["command", "paramiko"])
def test_by_ssh(engine: Engine, server: Server, shelf: Shelf, shop: Ship, namespace: str, way: str) -> None:
    """Through the command or paramiko: a version comes, fails, and goes back; strangers are told from the refused."""
    ssh: dict[str, Any] = {
        "INVOKE_DEPLOY_ENGINES": server.address,
        "INVOKE_DEPLOY_SSH": way,
        **server.environment(shop),
    }
    server.know(False)
    unknown = deploy(shelf, shop, "one", 1, **ssh).err
    assert f"{server.address}: " in unknown
    assert "Host key verification failed" in unknown or "not found in known_hosts" in unknown
    server.know()
    with server.refusing():
        refused = deploy(shelf, shop, "one", 1, **ssh).err
    assert f"does `ssh {server.address} docker version` work?" in refused
    assert "Permission denied" in refused or "Authentication failed" in refused
    assert containers(engine.client, namespace) == {}

    deploy(shelf, shop, "one", **ssh)
    (one,) = containers(engine.client, namespace)
    with loads([front(engine.client, namespace)]) as (load,):
        assert f"{server.address}: {one} is live, as before" in deploy(shelf, shop, "ill", 4, **ssh).err
        assert containers(engine.client, namespace) == {one: "running"}
        assert set(load.during(lambda: deploy(shelf, shop, "two", **ssh))) == {"one", "two"}
        assert set(load.during(lambda: shop.invoke("deploy.rollback", **ssh))) == {"one", "two"}
        assert set(load.during(load.more)) == {"one"}


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("way", ["command", "paramiko"])
def test_connection_is_lost(
    server: Server, second: docker.DockerClient, second_engine: str, engine: Engine, shelf: Shelf, shop: Ship,
    namespace: str, way: str,
) -> None:  # fmt: skip
    """In mid-roll-out: engines that are there run what they ran; of the other one it is said; later, all is well."""
    both: dict[str, Any] = {
        "INVOKE_DEPLOY_ENGINES": f"{second_engine},{server.address}",
        "INVOKE_DEPLOY_SSH": way,
        "INVOKE_DEPLOY_LOCKED_FOR": "40",
        **server.environment(shop),
    }
    deploy(shelf, shop, "one", **both)
    (one,) = containers(second, namespace)
    shelf.take(shop, "late")
    with loads([front(engine.client, namespace), front(second, namespace)]) as two:
        with begun(shop, "deploy", "--no-release", **both) as running:
            until(lambda: len(containers(engine.client, namespace)) == 2)
            server.down()
            _, said = running.communicate(timeout=120)
        assert running.returncode == 6, said
        assert f"{second_engine}: {one} is live, as before" in said
        assert f"{server.address}: what is live is not known; before, it was {one}" in said
        assert containers(second, namespace) == {one: "running"}
        server.up()
        until(lambda: not seen(shop, **both)[1]["lock"])
        deploy(shelf, shop, "two", **both)
        assert [set(load.during(load.more)) for load in two] == [{"two"}] * 2
    assert len(containers(engine.client, namespace)) == 2


def test_connection_goes_silent(engine: Engine, server: Server, shelf: Shelf, shop: Ship, namespace: str) -> None:
    """`ssh` gives up after its ServerAliveInterval, and what was live is live, as a new connection finds."""
    ssh: dict[str, Any] = {"INVOKE_DEPLOY_ENGINES": server.address, **server.environment(shop)}
    deploy(shelf, shop, "one", **ssh)
    (one,) = containers(engine.client, namespace)
    shelf.take(shop, "late")
    with begun(shop, "deploy", "--no-release", **ssh) as running:
        until(lambda: len(containers(engine.client, namespace)) == 2)
        server.send(signal.SIGSTOP)
        _, said = running.communicate(timeout=120)
        server.send(signal.SIGCONT)
    assert running.returncode == 6, said
    assert "not responding" in said or "timed out" in said
    assert f"{server.address}: what is live is not known; before, it was {one}" in said


def test_one_at_a_time(engine: Engine, shelf: Shelf, shop: Ship, namespace: str) -> None:
    """The second is refused; one that was killed is waited for; one that slept too long does no harm."""
    brief = {"INVOKE_DEPLOY_LOCKED_FOR": "4"}
    deploy(shelf, shop, "one")
    (one,) = containers(engine.client, namespace)
    other = shelf.clone(shop.root.parent / "other", namespace)
    shelf.take(shop, "late")
    with begun(shop, "deploy", "--no-release", **brief) as first:
        until(lambda: seen(shop)[0]["lock"])
        time.sleep(6)  # it lives, so its lock does
        refused = deploy(shelf, other, "two", 75).err
        assert "another deployment is under way" in refused
        assert "if it died, its lock ends in" in refused
        first.kill()
        first.communicate()
        until(lambda: other.invoke("deploy", "--no-release", code=None).code == 0)
    assert one in containers(engine.client, namespace)
    assert len(containers(engine.client, namespace)) == 2

    with begun(shop, "deploy", "--no-release", **brief) as asleep:
        until(lambda: len(containers(engine.client, namespace)) == 3)
        first_live = seen(shop)[0]["live"]
        asleep.send_signal(signal.SIGSTOP)
        until(lambda: not seen(shop)[0]["lock"])
        deploy(shelf, other, "one")
        asleep.send_signal(signal.SIGCONT)
        asleep.send_signal(signal.SIGINT)
        _, said = asleep.communicate(timeout=60)
    assert asleep.returncode != 0
    assert "has lost its lock" in said
    assert seen(shop)[0]["live"] == f"{one}:8080" != first_live


def test_two_at_once(engine: Engine, shelf: Shelf, shop: Ship, namespace: str) -> None:
    """On an empty engine: the front is made once, each is done or refused, and at least one is done."""
    other = shelf.clone(shop.root.parent / "other", namespace)
    shelf.take(shop, "one")
    shelf.take(other, "two")
    both = [begun(ship, "deploy", "--no-release") for ship in (shop, other)]
    said = [(*each.communicate(timeout=120), each.returncode) for each in both]
    codes = [code for *_, code in said]
    assert 0 in codes, said
    assert set(codes) <= {0, 75}, said
    assert engine.client.containers.get(f"{namespace}-front").status == "running"
    load = Load(front(engine.client, namespace))
    load.ask_once("/")
    assert load.answers == [{0: "one", 1: "two"}[codes.index(0)]] or codes == [0, 0]


def test_foo_ends_well(engine: Engine, namespace: str, tmp_path: Path) -> None:
    """`docker stop` ends the program with exit code 0; that it answers what is under way, its own tests show."""
    root = tmp_path / "foo"
    shutil.copytree(shops.EXAMPLES / "foo", root, ignore=shutil.ignore_patterns(".tinyship", "__pycache__", "bin"))
    environment = {**os.environ, "TINYSHIP_IMAGE": f"{namespace}/foo"}
    ship = Ship(root, f"{namespace}/foo", "", environment)
    ship.begin()
    ship.invoke("release")
    container = engine.client.containers.run(
        f"{ship.image}:local", detach=True, ports={"8080/tcp": ("127.0.0.1", 0)}, labels={"deploy": namespace}
    )
    container.reload()
    port = int(container.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])
    until(lambda: b"listens" in container.logs())
    load = Load(f"127.0.0.1:{port}")
    load.ask_once("/")
    assert load.lost == []
    assert "Hello from foo." in load.answers[0]
    container.stop()
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0
    container.remove()
