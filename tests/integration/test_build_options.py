"""What the settings ask BuildKit for, on a real engine and into a real registry, run as a user runs it."""

from __future__ import annotations

import json
import shutil
import urllib.request
from typing import Any

import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.errors import ConfigError

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit")]
_INDEX = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def platforms(ship: Ship) -> Ship:
    """A project whose release is for two platforms: a program for this one's architecture, a plain file for another."""
    program = shutil.which("busybox")
    assert program
    shutil.copy(program, ship.root / "busybox-amd64")
    (ship.root / "busybox-arm64").write_text("not run here\n")
    (ship.root / "Dockerfile").write_text(
        'FROM scratch\nARG TARGETARCH\nCOPY busybox-$TARGETARCH /busybox\nCMD ["/busybox", "sleep", "60"]\n'
    )
    ship.configure(
        platforms=["linux/amd64", "linux/arm64"],
        base=[],
        build=None,
        release={"smoke": {"command": ["/busybox", "true"]}},
    )
    ship.git("tag", "-f", "v1.0.0")
    return ship


def fetched(ship: Ship, repository: str, reference: str) -> tuple[str, Any]:
    """A manifest or an index of the registry, with the digest that it says it has."""
    url = f"http://{ship.registry}/v2/{repository}/manifests/{reference}"
    accept = (
        f"{_INDEX}, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    )
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as answer:
        return answer.headers["Docker-Content-Digest"], json.load(answer)


@pytest.mark.needs("containerd")
def test_two_platforms_under_one_index(platforms: Ship, engine: Engine) -> None:
    """One build makes both, one push puts both under one index, and sizes and the smoke test are this engine's."""
    platforms.configure(push={"smoke": True, "tags": ["{version}", "{commit}"]})
    platforms.git("tag", "-f", "v1.0.0")
    platforms.invoke("release", "push")
    record = platforms.record
    assert record["platform"] == "linux/amd64,linux/arm64"
    assert record["smoke"] is True
    (sizes,) = record["sizes"]
    program = (platforms.root / "busybox-amd64").stat().st_size
    assert program <= sizes["unpacked"] < program + 20_000
    assert program / 4 < sizes["pull"] < program
    (digest,) = {pushed["digest"] for pushed in record["pushed"]}
    found, index = fetched(platforms, platforms.image, "1.0.0")
    assert found == digest == record["id"]
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]
    layers = [fetched(platforms, platforms.image, entry["digest"])[1]["layers"] for entry in index["manifests"]]
    assert all(len(of_one) == 1 for of_one in layers)
    assert layers[0][0]["digest"] != layers[1][0]["digest"]
    assert "up to date" in platforms.invoke("release").err


@pytest.mark.needs("containerd")
def test_attestations_outputs_and_caches_in_one_release(platforms: Ship) -> None:
    """An index that BuildKit pushes by itself, attested; an archive; the files; and a cache in a folder."""
    direct = f"{platforms.registry}/{platforms.image}-direct:1"
    outputs = ["out", "type=oci,dest=dist/image.tar", f"type=registry,name={direct}"]
    (platforms.root / ".dockerignore").write_text(".git\n.tinyship\nout\ndist\ncache\n")
    (platforms.root / ".gitignore").write_text("out\ndist\ncache\n")
    platforms.configure(
        release={"outputs": outputs},
        attests=["type=provenance,mode=max"],
        cache_to=["type=local,dest=cache,mode=max"],
        cache_from=["type=local,src=cache"],
    )
    assert "there is no cache in" in platforms.invoke("release").err
    _, index = fetched(platforms, f"{platforms.image}-direct", "1")
    kinds = [(entry.get("annotations") or {}).get("vnd.docker.reference.type", "image") for entry in index["manifests"]]
    assert sorted(kinds) == ["attestation-manifest", "attestation-manifest", "image", "image"]
    assert (platforms.root / "out/linux_arm64/busybox").read_text() == "not run here\n"
    assert (platforms.root / "dist/image.tar").stat().st_size > 500_000
    assert json.loads((platforms.root / "cache/index.json").read_text())["manifests"]
    assert "there is no cache in" not in platforms.invoke("release").err


@pytest.mark.needs("containerd")
def test_the_same_commit_gives_the_same_image(platforms: Ship, engine: Engine) -> None:
    """All dates are the commit's: built again from nothing, it is the same image, digest for digest."""
    platforms.invoke("release", "--no-cache")  # what another test left in the cache has other dates of files
    first = platforms.record["id"]
    again = platforms.invoke("release", "--no-cache").err
    assert "CACHED" not in again
    assert platforms.record["id"] == first
    image = images.find(engine, first)
    assert image
    assert image.created
    assert int(image.created.timestamp()) == int(platforms.git("log", "-1", "--format=%ct"))


