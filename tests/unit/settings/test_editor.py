"""The JSON Schema of the settings says what the code does: what it takes loads, and what it refuses does not."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tools.settings import jsonschema as making
from tools.settings import keys, page

from tinyship.errors import ConfigError
from tinyship.settings import editor, load
from tinyship.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads(editor.schema())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
DIGEST = "sha256:" + "0" * 64

GOOD = """
image: lacion/foo
image: localhost:5000/a/b-c__d
{image: a, version: {tag: "v*", scheme: semver}}
{image: a, version: {literal: "1.10", file: ""}}
{image: a, version: {file: VERSION, regex: '"(.+)"'}}
{image: a, builder: tcp://build.example.com:1234}
{image: a, builder: unix:///run/buildkit/buildkitd.sock, builder_tls: {ca: ca.pem}}
{image: a, builder_tls: {cert: c.pem, key: k.pem}}
{image: a, builder_tls: }
{image: a, args: ["FOO=1", "A=b=c", "EMPTY="], labels: ["a.b/c=d e"]}
{image: a, args: }
{image: a, build: }
{image: a, build: {}}
{image: a, build: {artifacts: [bin/foo, ./x, a/..b], command: make, test: [make, test], env: ["A=1"], tag: dev_1.0}}
{image: a, platforms: [linux/amd64, linux/arm/v7]}
{image: a, secrets: ["id=npm,env=NPM_TOKEN", "id=x,src=path", "id=y", '"id=z","src=a,b"', "type=file,id=w"]}
{image: a, ssh: [default, other=/run/agent.sock]}
{image: a, contexts: ["lib=../lib", "base=docker-image://alpine:3.22", "x = ../y"]}
{image: a, cache_from: ["registry.example.com/foo:cache", "type=local,src=cache", '"type=registry","ref=a/b"']}
{image: a, cache_to: ["type=inline", "type=registry,ref=registry.example.com/foo:cache,mode=max"]}
{image: a, attests: ["type=provenance,mode=max", "type=sbom"]}
{image: a, ulimits: ["nofile=1024:2048", "core=-1"], shm_size: 128MB, network: host, extra_hosts: ["db:10.1.2.3"]}
{image: a, shm_size: ""}
{image: a, no_cache: true, pull: "False", no_cache_filter: [x]}
{image: a, no_cache: 1}
{image: a, jobs: 4, max_age: 7d}
{image: a, jobs: "4", max_age: 1.5h}
{image: a, proxy: "http://user:secret@proxy.example.com:3128", no_proxy: [.example.com, 10.0.0.0/8], ca: x.pem}
{image: a, insecure: ["registry.example.com:5000", "registry.example.com"], mirrors: ["docker.io=mirror.example.com/x"]}
{image: a, base: []}
{image: a, base: [{name: "a/b:1", dockerfile: D, context: x, platforms: [linux/arm64], cache_to: [type=inline]}]}
{image: a, base: [{name: a/b, rootfs: {tar: x.tar}, changes: ["ENV A=1"]}, {name: c, rootfs: {command: [cat, x]}}]}
{image: a, base: [{name: a/b, pull: "DIGEST"}]}
{image: a, base: [{name: a/b, dockerfile: D, rootfs: , pull: ""}]}
{image: a, release: {dockerfile: D, outputs: [out, "type=tar,dest=x.tar", "type=registry,name=a/b:1"]}}
{image: a, release: {run: {ports: ["127.0.0.1::8080"], command: serve}, smoke: {command: [/foo, -check], timeout: 5}}}
{image: a, release: {smoke: {timeout: "2.5"}}}
{image: a, push: {to: ["registry.example.com:5000", host.example.com/team], tags: ["{version}", "v{major}.{minor}", x]}}
{image: a, push: {to: , timeout: 0.5, smoke: yes}}
{image: a, size: {budgets: [{unpacked: 40MB}, {stage: build, dead: 0}, {growth: 5%}, {layers: 4}, {pull: 3 MiB}]}}
{image: a, size: {notes: false}}
{image: a, size: {notes_remote: origin}}
{image: a, clean: {keep: 1, keep_git: all, ask_above: 1, cache_age: "", cache_size: 10GB, registry: {age: 30d}}}
{image: a, clean: {ask_above: 0.25, registry: {versions: last, keep: "2"}}}
{image: a, hooks: [{before: push, run: scripts/check}, {after: release, task: notify}]}
{images: [{name: api, image: a/api}, {name: web, image: a/web, needs: [api], contexts: ["x=target:api"]}]}
{image: a, images: []}
{image: a, images: [{name: x, build: , push: {smoke: true}}]}
{push: {to: [h.example.com]}, images: [{name: api, image: a/api}]}
"""
BAD = """
{}
image:
image: [a]
image: 1
image: a/b:1.0
image: A/b
image: a//b
image: ""
{image: a, nothing: 1}
{image: a, version: "1.0"}
{image: a, version: {literal: 1.10}}
{image: a, version: {literal: "1", file: VERSION}}
{image: a, version: {regex: "(.+)"}}
{image: a, version: {scheme: calver}}
{image: a, builder: docker}
{image: a, builder: "tcp://host"}
{image: a, builder: "tcp://user@host:1"}
{image: a, builder: "unix://"}
{image: a, builder_tls: {cert: c.pem}}
{image: a, args: {FOO: 1}}
{image: a, args: ["FOO"]}
{image: a, args: ["=1"]}
{image: a, args: [null]}
{image: a, labels: [1]}
{image: a, platforms: linux/amd64}
{image: a, platforms: [arm64]}
{image: a, platforms: [linux/amd64, linux/amd64]}
{image: a, secrets: ["env=A"]}
{image: a, secrets: ["npm"]}
{image: a, ssh: ["a="]}
{image: a, ssh: ["a=b,c"]}
{image: a, contexts: ["lib"]}
{image: a, contexts: ["lib="]}
{image: a, contexts: ["=x"]}
{image: a, contexts: ["x=target:"]}
{image: a, cache_from: ["type=inline"]}
{image: a, cache_from: ["ref=a"]}
{image: a, cache_to: ["type=gha"]}
{image: a, attests: ["type=vex"]}
{image: a, attests: [sbom]}
{image: a, ulimits: ["files=1"]}
{image: a, ulimits: ["nofile"]}
{image: a, shm_size: many}
{image: a, no_cache: maybe}
{image: a, no_cache: 2}
{image: a, jobs: -1}
{image: a, jobs: 1.5}
{image: a, jobs: many}
{image: a, max_age: 7}
{image: a, max_age: 7 weeks}
{image: a, proxy: proxy.example.com}
{image: a, insecure: ["http://a"]}
{image: a, insecure: [a.example.com/b]}
{image: a, mirrors: [mirror.example.com]}
{image: a, base: {name: a}}
{image: a, base: [a]}
{image: a, base: [{name: a}]}
{image: a, base: [{dockerfile: D}]}
{image: a, base: [{name: a, dockerfile: D, pull: "DIGEST"}]}
{image: a, base: [{name: a, dockerfile: D, context: }]}
{image: a, base: [{name: a, pull: latest}]}
{image: a, base: [{name: a, rootfs: {}}]}
{image: a, base: [{name: a, rootfs: {tar: x, command: y}}]}
{image: a, base: [{name: a, dockerfile: D, changes: ["ENV A=1"]}]}
{image: a, base: [{name: a, rootfs: {tar: x}, platforms: [linux/amd64]}]}
{image: a, base: [{name: "A:b", dockerfile: D}]}
{image: a, build: true}
{image: a, build: {tag: "a b"}}
{image: a, build: {artifacts: [/bin/foo]}}
{image: a, build: {artifacts: [../foo]}}
{image: a, build: {artifacts: [a/../b]}}
{image: a, build: {artifacts: [.]}}
{image: a, build: {env: [A]}}
{image: a, build: {command: 1}}
{image: a, build: {outputs: ["-"]}}
{image: a, build: {outputs: [/tmp/x]}}
{image: a, release: {outputs: ["dest=x"]}}
{image: a, release: {outputs: ["type=zip,dest=x"]}}
{image: a, release: {smoke: {timeout: 0}}}
{image: a, release: {smoke: /foo}}
{image: a, push: {to: "registry.example.com"}}
{image: a, push: {to: ["https://registry.example.com"]}}
{image: a, push: {to: [registry.example.com/]}}
{image: a, push: {tags: []}}
{image: a, push: {tags: ["{nothing}"]}}
{image: a, push: {tags: ["a b"]}}
{image: a, push: {timeout: soon}}
{image: a, size: {budgets: [{}]}}
{image: a, size: {budgets: [{layers: 0}]}}
{image: a, size: {budgets: [{layers: -1}]}}
{image: a, size: {budgets: [{layers: -1, unpacked: 1MB}]}}
{image: a, size: {budgets: [{stage: push, unpacked: 1}]}}
{image: a, size: {budgets: [{unpacked: large}]}}
{image: a, size: {budgets: [{unpacked: 5%}]}}
{image: a, size: {budgets: [{unpacked: -1}]}}
{image: a, size: {budgets: [{growth: 5 apples}]}}
{image: a, size: {notes: false, notes_remote: origin}}
{image: a, size: {notes_remote: "https://example.com/x"}}
{image: a, clean: {keep: 0}}
{image: a, clean: {keep: "0"}}
{image: a, clean: {keep_git: some}}
{image: a, clean: {ask_above: 2}}
{image: a, clean: {cache_age: 168}}
{image: a, clean: {cache_size: 10 files}}
{image: a, clean: {registry: {keep: 0}}}
{image: a, hooks: [{run: x}]}
{image: a, hooks: [{before: push, after: push, run: x}]}
{image: a, hooks: [{before: push}]}
{image: a, hooks: [{before: push, run: x, task: y}]}
{image: a, hooks: [{before: tests, run: x}]}
{image: a, hooks: {before: push, run: x}}
{images: [{name: api}]}
{images: [{image: a}]}
{images: {api: {image: a}}}
{image: a, images: [{name: "", image: b}]}
{image: a, images: [{name: x, images: []}]}
{image: a, images: {}}
{image: a, images: false}
{image: a, images: [{name: x, image: b, nothing: 1}]}
{name: x, image: a}
"""


def sections(text: str) -> list[Any]:
    """A section of each line."""
    return [yaml.safe_load(line.replace("DIGEST", DIGEST)) for line in text.strip().splitlines()]


def why_not(section: object) -> str:
    """Why a section does not load; empty where it does."""
    try:
        load.load((load.Layer("invoke.yaml", section),), environ={})
    except ConfigError as error:
        return str(error)
    return ""


def blocks() -> list[Any]:
    """Each block of YAML with our section, and each config of an example, in the order of the files."""
    found = []
    for file in sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "examples").glob("*/README.md")]):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text(), re.S), 1):
            if "tinyship:" in block:
                found.append(pytest.param(block, id=f"{file.stem}-{number}"))
    return [
        *found,
        *(
            pytest.param(file.read_text(), id=file.parent.name)
            for file in sorted((ROOT / "examples").glob("*/invoke.yaml"))
        ),
    ]


@pytest.mark.parametrize("section", sections(GOOD), ids=GOOD.strip().splitlines())
def test_good_configs(section: object) -> None:
    """What loads is valid."""
    assert why_not(section) == ""
    assert [error.message for error in VALIDATOR.iter_errors({"tinyship": section})] == []


@pytest.mark.parametrize("section", sections(BAD), ids=BAD.strip().splitlines())
def test_bad_configs(section: object) -> None:
    """What is wrong in itself neither loads nor is valid."""
    assert why_not(section)
    assert not VALIDATOR.is_valid({"tinyship": section})


@pytest.mark.parametrize("text", blocks())
def test_configs_of_documents_and_examples(text: str) -> None:
    """What the documents show is valid, but that an excerpt may lack `image`."""
    config = yaml.safe_load(text)
    wrong = [error for error in VALIDATOR.iter_errors(config) if not lacks_image(error)]
    assert [error.message for error in wrong] == []


def test_no_false_alarm() -> None:
    """What the schema refuses does not load: each value of the good configs is put in the place of each other one."""
    values: list[Any] = [None, "", 0, 1.5, True, "x", "../x", "7d", [], {}, ["x"], [1], ["a=b"]]
    tried: set[str] = set()
    for good in sections(GOOD):
        for *parents, last in paths(good):
            for value in values:
                what = f"{[part for part in (*parents, last) if isinstance(part, str)]} {value!r}"
                if what in tried:
                    continue
                tried.add(what)
                section = place = deepcopy(good)
                for parent in parents:
                    place = place[parent]
                place[last] = value
                if not VALIDATOR.is_valid({"tinyship": section}):
                    assert why_not(section), section
    assert len(tried) > 1000


def paths(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a section."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*above, key)
        yield from paths(inner, (*above, key))


def lacks_image(error: jsonschema.ValidationError) -> bool:
    """Whether an error is that no image has a name."""
    return list(error.absolute_path) == ["tinyship"] and error.validator == "anyOf"


def test_examples_are_valid() -> None:
    """Each example of a key is a value of it."""
    checked = 0
    for name, key in keys.leaves():
        place = [part for dotted in name.split(".") for part in (dotted.removesuffix("[]"),)]
        said = SCHEMA["definitions"]["Project"]
        for part in place:
            said = below(said)["properties"][part]
        resolved = jsonschema.Draft7Validator({**said, "definitions": SCHEMA["definitions"]})
        for value in key.values:
            assert [error.message for error in resolved.iter_errors(value)] == [], (name, value)
            checked += 1
        assert said["description"] == key.meaning
    assert checked > 90


def below(said: dict[str, Any]) -> dict[str, Any]:
    """The schema of a section itself, of whatever it may be besides, or of the entries of a list of them."""
    for one in said.get("anyOf", [said]):
        if "properties" in one and "type" in one:
            return dict(one)
        if one.get("type") == "array":
            return dict(one["items"])
    return said


def test_schema_is_fresh() -> None:
    """The file is what `./dev schema` makes."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert editor.schema() == making.text(), "run `./dev schema`"


def test_page_is_fresh() -> None:
    """The tables of docs/settings.md are what `./dev schema` makes."""
    text = page.PAGE.read_text()
    assert page.filled(text) == text, "run `./dev schema`"


def test_every_key_is_described() -> None:
    """The schema has each key of the settings, and no other."""
    properties = SCHEMA["definitions"]["Project"]["properties"]
    assert [key.name for key in keys.keys(Settings)] == [name for name in properties if name != "images"]


def test_patterns_are_those_of_javascript_too() -> None:
    """No pattern has what editors, which know JavaScript's, would stumble over."""
    patterns = re.findall(r'"pattern": "(.*)"', editor.schema())
    assert len(patterns) > 30
    for pattern in patterns:
        assert not re.search(r"\(\?P|\(\?<[^=!]|\\A|\\Z|\(\?[aiLmsux]+[:)]", json.loads(f'"{pattern}"'))


def test_is_in_the_wheel(tmp_path: Path) -> None:
    """Whoever installs tinyship has the schema."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tinyship/schemas/settings.schema.json").decode() == editor.schema()
