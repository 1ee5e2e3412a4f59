"""The example of a deployment with names of a test's own, clients that ask its front, and versions in a registry."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
from ships import Ship

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RECORD = Path(".tinyship") / "release.json"
_MADE = shutil.ignore_patterns(".tinyship", "__pycache__", "bin")
_SLOW = "#!/bin/sh\nbusybox sleep {seconds}\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat /srv/index.html\n"
_WELL = "HEALTHCHECK --interval=1s --timeout=3s --start-period=5s CMD"
_ILL = "HEALTHCHECK --interval=1s --retries=1 CMD {}\n#"


def shop(root: Path, namespace: str, registry: str) -> Ship:
    """A copy of the example, whose images, containers and network have names of their own, tagged v1.0.0.

    Args:
        root: it lies in `deploy` below it.
    """
    for example in ("foo", "monorepo", "deploy"):
        shutil.copytree(EXAMPLES / example, root / example, ignore=_MADE)
    root = root / "deploy"
    for file in (root / "invoke.yaml", root / "app" / "Dockerfile"):
        text = file.read_text().replace("lacion/deploy-", f"{namespace}/").replace("lacion/shop-", f"{namespace}/")
        file.write_text(text)
    for name, seconds in (("slow", 1), ("slower", 4)):
        slow = root / "app" / "srv" / "cgi-bin" / name
        slow.parent.mkdir(exist_ok=True)
        slow.write_text(_SLOW.format(seconds=seconds))
        slow.chmod(0o755)
    environment = {
        **os.environ,
        "TINYSHIP_PUSH_TO": registry,
        "INVOKE_DEPLOY_NAME": namespace,
        "INVOKE_DEPLOY_PUBLISH": "127.0.0.1:0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    ship = Ship(root, f"{namespace}/app", registry, environment)
    ship.begin("v1.0.0", "front/v1.0.0")
    return ship


@dataclass(frozen=True)
class Shelf:
    """Versions of the shop that a registry has: `one`, `two`, `ill`, `late`, and `picky`, ill on containerd.

    Args:
        ship: where they were released.
        records: what each release recorded.
    """

    ship: Ship
    records: dict[str, str]

    def clone(self, root: Path, name: str, **variables: str) -> Ship:
        """A copy of the project, beside those whose scripts it runs, with a name for what it deploys."""
        shutil.copytree(self.ship.root, root)
        for example in ("foo", "monorepo"):
            shutil.copytree(EXAMPLES / example, root.parent / example, ignore=_MADE, dirs_exist_ok=True)
        environment = {**self.ship.environment, "INVOKE_DEPLOY_NAME": name, **variables}
        return replace(self.ship, root=root, environment=environment)

    def take(self, ship: Ship, version: str) -> None:
        """Have a version be what was released last there."""
        (ship.root / RECORD).write_text(self.records[version])


def stocked(ship: Ship) -> Shelf:
    """Release the versions."""
    dockerfile, page = ship.root / "app" / "Dockerfile", ship.root / "app" / "srv" / "index.html"
    well = dockerfile.read_text()
    assert _WELL in well
    versions = {
        "one": ("one", well),
        "two": ("two", well),
        "ill": ("ill", well.replace(_WELL, _ILL.format('["busybox", "false"]'))),
        "late": ("late", well.replace(_WELL, _ILL.replace("1s", "1h").format('["busybox", "true"]'))),
        "picky": ("picky", well.replace(_WELL, _ILL.format('["grep", "-q", "/overlay2/", "/proc/mounts"]'))),
    }
    records = {}
    for number, (name, (text, healthcheck)) in enumerate(versions.items()):
        page.write_text(f"{text}\n")
        dockerfile.write_text(healthcheck)
        ship.commit(name)
        ship.git("tag", "--force", f"v1.{number}.0")
        if number == 0:
            ship.git("tag", "--force", "front/v1.0.0")
        ship.invoke("release", "--push", *([] if number == 0 else ["--image=app"]))
        records[name] = (ship.root / RECORD).read_text()
    return Shelf(ship, records)


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
        """Ask until it is over, with pauses that leave the processors to what is tested."""
        while not self._over.wait(0.05):
            self.ask_once(path)

    def ask_once(self, path: str) -> None:
        """Ask, and note what came of it."""
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
    def running(self, pages: int = 4) -> Iterator[None]:
        """Ask from clients that want a page, and two whose answers take a second."""
        paths = ["/"] * pages + ["/cgi-bin/slow"] * 2
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


@contextmanager
def loads(addresses: list[str]) -> Iterator[list[Load]]:
    """Clients of several fronts; at the end none of their requests was lost."""
    found = [Load(address) for address in addresses]
    with ExitStack() as stack:
        for load in found:
            stack.enter_context(load.running(pages=2))
        yield found
    assert [load.lost for load in found] == [[] for _ in found]


def front(client: docker.DockerClient, name: str) -> str:
    """Where the front listens."""
    ports = client.containers.get(f"{name}-front").attrs["NetworkSettings"]["Ports"]
    return f"127.0.0.1:{ports['8080/tcp'][0]['HostPort']}"


def containers(client: docker.DockerClient, name: str) -> dict[str, str]:
    """The states of the containers of the service, by name, without the front."""
    found = client.containers.list(all=True, filters={"label": f"deploy={name}"}, ignore_removed=True)
    return {str(one.name): str(one.status) for one in found if one.name != f"{name}-front"}


def cleared(client: docker.DockerClient, name: str) -> None:
    """Remove what a deployment left: its containers, with the front, and the network."""
    found = client.containers.list(all=True, filters={"label": f"deploy={name}"}, ignore_removed=True)
    for container in found:
        container.remove(force=True)
    for network in client.networks.list(filters={"label": f"deploy={name}"}):
        network.remove()


def begun(ship: Ship, *words: str, **variables: str) -> subprocess.Popen[str]:
    """A run of invoke that is not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", *words],
        cwd=ship.root,
        env={**ship.environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
