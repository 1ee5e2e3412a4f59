"""What was released, told after real releases and pushes: to people, shells, Bake and Skaffold; and what changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.events import ignore
from tinyship.kept import formats, record
from tinyship.kept.record import Runtime

pytestmark = pytest.mark.engine

RUNS = 'EXPOSE 8080\nUSER ship\nENTRYPOINT ["/bin/sh"]\nCMD ["/bin/foo"]\nHEALTHCHECK CMD ["true"]\n'


def version(ship: Ship, name: str, message: str) -> str:
    """Commit a change of the release image, tag it, and return the commit."""
    file = ship.root / "Dockerfile"
    file.write_text(f"{file.read_text()}LABEL change={name}\n")
    ship.commit(message)
    ship.git("tag", f"v{name}")
    return ship.git("rev-parse", "HEAD")


def test_record_says_what_a_deployment_needs(ship: Ship) -> None:
    """Branch, where the version is from, and what a container of the image runs; the schema says the same."""
    (ship.root / "Dockerfile").write_text((ship.root / "Dockerfile").read_text() + RUNS)
    ship.commit("runs")
    ship.invoke("release")
    (release,) = record.read(ship.root).images
    assert (release.given, release.branch) == (False, "main")
    assert release.run == Runtime(("8080/tcp",), "ship", ("/bin/sh",), ("/bin/foo",), True)
    ship.git("checkout", "-q", "--detach")
    ship.invoke("release", TINYSHIP_VERSION_LITERAL="7.0")
    assert (ship.record["given"], ship.record["branch"], ship.record["version"]) == (True, "", "7.0")
    schema = json.loads(ship.invoke("release.schema").out)
    jsonschema.Draft202012Validator(schema).validate(ship.invoke("release.show", "--json").json)


def test_show_for_people(ship: Ship) -> None:
    """The record in full, before a push and after it; from a script as data."""
    ship.invoke("release")
    shown = ship.invoke("release.show").out
    assert shown.splitlines()[0] == f"{ship.image} 1.0.0"
    assert "not yet: `invoke push`" in shown
    ship.invoke("push")
    shown = ship.invoke("release.show", folder="src").out
    digest = ship.record["pushed"][0]["digest"]
    assert f"pushed    {ship.registry}/{ship.image}@{digest}\n" in shown
    assert f"as 1.0.0, {ship.record['commit']}, latest\n" in shown
    assert f"{ship.record['commit']} on main" in shown
    assert f"release  {ship.image}:1.0.0" in shown
    assert ship.invoke("release.show", "--json").json == json.loads(record.path(ship.root).read_text())


def test_show_for_shells(ship: Ship, tmp_path: Path) -> None:
    """A shell that sources it has what the record says, and can still run tinyship when it exports all of it."""
    ship.invoke("release", "push")
    file = tmp_path / "release.env"
    file.write_text(ship.invoke("release.show", "--format", "env").out)
    script = (
        f'set -aeu; . "{file}"; "{sys.executable}" -m invoke release.show --image-ref-only; '
        'printf "%s\\n" "$RELEASE_IMAGE" "$RELEASE_VERSION" "$RELEASE_COMMIT" "$RELEASE_DIGEST" "$RELEASE_TAGS"'
    )
    words = ["sh", "-c", script]
    done = subprocess.run(words, cwd=ship.root, env=ship.environment, capture_output=True, text=True, check=True)
    pushed = ship.record["pushed"]
    assert done.stdout.splitlines() == [
        f"{ship.registry}/{ship.image}@{pushed[0]['digest']}",
        ship.image,
        "1.0.0",
        ship.record["commit"],
        pushed[0]["digest"],
        " ".join(one["reference"] for one in pushed),
    ]


def test_reference_can_be_pulled(ship: Ship, engine: Engine) -> None:
    """`$(invoke release.show --image-ref-only)` is what an engine takes, and so is Skaffold's tag."""
    ship.invoke("release", "push")
    (reference,) = ship.invoke("release.show", "--image-ref-only").out.splitlines()
    name, _, digest = reference.partition("@")
    assert images.pull(engine, f"{name}:pulled", digest, credential=None, events=ignore) == ship.record["id"]
    (build,) = json.loads(ship.invoke("release.show", "--format", "skaffold").out)["builds"]
    assert build == {"imageName": ship.image, "tag": f"{name}:1.0.0@{digest}"}


