"""The examples, released and pushed as their users would: what they weigh, and whether they serve."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import playing
from tests.pages import ROOT
from tests.playing import Player
from tools import demo
from web import get

from tinyship.credentials import find, host_of
from tinyship.engine import containers, images
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.engine.pieces import Pieces
from tinyship.events import ignore

pytestmark = [pytest.mark.engine, pytest.mark.thorough]


@pytest.fixture(scope="module")
def released(engine: Engine, registry: str) -> Iterator[Path]:
    """A repository with both examples, each released and pushed."""
    environment = {**os.environ, "TINYSHIP_PUSH_TO": demo.place(registry)}
    with demo.repository() as root:
        for example in ("foo", "multistage"):
            words = [sys.executable, "-m", "invoke", "release", "push"]
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                words, cwd=root / example, env={**environment, "PATH": path}, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        yield root


def record(root: Path) -> dict[str, Any]:
    """The only entry of a project's record."""
    (entry,) = json.loads((root / ".tinyship" / "release.json").read_text())["images"]
    assert isinstance(entry, dict)
    return entry


def unpacked(entry: dict[str, Any], stage: str, name: str = "") -> int:
    """The unpacked size of a stage's image, in bytes."""
    return next(
        int(sizes["unpacked"]) for sizes in entry["sizes"] if sizes["stage"] == stage and name in sizes["image"]
    )


def weight(engine: Engine, image: str) -> tuple[int, int]:
    """The bytes of an image's files, whatever room its engine's store gives them, and their number with folders."""
    with containers.container(engine, ContainerRequest(image=image, command=("/none",))) as container:
        packed = io.BytesIO(b"".join(engine.api.export(container)))
    with tarfile.open(fileobj=packed) as tar:
        sizes = [member.size for member in tar]
    return sum(sizes), len(sizes)


@pytest.mark.parametrize("example", ["foo", "multistage"])
def test_unpacked_is_what_the_files_weigh(released: Path, engine: Engine, example: str) -> None:
    """With a graph driver to the byte, but for links' targets; in containerd's store in whole blocks of 4 kB."""
    entry = record(released / example)
    files, number = weight(engine, entry["id"])
    most = 8192 if engine.containerd_store else 100
    assert files <= unpacked(entry, "release") <= files + most * number


def test_foo_is_smaller_than_the_article(released: Path, engine: Engine) -> None:
    """Below the article's figures in each stage, and no more than 300 kB above the binary itself."""
    entry = record(released / "foo")
    assert unpacked(entry, "base", "gobuildimage") < 356_000_000
    assert unpacked(entry, "build") < 422_000_000
    assert unpacked(entry, "release") < 7_000_000
    assert weight(engine, entry["id"])[0] - (released / "foo" / "bin" / "foo").stat().st_size <= 300_000


def test_multistage_is_the_binary(released: Path, engine: Engine, tmp_path: Path) -> None:
    """On an empty base the image is the binary and at most 4 kB."""
    from tinyship.engine.archive import copy_out

    entry = record(released / "multistage")
    with containers.container(engine, ContainerRequest(image=entry["id"])) as container:
        (binary,) = copy_out(engine, container, {"/foo": "foo"}, tmp_path)
    assert 0 <= weight(engine, entry["id"])[0] - binary.stat().st_size <= 4_000


@pytest.mark.parametrize("example", ["foo", "multistage"])
def test_pulled_by_digest_it_serves(released: Path, engine: Engine, example: str) -> None:
    """What the registry has is what was released: it answers, and knows version and commit."""
    entry = record(released / example)
    reference, digest = entry["pushed"][0]["reference"], entry["pushed"][0]["digest"]
    repository = reference.rpartition(":")[0]
    name = f"{repository}:pulled-by-digest"
    image_id = images.pull(engine, name, digest, credential=find(host_of(repository)), events=ignore)
    try:
        with containers.container(engine, ContainerRequest(image=image_id, ports=("127.0.0.1::8080",))) as container:
            containers.start(engine, container)
            address = containers.published(engine, container)["8080/tcp"]
            assert json.loads(get(f"http://{address}/version")) == {"version": "1.0.0", "commit": entry["commit"]}
            assert get(f"http://{address}/healthz") == b"ok\n"
            assert b"foo" in get(f"http://{address}/")
    finally:
        images.untag(engine, name)


