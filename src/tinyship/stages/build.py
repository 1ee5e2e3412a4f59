"""The build stage: builds the fat image, compiles the source in a container of it, and copies the artifacts back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tinyship import inputs, labels
from tinyship.context import tar
from tinyship.context.source import Context
from tinyship.context.walk import Entry
from tinyship.engine import archive, containers, images, shell
from tinyship.engine.containers import ContainerRequest, Finished
from tinyship.engine.images import Image
from tinyship.errors import CommandFailed, ConfigError, ContextError, EngineError
from tinyship.events import about
from tinyship.plan import Action
from tinyship.stages import building, network
from tinyship.stages.scope import Made, Scope

if TYPE_CHECKING:
    from tinyship.settings.schema import Build


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
        force: compile even where nothing that decides the artifacts changed.

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
        request = building.of_build(scope, build)
        result = building.build(scope, request)
        outcome.word = "up to date" if result.cached else "built"
    if build.artifacts and not only_image:
        _compile(scope, build, request.context, force=force)
    return Made("build", name, result.image_id, outcome.word, outcome.seconds, building.described(build))


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
    from tinyship.settings.schema import words

    return words(command)


def _context(scope: Scope) -> Context:
    build = _settings(scope)
    return scope.context("build", build.context, build.dockerfile)


def _compile(scope: Scope, build: Build, context: Context, *, force: bool) -> None:
    command = " ".join(_words(build.command)) or "its command"
    name, image_id = reference(scope), _image(scope).id
    made = ", ".join(build.artifacts)
    with scope.stage("build", name, f"running {command}") as outcome:
        source = _inputs(scope, build, context)
        known = inputs.remembered(scope.root, name, image_id)
        if known and not force and known == inputs.combined(source, inputs.of_paths(scope.root, build.artifacts)):
            outcome.word = f"{made} up to date"
            return
        with _container(scope, _words(build.command)) as (container, workdir):
            finished = containers.run(scope.engine, container, about(name, scope.events), source="build")
            _must_succeed(finished, command, "the compile")
            inside = {str(workdir / artifact): artifact for artifact in build.artifacts}
            archive.copy_out(scope.engine, container, inside, scope.root)
        after = inputs.of_paths(scope.root, build.artifacts)
        inputs.remember(scope.root, name, image_id, inputs.combined(source, after))
        outcome.word = f"made {made}"


def _inputs(scope: Scope, build: Build, context: Context) -> str:
    """A digest of all that decides the artifacts, beside the build image."""
    # A folder that only artifacts lie in comes with the first compile, and is no input of the second.
    above = {str(parent) for artifact in build.artifacts for parent in PurePosixPath(artifact).parents}
    try:
        files = inputs.of_entries(entry for entry in _source(build, context) if entry.path not in above)
    except OSError as error:
        raise ContextError(f"{error.filename} cannot be read: {error.strerror}") from error
    facts = labels.arguments(scope.settings, scope.revision, labels.AUTOMATIC)
    how = (build.command, build.workdir, build.env, build.artifacts, scope.settings.network)
    return inputs.combined(files, how, facts)


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
    stale = {artifact.strip("/") for artifact in build.artifacts}
    for entry in context.entries():
        if entry.path not in stale and not any(entry.path.startswith(f"{artifact}/") for artifact in stale):
            yield entry