@pytest.mark.needs("containerd")
def test_another_image_as_a_context(ship: Ship, registry: str) -> None:
    """An image of the project stands on another one by its name in `images`, even under `--pull`."""
    (ship.root / "Dockerfile.web").write_text(
        'FROM api AS first\nFROM scratch\nCOPY --from=first /bin/foo /web\nCMD ["x"]\n'
    )
    ship.configure(
        images=[
            {"name": "api", "image": f"{ship.image}-api"},
            {
                "name": "web",
                "image": f"{ship.image}-web",
                "release": {"dockerfile": "Dockerfile.web", "outputs": ["out"]},
                "contexts": ["api=target:api"],
                "base": [],
                "build": None,
            },
        ],
    )
    with pytest.raises(ConfigError, match=rf"`tinyship\.contexts`: there is no {ship.image}-api:local in the engine"):
        Project.load(ship.root, image="web").release()
    ship.invoke("release")
    ship.invoke("release", "--only", "--pull")
    assert (ship.root / "out/web").read_text() == (ship.root / "bin/foo").read_text()


def test_files_as_an_output(ship: Ship) -> None:
    """The files of the image lie in a folder of the project, beside what was there; nothing else is there."""
    ship.configure(release={"outputs": ["out", "type=tar,dest=x.tar"]})
    (ship.root / "out").mkdir()
    (ship.root / "out/mine").write_text("kept")
    ship.invoke("release")
    assert (ship.root / "out/bin/foo").read_text() == (ship.root / "bin/foo").read_text()
    assert (ship.root / "out/mine").read_text() == "kept"
    assert (ship.root / "x.tar").stat().st_size > 1_000_000


def test_no_cache_builds_again(ship: Ship) -> None:
    """Without the flag nothing is built twice; with it every step is."""
    (ship.root / "Dockerfile").write_text(f"FROM {ship.base}\nRUN cat /proc/uptime > /when\n")
    ship.commit("when")
    ids = []
    for flags in ((), (), ("--no-cache",)):
        ship.invoke("release", *flags)
        ids.append(ship.record["id"])
    assert ids[0] == ids[1] != ids[2]


def test_secret_of_the_config(ship: Ship) -> None:
    """A secret reaches the step that mounts it, and stands nowhere afterwards; one that is not set is named."""
    (ship.root / "Dockerfile").write_text(
        f"FROM {ship.base}\nRUN --mount=type=secret,id=word echo {ship.image}; "
        "case $(cat /run/secrets/word) in s3*-word) true;; *) false;; esac\n"
    )
    ship.configure(secrets=["id=word,env=WORD"])
    failed = ship.invoke("release", code=2)
    assert "`word` comes from the variable WORD, which is not set" in failed.err
    done = ship.invoke("release", WORD="s3cret-word")
    kept = b"".join(file.read_bytes() for file in (ship.root / ".tinyship").iterdir() if file.is_file())
    shown = ship.invoke("config", "--all", WORD="s3cret-word")
    assert "s3cret-word" not in done.out + done.err + shown.out
    assert b"s3cret-word" not in kept
    assert "id=word,env=WORD" in shown.out


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_secret_that_a_step_prints(ship: Ship, flags: tuple[str, ...]) -> None:
    """What a step writes of it is `***`, in the log, in the error that ends it, and for scripts."""
    (ship.root / "Dockerfile").write_text(
        f"FROM {ship.base}\nRUN --mount=type=secret,id=word echo {ship.image}; "
        "echo it is $(cat /run/secrets/word); exit 3\n"
    )
    ship.configure(secrets=["id=word,env=WORD"])
    failed = ship.invoke("release", *flags, code=1, WORD="s3cret-word")
    assert "it is ***" in failed.err
    assert "s3cret-word" not in failed.out + failed.err
    if flags:
        assert "it is ***" in json.loads(failed.out)["error"]["tail"]


@pytest.mark.needs("graph-driver")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"platforms": ["linux/amd64", "linux/arm64"]},
            "`tinyship.platforms`: this engine's image store cannot hold linux/amd64 and linux/arm64 in one image",
        ),
        (
            {"cache_to": ["type=local,dest=cache"]},
            "`tinyship.cache_to`: this engine's image store cannot hold what `type=local` puts elsewhere",
        ),
        (
            {"build": {"cache_to": ["localhost:1/x"]}},
            "`tinyship.build.cache_to`: this engine's image store cannot hold what `type=registry` puts elsewhere",
        ),
        (
            {"attests": ["type=provenance"]},
            "`tinyship.attests`: this engine's image store cannot hold the attestation `provenance`",
        ),
        (
            {"build": {"outputs": ["type=oci,dest=x.tar"]}},
            "`tinyship.build.outputs`: this engine's image store cannot hold what `type=oci` is made of",
        ),
        (
            {"release": {"outputs": ["type=registry,name=localhost:1/x"]}},
            "`tinyship.release.outputs`: this engine's image store cannot hold what `type=image` is made of",
        ),
    ],
)
def test_what_a_graph_driver_cannot_hold(ship: Ship, changes: dict[str, Any], words: str) -> None:
    """Where the image store has one platform and no index, the setting and the way out are told before any work."""
    ship.configure(**changes)
    done = ship.invoke("release", code=2)
    first, hint = done.err.splitlines()
    assert first == f"error: invoke.json: {words}"
    assert "containerd image store" in hint
