"""The build stage: builds the fat image, compiles the source in a container of it, and copies the artifacts back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tinyship import labels
from tinyship.context import fingerprint, part, tar
from tinyship.context.source import Context
from tinyship.context.walk import Entry
from tinyship.engine import archive, containers, images, shell
from tinyship.engine.containers import ContainerRequest, Finished
from tinyship.engine.images import Image
from tinyship.errors import CommandFailed, ConfigError, ContextError, EngineError, TinyshipError
from tinyship.events import about
from tinyship.kept import memory
from tinyship.plan import Action
from tinyship.stages import building, given, network, uptodate
from tinyship.stages.given import Given
from tinyship.stages.scope import Made, Scope

if TYPE_CHECKING:
    from tinyship.settings.stages import Build


def reference(scope: Scope) -> str:
    """The name of the build image."""
    return f"{scope.settings.image}:{_settings(scope).tag}"


def plan(scope: Scope) -> tuple[Action, ...]:
    """What ``make`` would do; nothing where the project has no build stage."""
    build = scope.settings.build
    if not build:
        return ()
    actions = [Action("build", reference(scope), building.described(build))]
    actions += building.actions(build.outputs, build.cache_to)
    if build.artifacts:
        command = " ".join(_words(build.command)) or "the image's CMD"
        actions.append(Action("run", reference(scope), f"{command}, on a copy of {build.context}"))
        actions += [Action("copy out", artifact) for artifact in build.artifacts]
    return tuple(actions)


def check(scope: Scope) -> None:
    """Raise what ``make`` would raise for files that are missing, or for settings, before anything is made."""
    if scope.settings.build:
        building.check(scope, building.of_build(scope, scope.settings.build), "build")


def make(scope: Scope, *, only_image: bool = False, force: bool = False) -> Made | None:
    """Build the build image and, where artifacts are named, compile in it and copy them back.

    Args:
        only_image: leave the compile out.
        force: build and compile even where nothing that decides image and artifacts changed.

    Returns:
        the build image; None where the project has no build stage.

    Raises:
        BuildFailed: a step of the Dockerfile failed.
        CommandFailed: the compile failed; its container is gone.
        ArtifactError: an artifact was not made, or cannot be trusted or written.
    """
    build = scope.settings.build
    if not build:
        return None
    name = reference(scope)
    with scope.stage("build", name, f"building {building.described(build)}") as outcome:
        done = uptodate.build(scope, "build", lambda: building.of_build(scope, build), force=force)
        outcome.word = done.word
    if build.artifacts and not only_image:
        _compile(scope, build, done.image_id, force=force)
    return Made("build", name, done.image_id, done.word, outcome.seconds, building.described(build))


def foresee(scope: Scope, *, force: bool = False) -> tuple[str, ...]:
    """Say why ``make`` would build and compile, or why not; nothing is built or changed.

    Returns:
        the artifacts that would be made.
    """
    build = scope.settings.build
    if not build:
        return ()
    name = reference(scope)
    first = uptodate.foresee_build(scope, "build", building.of_build(scope, build), force=force)
    scope.together.planned.update((name,) if first else ())
    if not build.artifacts:
        return ()
    image = scope.image(name)
    last = memory.find(scope.root, scope.engine.address, _kept(name))
    reasons = [uptodate.FORCED] if force else _why(scope, build, image.id, last) if image else []
    reasons += [f"{name} is made before it"] if first and last else []
    works = uptodate.say_why(scope, "build", name, reasons, last)
    return build.artifacts if works else ()


def test(scope: Scope) -> Finished:
    """Run the configured test command in a container of the build image, on a copy of the source.

    Raises:
        ConfigError: no test command is configured.
        CommandFailed: the tests failed.
    """
    command = _words(_settings(scope).test)
    if not command:
        raise ConfigError("`build.test` is not set", hint='Set it to the command that tests, like ["make", "test"].')
    with scope.stage("build", reference(scope), f"running {' '.join(command)}") as outcome:
        with _container(scope, command) as (container, _):
            finished = containers.run(scope.engine, container, about(reference(scope), scope.events), source="test")
        outcome.word = "passed"
        return _must_succeed(finished, " ".join(command), "the tests")


def open_shell(scope: Scope) -> int:
    """Open the configured shell in a container of the build image, on a copy of the source; returns its exit code."""
    with _container(scope, _words(_settings(scope).shell), tty=True) as (container, _):
        return shell.interactive(scope.engine, container)


def _settings(scope: Scope) -> Build:
    if not scope.settings.build:
        raise ConfigError("this project has no build stage", hint="Give `build` a Dockerfile to have one.")
    return scope.settings.build


def _words(command: str | tuple[str, ...]) -> tuple[str, ...]:
    from tinyship.settings.stages import words

    return words(command)


def _context(scope: Scope) -> Context:
    build = _settings(scope)
    return scope.context("build", build.context, build.dockerfile)


def _compile(scope: Scope, build: Build, image_id: str, *, force: bool) -> None:
    command = " ".join(_words(build.command)) or "its command"
    name = reference(scope)
    made = ", ".join(build.artifacts)
    kept = _kept(name)
    with scope.stage("build", name, f"running {command}") as outcome:
        last = memory.find(scope.root, scope.engine.address, kept)
        reasons = [uptodate.FORCED] if force else _why(scope, build, image_id, last)
        if last and not reasons:
            uptodate.say(scope, "build", name, f"nothing changed since it was run, {last.at}", works=False)
            memory.of_use(scope.root, scope.engine.address, kept)
            outcome.word = f"{made} up to date"
            return
        uptodate.say(scope, "build", name, *reasons, works=True)
        scope.works("build")
        moment = _moment(scope, build)
        with _container(scope, _words(build.command)) as (container, workdir):
            finished = containers.run(scope.engine, container, about(name, scope.events), source="build")
            _must_succeed(finished, command, "the compile")
            inside = {str(workdir / artifact): artifact for artifact in build.artifacts}
            archive.copy_out(scope.engine, container, inside, scope.root)
        outcome.word = f"made {made}"
        scope.forget()
        with suppress(TinyshipError):  # what is not kept costs no more than work
            of = _given(scope, build, image_id)
            of = replace(of, parts={**of.parts, "artifacts": _artifacts(scope, build)})
            if _moment(scope, build) == moment:
                uptodate.keep(scope, kept, image_id, of, last)


def _kept(name: str) -> str:
    """What the artifacts of a build image are called in ``memory``."""
    return f"{name} artifacts"


def _why(scope: Scope, build: Build, image_id: str, last: memory.Made | None) -> list[str]:
    """Why the artifacts have to be made; empty where they are there, and nothing changed."""
    before = _given(scope, build, image_id)
    artifacts = _artifacts(scope, build)
    now = replace(before, parts={**before.parts, "artifacts": artifacts})
    missing = [f"`{artifact}` is missing" for artifact, digest in artifacts.items() if not digest and last]
    return uptodate.changes(scope, _kept(reference(scope)), last, now) or missing


def _moment(scope: Scope, build: Build) -> str:
    """Another one after every change of the source, even one that was taken back."""
    above = {str(parent) for artifact in build.artifacts for parent in PurePosixPath(artifact.strip("/")).parents}
    seen = hashlib.sha256()
    for entry in _source(build, _context(scope)):
        if entry.path not in above:
            stamp = f"{entry.path}\0{entry.stat.st_mode} {entry.stat.st_ino} {entry.stat.st_ctime_ns}\0"
            seen.update(stamp.encode("utf-8", "surrogateescape"))
    return seen.hexdigest()


def _given(scope: Scope, build: Build, image_id: str) -> Given:
    """All that decides the artifacts."""
    context = _context(scope)
    # A folder that only artifacts lie in comes with the first compile, and is no input of the second.
    files = part.without(scope.files(context.root, context.patterns), build.artifacts)
    facts = labels.arguments(scope.settings, scope.revision, labels.AUTOMATIC)
    how = {
        "command": given.combined(build.command),
        "workdir": build.workdir,
        "env": given.combined(build.env),
        "artifacts": given.combined(build.artifacts),
        "network": scope.settings.network,
    }
    parts = {
        given.IMAGE: {"id": image_id},
        given.FILES: {"": files.digest},
        "settings": how,
        "args": {name: given.digest(value) for name, value in facts.items()},
    }
    return Given(parts, "", files)


def _artifacts(scope: Scope, build: Build) -> dict[str, str]:
    """A digest of each artifact; empty where it is missing or cannot be read."""
    name = f"artifacts-{given.digest(reference(scope))}"
    try:
        every = fingerprint.of_paths(
            scope.root, build.artifacts, state_root=scope.root, name=name, remember=scope.together.remembers
        )
    except ContextError:
        return dict.fromkeys(build.artifacts, "")
    parts = {artifact: part.only(every, [artifact.strip("/")]) for artifact in build.artifacts}
    return {artifact: found.digest if found.rows else "" for artifact, found in parts.items()}


def _must_succeed(finished: Finished, command: str, what: str) -> Finished:
    if finished.exit_code:
        why = " (out of memory)" if finished.oom_killed else ""
        raise CommandFailed(
            f"{what} failed: `{command}` ended with exit code {finished.exit_code}{why}",
            exit_code_of_command=finished.exit_code,
            tail=finished.tail,
        )
    return finished


@contextmanager
def _container(scope: Scope, command: tuple[str, ...], *, tty: bool = False) -> Iterator[tuple[str, PurePosixPath]]:
    """A container of the build image that holds the source in its working directory; gone afterwards."""
    build = _settings(scope)
    image = _image(scope)
    workdir = PurePosixPath("/") / (build.workdir or image.workdir or "/")
    facts = labels.arguments(scope.settings, scope.revision, labels.AUTOMATIC)
    request = ContainerRequest(
        image=image.id,
        command=command,
        env=(*(f"{key}={value}" for key, value in {**network.environment(scope), **facts}.items()), *build.env),
        workdir=str(workdir),
        labels=labels.own(scope.settings, "build"),
        network=scope.settings.network,
        tty=tty,
    )
    with containers.container(scope.engine, request) as container:
        prefix = str(workdir).strip("/")
        owner = containers.owner(scope.engine, container)
        containers.copy_in(
            scope.engine, container, tar.stream(_source(build, _context(scope)), prefix=prefix, owner=owner)
        )
        if scope.ca:
            containers.copy_in(scope.engine, container, network.certificates(scope))
        yield container, workdir


def _image(scope: Scope) -> Image:
    image = images.find(scope.engine, reference(scope))
    if not image:
        raise EngineError(
            "there is no build image in the engine",
            hint="`invoke build` makes it.",
            stage="build",
            image=reference(scope),
        )
    return image


def _source(build: Build, context: Context) -> Iterator[Entry]:
    """The context without artifacts of an earlier run, so that a compile that makes none cannot seem to."""
    return (entry for entry in context.entries() if not _is_artifact(build, entry.path))


def _is_artifact(build: Build, path: str) -> bool:
    stale = (artifact.strip("/") for artifact in build.artifacts)
    return any(path == artifact or path.startswith(f"{artifact}/") for artifact in stale)
