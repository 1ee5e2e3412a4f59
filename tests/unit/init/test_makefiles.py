"""Makefiles as people write them: what is carried over, from which line, and what is listed instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.init.conftest import Look

PROJECTS = Path(__file__).parent / "projects"
SCRATCH = "FROM scratch\n"


def test_article(look: Look) -> None:
    """The Makefile of the article: all its stages, its tags, and its version, with the lines that say so."""
    source = PROJECTS / "article"
    files = {path.relative_to(source).as_posix(): path.read_text() for path in source.rglob("*") if path.is_file()}
    proposal = look(files)
    assert proposal.outcome.values == {
        "image": "lacion/foo",
        "version": {"file": "version/version.go", "regex": 'const Version = "([^"]+)"'},
        "build": {"dockerfile": "Dockerfile.build", "artifacts": ["bin/foo"], "test": ["go", "test", "./..."]},
        "push": {"tags": ["{commit}", "{version}", "latest"]},
    }
    assert proposal.outcome.unclear == ()
    lines = files["Makefile"].splitlines()
    said = {(one.key, str(one.value)): one.place for one in proposal.outcome.carried}
    assert "docker build" in lines[said["image", "lacion/foo"].line - 1]
    assert "docker push $(IMAGE):${VERSION}" in lines[said["push.tags", "{version}"].line - 1]
    assert [file.name for file in proposal.files if not file.kept] == [
        ".dockerignore",
        "tasks.py",
        "invoke.yaml",
        ".gitignore",
    ]


GIT = """\
IMAGE = registry.example.com/team/web
package:
\tdocker build -t $(IMAGE):$(shell git rev-parse --short HEAD) -t $(IMAGE):latest \\
\t\t--build-arg GIT_COMMIT=$(shell git rev-parse HEAD) --build-arg FLAVOUR=small .
push:
\tdocker push $(IMAGE):$(shell git rev-parse --short HEAD)
\tdocker push $(IMAGE):latest
"""
MULTILINE = """\
REGISTRY ?= ghcr.io/acme
NAME := api
TAG  := $(shell git describe --tags --always --dirty)

.PHONY: image
image:
\t@set -e; \\
\techo "building"; \\
\tdocker build \\
\t  --file deploy/Dockerfile \\
\t  --target runtime \\
\t  --label team=ships \\
\t  --tag $(REGISTRY)/$(NAME):$(TAG) \\
\t  . && \\
\tdocker push $(REGISTRY)/$(NAME):$(TAG)
"""
FILES = """\
VERSION := $(shell cat VERSION)
IMAGE   := $(shell cat .image)
build:
\tdocker build -t acme/tool:v$(VERSION) .
\tdocker push acme/tool:v$(VERSION)
"""
OPERATORS = """\
NAME ?= worker
NAME ?= other
ARGS := --build-arg A=1
ARGS += --build-arg B=two
VERSION ?= 1.4.2
ifdef CI
ARGS += --no-cache
endif
ifeq ($(NAME),worker)
  OWNER = acme
else
  OWNER = nobody
