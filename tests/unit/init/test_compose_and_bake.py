"""Compose and Bake files: what they say of builds is carried over, with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tinyship.init import hcl

if TYPE_CHECKING:
    from tests.unit.init.conftest import Look

SCRATCH = "FROM scratch\n"
COMPOSE = """\
name: shop
x-common: &common
  args:
    FLAVOUR: small
services:
  api:
    image: ghcr.io/acme/api:${TAG:-latest}
    platform: linux/amd64
    build:
      <<: *common
      context: ./api
      dockerfile: Dockerfile.prod
      target: final
      labels: [team=ships]
      secrets: [npm]
      cache_from: ["type=registry,ref=ghcr.io/acme/api:cache"]
      shm_size: 128mb
    ports: ["8080:80"]
    healthcheck:
      test: [CMD, /api, -check]
  worker:
    build: worker
  db:
    image: postgres:16
secrets:
  npm: {environment: NPM_TOKEN}
"""
BAKE: dict[str, Any] = {
    "variable": {"TAG": {"default": "1.2.0"}, "OWNER": {"default": "acme"}},
    "group": {"default": {"targets": ["app"]}},
    "target": {
        "_common": {"args": {"A": "1", "GIT_COMMIT": None}, "platforms": ["linux/amd64"]},
        "app": {
            "inherits": ["_common"],
            "context": "src",
            "dockerfile": "Dockerfile.app",
            "args": {"B": "2"},
            "tags": ["${OWNER}/app:${TAG}", "${OWNER}/app:latest"],
            "secret": ["id=npm,env=NPM_TOKEN"],
            "output": ["type=registry"],
        },
        "tests": {"target": "test"},
    },
}
HCL = """\
# What is built.
variable "TAG" {
  default = "1.2.0"
}
variable "OWNER" { default = "acme" }
group "default" { targets = ["app"] }
target "_common" {
  args = { A = "1", GIT_COMMIT = null }
  platforms = [
    "linux/amd64", // and no other
  ]
}
target "app" {
  inherits   = ["_common"]
  context    = "src"
  dockerfile = "Dockerfile.app"
  args = {
    B = "2"
  }
  tags = ["${OWNER}/app:${TAG}", "${OWNER}/app:latest"]
  secret = ["id=npm,env=NPM_TOKEN"]
  output = ["type=registry"]
}
target "tests" { target = "test" }
"""
APP = {
    "image": "acme/app",
    "version": {"literal": "1.2.0"},
    "args": ["A=1", "B=2"],
    "platforms": ["linux/amd64"],
    "secrets": ["id=npm,env=NPM_TOKEN"],
    "release": {"dockerfile": "src/Dockerfile.app", "context": "src"},
    "push": {"tags": ["{version}", "latest"]},
}


@pytest.mark.parametrize("name", ["compose.yaml", "docker-compose.yml"])
def test_compose(name: str, look: Look) -> None:
    """Each service with a build is an image; variables have their defaults, or what .env says."""
    files = {name: COMPOSE, "api/Dockerfile.prod": "FROM scratch AS final\n", "worker/Dockerfile": SCRATCH}
    proposal = look({**files, ".env": "# tags\nTAG=2.0.1\n"})
    api, worker = proposal.outcome.values["images"]
    assert api == {
        "name": "api",
        "image": "acme/api",
        "version": {"literal": "2.0.1"},
        "args": ["FLAVOUR=small"],
        "labels": ["team=ships"],
        "platforms": ["linux/amd64"],
        "secrets": ["id=npm,env=NPM_TOKEN"],
        "cache_from": ["type=registry,ref=ghcr.io/acme/api:cache"],
        "shm_size": "128mb",
        "release": {
            "dockerfile": "api/Dockerfile.prod",
            "context": "api",
            "target": "final",
            "run": {"ports": ["8080:80"]},
            "smoke": {"command": ["/api", "-check"]},
        },
        "push": {"to": ["ghcr.io"], "tags": ["{version}"]},
    }
    assert worker["image"] == "shop-worker"
    assert proposal.outcome.unclear == ()
    lines = {one.key: one.place.line for one in proposal.outcome.carried}
    assert "context" not in lines
    assert COMPOSE.splitlines()[lines["images[api].image"] - 1].strip().startswith("image: ghcr.io")
    assert "NPM_TOKEN" not in COMPOSE.splitlines()[lines["images[api].labels"] - 1]


def test_compose_that_says_little(look: Look) -> None:
    """What has no default, no file, or needs a shell is listed with its line."""
    compose = """\