def test_tests_of_the_example(released: Path) -> None:
    """`invoke build.test` runs Go's own tests in the build image."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "build.test"],
        cwd=released / "foo",
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok" in done.stderr


@pytest.mark.needs("buildkit")
def test_cache_mount_and_secret(engine: Engine) -> None:
    """The second compile takes all but the program from the cache mount; the secret that the compile saw is nowhere."""
    word = f"s3cret-{secrets.token_hex(8)}"
    with demo.repository() as root:
        project, source = root / "multistage", root / "foo" / "main.go"

        def release(**variables: str) -> subprocess.CompletedProcess[str]:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            return subprocess.run(
                [sys.executable, "-m", "invoke", "release"],
                cwd=project,
                env={**os.environ, "PATH": path, "TINYSHIP_SECRETS": '["id=netrc,env=NETRC"]', **variables},
                capture_output=True,
                text=True,
            )

        def compiled(done: subprocess.CompletedProcess[str]) -> set[str]:
            assert done.returncode == 0, done.stdout + done.stderr
            return set(re.findall(r"^#\d+ (?:[\d.]+ )?([a-z][a-z0-9./]*)$", done.stderr, re.M))

        source.write_text(f"{source.read_text()}\n// {secrets.token_hex(8)}: nobody compiled this before\n")
        unset = release()
        assert "the secret `netrc` comes from the variable NETRC, which is not set" in unset.stderr
        netrc = f"machine git.example.com login me password {word}\n"
        first = release(NETRC=netrc)
        assert "github.com/lacion/foo" in compiled(first)
        source.write_text(f"{source.read_text()}// nor this\n")
        second = release(NETRC=netrc)
        assert compiled(second) == {"github.com/lacion/foo"}
        kept = b"".join(file.read_bytes() for file in (project / ".tinyship").iterdir() if file.is_file())
        assert word not in first.stdout + first.stderr + second.stdout + second.stderr
        assert word.encode() not in kept
        for name in ("lacion/foo-multistage:local", "lacion/foo-multistage:build"):
            assert word not in json.dumps([engine.api.inspect_image(name), engine.api.history(name)])
            assert not any(word.encode() in content for content in contents(engine, name))


@pytest.fixture
def reader(released: Path, registry: str, tmp_path: Path, request: pytest.FixtureRequest) -> Player:
    """Somebody in a copy of an example that is released and pushed, at v1.0.0."""
    shutil.copytree(released, tmp_path / "clone", symlinks=True)
    root = tmp_path / "clone" / request.param
    place = record(root)["pushed"][0]["reference"].partition("/lacion/")[0]
    return Player(root, tmp_path / "reader", {"registry.example.com": place}, TINYSHIP_PUSH_TO=place)


@pytest.mark.needs("buildkit")
@pytest.mark.parametrize("reader", ["foo"], indirect=True)
def test_page_of_the_readme(reader: Player) -> None:
    """README.md, from what it shows of examples/foo to a release of the reader's own."""
    playing.stand_in_for_dev(reader.root)
    reader.play(ROOT / "README.md")


@pytest.mark.needs("buildkit")
@pytest.mark.parametrize("reader", ["foo"], indirect=True)
def test_page_of_the_site(reader: Player) -> None:
    """docs/index.md, the first page of the site."""
    reader.play(ROOT / "docs/index.md")


@pytest.mark.needs("buildkit", "graph-driver")
@pytest.mark.parametrize("reader", ["foo"], indirect=True)
def test_page_on_up_to_date(reader: Player) -> None:
    """docs/up-to-date.md, after a change of the program."""
    reader.type("echo '// changed' >> main.go")
    reader.play(ROOT / "docs/up-to-date.md")


@pytest.mark.slow
@pytest.mark.needs("buildkit")
@pytest.mark.parametrize("reader", ["multistage"], indirect=True)
def test_page_on_why_tiny(reader: Player) -> None:
    """docs/why-tiny.md, on what examples/multistage weighs."""
    reader.environment["PATH"] += f"{os.pathsep}{Path(sys.executable).parent}"  # has syft
    playing.stand_in_for_dev(reader.root)
    reader.type("mkdir data && cp tasks.py data && printf 'data\\ndev\\n' >> ../.git/info/exclude")
    reader.play(ROOT / "docs/why-tiny.md")


def contents(engine: Engine, name: str) -> Iterator[bytes]:
    """All that an image consists of: each file of its archive, unpacked."""
    with tarfile.open(fileobj=io.BufferedReader(Pieces(engine.api.get_image(name))), mode="r|") as archive:
        for member in archive:
            if file := archive.extractfile(member):
                content = file.read()
                yield gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
