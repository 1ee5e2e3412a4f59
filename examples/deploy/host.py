"""One engine of a deployment: orders to the front that stands there, and to the containers behind it."""

from __future__ import annotations

import getpass
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

ENGINE, NOTHING, ILL, LATE, MIXED, LOCKED = 1, 3, 4, 5, 6, 75


class NotDeployed(Exception):
    """Why a version is not live, for people and, as an exit code, for scripts."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def says_where(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have what fails in a method of Host say on which engine: docker-py lets errors of HTTP, SSH and sockets out."""

    @wraps(method)
    def told(host: Host, *args: Any) -> Any:
        try:
            return method(host, *args)
        except NotDeployed:
            raise
        except Exception as error:
            cause: BaseException = error
            while not isinstance(cause, APIError) and (deeper := cause.__cause__ or cause.__context__):
                cause = deeper
            why = getattr(cause, "explanation", "") or str(cause) or "the connection ended"
            ssh = host.address.startswith("ssh:") and not isinstance(cause, APIError)
            hint = f"; does `ssh {host.address} docker version` work?" if ssh else ""
            raise NotDeployed(ENGINE, f"{host.address}: {type(cause).__name__}: {why}{hint}") from error

    return told


@contextmanager
def already_there() -> Iterator[None]:
    """Let be what another deployment makes at the same time."""
    try:
        yield
    except APIError as error:
        if error.status_code != 409:
            raise


def name_in(address: str) -> str:
    """The container's name in `name:port`."""
    return address.rpartition(":")[0]