services:
  foo:
    image: acme/foo:${TAG}
    build:
      context: .
      args: {TOKEN: abc, B: "${B}"}
      entitlements: [x]
      secrets: [gone]
    healthcheck: {test: curl localhost}
  far:
    build: https://example.com/far.git
"""
    proposal = look({"compose.yaml": compose, "Dockerfile": SCRATCH})
    assert proposal.outcome.values == {"image": "acme/foo"}
    listed = {one.place.line: one.text for one in proposal.outcome.unclear}
    assert listed.keys() == {3, 6, 7, 8, 9, 11}
    assert "abc" not in repr(proposal)


def test_broken_files_are_listed(look: Look) -> None:
    """A file that cannot be read is no reason to fail."""
    proposal = look({"compose.yaml": "a: [", "docker-bake.json": "{", "Dockerfile": SCRATCH})
    assert sorted(one.place.file for one in proposal.outcome.unclear) == ["compose.yaml", "docker-bake.json"]


@pytest.mark.parametrize("name", ["docker-bake.json", "docker-bake.hcl"])
def test_bake(name: str, look: Look) -> None:
    """JSON and HCL say the same; what is inherited counts, what is not in the group is listed."""
    text = json.dumps(BAKE, indent=1) if name.endswith("json") else HCL
    proposal = look({name: text, "src/Dockerfile.app": SCRATCH})
    assert proposal.outcome.values == APP
    (unclear,) = proposal.outcome.unclear
    assert (unclear.text, "group `default`" in unclear.why) == ("target tests", True)
    assert '"tests"' in text.splitlines()[unclear.place.line - 1]
    tags = next(one for one in proposal.outcome.carried if one.key == "push.tags")
    assert "tags" in text.splitlines()[tags.place.line - 1]


def test_contexts_between_targets(look: Look) -> None:
    """A target that is another one's context stays that."""
    bake = {
        "group": {"default": {"targets": ["lib", "app"]}},
        "target": {
            "lib": {"tags": ["acme/lib"], "context": "lib"},
            "app": {"tags": ["acme/app"], "context": "app", "contexts": {"lib": "target:lib"}},
        },
    }
    files = {"docker-bake.json": json.dumps(bake), "lib/Dockerfile": SCRATCH, "app/Dockerfile": SCRATCH}
    _, app = look(files).outcome.values["images"]
    assert app["contexts"] == ["lib=target:lib"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('target "a" {\n  tags = ["x"]\n  args = { A = upper("a") }\n}\n', 3),
        ('target "a" {\n  tags = ["x"]\n  pull = TAG == "1" ? true : false\n}\n', 3),
        ('target "a" {\n  tags = concat(\n    ["x"],\n    ["y"],\n  )\n}\n', 2),
        ('function "f" {\n  params = [a]\n  result = a\n}\ntarget "a" {}\n', 1),
        ('what is this\ntarget "a" {}\n', 1),
    ],
)
def test_hcl_beyond_the_plain_is_listed(text: str, line: int, look: Look) -> None:
    """What is not a plain value is left out with its line, and the rest is read."""
    proposal = look({"docker-bake.hcl": text, "Dockerfile": SCRATCH})
    assert line in [one.place.line for one in proposal.outcome.unclear]
    blocks, _ = hcl.parse(text)
    assert "a" in [block.label for block in blocks]


def test_makefile_comes_before_compose(look: Look) -> None:
    """Where a Makefile builds images, a Compose file beside it is for the same ones; that is said."""
    makefile = "build:\n\tdocker build -t acme/foo .\nup:\n\tdocker compose up\n"
    files = {"Makefile": makefile, "compose.yaml": "services: {foo: {build: .}}\n", "Dockerfile": SCRATCH}
    proposal = look(files)
    assert proposal.outcome.values["image"] == "acme/foo"
    (unclear,) = proposal.outcome.unclear
    assert unclear.place.file == "compose.yaml"
    assert "Makefile says how images are built" in unclear.why
