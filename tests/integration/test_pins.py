"""Base images from elsewhere on a real engine and registry: pinned, moved, built as pinned, seen to be old."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from guarded import SECRET, USER, program, running
from ships import Ship

from tinyship.context.source import Context
from tinyship.credentials import Credential
from tinyship.engine import builder, images
from tinyship.engine.connect import Engine
from tinyship.engine.push import push
from tinyship.engine.request import BuildRequest
from tinyship.events import ignore
from tinyship.kept import lock
from tinyship.kept.lock import Lock, Pin
from tinyship.project import Project
from tinyship.stages import pins
from tinyship.stages.pins import BaseImage

pytestmark = pytest.mark.engine

BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
builders = pytest.mark.parametrize(
    "kind",
    [
        pytest.param("buildkit", marks=pytest.mark.needs("buildkit")),
        pytest.param("classic", marks=pytest.mark.needs("classic")),
        pytest.param("auto", marks=pytest.mark.needs("podman")),
    ],
)
mostly_buildkit = pytest.mark.parametrize(
    "kind",
    [
        pytest.param("buildkit", marks=pytest.mark.needs("buildkit")),
        pytest.param("classic", marks=[pytest.mark.needs("classic"), pytest.mark.thorough]),
        pytest.param("auto", marks=pytest.mark.needs("podman")),
    ],
)


class Elsewhere:
    """Somebody else's image, in a registry and not in the engine."""

    def __init__(self, engine: Engine, root: Path, name: str, base: str) -> None:
        self.engine = engine
        self.root = root
        self.name = name
        self.base = base
        root.mkdir(parents=True, exist_ok=True)

    def publish(self, which: str, *, credential: Credential | None = None) -> str:
        """Push an image that says which it is under the name, and return its digest."""
        (self.root / "Dockerfile").write_text(
            f"FROM {self.base}\nRUN echo {which} > /which\n"
            f"LABEL which={which} {BASE_NAME}=below:1 {BASE_DIGEST}=sha256:{'b' * 64} tinyship.bases=below:1\n"
        )
        request = BuildRequest(context=Context.open(self.root, self.root / "Dockerfile"), tags=(self.name,))
        builder.choose(self.engine, "auto").build(request, ignore)
        digest = push(self.engine, self.name, credential=credential, timeout=60, events=ignore).digest
        self.forget()
        return digest

    def forget(self) -> None:
        """Take it from the engine, by each of its names."""
        found = images.find(self.engine, self.name)
        for name in (*found.tags, *found.digests) if found else ():
            if name.startswith(self.name.rpartition(":")[0]):
                images.untag(self.engine, name)


@pytest.fixture
def elsewhere(engine: Engine, tmp_path: Path, registry: str, namespace: str, busybox: str) -> Elsewhere:
    """An image that nothing was pushed of yet."""
    return Elsewhere(engine, tmp_path / "elsewhere", f"{registry}/{namespace}/elsewhere:1", busybox)


def project(ship: Ship, text: str, **config: object) -> None:
    """Make the ship one Dockerfile without base and build images."""
    (ship.root / "Dockerfile").write_text(text)
    file = ship.root / "invoke.json"
    whole = json.loads(file.read_text())
    section = {key: value for key, value in whole["tinyship"].items() if key in {"image", "push"}}
    file.write_text(json.dumps({"tinyship": {**section, **config}}))
    ship.commit("a project of one Dockerfile")


def labels(engine: Engine, ship: Ship) -> dict[str, str]:
    """The labels of the release in the engine."""
    found = images.find(engine, f"{ship.image}:local")
    assert found
    return found.labels


