"""The settings of the stages: base, build, release, push."""

from __future__ import annotations

import shlex
from typing import Annotated

import msgspec

from tinyship.settings import options
from tinyship.settings.grammar import (
    about,
    check_artifact,
    check_assignments,
    check_command,
    check_digest,
    check_reference,
    check_registry,
    check_seconds,
    check_tag,
    check_template,
)
from tinyship.settings.section import Section

Words = str | tuple[str, ...]
"""A command: a list of arguments, or one string that is split as a shell would split it (and runs without a shell)."""

Option = Annotated[
    str, msgspec.Meta(description="fields between commas, as `docker build` takes them: `key=value,...`")
]
"""An entry that has commas in it."""
Options = tuple[Option, ...]


def words(command: Words) -> tuple[str, ...]:
    """The arguments of a command that is written as a list or as one string."""
    return tuple(shlex.split(command)) if isinstance(command, str) else command


class Rootfs(Section, frozen=True):
    """A root filesystem: a tar file, or a command that writes a tar to its standard output. Exactly one of the two."""

    tar: str = ""
    command: Words = ()

    def __post_init__(self) -> None:
        if bool(self.tar) == bool(self.command):
            raise ValueError("needs either `tar` or `command`")
        with about("command"):
            check_command(self.command)


class Base(Section, frozen=True):
    """A base image: built from a Dockerfile, imported from a root filesystem, or pulled by digest."""

    name: str
    dockerfile: str = ""
    context: str = "."
    target: str = ""
    rootfs: Rootfs | None = None
    changes: tuple[str, ...] = ()
    """Dockerfile instructions that the engine applies to an imported root filesystem, like ``ENV A=1``."""
    pull: str = ""
    """The digest to pull, ``sha256:...``."""
    platforms: tuple[str, ...] = ()
    """As the project's own; for a base that a release for several platforms stands on."""
    cache_to: Options = ()
    """As the project's own. Each stage has its own, because two caches that are put to one place replace each other."""

    def __post_init__(self) -> None:
        with about("name"):
            check_reference(self.name)
        ways = [way for way in ("dockerfile", "rootfs", "pull") if getattr(self, way)]
        if len(ways) != 1:
            raise ValueError(f"`{self.name}` needs one of `dockerfile`, `rootfs` and `pull`")
        if self.changes and not self.rootfs:
            raise ValueError("`changes` go with `rootfs`")
        for key in ("platforms", "cache_to"):
            if getattr(self, key) and not self.dockerfile:
                raise ValueError(f"`{key}`: it goes with `dockerfile`")
        with about("platforms"):
            options.check_each(self.platforms, options.platform)
        with about("cache_to"):
            options.check_each(self.cache_to, options.cache_to)
        if self.pull:
            with about("pull"):
                check_digest(self.pull)


class Build(Section, frozen=True):
    """The fat image that compiles, and what is run in it."""

    dockerfile: str = "Dockerfile.build"
    context: str = "."
    target: str = ""
    tag: str = "build"
    workdir: str = ""
    """Where the context goes in the container; the image's WORKDIR where nothing is set."""
    command: Words = ()
    """What compiles; the image's CMD where nothing is set."""
    artifacts: tuple[str, ...] = ()
    """Files or folders that the command leaves below ``workdir``; copied to the same path below the root."""
    env: tuple[str, ...] = ()
    test: Words = ()
    """The command of ``build.test``."""
    shell: Words = ("/bin/sh",)
    """The command of ``build.shell``."""
    cache_to: Options = ()
    """As the project's own. Each stage has its own, because two caches that are put to one place replace each other."""
    outputs: Options = ()
    """What is made beside the image, as ``docker build --output`` takes it: ``type=local,dest=out``."""

    def __post_init__(self) -> None:
        with about("tag"):
            check_tag(self.tag)
        with about("env"):
            check_assignments(self.env)
        for key in ("command", "test", "shell"):
            with about(key):
                check_command(getattr(self, key))
        with about("artifacts"):
            for artifact in self.artifacts:
                check_artifact(artifact)
        with about("cache_to"):
            options.check_each(self.cache_to, options.cache_to)
        with about("outputs"):
            options.check_each(self.outputs, options.output)


class Smoke(Section, frozen=True):
    """How to tell that a released image works."""

    command: Words = ()
    """Run in the container until it exits with 0; the image's HEALTHCHECK where nothing is set."""
    timeout: float = 30.0
    """Seconds."""

    def __post_init__(self) -> None:
        with about("command"):
            check_command(self.command)
        with about("timeout"):
            check_seconds(self.timeout)


class Run(Section, frozen=True):
    """How to run the released image."""

    ports: tuple[str, ...] = ()
    """As ``docker run -p`` takes them; every port that the image exposes, on a free loopback port, where empty."""
    env: tuple[str, ...] = ()
    command: Words = ()

    def __post_init__(self) -> None:
        with about("env"):
            check_assignments(self.env)
        with about("command"):
            check_command(self.command)


class Release(Section, frozen=True):
    """The tiny image that ships."""

    dockerfile: str = "Dockerfile"
    context: str = "."
    target: str = ""
    outputs: Options = ()
    """What is made beside the image, as ``docker build --output`` takes it: ``type=registry,name=...``."""
    run: Run = Run()
    smoke: Smoke = Smoke()

    def __post_init__(self) -> None:
        with about("outputs"):
            options.check_each(self.outputs, options.output)


class Push(Section, frozen=True):
    """Where a release goes, under which tags."""

    to: tuple[str, ...] = ()
    """Registries, ``host[:port][/path]``; empty: the one that the image's name implies."""
    tags: tuple[str, ...] = ("{version}", "{commit}", "latest")
    smoke: bool = False
    """Push only what passed ``release.smoke``."""
    timeout: float = 300.0
    """Seconds without a sign of life from the engine or the registry before a push is given up."""

    def __post_init__(self) -> None:
        with about("timeout"):
            check_seconds(self.timeout)
        with about("to"):
            for registry in self.to:
                check_registry(registry)
        with about("tags"):
            for template in self.tags:
                check_template(template)
            if not self.tags:
                raise ValueError("there is none")
