"""What a reader has before the README, the documents that stand beside the how-tos, and the pages of the examples."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import pages, playing
from tests.conftest import Repository
from tests.playing import Player
from tools import peers
from uploads import Uploads

from tinyship.engine import images
from tinyship.events import ignore

if TYPE_CHECKING:
    from scenes import Scene

_IN_CI = bool(os.environ.get("CI"))


def _names(scene: Scene) -> dict[str, str]:
    """The team's names on pages, and those in this engine."""
    return {"lacion/": f"{scene.word}/"}


def with_docker(player: Player) -> Player:
    """The reader has a docker CLI with buildx."""
    try:
        theirs = peers.fetch().environment
    except SystemExit as error:
        why = f"no docker CLI with buildx: {error}"
        pytest.fail(why) if _IN_CI else pytest.skip(why)
    player.environment["DOCKER_CONFIG"] = theirs["DOCKER_CONFIG"]
    player.environment["PATH"] = f"{theirs['PATH'].partition(':')[0]}:{player.environment['PATH']}"
    return player


def _registry(scene: Scene) -> str:
    return f"127.0.0.1:{scene.registry.rpartition(':')[2]}"


def _server(scene: Scene, **settings: Any) -> Path:
    """A project of one small image with a shell, with a compile in a container, in a repository with a commit.

    Args:
        settings: beside its image and its registry.
    """
    base = scene.busybox
    config = {"image": f"{scene.word}/foo", "push": {"to": [_registry(scene)]}, **settings}
    files = {
        "tasks.py": '"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n',
        "invoke.yaml": json.dumps({"tinyship": config}),
        "Dockerfile": (
            f"FROM {base} AS build-stage\nRUN echo made > /foo\n\n"
            f'FROM {base}\nCOPY --from=build-stage /foo /foo\nCMD ["cat", "/foo"]\n'
        ),
        "Dockerfile.build": f'FROM {base}\nCMD ["sh", "-c", "mkdir -p bin && echo made > bin/foo"]\n',
        ".dockerignore": ".git\n",
        ".gitignore": "bin/\n*.json\n*.html\n",
    }
    return scene.repository("foo", files)


def _with_room(player: Player) -> Player:
    """The reader's terminal is wide enough for the tables of these pages."""
    player.columns = 180
    return player


def comparison(scene: Scene) -> Player:
    """In a project that has a commit."""
    player = with_docker(scene.reader(_server(scene), _names(scene)))
    player.columns = 180  # an engine's address may be long
    return player


def from_make(scene: Scene) -> Player:
    """In a project with both shapes of a build."""
    return scene.reader(_server(scene), _names(scene), TINYSHIP_PUSH_TO=_registry(scene))


def releases(scene: Scene) -> Player:
    """In a project that has a commit."""
    player = with_docker(scene.reader(_server(scene), _names(scene)))
    player.columns = 180  # an engine's address may be long
    return player


def sizes(scene: Scene) -> Player:
    """In a project that is released and pushed."""
    player = scene.reader(_server(scene, build={}), _names(scene))
    player.type("git tag v1.0.0 && invoke release push")
    return player


def several_images(scene: Scene) -> Player:
    """In a shallow clone of examples/monorepo, released; its last commit changes a page of web."""
    root = _monorepo(scene)
    player = scene.reader(root, _names(scene))
    player.write(pages.steps(pages.ROOT / "docs/several-images.md")[0])
    page = "web/index.html"
    for command in (
        "git init -q -b main && git commit -q --allow-empty -m First",
        "git add -A && git commit -q -m Shop && git tag v0.9.0",
        f"sed -i 's/The shop/The deli/' {page} && git commit -q -a -m Tea && git tag v1.0.0 && git tag api/v2.0.0",
        f"git clone -q --depth 2 --no-single-branch file://{root} {scene.place}/shop && cd {scene.place}/shop",
        "git fetch -q --depth 2 origin tag v0.9.0 && git remote remove origin && invoke release",
    ):
        player.type(command)
    return player