def test_first_registry_counts(ship: Ship) -> None:
    """Of several registries the first of `push.to` is named; people see all of them."""
    other = f"localhost:{ship.registry.rpartition(':')[2]}"
    ship.configure(push={"to": [other, ship.registry]})
    ship.git("tag", "-f", "v1.0.0")
    ship.invoke("release", "push")
    digest = ship.record["pushed"][0]["digest"]
    assert ship.invoke("release.show", "--image-ref-only").out == f"{other}/{ship.image}@{digest}\n"
    assert f"\nRELEASE_REPOSITORY={other}/{ship.image}\n" in ship.invoke("release.show", "--format=env").out
    shown = ship.invoke("release.show").out
    assert f"{other}/{ship.image}@{digest}\n" in shown
    assert f"{ship.registry}/{ship.image}@{digest}\n" in shown


def test_nothing_to_tell_of(ship: Ship) -> None:
    """No release, and no push, are errors of their own, which a script can tell apart; standard output is empty."""
    for words in (("--image-ref-only",), ("--format=env",), ()):
        failed = ship.invoke("release.show", *words, code=1)
        assert (failed.out, "`invoke release` comes first" in failed.err) == ("", True)
    assert ship.invoke("release.show", "--json", code=1).json["error"]["kind"] == "NothingReleased"
    ship.invoke("release")
    failed = ship.invoke("release.show", "--image-ref-only", code=1)
    assert (failed.out, "`invoke push` comes first" in failed.err) == ("", True)
    env = ship.invoke("release.show", "--format=env").out.splitlines()
    assert {"RELEASE_VERSION=1.0.0", "RELEASE_REFERENCE=''"} <= set(env)
    assert "exclude each other" in ship.invoke("release.show", "--format=env", "--json", code=2).err
    assert "env, bake, skaffold" in ship.invoke("release.show", "--format=xml", code=2).err


def test_several_images(ship: Ship) -> None:
    """Those of the config, in its order; one that is missing is an error for programs, and a line for people."""
    entries = [{"name": "api", "image": f"{ship.image}-api"}, {"name": "web", "image": f"{ship.image}-web"}]
    ship.configure(images=entries)
    ship.git("tag", "-f", "v1.0.0")
    ship.invoke("release", "push")
    lines = ship.invoke("release.show", "--image-ref-only").out.splitlines()
    assert [line.partition("@")[0] for line in lines] == [
        f"{ship.registry}/{ship.image}-{name}" for name in ("api", "web")
    ]
    assert "\nRELEASE_FOO_WEB_VERSION=1.0.0\n" in ship.invoke("release.show", "--format=env").out
    ship.configure(images=[*entries, {"name": "new", "image": f"{ship.image}-new"}])
    assert f"{ship.image}-new is not released yet" in ship.invoke("release.show").out
    assert f"{ship.image}-new is not released yet" in ship.invoke("release.show", "--format=bake", code=1).err
    images = ship.invoke("release.list", "--json").json["images"]
    assert [(one["image"], [row["places"] for row in one["releases"]]) for one in images] == [
        (f"{ship.image}-api", [["tag", "note", "here"]]),
        (f"{ship.image}-web", [["tag", "note", "here"]]),
        (f"{ship.image}-new", [["tag"]]),
    ]
    (notes,) = Project.load(ship.root).notes()
    assert notes.since == "1.0.0"


def test_list(ship: Ship) -> None:
    """Pushed, only released, only tagged, and only in the registry: one table, and where each is known from."""
    ship.invoke("release", "push")
    version(ship, "1.1.0", "second")
    ship.invoke("release")
    version(ship, "1.2.0", "third")
    rows = ship.invoke("release.list", "--json").json["images"][0]["releases"]
    assert [(row["version"], row["places"]) for row in rows] == [
        ("1.2.0", ["tag"]),
        ("1.1.0", ["tag", "here"]),
        ("1.0.0", ["tag", "note", "here"]),
    ]
    digest = rows[2]["digest"]
    assert digest.startswith("sha256:")
    assert [row["pull"] is not None for row in rows] == [False, False, True]
    assert [row["unpacked"] is not None for row in rows] == [False, True, True]
    shown = ship.invoke("release.list").out.splitlines()
    assert shown[0] == ship.image
    assert shown[2].endswith("git tag: no release is known")
    assert digest.removeprefix("sha256:")[:12] in shown[4]
    limited = ship.invoke("release.list", "--limit", "1").out.splitlines()
    assert (len(limited), limited[2].split()[0]) == (3, "1.2.0")
    asked = ship.invoke("release.list", "--registry", "--json").json["images"][0]["releases"]
    assert asked[2] == {**rows[2], "places": ["tag", "note", "here", "registry"]}
    assert [known.version for known in Project.load(ship.root).releases()] == ["1.2.0", "1.1.0", "1.0.0"]