endif
build:
\tdocker build $(ARGS) -t $(OWNER)/$(NAME):$(VERSION) .
"""
INCLUDES = """\
include config.mk
-include missing.mk
include nowhere.mk
image: ; docker build -t $(IMAGE) .
"""
BUILDX = """\
PLATFORMS ?= linux/amd64,linux/arm64
release:
\tdocker buildx build --platform $(PLATFORMS) --push --provenance=mode=max --sbom=true \\
\t  --secret id=npm,env=NPM_TOKEN --ssh default --cache-from type=registry,ref=acme/foo:cache \\
\t  -t acme/foo:$$(git describe --tags) -t acme/foo:latest .
"""
SEVERAL = """\
ORG := acme
all: api web
api web:
\tdocker build -t $(ORG)/$@:latest -f $@/Dockerfile $@
push:
\tfor image in api web; do docker push $(ORG)/$$image:latest; done
"""
LOOP = """\
IMAGE := acme/foo
COMMIT := $(shell git rev-parse HEAD | cut -c1-7)
REGISTRIES := one.example.com two.example.com:5000
build:
\tdocker build -t $(IMAGE):local .
push: build
\t@for registry in $(REGISTRIES); do \\
\t  for tag in $(COMMIT) latest; do \\
\t    docker tag $(IMAGE):local $$registry/$(IMAGE):$$tag; \\
\t    docker push $$registry/$(IMAGE):$$tag; \\
\t  done; \\
\tdone
"""
EXPORTS = """\
export DOCKER_BUILDKIT = 1
export IMAGE := acme/foo
.ONESHELL:
build:
\tTAG=$$(git rev-parse HEAD)
\tDOCKER_BUILDKIT=1 docker build -t $$IMAGE_NAME:$$TAG -t $(IMAGE):$$TAG .
\tdocker push $$IMAGE:$$TAG
"""
STAGES = """\
base:
\tdocker build -t acme/base:1 -f docker/base/Dockerfile docker/base
builder: base
\tdocker build -t acme/foo:build -f Dockerfile.build .
compile: builder
\tdocker run --rm -v $(CURDIR):/src -w /src acme/foo:build make -C src all
image: compile
\tdocker build --pull -t acme/foo:local .
test:
\t./run-tests --all
"""
FUNCTIONS = """\
define image
acme/$(1)
endef
NAMES := one
TAGS := $(foreach tag,latest edge,-t $(call image,$(firstword $(NAMES))):$(tag))
build:
\tdocker build $(TAGS) $(if $(NOCACHE),--no-cache,) $(addprefix --label ,a=b c=d) .
"""

DAYS = """\
IMG = acme/thing
TAG := $(shell date +v%Y%m%d)
build:
\tdocker build -t $(IMG):$(TAG) --label built=$(shell date -u +%FT%TZ) .
\tdocker push $(IMG):$(TAG)
.SHELLFLAGS = -ec
"""
PATTERNS = """\
ARCHS := amd64 arm64
ifeq ($(HERE),)
\tOWNER := acme
endif
.PHONY: all
all: $(addprefix image-,$(ARCHS))
$(addprefix image-,$(ARCHS)): image-%: Dockerfile
ifdef OWNER
\tdocker build -t $(OWNER)/foo-$*:1.0 --build-arg ARCH=$* -f $< .
endif
"""

CASES: dict[str, tuple[str, dict[str, str], dict[str, Any], list[str]]] = {
    "git": (
        GIT,
        {"Dockerfile": SCRATCH},
        {
            "image": "team/web",
            "args": ["FLAVOUR=small"],
            "push": {"to": ["registry.example.com"], "tags": ["{short_commit}", "latest"]},
        },
        [],
    ),
    "multi-line": (
        MULTILINE,
        {"deploy/Dockerfile": "FROM scratch AS runtime\n"},
        {
            "image": "acme/api",
            "labels": ["team=ships"],
            "release": {"dockerfile": "deploy/Dockerfile", "target": "runtime"},
            "push": {"to": ["ghcr.io"], "tags": ["{version}"]},
        },
        [],
    ),
    "variables-of-files": (
        FILES,
        {"Dockerfile": SCRATCH, "VERSION": "1.2.3\n"},
        {"image": "acme/tool", "version": {"file": "VERSION"}, "push": {"tags": ["v{version}"]}},
        [],
    ),
    "operators": (
        OPERATORS,
        {"Dockerfile": SCRATCH},
        {
            "image": "acme/worker",
            "version": {"literal": "1.4.2"},
            "args": ["A=1", "B=two"],
            "push": {"tags": ["{version}"]},
        },
        [],
    ),
    "includes": (
        INCLUDES,
        {"Dockerfile": SCRATCH, "config.mk": "OWNER = acme\nIMAGE = $(OWNER)/foo\n"},
        {"image": "acme/foo", "push": {"tags": ["latest"]}},
        ["there is no such file"],
    ),
    "buildx": (
        BUILDX,
        {"Dockerfile": SCRATCH},
        {
            "image": "acme/foo",
            "platforms": ["linux/amd64", "linux/arm64"],
            "attests": ["type=provenance,mode=max", "type=sbom"],
            "secrets": ["id=npm,env=NPM_TOKEN"],
            "ssh": ["default"],
            "cache_from": ["type=registry,ref=acme/foo:cache"],
            "push": {"tags": ["{version}", "latest"]},
        },
        [],
    ),
    "several": (
        SEVERAL,
        {"api/Dockerfile": SCRATCH, "web/Dockerfile": SCRATCH},
        {
            "push": {"tags": ["latest"]},
            "images": [
                {"name": "api", "image": "acme/api", "release": {"dockerfile": "api/Dockerfile", "context": "api"}},
                {"name": "web", "image": "acme/web", "release": {"dockerfile": "web/Dockerfile", "context": "web"}},
            ],
        },
        [],
    ),
    "push-loop": (
        LOOP,
        {"Dockerfile": SCRATCH},
        {
            "image": "acme/foo",
            "push": {"to": ["one.example.com", "two.example.com:5000"], "tags": ["{short_commit}", "latest"]},
        },
        [],
    ),
    "exports-and-one-shell": (
        EXPORTS,
        {"Dockerfile": SCRATCH},
        {"image": "acme/foo", "push": {"tags": ["{commit}"]}},
        ["which image this is, is not known"],
    ),
    "stages": (
        STAGES,
        {
            "Dockerfile": "FROM acme/base:1\nCOPY out/foo /foo\n",
            "Dockerfile.build": "FROM scratch\n",
            "docker/base/Dockerfile": SCRATCH,
        },
        {
            "image": "acme/foo",
            "pull": True,
            "base": [{"name": "acme/base:1", "dockerfile": "docker/base/Dockerfile", "context": "docker/base"}],
            "build": {
                "dockerfile": "Dockerfile.build",
                "workdir": "/src",
                "command": ["make", "-C", "src", "all"],
                "artifacts": ["out/foo"],
                "test": ["./run-tests", "--all"],
            },
        },
        [],
    ),
    "days": (
        DAYS,
        {"Dockerfile": SCRATCH},
        {"image": "acme/thing", "push": {"tags": ["v{date}"]}},
        ["labels with commit, version and date come by themselves"],
    ),
    "patterns": (
        PATTERNS,
        {"Dockerfile": SCRATCH},
        {
            "push": {"tags": ["1.0"]},
            "images": [
                {"name": "foo-amd64", "image": "acme/foo-amd64", "args": ["ARCH=amd64"]},
                {"name": "foo-arm64", "image": "acme/foo-arm64", "args": ["ARCH=arm64"]},
            ],
        },
        [],
    ),
    "functions": (
        FUNCTIONS,
        {"Dockerfile": SCRATCH},
        {"image": "acme/one", "labels": ["a=b", "c=d"], "push": {"tags": ["latest", "edge"]}},
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_makefile(name: str, look: Look) -> None:
    """Each comes out as the settings that do the same, and what is not understood is all that is listed."""
    text, files, values, unclear = CASES[name]
    proposal = look({"Makefile": text, **files})
    assert proposal.outcome.values == values
    assert [one.why for one in proposal.outcome.unclear] == unclear


def test_secrets_are_not_told(look: Look) -> None:
    """The value of a build argument that sounds like a secret stands nowhere, and the way out is said."""
    makefile = "TOKEN := hunter2\nbuild:\n\tdocker build --build-arg NPM_TOKEN=$(TOKEN) -t acme/foo .\n"
    proposal = look({"Makefile": makefile, "Dockerfile": SCRATCH})
    assert "hunter2" not in repr(proposal)
    (unclear,) = proposal.outcome.unclear
    assert (unclear.text, str(unclear.place)) == ("NPM_TOKEN=***", "Makefile:3")
    assert "secrets" in unclear.why


UNCLEAR = {
    "registry": (
        "build:\n\tdocker build -t $(REGISTRY)/acme/foo .\n",
        "$(REGISTRY)",
        "which registry or owner this is",
    ),
    "name": ("build:\n\tdocker build -t acme/$(NAME) .\n", "acme/$(NAME)", "which image this is"),
    "tag": ("build:\n\tdocker build -t acme/foo:$(WHO) .\n", "$(WHO)", "what this tag comes to"),
    "shell": (
        "T := $(shell whoami)\nbuild:\n\tdocker build -t acme/foo:$(T) .\n",
        "$(whoami)",
        "what this tag comes to",
    ),
    "time": ("build:\n\tdocker build -t acme/foo:$(shell date +%s) .\n", "{time}", "no tag of ours says that"),
    "argument": ("build:\n\tdocker build -t acme/foo --build-arg A=$(B) .\n", "A=$(B)", "what its value comes to"),
    "renamed": (
        "build:\n\tdocker build -t acme/foo --build-arg SHA=$(shell git rev-parse HEAD) .\n",
        "SHA={commit}",
        "rename it in the Dockerfile to GIT_COMMIT",
    ),
    "option": ("build:\n\tdocker build -t acme/foo --entitlement=x .\n", "--entitlement", "not known"),
    "standard-input": ("build:\n\tcat Dockerfile | docker build -t acme/foo -\n", "-", "no folder"),
    "condition": ("ifeq ($(shell uname),Linux)\nA = 1\nendif\n", "ifeq ($(shell uname),Linux)", "this condition"),
    "another-make": ("all:\n\t$(MAKE) -C sub image\n", "make -C sub image", "run `tinyship init` there"),
    "script": ("all:\n\t./build.sh\n", "./build.sh", "a script that runs docker"),
    "program": ("all:\n\t$(BUILDER) build -t acme/foo .\n", "$(BUILDER) build", "which program this is"),
    "quotes": ("all:\n\tdocker build -t 'acme/foo .\n", "docker build", "quotes are not closed"),
    "saved": ("all:\n\tdocker save -o foo.tar acme/foo\n", "docker save", "release.outputs"),
    "host": ("build:\n\tgo build -o bin/x .\n\tdocker build -t acme/foo .\n", "bin/x", "nothing of tinyship makes it"),
    "line": ("what is this\n", "what is this", "neither a variable nor a rule"),
    "second": (
        "a:\n\tdocker build -t acme/foo:1 .\nb:\n\tdocker build -t acme/foo:2 --target debug .\n",
        "acme/foo:2",
        "this is another",
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_is_not_understood_is_listed(name: str, look: Look) -> None:
    """With its line, with what stands there, and with what to do, where there is something."""
    makefile, text, why = UNCLEAR[name]
    others = {"sub/Makefile": "image:\n\tdocker build .\n", "build.sh": "docker build .\n"}
    proposal = look({"Makefile": makefile, "Dockerfile": "FROM scratch AS debug\nCOPY bin/x /x\n", **others})
    listed = [one for one in proposal.outcome.unclear if text in one.text and why in one.why]
    assert len(listed) == 1, proposal.outcome.unclear
    assert listed[0].place.file == "Makefile"
    assert listed[0].place.line


def test_other_commands_are_no_business_of_ours(look: Look) -> None:
    """What runs, stops and shows containers is left where it is, without a word."""
    makefile = "up:\n\tdocker compose up -d\n\tdocker-compose logs\n\tdocker run --rm -it alpine sh\n\tdocker ps\n"
    assert look({"Makefile": makefile, "Dockerfile": SCRATCH}).outcome.unclear == ()


def test_image_is_pushed_under_another_name(look: Look) -> None:
    """The name that is pushed is the image's; a folder of the registry belongs to the registry."""
    makefile = (
        "build:\n\tdocker build -t foo .\n"
        "push:\n\tdocker tag foo eu.example.com/project/foo:1.0\n\tdocker push eu.example.com/project/foo:1.0\n"
    )
    values = look({"Makefile": makefile, "Dockerfile": SCRATCH}).outcome.values
    assert values == {"image": "foo", "push": {"to": ["eu.example.com/project"], "tags": ["1.0"]}}
