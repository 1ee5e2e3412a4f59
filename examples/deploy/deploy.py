"""Deploy a service without losing a request: copy this, `host.py` and `front/`; name your images in invoke.yaml.

On each engine a front, which stays, sends requests to the one container that is live. A new version is started beside
it. Once it is well on all engines, the fronts send it what comes from then on. The old version answers what it has
begun, is stopped, and stays for `invoke deploy.rollback`. What fails on one engine is undone on all of them.

Exit codes:

    0   the version is live on all engines; where it was before, that is said
    1   a release or an engine failed             4   the new version ended, or is unhealthy
    2   a setting is wrong                        5   the new version was not well in time
    3   there is nothing to deploy or go back to  75  another deployment is under way
    6   it failed, and not all engines could be brought back to what they ran: what runs where is said

After 1 to 5 and 75, all engines run what they ran before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from json import dumps
from typing import Any

from host import ENGINE, MIXED, NOTHING, Host, NotDeployed, name_in
from invoke import Exit, task

from tinyship import Project, TinyshipError
from tinyship.kept import record

INTERRUPTED = 130


@task(default=True, help={"release": "Release and push first; without it, deploy what was released last."})
def run(context, release=True):
    """Release, and roll out what was released.

    The old version serves until the new one is well on all engines, and goes on
    where it is not. `invoke --dry deploy` says what would be done. Engines and
    time-outs are settings, under `deploy` in invoke.yaml; the exit codes stand
    in deploy.py.
    """
    with told() as say:
        project, settings = Project.load("."), context.config.deploy
        names = to_release(project, settings)
        hosts = engines(settings)
        if context.config.run.dry:
            for plan in project.plan(push=True, images=names) if release else ():
                say(f"would {plan.task} {plan.image}:{plan.version}")
            image = "what is released" if release else pushed(project, settings.app)
            for host in hosts:
                say(f"{host.address}: {seen(host)}; would start {image} beside it")
            return
        if release:
            say("releasing")
            project.release(push=True, images=names)
        app, front = pushed(project, settings.app), pushed(project, settings.front)
        for host in hosts:
            host.prepare(front, app)
        roll_out(hosts, lambda host: host.begin(app), say)


@task
def rollback(context):
    """Go back to the version that was live before, which was kept for this.

    It is started again on all engines, and goes live as a new version would;
    once more, and the newer one returns.
    """
    with told() as say:
        hosts = engines(context.config.deploy)
        found = [host.status() for host in hosts]
        targets = {one["previous"] for one in found} - {""}
        targets = {each for each in targets if all(each in (one["live"], one["previous"]) for one in found)}
        if len(targets) != 1:
            rows = [f"{host.address}: {seen(host)}" for host in hosts]
            raise NotDeployed(NOTHING, "\n".join(["there is no one version that all engines can go back to", *rows]))
        (target,) = targets
        if context.config.run.dry:
            for host in hosts:
                say(f"{host.address}: {seen(host)}; would go back to {name_in(target)}")
            return
        roll_out(hosts, lambda host: host.again(target), say)


@task(help={"json": "A line of JSON for each engine, for scripts."})
def status(context, json=False):
    """Show what is live on each engine, what was before, and who deploys."""
    with told() as say:
        failed = []
        for address in addresses(context.config.deploy):
            try:
                host = Host(address, context.config.deploy)
                found = host.status()
                say(dumps({"engine": address, **found}) if json else f"{address}: {seen(host)}")
            except NotDeployed as error:
                failed.append(error)
        if failed:
            raise NotDeployed(failed[0].code, "\n".join(map(str, failed)))


def roll_out(hosts: list[Host], begin: Callable[[Host], str], say: Callable[[str], None]) -> None:
    """Start a version on all engines, and switch over once it is well on all; what fails on one is undone on all.

    Args:
        begin: starts the version on an engine, and returns its address there.
    """
    with ExitStack() as locks:
        for host in hosts:
            locks.enter_context(host.locked())
        before = {host: host.status() for host in hosts}
        try:
            begun = {host: begin(host) for host in hosts}
            deadline = time.monotonic() + hosts[0].settings.healthy_within
            for host, address in begun.items():
                host.wait_until_well(address, deadline)
                say(f"{host.address}: {name_in(address)} is well")
            for host, address in begun.items():
                if address != before[host]["live"]:
                    host.switch(address, before[host]["live"])
        except BaseException as error:
            raise undone(before, error, say) from error
        for host, address in begun.items():
            say(f"{host.address}: {name_in(address)} is live" + (" already" if address == before[host]["live"] else ""))
        left = []
        for host in hosts:
            try:
                host.settle(say)
            except NotDeployed as error:
                left.append(
                    f"{error}\n{host.address}: what was live before may still run; the next deployment sees to it"
                )
        if left:
            raise NotDeployed(MIXED, "\n".join(["the version is live on all engines, but", *left]))


def undone(before: dict[Host, dict[str, Any]], error: BaseException, say: Callable[[str], None]) -> NotDeployed:
    """Bring all engines back to what they ran before; the result says why, and what runs where."""
    code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else getattr(error, "code", ENGINE)
    lines = ["interrupted" if isinstance(error, KeyboardInterrupt) else str(error)]
    for host, was in before.items():
        live = name_in(was["live"]) or "nothing"
        try:
            host.restore(was, say)
            lines.append(f"{host.address}: {live} is live, as before")
        except NotDeployed as lost:
            code = MIXED
            lines.append(f"{lost}\n{host.address}: what is live is not known; before, it was {live}")
    return NotDeployed(code, "\n".join(lines))


def seen(host: Host) -> str:
    """What runs on an engine, in a line."""
    try:
        status = host.status()
    except NotDeployed as error:
        if error.code != NOTHING:
            raise
        return "nothing is deployed"
    known = {container.name: container for container in host.containers()}

    def one(address: str) -> str:
        container = known.get(name_in(address))
        version = container.labels.get("org.opencontainers.image.version", "?") if container else "?"
        return f"{name_in(address)} ({version}, {container.status if container else 'gone'})"

    parts = [f"{one(status['live'])} is live" if status["live"] else "nothing is live"]
    parts += [f"{one(status['previous'])} was before"] if status["previous"] else []
    parts += [f"{sum(status['busy'].values())} requests under way"]
    parts += ["{owner} deploys".format(**status["lock"])] if status["lock"] else []
    return ", ".join(parts)


def pushed(project: Project, image: str) -> str:
    """The release of an image where a registry has it, `repository@digest`."""
    found = record.read(project.root).find(image)
    if not found or not found.pushed:
        raise NotDeployed(NOTHING, f"no release of {image} is in a registry: `invoke release push`, or `deploy`")
    first = found.pushed[0]
    return f"{first.reference.rpartition(':')[0]}@{first.digest}"


def to_release(project: Project, settings: Any) -> list[str]:
    """The names of all images but the front, and of that one as well where no registry has it yet."""
    front = record.read(project.root).find(settings.front)
    return [one.name for one in project.images if one.settings.image != settings.front or not (front and front.pushed)]


def addresses(settings: Any) -> list[str]:
    """Those of the engines that invoke.yaml names."""
    return [address.strip() for address in settings.engines.split(",")]


def engines(settings: Any) -> list[Host]:
    """A connection to each of them."""
    return [Host(address, settings) for address in addresses(settings)]


@contextmanager
def told() -> Iterator[Callable[[str], None]]:
    """Say what happens, and end with the exit code of what went wrong."""
    try:
        yield lambda text: print(text, flush=True)
    except NotDeployed as error:
        raise Exit(str(error), error.code) from error
    except TinyshipError as error:
        raise Exit(str(error), error.exit_code) from error