@builders
def test_from_pin_to_pin(ship: Ship, engine: Engine, elsewhere: Elsewhere, kind: str) -> None:
    """A tag that moves changes nothing until the pin moves; what stands on the old one is seen to."""
    project(ship, f"FROM {elsewhere.name}\nCOPY src/main.txt /\n", builder=kind)
    one = elsewhere.publish("one")

    (entry,) = ship.invoke("base.outdated", "--json", "--exit-code").json["bases"]
    assert (entry["state"], entry["now"]) == ("not pinned", one)
    updated = ship.invoke("base.update", "--json").json
    assert [(moved["name"], moved["old"], moved["new"]["digest"]) for moved in updated["moved"]] == [
        (elsewhere.name, None, one)
    ]
    written = (ship.root / "tinyship.lock").read_bytes()
    assert "nothing to move: 1 pin is up to date" in ship.invoke("base.update").out
    assert (ship.root / "tinyship.lock").read_bytes() == written
    ship.commit("pin")
    ship.git("tag", "-f", "v1.0.0")

    two = elsewhere.publish("two")
    assert two != one
    ship.invoke("release")
    said = labels(engine, ship)
    assert said["which"] == "one"
    assert (said[BASE_NAME], said[BASE_DIGEST]) == (elsewhere.name, one)
    assert said["tinyship.bases"] == f"{elsewhere.name}@{one}"
    ship.invoke("push")
    assert ship.invoke("base.outdated", "--exit-code", code=1).err == ""
    found = ship.invoke("base.outdated", "--json").json
    assert [(base["base"]["digest"], base["now"], base["state"]) for base in found["bases"]] == [(one, two, "moved")]
    assert [release["standing"]["state"] for release in found["releases"]] == ["moved"]
    assert found["old"] == [f"{ship.image}:1.0.0"]

    ran = ship.invoke("--dry", "base.update")
    assert "tinyship.lock would change" in ran.out
    assert (ship.root / "tinyship.lock").read_bytes() == written
    ran = ship.invoke("base.update")
    assert one.removeprefix("sha256:")[:12] in ran.out
    assert two.removeprefix("sha256:")[:12] in ran.out
    assert "1 new of 2" in ran.out
    ship.commit("move the pin")
    ship.git("tag", "v1.1.0")
    ship.invoke("release")
    assert labels(engine, ship)["which"] == "two"
    assert labels(engine, ship)[BASE_DIGEST] == two

    found = ship.invoke("base.outdated", "--json").json
    assert [base["state"] for base in found["bases"]] == ["current"]
    assert {entry["reference"]: entry["standing"]["state"] for entry in found["releases"]} == {
        f"{ship.image}:1.1.0": "current",
        f"{ship.registry}/{ship.image}:1.0.0": "moved",
    }
    ship.invoke("base.outdated", "--exit-code")  # earlier releases stay what they are
    (ship.root / ".tinyship" / "release.json").unlink()
    ship.invoke("base.outdated", "--exit-code", code=1)  # without a record the last one is the one that was pushed


@builders
def test_without_a_network(ship: Ship, engine: Engine, tmp_path: Path, namespace: str, busybox: str, kind: str) -> None:
    """What the engine has by the digest of the lock is built with while its registry is away."""
    if not program():
        pytest.fail("no docker-registry on PATH")
    (tmp_path / "guarded").mkdir()
    with running(tmp_path / "guarded") as host:
        elsewhere = Elsewhere(engine, tmp_path / "elsewhere", f"{host}/{namespace}/elsewhere:1", busybox)
        credential = Credential(USER, SECRET, identity_token=False, source="a test")
        digest = elsewhere.publish("one", credential=credential)
        images.pull(engine, elsewhere.name, digest, credential=credential, events=ignore)
    project(ship, f"FROM {elsewhere.name}\nCOPY src/main.txt /\n", builder=kind)
    lock.write(ship.root, Lock({elsewhere.name: Pin(digest)}))
    ship.commit("pin")
    ship.invoke("release")
    assert labels(engine, ship)["which"] == "one"
    elsewhere.forget()


@mostly_buildkit
def test_each_form(ship: Ship, engine: Engine, elsewhere: Elsewhere, kind: str) -> None:
    """FROM with arguments and COPY --from are built with the pinned digest, in every stage."""
    name, _, tag = elsewhere.name.rpartition(":")
    text = (
        f"ARG TAG=0\nARG NAME={name}\n"
        "FROM --platform=linux/amd64 \\\n  ${NAME}:$TAG AS below\nRUN cp /which /below\n"
        f"FROM scratch\nCOPY --from={elsewhere.name} /which /copied\nCOPY --from=below /below /below\n"
    )
    project(ship, text, builder=kind, args=[f"TAG={tag}"])
    one = elsewhere.publish("one")
    ship.invoke("base.update")
    written = lock.read(ship.root)
    assert written
    assert list(written.pins) == [elsewhere.name]
    ship.commit("pin")
    elsewhere.publish("two")
    ship.invoke("release")
    assert BASE_NAME not in labels(engine, ship)
    assert labels(engine, ship)["tinyship.bases"] == f"{elsewhere.name}@{one}"
    (ship.root / "out").mkdir()
    container = engine.api.create_container(f"{ship.image}:local", ["/none"])["Id"]
    try:
        for file in ("copied", "below"):
            chunks, _ = engine.api.get_archive(container, f"/{file}")
            assert b"one\n" in b"".join(chunks)
    finally:
        engine.api.remove_container(container)


