"""Containers: made, fed, run and watched, and gone whatever happens."""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from msgspec import Struct, field

from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.engine.output import Lines, demultiplexed
from tinyship.errors import ConfigError, EngineError, TinyshipError
from tinyship.events import Events
from tinyship.running import cancelling

OWN = re.compile("tinyship-[0-9a-f]{16}")
"""The names of containers that are made here. Anybody's container of a release has inherited its labels, not this."""
_TAIL = 20


class ContainerRequest(Struct, frozen=True, kw_only=True):
    """What a container is made of.

    Args:
        image: its reference or id.
        command: the image's CMD where empty.
        env: ``NAME=value``.
        workdir: the image's where empty.
        labels: of the container.
        ports: as ``docker run -p`` takes them: ``[[host address:][host port]:]port[/protocol]``.
        network: the engine's default where empty.
        tty: give it a terminal, and keep its input open.
    """

    image: str
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    network: str = ""
    tty: bool = False


class Finished(Struct, frozen=True):
    """How a command ended.

    Args:
        exit_code: 128 and the signal's number where one ended it.
        tail: the last 20 lines that it wrote.
        oom_killed: the kernel ended it because its memory ran out.
    """

    exit_code: int
    tail: tuple[str, ...]
    oom_killed: bool = False


@contextmanager
def container(engine: Engine, request: ContainerRequest) -> Iterator[str]:
    """A created container, by its id; killed and removed at the end, whatever happens.

    Raises:
        EngineError: the engine refused to make it.
    """
    name = f"tinyship-{secrets.token_hex(8)}"  # as OWN has it
    made: Future[str] = Future()
    left = cancelling.Bell()
    with ThreadPoolExecutor(1) as keeper:
        # An engine goes on making what an interrupt no longer waits for, and an interrupt may come while it is asked to
        # remove it. So that nothing is left behind, both are asked for where no interrupt reaches.
        try:
            keeper.submit(_keep, engine, request, name, made, left)
            with cancelling.cutting(left.ring):  # all that waits for it ends with it
                yield made.result()
        finally:
            left.ring()


def _keep(engine: Engine, request: ContainerRequest, name: str, made: Future[str], left: cancelling.Bell) -> None:
    """Make a container, and remove it when it is no longer needed."""
    try:
        with translated(f"creating a container of {request.image}"):
            made.set_result(str(engine.api.create_container_from_config(_config(request), name)["Id"]))
    except BaseException as error:
        made.set_exception(error)
    left.wait()
    with suppress(TinyshipError):
        remove(engine, name)


def copy_in(engine: Engine, container_id: str, chunks: Iterable[bytes]) -> None:
    """Unpack a tar into a container, at its root, streamed.

    Raises:
        EngineError: the engine cannot unpack it.
    """
    api = engine.api
    with translated("copying the source into the container"):
        response = api._put(
            api._url("/containers/{0}/archive", container_id),
            params={"path": "/"},
            data=iter(chunks),
            headers={"Content-Type": "application/x-tar"},
            timeout=None,
        )
        api._raise_for_status(response)


def run(engine: Engine, container_id: str, events: Events, *, source: str) -> Finished:
    """Start a container, pass on what it writes as it comes, and wait for its end.

    Args:
        source: names the lines in events.

    Raises:
        EngineError: it cannot be started, or the engine went away.
    """
    return _watch(engine, container_id, events, source, attach_first=True)


def start(engine: Engine, container_id: str) -> None:
    """Start a container and leave it running."""
    with translated("starting the container"):
        engine.api.start(container_id)


def logs(engine: Engine, container_id: str, events: Events, *, source: str) -> Finished:
    """Pass on what a running container writes, from its beginning, and wait for its end."""
    return _watch(engine, container_id, events, source, attach_first=False)


def tail(engine: Engine, container_id: str) -> tuple[str, ...]:
    """The last 20 lines that a container wrote."""
    with translated("reading the container's log"):
        text: bytes = engine.api.logs(container_id, tail=_TAIL)
    return tuple(text.decode(errors="replace").splitlines())


def ended(engine: Engine, container_id: str) -> int | None:
    """The exit code of a container; None while it runs."""
    state = _inspect(engine, container_id)["State"]
    return None if state.get("Running") else int(state.get("ExitCode") or 0)


def health(engine: Engine, container_id: str) -> str:
    """What its HEALTHCHECK says: ``starting``, ``healthy``, ``unhealthy``; ``none`` where it has none."""
    state = _inspect(engine, container_id)["State"]
    return str((state.get("Health") or state.get("Healthcheck") or {}).get("Status") or "none")


def execute(engine: Engine, container_id: str, command: tuple[str, ...]) -> Finished:
    """Run a command in a running container and wait for its end.

    A command that the container does not have is exit code 126 or 127, as in a shell.
    """
    api = engine.api
    with translated(f"running `{' '.join(command)}` in the container"):
        made = api.exec_create(container_id, list(command))
        output: bytes = api.exec_start(made["Id"])
        code = api.exec_inspect(made["Id"])["ExitCode"]
    return Finished(int(code or 0), tuple(output.decode(errors="replace").splitlines()[-_TAIL:]))


def published(engine: Engine, container_id: str) -> dict[str, str]:
    """Where its ports are reached: ``{"8080/tcp": "127.0.0.1:49153"}``."""
    ports = _inspect(engine, container_id)["NetworkSettings"].get("Ports") or {}
    return {
        inside: f"{_address(outside[0]['HostIp'])}:{outside[0]['HostPort']}"
        for inside, outside in ports.items()
        if outside
    }