class Host:
    """One engine, and what of the service runs there.

    Args:
        address: `local`, or what docker-py takes: `ssh://user@host`, `unix:///path`, `tcp://host:port`.
        settings: the section `deploy` of invoke.yaml.
    """

    def __init__(self, address: str, settings: Any) -> None:
        self.address, self.settings = address, settings
        self.token = secrets.token_hex(8)
        self.connect()

    @says_where
    def connect(self) -> None:
        """Have a connection, in place of one that may be broken."""
        if self.address == "local":
            self.client = docker.from_env()
        else:
            by_command = self.settings.ssh == "command"
            self.client = docker.DockerClient(base_url=self.address, use_ssh_client=by_command)

    def tell(self, *words: str) -> tuple[int, str]:
        """Give the front an order; returns its exit code, and what it wrote."""
        api, front = self.client.api, f"{self.settings.name}-front"
        try:
            order = api.exec_create(front, ["/front", *words])["Id"]
        except NotFound:
            raise NotDeployed(NOTHING, f"{self.address}: nothing is deployed: there is no {front}") from None
        # As a stream: `exec_run` closes a connection by `ssh` in a way that fails now and then.
        output = b"".join(api.exec_start(order, stream=True)).decode(errors="replace").strip()
        while (code := api.exec_inspect(order)["ExitCode"]) is None:
            time.sleep(0.05)
        return code, output

    @says_where
    def status(self) -> dict[str, Any]:
        """What is live, what was before, how many requests each has under way, and who holds the lock."""
        for _ in range(10):
            code, output = self.tell("status")
            with suppress(ValueError):  # docker-py may miss what comes together with the engine's answer
                found: dict[str, Any] = json.loads(output)
                return found
        raise NotDeployed(ENGINE, f"{self.address}: the front does not say what is live: exit code {code}, {output}")

    @says_where
    def lock(self) -> None:
        """Keep other deployments away for `locked_for` seconds."""
        owner = f"{getpass.getuser()}@{socket.gethostname()}"
        code, output = self.tell("lock", self.token, str(self.settings.locked_for), owner)
        if code == LOCKED:
            held = self.status()["lock"] or {"owner": "one that has just ended", "held_for": 0, "ends_in": 0}
            said = "another deployment is under way, {owner}'s, for {held_for} s"
            said = f"{self.address}: {said}; if it died, its lock ends in {{ends_in}} s"
            raise NotDeployed(LOCKED, said.format(**held))
        if code:
            raise NotDeployed(ENGINE, f"{self.address}: the front gives no lock: {output}")

    @says_where
    def keep(self) -> None:
        """Hold the lock for as long again."""
        if self.tell("keep", self.token, str(self.settings.locked_for))[0]:
            raise NotDeployed(LOCKED, f"{self.address}: this deployment was silent for too long, and has lost its lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other deployments away; a lock ends `locked_for` seconds after the last sign of life of its holder."""
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(self.settings.locked_for / 4):
                with suppress(NotDeployed):  # without the lock, the front will not switch
                    self.keep()

        self.lock()
        keeper = threading.Thread(target=go_on, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join(10)
            with suppress(Exception):
                self.tell("unlock", self.token)

    def pull(self, image: str) -> str:
        """Have `repository@digest` on this engine; nothing is asked of a registry for one that is there."""
        try:
            self.client.images.get(image)
        except ImageNotFound:
            self.client.images.pull(image)
        return image

    @says_where
    def prepare(self, front: str, app: str) -> None:
        """Have the images, the network and a front; a front that is there is left as it is."""
        name, labels = self.settings.name, {"deploy": self.settings.name}
        self.pull(app)
        with already_there():
            if all(network.name != name for network in self.client.networks.list(names=[name])):
                self.client.networks.create(name, driver="bridge", labels=labels, check_duplicate=True)
        host, _, port = self.settings.publish.rpartition(":")
        with already_there():
            try:
                self.client.containers.get(f"{name}-front").start()
            except NotFound:
                self.client.containers.run(
                    self.pull(front),
                    name=f"{name}-front",
                    detach=True,
                    network=name,
                    labels=labels,
                    ports={"8080/tcp": (host or "0.0.0.0", int(port))},
                    restart_policy={"Name": "unless-stopped"},
                )
        deadline = time.monotonic() + self.settings.healthy_within
        while True:
            with suppress(APIError):  # another deployment may just be starting it
                if self.tell("status")[0] == 0:
                    return
            if time.monotonic() > deadline:
                raise NotDeployed(LATE, f"{self.address}: the front does not answer")
            time.sleep(0.1)

    @says_where
    def begin(self, image: str) -> str:
        """Start a container of a version, or the one that there is, beside what is live; returns its address."""
        name = f"{self.settings.name}-{image.rpartition(':')[2][:12]}"
        try:
            container = self.client.containers.get(name)
        except NotFound:
            labels = {"deploy": self.settings.name}
            container = self.client.containers.create(image, name=name, network=self.settings.name, labels=labels)
        container.start()
        return f"{name}:{self.settings.port}"

    @says_where
    def again(self, address: str) -> str:
        """Start a container that there was, beside what is live; returns its address."""
        self.client.containers.get(name_in(address)).start()
        return address

    @says_where
    def wait_until_well(self, address: str, deadline: float) -> None:
        """Wait for the HEALTHCHECK of the image, or, where it has none, for an answer to the probe."""
        container = self.client.containers.get(name_in(address))
        while True:
            container.reload()
            state = container.attrs["State"]
            health = (state.get("Health") or {}).get("Status") or "none"
            if state["Status"] != "running" or health == "unhealthy":
                why = "is unhealthy" if state["Status"] == "running" else f"ended with exit code {state['ExitCode']}"
                last = container.logs(tail=10).decode(errors="replace")
                raise NotDeployed(ILL, f"{self.address}: {container.name} {why}\n{last}".rstrip())
            if health == "healthy":
                return
            if health == "none" and not self.tell("probe", f"http://{address}{self.settings.probe}")[0]:
                return
            if time.monotonic() > deadline:
                within = f"was not well within {self.settings.healthy_within} seconds"
                raise NotDeployed(LATE, f"{self.address}: {container.name} {within}")
            time.sleep(0.2)

    @says_where
    def switch(self, live: str, previous: str) -> None:
        """Have the front send what comes from now on to one container, and remember which was live before."""
        if live:
            self.client.containers.get(name_in(live)).update(restart_policy={"Name": "unless-stopped"})
        code, output = self.tell("switch", self.token, live, previous)
        if code:
            raise NotDeployed(LOCKED if code == LOCKED else ENGINE, f"{self.address}: the front stays: {output}")

    @says_where
    def settle(self, say: Callable[[str], None]) -> None:
        """Stop what was live before, once its requests have been answered; remove all else but what is live."""
        self.keep()
        deadline = time.monotonic() + self.settings.drained_within
        while True:
            status = self.status()
            live, busy = name_in(status["live"]), {name_in(address) for address in status["busy"]}
            if not busy - {live} or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        for container in self.containers():
            if container.name in busy - {live}:
                say(f"{self.address}: {container.name} still answers requests, and is left to it")
            elif container.name == name_in(status["previous"]):
                container.stop()
            elif container.name != live:
                container.remove(force=True)

    @says_where
    def containers(self) -> list[Any]:
        """Those of the service, without the front."""
        label, front = f"deploy={self.settings.name}", f"{self.settings.name}-front"
        found = self.client.containers.list(all=True, filters={"label": label})
        return [container for container in found if container.name != front]

    def restore(self, before: dict[str, Any], say: Callable[[str], None]) -> None:
        """Have live what was live before, and nothing new beside it."""
        self.connect()
        self.keep()
        if self.status()["live"] != before["live"]:
            self.switch(before["live"], before["previous"])
        self.settle(say)