@pytest.mark.needs("buildkit")
def test_mounts(ship: Ship, engine: Engine, elsewhere: Elsewhere, busybox: str) -> None:
    """An image that is only mounted is pinned as well."""
    project(
        ship,
        f"FROM {busybox}\nRUN --mount=type=bind,from={elsewhere.name},target=/from grep -q one /from/which || exit 1\n",
        builder="buildkit",
        base=[{"name": busybox, "rootfs": {"command": "false"}}],
    )
    elsewhere.publish("one")
    ship.invoke("base.update")
    ship.commit("pin")
    elsewhere.publish("two")
    ship.invoke("release", "--only")


@mostly_buildkit
def test_a_base_of_our_own(ship: Ship, engine: Engine, elsewhere: Elsewhere, kind: str) -> None:
    """The label of a release names our base, whose pinned base is the one of all others; a pin that moves rebuilds."""
    (ship.root / "docker" / "Dockerfile.base").write_text(f"FROM {elsewhere.name}\nRUN echo base > /etc/base\n")
    ship.configure(builder=kind)
    one = elsewhere.publish("one")
    ship.invoke("base.update")
    ship.commit("pin")
    ship.invoke("release")
    said = labels(engine, ship)
    assert said["which"] == "one"
    assert said[BASE_NAME] == ship.base
    assert said[BASE_DIGEST] == ""
    assert said["tinyship.bases"] == f"{elsewhere.name}@{one}"
    before = labels(engine, ship)
    first = images.find(engine, f"{ship.image}:local")
    ship.invoke("release")
    second = images.find(engine, f"{ship.image}:local")
    assert first
    assert second
    assert first.id == second.id
    assert labels(engine, ship) == before

    two = elsewhere.publish("two")
    found = ship.invoke("base.outdated", "--json").json["releases"]
    assert [(entry["standing"]["base"]["name"], entry["standing"]["state"]) for entry in found] == [
        (elsewhere.name, "moved")
    ]
    ship.invoke("base.update")
    ship.commit("move the pin")
    ran = ship.invoke("release")
    assert "compiling for" in ran.err  # the build image is another one, and so artifacts are made again
    assert labels(engine, ship)["which"] == "two"
    assert labels(engine, ship)["tinyship.bases"] == f"{elsewhere.name}@{two}"


def test_one_that_cannot_be_asked_for(ship: Ship, elsewhere: Elsewhere, registry: str, namespace: str) -> None:
    """The others move, the file is written, its pin stays, and the exit code is 1; `--only` leaves it out."""
    gone = f"{registry}/{namespace}/none:1"
    project(ship, f"FROM {gone} AS other\nFROM {elsewhere.name}\n")
    old = Pin(f"sha256:{'0' * 64}", "linux/amd64", 1)
    lock.write(ship.root, Lock({gone: old, elsewhere.name: old, "unknown:1": old}))
    digest = elsewhere.publish("one")
    ran = ship.invoke("base.update", code=1)
    assert "error: a base image could not be asked for" in ran.err
    assert gone in ran.err
    assert "unknown:1: no Dockerfile names it any more" in ran.out
    kept = lock.read(ship.root)
    assert kept
    assert kept.pins[gone] == old
    assert kept.pins[elsewhere.name].digest == digest
    assert set(kept.pins) == {gone, elsewhere.name}
    ran = ship.invoke("base.update", "--json", code=1)
    assert [error["name"] for error in ran.json["errors"]] == [gone]
    assert "nothing to move" in ship.invoke("base.update", "--only", elsewhere.name).out
    assert "is no base image from elsewhere" in ship.invoke("base.update", "--only", "x:1", code=2).err


