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
    """A tar file that is imported. For example ``rootfs.tar``."""
    command: Words = ()
    """In place of ``tar``: a command that writes a tar to its standard output. For example ``python rootfs.py``."""

    def __post_init__(self) -> None:
        if bool(self.tar) == bool(self.command):
            raise ValueError("needs either `tar` or `command`")
        with about("command"):
            check_command(self.command)


class Base(Section, frozen=True):
    """A base image: built from a Dockerfile, imported from a root filesystem, or pulled by digest."""

    name: str
    """The name of a base image; bases are made in their order. For example ``lacion/docker-alpine:latest``."""
    dockerfile: str = ""
    """What it is built from. An entry has one of ``dockerfile``, ``rootfs`` and ``pull``. For example
    ``docker/Dockerfile.base``."""
    context: str = "."
    """The folder that the Dockerfile sees."""
    target: str = ""
    """The stage of the Dockerfile that is built; the last one where nothing is set. For example ``runtime``."""
    rootfs: Rootfs | None = None
    """What it is imported from: a root filesystem."""
    changes: tuple[str, ...] = ()
    """Instructions of a Dockerfile for an imported root filesystem. For example ``["ENV A=1"]``."""
    pull: str = ""
    """The digest that it is pulled by. For example
    ``sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef``."""
    platforms: tuple[str, ...] = ()
    """As the project's own ``platforms``; for a base that is built, and that a release for several platforms stands
    on. For example ``[linux/amd64, linux/arm64]``."""
    cache_to: Options = ()
    """As the project's own ``cache_to``. Each stage has its own, because two caches that are put to one place replace
    each other. For example ``[type=inline]``."""

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
    """The Dockerfile of the fat image that compiles; ``build: {}`` is enough to have one. For example
    ``Dockerfile.build``."""
    context: str = "."
    """The folder that the Dockerfile sees, and that is copied into the container."""
    target: str = ""
    """The stage of the Dockerfile that is built; the last one where nothing is set. For example ``build-stage``."""
    tag: str = "build"
    """The tag of the build image."""
    workdir: str = ""
    """Where the context goes in the container; the image's WORKDIR where nothing is set. For example ``/src``."""
    command: Words = ()
    """What compiles; the image's CMD where nothing is set. For example ``make``, ``[make, build]``."""
    artifacts: tuple[str, ...] = ()
    """Files or folders that the command leaves below ``workdir``; they are copied to the same path below the root.
    For example ``[bin/foo]``."""
    env: tuple[str, ...] = ()
    """The environment of its containers. For example ``["CGO_ENABLED=0"]``."""
    test: Words = ()
    """What ``build.test`` runs. For example ``[make, test]``."""
    shell: Words = ("/bin/sh",)
    """What ``build.shell`` opens. For example ``/bin/bash``."""
    cache_to: Options = ()
    """As the project's own ``cache_to``, of this stage. For example ``[type=inline]``."""
    outputs: Options = ()
    """As ``release.outputs``, of this stage. For example ``[out]``."""

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
    """Run in the container until it exits with 0; the image's HEALTHCHECK where nothing is set. For example ``[/foo,
    -check]``."""
    timeout: float = 30.0
    """Seconds until it has to work."""

    def __post_init__(self) -> None:
        with about("command"):
            check_command(self.command)
        with about("timeout"):
            check_seconds(self.timeout)


class Run(Section, frozen=True):
    """How to run the released image."""

    ports: tuple[str, ...] = ()
    """As ``docker run -p`` takes them; every port that the image exposes, on a free port of this machine, where
    empty. For example ``["127.0.0.1::8080"]``."""
    env: tuple[str, ...] = ()
    """The environment of the container. For example ``["A=1"]``."""
    command: Words = ()
    """The arguments of the container; the image's CMD where nothing is set. For example ``serve --verbose``."""

    def __post_init__(self) -> None:
        with about("env"):
            check_assignments(self.env)
        with about("command"):
            check_command(self.command)


class Release(Section, frozen=True):
    """The tiny image that ships."""

    dockerfile: str = "Dockerfile"
    """The Dockerfile of the tiny image that ships."""
    context: str = "."
    """The folder that the Dockerfile sees."""
    target: str = ""
    """The stage of the Dockerfile that ships; the last one where nothing is set. For example ``runtime``."""
    outputs: Options = ()
    """What is made beside the image, as ``docker build --output`` takes it: its files in a folder of the project or
    in a tar, an archive of it, or the image in a registry. Archives and images need the containerd image store or a
    builder elsewhere. ``clean`` leaves them. For example ``[out]``, ``["type=tar,dest=x.tar"]``,
    ``["type=oci,dest=x.tar"]``, ``["type=registry,name=registry.example.com/foo:1"]``."""
    run: Run = Run()
    """How ``release.run`` and ``release.smoke`` start the image."""
    smoke: Smoke = Smoke()
    """How to tell that the image works."""

    def __post_init__(self) -> None:
        with about("outputs"):
            options.check_each(self.outputs, options.output)


class Push(Section, frozen=True):
    """Where a release goes, under which tags."""

    to: tuple[str, ...] = ()
    """Registries; the one that the image's name implies where empty. For example ``[registry.example.com:5000]``."""
    tags: tuple[str, ...] = ("{version}", "{commit}", "latest")
    """Tags, with names in braces that are filled in: ``version``, ``major``, ``minor``, ``patch``, ``commit``,
    ``short_commit``, ``branch``, ``date``."""
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