def clean_registry(scene: Scene) -> Player:
    """In a project with six images in its registry, two of them old and of no version."""
    image = f"{scene.word}/foo"
    there = Uploads(_registry(scene), image)
    dice = random.Random(1)
    below = dice.randbytes(3_340_000)

    def put(version: str, *tags: str, bytes_: int, ours: bool = True) -> None:
        labels = {"org.opencontainers.image.version": version, **({"tinyship.project": image} if ours else {})}
        own = dice.randbytes(bytes_)
        for tag in tags:
            there.image(below, own, tag=tag, labels=labels, created="2026-01-01T00:00:00Z")

    put("1.3.0", "1.3.0", "5f2a7c9" + "0" * 33, bytes_=960_000)
    put("1.3.0-1-g7e8f901", "1.3.0-1-g7e8f901", "7e8f901" + "0" * 33, bytes_=960_000)
    put("1.3.0-4-gc9e1b3d", "1.3.0-4-gc9e1b3d", "c9e1b3d" + "0" * 33, bytes_=960_000)
    put("1.4.0", "1.4.0", "latest", bytes_=960_000)
    put("", "debug", bytes_=840_000, ours=False)
    put("1.4.0-7-g1a2b3c4", "nightly", bytes_=1_620_000)
    return _with_room(scene.reader(_server(scene, clean={"registry": {"keep": 2}}), _names(scene)))


def clean(scene: Scene) -> Player:
    """In a project with eight releases in the engine, one of which a container uses."""
    image = f"{scene.word}/foo"
    root = _server(scene, push={})
    repository = Repository(root)
    dice = random.Random(1)
    for day, tag in enumerate(("1.1.0", "", "1.3.0", "", "", "", "1.7.0", ""), 1):
        commit = repository.commit(f"Day {day}")
        if tag:
            repository.git("tag", f"v{tag}")
        version = repository.git("describe", "--tags").removeprefix("v")
        labels = {"tinyship.project": image, "tinyship.stage": "release", **_labels(version, commit, day)}
        image_id = images.import_rootfs(
            scene.engine,
            iter([_packed(dice.randbytes(604_000))]),
            name=f"{image}:{version}",
            changes=[f"LABEL {key}={value}" for key, value in labels.items()],
            events=ignore,
        )
        for name in (commit, "local"):
            images.tag(scene.engine, image_id, f"{image}:{name}")
        if day == 2:
            scene.engine.api.create_container(image_id, ["/none"], name=f"{scene.word}-web")
    names = {**_names(scene), "container web": f"container {scene.word}-web"}
    return _with_room(scene.reader(root, names, TINYSHIP_CLEAN_CACHE_AGE="1s"))


def _labels(version: str, commit: str, day: int) -> dict[str, str]:
    label = "org.opencontainers.image"
    return {f"{label}.version": version, f"{label}.revision": commit, f"{label}.created": f"2026-01-0{day}T00:00:00Z"}


def _packed(content: bytes) -> bytes:
    """A root filesystem of one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("data")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def benchmarks(scene: Scene) -> Player:
    """In a clone of this repository, as far as the page looks at it."""
    root = scene.folder("tinyship")
    playing.stand_in_for_dev(root)
    playing.stand_in_for_benchmarks(root)
    return scene.reader(root)


def monorepo(scene: Scene) -> Player:
    """In a copy of the example outside of a repository."""
    return scene.reader(_monorepo(scene), _names(scene))


def _monorepo(scene: Scene) -> Path:
    return playing.copied("monorepo", scene.place / "monorepo", _names(scene))


PLAYED_BY = {
    "README.md": "test_examples.py",
    "docs/index.md": "test_examples.py",
    "docs/up-to-date.md": "test_examples.py",
    "docs/why-tiny.md": "test_examples.py",
    "examples/c-program/README.md": "test_ships.py",
    "examples/python-service/README.md": "test_ships.py",
}
"""Pages that are played where what they are about is released anyway, by the file of the test."""
SCENES: dict[str, Callable[[Scene], Player]] = {
    "docs/benchmarks.md": benchmarks,
    "docs/clean-registry.md": clean_registry,
    "docs/clean.md": clean,
    "docs/comparison.md": comparison,
    "docs/from-make.md": from_make,
    "docs/releases.md": releases,
    "docs/several-images.md": several_images,
    "docs/sizes.md": sizes,
    "examples/monorepo/README.md": monorepo,
}
"""By the page."""