def owner(engine: Engine, container_id: str) -> tuple[int, int]:
    """User and group id of the container's user; (0, 0) where its image sets none.

    A name is looked up in the container's own /etc/passwd and /etc/group.
    """
    user, _, group = (_inspect(engine, container_id)["Config"].get("User") or "").partition(":")
    if not user:
        return 0, 0
    entry = [] if user.isdigit() else _lookup(engine, container_id, "/etc/passwd", user)
    uid = int(user) if user.isdigit() else int(entry[2]) if entry else 0
    if group.isdigit():
        return uid, int(group)
    if group:
        found = _lookup(engine, container_id, "/etc/group", group)
        return uid, int(found[2]) if found else 0
    return uid, int(entry[3]) if entry else 0


def listing(engine: Engine, *, project: str) -> tuple[str, ...]:
    """The ids of all containers that bear the label of this project."""
    with translated("listing containers"):
        found = engine.api.containers(all=True, filters={"label": f"tinyship.project={project}"})
    return tuple(entry["Id"] for entry in found)


def remove(engine: Engine, container_id: str) -> bool:
    """Kill and remove a container and its anonymous volumes. False where it is gone already."""
    from docker.errors import NotFound

    with translated("removing a container"):
        try:
            engine.api.remove_container(container_id, force=True, v=True)
        except NotFound:
            return False
    return True


def _watch(engine: Engine, container_id: str, events: Events, source: str, *, attach_first: bool) -> Finished:
    """Attach before the start, so that no line is lost; or follow the log of one that runs, or did."""
    api = engine.api
    lines = Lines(source, events, deque(maxlen=_TAIL))
    with translated("running the container"):
        response = _attached(api, container_id) if attach_first else _followed(api, container_id)
        try:
            api._raise_for_status(response)
            if attach_first:
                api._disable_socket_timeout(api._get_raw_response_socket(response))
                api.start(container_id)
            for stream, data in demultiplexed(response):
                lines.write(stream, data)
            lines.close()
        finally:
            response.close()
        code = int(api.wait(container_id, timeout=None)["StatusCode"])
    state = _inspect(engine, container_id)["State"]
    return Finished(code, tuple(lines.tail), bool(state.get("OOMKilled")))


def _attached(api: Any, container_id: str) -> Any:
    return api._post(
        api._url("/containers/{0}/attach", container_id),
        params={"stdout": 1, "stderr": 1, "stream": 1, "logs": 0},
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        stream=True,
        timeout=None,
    )


def _followed(api: Any, container_id: str) -> Any:
    """Attaching would wait forever where the container has ended already; its log ends."""
    return api._get(
        api._url("/containers/{0}/logs", container_id),
        params={"stdout": 1, "stderr": 1, "follow": 1},
        stream=True,
        timeout=None,
    )


def _inspect(engine: Engine, container_id: str) -> dict[str, Any]:
    with translated("looking at the container"):
        found: dict[str, Any] = engine.api.inspect_container(container_id)
    return found


def _lookup(engine: Engine, container_id: str, file: str, name: str) -> list[str]:
    """The fields of a line of /etc/passwd or /etc/group; empty where there is none."""
    import io
    import tarfile

    try:
        with translated(f"reading {file} of the container"):
            chunks, _ = engine.api.get_archive(container_id, file)
            archive = b"".join(chunks)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            content = tar.extractfile(tar.getmembers()[0])
            text = content.read().decode(errors="replace") if content else ""
    except (EngineError, tarfile.TarError, KeyError, IndexError):
        return []
    fields = (line.split(":") for line in text.splitlines())
    return next((found for found in fields if found[0] == name and len(found) > 3 - ("group" in file)), [])


def _config(request: ContainerRequest) -> dict[str, Any]:
    """The body of ``POST /containers/create``."""
    exposed, bindings = _ports(request.ports)
    config: dict[str, Any] = {
        "Image": request.image,
        "Env": list(request.env),
        "Labels": dict(request.labels),
        "ExposedPorts": exposed,
        "Tty": request.tty,
        "OpenStdin": request.tty,
        "HostConfig": {"PortBindings": bindings, "Init": None},
    }
    if request.command:
        config["Cmd"] = list(request.command)
    if request.workdir:
        config["WorkingDir"] = request.workdir
    if request.network:
        config["HostConfig"]["NetworkMode"] = request.network
    return config


def _ports(ports: tuple[str, ...]) -> tuple[dict[str, dict[str, str]], dict[str, list[dict[str, str]]]]:
    exposed: dict[str, dict[str, str]] = {}
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        outside, _, inside = port.rpartition(":")
        number, _, protocol = inside.partition("/")
        address, _, host_port = outside.rpartition(":")
        if not number.isdigit() or (host_port and not host_port.isdigit()):
            raise ConfigError(
                f"`{port}` is no port to publish", hint="It is like 8080, 8080:80 or 127.0.0.1:8080:80/tcp."
            )
        key = f"{number}/{protocol or 'tcp'}"
        exposed[key] = {}
        bindings.setdefault(key, []).append({"HostIp": address.strip("[]"), "HostPort": host_port})
    return exposed, bindings


def _address(address: str) -> str:
    if address in {"", "0.0.0.0", "::"}:  # noqa: S104  the engine's word for every address
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address
