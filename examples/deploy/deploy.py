"""Deploy a service without losing a request: copy this file and `front/`, and name your images in invoke.yaml.

On each engine a front, which stays, sends requests to the one container that is live. A new version is started beside
it; once it is well, the front sends it what comes from then on. The old version answers what it has begun, is stopped,
and stays for `invoke deploy.rollback`. On several engines no traffic moves before the new version is well on all.

Exit codes:

    0   the version is live, or was already
    1   what tinyship or an engine says failed; nothing was switched
    2   a setting is wrong
    3   there is nothing to deploy, or nothing to go back to
    4   the new version failed, and the old one is live
    5   the new version was not well in time, and the old one is live
    75  another deployment is under way
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from invoke import Exit, task

from tinyship import Project, TinyshipError, record
from tinyship.record import Record, Release

NOTHING, FAILED, TIMED_OUT, LOCKED = 3, 4, 5, 75


class NotDeployed(Exception):
    """Why a version is not live, for people and, as an exit code, for scripts."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Image:
    """What is pulled: a repository, and the digest of the manifest in it."""

    repository: str
    digest: str

    @classmethod
    def of(cls, record: Record, image: str) -> Image:
        """The release of an image, where a registry has it."""
        found: Release | None = record.find(image)
        if not found or not found.pushed:
            raise NotDeployed(NOTHING, f"no release of {image} is in a registry: `invoke release push`, or `deploy`")
        pushed = found.pushed[0]
        return cls(pushed.reference.rpartition(":")[0], pushed.digest)