@builders
def test_not_in_the_lock(ship: Ship, engine: Engine, elsewhere: Elsewhere, kind: str) -> None:
    """An image that a lock does not have is built as it is, with a warning that says what pins it."""
    project(ship, f"FROM {elsewhere.name}\n", builder=kind)
    elsewhere.publish("one")
    lock.write(ship.root, Lock({}))
    ship.commit("an empty lock")
    ran = ship.invoke("release")
    assert f"{elsewhere.name} is not in tinyship.lock: `invoke base.update` pins it" in ran.err
    said = labels(engine, ship)
    assert said[BASE_NAME] == elsewhere.name
    assert said[BASE_DIGEST] == ""


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("classic", marks=pytest.mark.needs("classic", "graph-driver")),
        pytest.param("auto", marks=pytest.mark.needs("podman")),
    ],
)
def test_what_nothing_pins_and_the_engine_knows(ship: Ship, engine: Engine, elsewhere: Elsewhere, kind: str) -> None:
    """For a record, the digest is the engine's where it pulled the base itself, and none before or where it may not."""
    project(ship, f"FROM {elsewhere.name}\nCOPY src/main.txt /\n", builder=kind)
    digest = elsewhere.publish("one")
    loaded = Project.load(ship.root)
    with loaded.scopes() as (scope,):
        assert pins.bases(scope) == (BaseImage(elsewhere.name, ""),)
    ship.invoke("release")
    with loaded.scopes() as (scope,):
        assert pins.bases(scope) == (BaseImage(elsewhere.name, digest),)
    ship.configure(pull=True)
    with Project.load(ship.root).scopes() as (scope,):
        assert pins.bases(scope) == (BaseImage(elsewhere.name, ""),)
    assert [one.state for one in loaded.outdated().bases] == ["not pinned"]
    assert [one.new.digest for one in loaded.update_bases(dry=True).moved] == [digest]
    assert lock.read(ship.root) is None
    assert loaded.update_bases(elsewhere.name).moved
    with loaded.scopes() as (scope,):
        assert pins.bases(scope) == (BaseImage(elsewhere.name, digest, "tinyship.lock"),)


@builders
def test_errors_show_the_file_as_it_is(ship: Ship, elsewhere: Elsewhere, kind: str) -> None:
    """A failing step, and a pinned image that is gone, are shown in the lines that the author wrote."""
    text = f"FROM \\\n  {elsewhere.name} AS x\nRUN true\nRUN false\n"
    project(ship, text, builder=kind)
    elsewhere.publish("one")
    ship.invoke("base.update")
    ship.commit("pin")
    err = ship.invoke("release", code=1).err
    assert ">>> RUN false" in err
    assert "4 | " in err
    assert f"  {elsewhere.name} AS x\n" in err
    assert "@sha256" not in err.partition("error:")[2]

    digest = f"sha256:{'0' * 64}"
    lock.write(ship.root, Lock({elsewhere.name: Pin(digest)}))
    err = ship.invoke("release", code=1).err.partition("error:")[2]
    assert f"the base image {elsewhere.name}@{digest} is not to be had" in err
    assert "tinyship.lock pins" in err
    assert "invoke base.update" in err
    assert f">>>   {elsewhere.name} AS x" in err


@mostly_buildkit
def test_a_dockerfile_outside_of_its_context(ship: Ship, engine: Engine, elsewhere: Elsewhere, kind: str) -> None:
    """Its ignore file counts, and so does the pin."""
    project(ship, "FROM scratch\n", builder=kind, release={"dockerfile": "docker/Dockerfile.out", "context": "src"})
    (ship.root / "docker" / "Dockerfile.out").write_text(
        f"FROM {elsewhere.name}\nCOPY . /all/\nRUN test ! -f /all/no\n"
    )
    (ship.root / "docker" / "Dockerfile.out.dockerignore").write_text("no\n")
    (ship.root / "src" / "no").write_text("no")
    elsewhere.publish("one")
    ship.invoke("base.update")
    ship.commit("pin")
    elsewhere.publish("two")
    ship.invoke("release")
    assert labels(engine, ship)["which"] == "one"


def test_a_lock_that_cannot_be_used(ship: Ship) -> None:
    """It is told before anything is made, with the file's name and exit code 2."""
    (ship.root / "tinyship.lock").write_text('{"version": 2}')
    ship.commit("a lock of another time")
    ran = ship.invoke("release", code=2)
    assert "tinyship.lock is of version 2" in ran.err


def test_launch_has_no_lock(ship: Ship, engine: Engine) -> None:
    """Without a lock nothing is pinned, nothing is warned of, and no lock comes."""
    ran = ship.invoke("release")
    assert "tinyship.lock" not in ran.out + ran.err
    assert not (ship.root / "tinyship.lock").exists()
    assert labels(engine, ship)[BASE_NAME] == ship.base
    assert labels(engine, ship)["tinyship.bases"] == ""
