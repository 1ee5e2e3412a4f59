"""The example of a deployment, under load: versions come, fail and go back, and no request is lost."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ships import Ship

from tinyship.engine.connect import Engine

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit"), pytest.mark.slow]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_SLOW = "#!/bin/sh\nbusybox sleep 1\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat /srv/index.html\n"
_HOLD = """
import time, types, docker, deploy
settings = types.SimpleNamespace(name={name!r})
with deploy.Host("local", docker.from_env(), settings).locked():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def shop(engine: Engine, tmp_path: Path, namespace: str, registry: str, busybox: str) -> Iterator[Ship]:
    """A copy of the example whose images, containers and network have names of the test's own, tagged v1.0.0."""
    ignored = shutil.ignore_patterns(".tinyship", "__pycache__", "bin")
    for example in ("foo", "monorepo", "deploy"):
        shutil.copytree(EXAMPLES / example, tmp_path / example, ignore=ignored)
    root = tmp_path / "deploy"
    for file in (root / "invoke.yaml", root / "app" / "Dockerfile"):
        text = file.read_text().replace("lacion/deploy-", f"{namespace}/").replace("lacion/shop-", f"{namespace}/")
        file.write_text(text)
    slow = root / "app" / "srv" / "cgi-bin" / "slow"
    slow.parent.mkdir()
    slow.write_text(_SLOW)
    slow.chmod(0o755)
    environment = {
        **os.environ,
        "TINYSHIP_PUSH_TO": registry,
        "INVOKE_DEPLOY_NAME": namespace,
        "INVOKE_DEPLOY_PUBLISH": "127.0.0.1:0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    ship = Ship(root, f"{namespace}/app", registry, environment)
    ship.git("init", "-q", "-b", "main")
    ship.commit("first")
    ship.git("tag", "v1.0.0")
    ship.git("tag", "front/v1.0.0")
    yield ship
    for container in engine.client.containers.list(all=True, filters={"label": f"deploy={namespace}"}):
        container.remove(force=True)
    for network in engine.client.networks.list(filters={"label": f"deploy={namespace}"}):
        network.remove()


class Load:
    """Clients that ask all the time, each request on a connection of its own.

    Args:
        address: host and port of the front.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._over = threading.Event()
        self.answers: list[str] = []
        self.lost: list[str] = []

    def ask(self, path: str) -> None:
        """Ask until it is over."""
        while not self._over.is_set():
            connection = http.client.HTTPConnection(self._address, timeout=60)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read().decode().strip()
                (self.answers if answer.status == 200 else self.lost).append(body)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
            finally:
                connection.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask from four clients that want a page, and two whose answers take a second."""
        paths = ["/"] * 4 + ["/cgi-bin/slow"] * 2
        threads = [threading.Thread(target=self.ask, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def during(self, action: Callable[[], Any]) -> list[str]:
        """What was answered from before something is done until after it."""
        first = len(self.answers)
        self.more()
        action()
        self.more()
        return self.answers[first:]

    def more(self) -> None:
        """Wait for some more answers."""
        wanted, end = len(self.answers) + 20, time.monotonic() + 120
        while len(self.answers) < wanted:
            assert time.monotonic() < end, f"no answers come any more; lost: {self.lost[:3]}"
            time.sleep(0.02)


def change(shop: Ship, name: str, old: str, new: str) -> None:
    """Change a file of the service, and commit it."""
    file = shop.root / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    shop.commit(f"change {name}")


def front(engine: Engine, name: str) -> str:
    """Where the front listens."""
    ports = engine.client.containers.get(f"{name}-front").attrs["NetworkSettings"]["Ports"]
    return f"127.0.0.1:{ports['8080/tcp'][0]['HostPort']}"


def containers(engine: Engine, name: str) -> dict[str, str]:
    """The states of the containers of the service, by name, without the front."""
    found = engine.client.containers.list(all=True, filters={"label": f"deploy={name}"})
    return {str(one.name): str(one.status) for one in found if one.name != f"{name}-front"}


def one_at_a_time(shop: Ship, namespace: str) -> None:
    """The second of two is refused; the lock of one that was killed is gone with it."""
    words = [sys.executable, "-c", _HOLD.format(name=namespace)]
    with subprocess.Popen(words, cwd=shop.root, env=shop.environment, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"held\n"
            assert "another deployment is under way" in shop.invoke("deploy", "--no-release", code=75).err
        finally:
            holder.kill()
    end = time.monotonic() + 60
    while (ran := shop.invoke("deploy", "--no-release", code=None)).code == 75:
        assert time.monotonic() < end
    assert ran.code == 0, ran.err
    assert "is live" in ran.out


def test_no_request_is_lost(engine: Engine, shop: Ship, namespace: str) -> None:
    """While a version fails, one comes, and one goes back: each request is answered, by a version that was well."""
    assert "nothing is deployed here" in shop.invoke("deploy.rollback", code=3).err
    assert "no release of" in shop.invoke("deploy", "--no-release", code=3).err
    shop.invoke("deploy")
    (one,) = containers(engine, namespace)
    load = Load(front(engine, namespace))
    with load.running():
        well = "HEALTHCHECK --interval=1s --timeout=3s --start-period=5s CMD"
        ill = 'HEALTHCHECK --interval=1s --retries=1 CMD ["busybox", "false"]\n#'
        change(shop, "app/Dockerfile", well, ill)
        assert set(load.during(lambda: shop.invoke("deploy", code=4))) == {"one"}
        assert containers(engine, namespace) == {one: "running"}

        change(shop, "app/Dockerfile", "--interval=1s --retries=1 ", "--interval=1h ")
        late = {"INVOKE_DEPLOY_HEALTHY_WITHIN": "1"}
        assert set(load.during(lambda: shop.invoke("deploy", code=5, **late))) == {"one"}
        assert containers(engine, namespace) == {one: "running"}

        change(shop, "app/Dockerfile", ill.replace("--interval=1s --retries=1", "--interval=1h"), well)
        change(shop, "app/srv/index.html", "one", "two")
        assert set(load.during(lambda: shop.invoke("deploy"))) == {"one", "two"}
        assert set(load.during(load.more)) == {"two"}
        assert sorted(containers(engine, namespace).values()) == ["exited", "running"]

        assert set(load.during(lambda: shop.invoke("deploy.rollback"))) == {"one", "two"}
        assert set(load.during(load.more)) == {"one"}
        assert containers(engine, namespace)[one] == "running"
    assert load.lost == []
    one_at_a_time(shop, namespace)