@dataclass(frozen=True)
class Host:
    """One engine, and what of the service runs there.

    Args:
        address: `local`, or `ssh://user@host`.
        client: docker-py's.
        settings: the section `deploy` of invoke.yaml.
    """

    address: str
    client: docker.DockerClient
    settings: Any

    @property
    def front(self) -> Any:
        """The front's container."""
        return self.client.containers.get(f"{self.settings.name}-front")

    def tell(self, *words: str) -> str:
        """Give the front an order."""
        code, output = self.front.exec_run(["/front", *words])
        if code:
            raise NotDeployed(1, f"{self.address}: front {words[0]}: {output.decode(errors='replace').strip()}")
        return str(output.decode())

    def status(self) -> dict[str, Any]:
        """What is live, what was before, and how many requests each has under way."""
        found: dict[str, Any] = json.loads(self.tell("status"))
        return found

    def pull(self, image: Image) -> str:
        """Have an image on this engine; nothing is asked of a registry for one that is there."""
        name = f"{image.repository}@{image.digest}"
        try:
            self.client.images.get(name)
        except ImageNotFound:
            self.client.images.pull(image.repository, tag=image.digest)
        return name

    def have_front(self, image: Image) -> None:
        """See to it that there is a network, and a front in it; one that is there is left as it is."""
        name, labels = self.settings.name, {"deploy": self.settings.name}
        if all(network.name != name for network in self.client.networks.list(names=[name])):
            self.client.networks.create(name, driver="bridge", labels=labels)
        host, _, port = self.settings.publish.rpartition(":")
        try:
            self.front.start()
        except NotFound:
            self.client.containers.run(
                self.pull(image),
                name=f"{name}-front",
                detach=True,
                network=name,
                labels=labels,
                ports={"8080/tcp": (host or "0.0.0.0", int(port))},
                restart_policy={"Name": "unless-stopped"},
            )
        deadline = time.monotonic() + self.settings.healthy_within
        while self.front.exec_run(["/front", "status"])[0]:
            if time.monotonic() > deadline:
                raise NotDeployed(TIMED_OUT, f"{self.address}: the front does not answer")
            time.sleep(0.1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other deployments away; the lock goes with this process, however that ends."""
        api, token = self.client.api, secrets.token_hex(8)
        order = api.exec_create(self.front.id, ["/front", "hold", token], stdin=True)["Id"]
        connection = api.exec_start(order, socket=True)
        try:
            # What it wrote first may be in a buffer that nobody reads, so the front is asked.
            while self.status()["lock"] != token:
                code = api.exec_inspect(order)["ExitCode"]  # None until it has ended
                if code == LOCKED:
                    raise NotDeployed(LOCKED, f"{self.address}: another deployment is under way")
                if code is not None:
                    raise NotDeployed(1, f"{self.address}: front hold ended with exit code {code}")
                time.sleep(0.1)
            yield
        finally:
            getattr(connection, "_sock", connection).close()
            connection.close()
            for _ in range(100):  # so that whoever comes right after this finds it free
                if self.status()["lock"] != token:
                    break
                time.sleep(0.1)

    def begin(self, image: Image) -> Any:
        """Start a container of a version beside what is live; the one that there is, where there is one."""
        name = f"{self.settings.name}-{image.digest.removeprefix('sha256:')[:12]}"
        try:
            container = self.client.containers.get(name)
        except NotFound:
            container = self.client.containers.create(
                self.pull(image), name=name, network=self.settings.name, labels={"deploy": self.settings.name}
            )
        container.start()
        return container

    def wait_until_well(self, container: Any) -> None:
        """Wait for the HEALTHCHECK of the image, or, where it has none, for an answer to the probe."""
        deadline = time.monotonic() + float(self.settings.healthy_within)
        while True:
            container.reload()
            state = container.attrs["State"]
            health = (state.get("Health") or {}).get("Status", "none")
            if state["Status"] != "running" or health == "unhealthy":
                why = "is unhealthy" if state["Status"] == "running" else f"ended with exit code {state['ExitCode']}"
                last = container.logs(tail=10).decode(errors="replace")
                raise NotDeployed(FAILED, f"{self.address}: {container.name} {why}\n{last}".rstrip())
            if health == "healthy" or (health == "none" and self._answers(container)):
                return
            if time.monotonic() > deadline:
                within = self.settings.healthy_within
                raise NotDeployed(TIMED_OUT, f"{self.address}: {container.name} was not well within {within} seconds")
            time.sleep(0.2)

    def _answers(self, container: Any) -> bool:
        """Whether the front, which is in the same network, gets an answer to the probe."""
        url = f"http://{container.name}:{self.settings.port}{self.settings.probe}"
        return bool(self.front.exec_run(["/front", "probe", url])[0] == 0)

    def switch(self, name: str) -> None:
        """Have the front send what comes from now on to this container."""
        self.client.containers.get(name).update(restart_policy={"Name": "unless-stopped"})
        self.tell("switch", name, f"{name}:{self.settings.port}")

    def retire(self, say: Callable[[str], None]) -> None:
        """Stop what was live before, once its requests have been answered; remove what is older."""
        status = self.status()
        live, previous = status["live"]["name"], status["previous"]["name"]
        deadline = time.monotonic() + float(self.settings.drained_within)
        while previous in status["busy"] and time.monotonic() < deadline:
            time.sleep(0.2)
            status = self.status()
        for container in self.client.containers.list(all=True, filters={"label": f"deploy={self.settings.name}"}):
            if container.name in {live, self.front.name}:
                continue
            if container.name in status["busy"]:
                say(f"{self.address}: {container.name} still answers requests, and is left to it")
            elif container.name == previous:
                container.stop()
            else:
                container.remove(force=True)


@task(default=True, help={"release": "Release and push first; without it, deploy what was released last."})
def run(context, release=True):
    """Release, and roll out what was released; the old version serves until the new one is well."""
    with _told() as say:
        project, settings = Project.load("."), context.config.deploy
        if release:
            say("releasing")
            _release(project, settings)
        known = record.read(project.root)
        app, front = Image.of(known, settings.app), Image.of(known, settings.front)
        hosts = _hosts(settings)
        for host in hosts:
            host.have_front(front)
        with _locked(hosts):
            _roll_out(hosts, lambda host: host.begin(app), say)


@task
def rollback(context):
    """Go back to the version that was live before, which was kept for this."""
    with _told() as say:
        hosts = _hosts(context.config.deploy)
        with _locked(hosts):
            for host in hosts:
                if not host.status()["previous"]["name"]:
                    raise NotDeployed(NOTHING, f"{host.address}: there is nothing to go back to")

            def begin(host: Host) -> Any:
                container = host.client.containers.get(host.status()["previous"]["name"])
                container.start()
                return container

            _roll_out(hosts, begin, say)


@task
def status(context):
    """Show what is live on each engine, what was before, and the requests under way."""
    with _told():
        for host in _hosts(context.config.deploy):
            print(json.dumps({"engine": host.address, **host.status()}))


def _release(project: Project, settings: Any) -> None:
    """Release and push all but the front, and that one as well where no registry has it yet."""
    front = record.read(project.root).find(settings.front)
    has_front = bool(front and front.pushed)
    names = [one.name for one in project.images if not (has_front and one.settings.image == settings.front)]
    project.release(push=True, images=names)


def _roll_out(hosts: list[Host], begin: Callable[[Host], Any], say: Callable[[str], None]) -> None:
    """Start a version on all engines, and switch over once it is well on all; leave nothing of it where it is not."""
    before = {host.address: host.status()["live"]["name"] for host in hosts}
    begun: list[tuple[Host, Any]] = []
    switched: list[Host] = []
    try:
        for host in hosts:
            begun.append((host, begin(host)))
        for host, container in begun:
            host.wait_until_well(container)
            say(f"{host.address}: {container.name} is well")
        for host, container in begun:
            if before[host.address] != container.name:
                host.switch(container.name)
                switched.append(host)
    except BaseException:
        for host in switched:
            if before[host.address]:
                host.switch(before[host.address])
        for host, container in begun:
            if container.name not in {before[host.address], host.status()["previous"]["name"]}:
                container.remove(force=True)
        raise
    for host, container in begun:
        say(f"{host.address}: {container.name} is live" + ("" if host in switched else ", and was already"))
        host.retire(say)


@contextmanager
def _locked(hosts: list[Host]) -> Iterator[None]:
    """Hold the locks of all engines; of two deployments that start at once, one or none gets them all."""
    with ExitStack() as stack:
        for host in hosts:
            stack.enter_context(host.locked())
        yield


def _hosts(settings: Any) -> list[Host]:
    """The engines that invoke.yaml names."""
    return [
        Host(
            address,
            docker.from_env() if address == "local" else docker.DockerClient(base_url=address, use_ssh_client=True),
            settings,
        )
        for address in (part.strip() for part in settings.engines.split(","))
        if address
    ]


@contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    """Say what happens, and end with the exit code of what went wrong."""
    try:
        yield lambda text: print(text, flush=True)
    except NotDeployed as error:
        raise Exit(str(error), error.code) from error
    except TinyshipError as error:
        raise Exit(str(error), error.exit_code) from error
    except NotFound as error:
        raise Exit(f"nothing is deployed here: {error.explanation}", NOTHING) from error
    except (APIError, DockerException) as error:
        raise Exit(f"an engine failed: {error}", 1) from error