def test_list_of_a_registry_alone(ship: Ship, tmp_path: Path) -> None:
    """A fresh clone without tags and notes learns from the registry, and says what no git tag names."""
    ship.invoke("release", "push")
    there = replace(ship, root=tmp_path / "there")
    subprocess.run(["git", "clone", "-q", "--no-tags", ship.root, there.root], check=True)
    assert "no release of" in there.invoke("release.list").out
    (row,) = there.invoke("release.list", "--registry", "--json").json["images"][0]["releases"]
    assert (row["version"], row["commit"], row["places"]) == ("1.0.0", ship.record["commit"], ["registry"])
    assert there.invoke("release.list", "--registry").out.splitlines()[2].endswith("registry, no git tag")
    away = ship.invoke("release.list", "--registry", TINYSHIP_PUSH_TO="127.0.0.1:9")
    assert "warning: the releases in the registry are not known" in away.err
    assert "git tag, git note, here\n" in f"{away.out}\n"


def test_notes(ship: Ship) -> None:
    """From tag to tag: the commits by what they are, and what the image gained."""
    ship.invoke("release", "push")
    (ship.root / "ballast").write_bytes(os.urandom(1_000_000))
    (ship.root / "Dockerfile").write_text((ship.root / "Dockerfile").read_text() + "COPY ballast /ballast\n")
    ship.commit("feat: carry ballast")
    version(ship, "1.1.0", "fix(hull)!: no <leaks> \x1b[31m*now*")
    ship.invoke("release", "push")
    done = ship.invoke("release.notes")
    assert done.out.startswith(
        "## 1.1.0\n\nChanges since 1.0.0.\n\n### Breaking changes\n\n- **hull:** no \\<leaks\\> \\*now\\*"
    )
    assert "### Features\n\n- carry ballast (" in done.out
    assert f"- {ship.image}: unpacked " in done.out
    assert "(+1 MB)" in done.out
    assert f"- {ship.image}: pull " in done.out
    assert "\x1b" not in done.out
    assert "Test" not in done.out
    assert ", Test)" in ship.invoke("release.notes", "--authors").out
    (notes,) = ship.invoke("release.notes", "--from", "v1.0.0", "--to", "1.1.0", "--json").json["releases"]
    assert [change["kind"] for change in notes["changes"]["commits"]] == ["breaking", "features"]
    (sizes,) = notes["sizes"]
    assert sizes["unpacked"] - sizes["unpacked_before"] == 1_000_000
    first = ship.invoke("release.notes", "--to=1.0.0").out
    assert first.startswith("## 1.0.0\n\nThe first release.\n\n- first (")
    failed = ship.invoke("release.notes", "--from=v9", code=2)
    assert "`--from=v9`: git knows no such commit" in failed.err


def test_dry(ship: Ship) -> None:
    """--dry says what would be read and asked, and needs neither an engine nor a release."""
    for words in (("release.show",), ("release.list", "--registry"), ("release.notes",)):
        plan = ship.invoke("--dry", *words, DOCKER_HOST="tcp://127.0.0.1:9").out
        assert plan.startswith(f"{words[0]} of {ship.image} 1.0.0")
        assert "read" in plan
    assert ship.registry in ship.invoke("--dry", "release.list", "--registry").out


@pytest.mark.slow
def test_bake_takes_it(ship: Ship) -> None:
    """What Docker Bake makes of the file beside one's own: contexts by digest, variables, arguments, labels, tags."""
    from tools import peers

    ship.invoke("release", "push")
    file = ship.root / "release.bake.json"
    file.write_text(ship.invoke("release.show", "--format", "bake").out)
    (ship.root / "docker-bake.hcl").write_text(
        'variable "RELEASE_VERSION" { default = "none" }\n'
        'target "stands-on-it" {\n  inherits = ["tinyship"]\n  args = { BASE = RELEASE_VERSION }\n}\n'
        'target "again" { inherits = ["tinyship-foo"] }\n'
    )
    words = ["docker", "buildx", "bake", "-f", "docker-bake.hcl", "-f", file.name, "--print", "stands-on-it", "again"]
    environment = {**ship.environment, **peers.fetch().environment}
    done = subprocess.run(words, cwd=ship.root, env=environment, capture_output=True, text=True, check=True)
    target = json.loads(done.stdout)["target"]
    pushed = ship.record["pushed"]
    assert target["stands-on-it"]["contexts"] == {
        ship.image: f"docker-image://{pushed[0]['reference']}@{pushed[0]['digest']}"
    }
    assert target["stands-on-it"]["args"] == {"BASE": "1.0.0"}
    assert target["again"]["tags"] == [one["reference"] for one in pushed]
    assert target["again"]["args"] == {"GIT_COMMIT": ship.record["commit"], "VERSION": "1.0.0"}
    assert target["again"]["labels"]["org.opencontainers.image.revision"] == ship.record["commit"]
    assert formats.select(record.read(ship.root), [ship.image]).images
