"""The JSON Schema of the record: it is in the package, says what the code does, and every record is as it says."""

from __future__ import annotations

import json
import zipfile
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.unit.kept.test_record import RELEASE as PLAIN

from tinyship.kept import record
from tinyship.kept.record import BaseImage, Previous, Pushed, Record, Release, Runtime, Sizes

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads(record.schema())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PARTS = (BaseImage, Previous, Pushed, Release, Runtime, Sizes)
RELEASE = replace(
    PLAIN, previous=Previous("0.9.0", "b" * 40, (Sizes("base", "lacion/base:latest", 4_000_000, None, None, 2),))
)
FULL = replace(
    RELEASE,
    smoke=True,
    given=True,
    branch="main",
    bases=(BaseImage("alpine:3.22", "sha256:" + "2" * 64), BaseImage("lacion/base:latest", "")),
    run=Runtime(("8080/tcp",), "1000", ("/init",), ("serve",), True),
    raw_version="1.0.0",
)
OLD = {
    name: value
    for name, value in Record((RELEASE,)).as_json()["images"][0].items()
    if name not in {"smoke", "given", "branch", "bases", "run", "raw_version"}
}


def test_is_a_schema() -> None:
    """It is one of draft 2020-12, and its version is that of the code."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema"]["const"] == record.SCHEMA


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_has_the_fields_of_the_code(part: type) -> None:
    """Each part has the same fields; those without a default are required, the others have the code's."""
    said = SCHEMA["$defs"][part.__name__]
    ours = fields(part)
    assert list(said["properties"]) == [field.name for field in ours]
    assert said["required"] == [field.name for field in ours if field.default is MISSING]
    defaults = {name: value["default"] for name, value in said["properties"].items() if "default" in value}
    assert defaults == {
        field.name: json.loads(json.dumps(field.default)) for field in ours if field.default is not MISSING
    }
    assert all(value["description"] for value in said["properties"].values())


@pytest.mark.parametrize("release", [RELEASE, FULL, replace(RELEASE, commit="", pushed=(), previous=None)])
def test_records_are_valid(tmp_path: Path, release: Release) -> None:
    """What is written is what the schema says."""
    record.update(tmp_path, release)
    VALIDATOR.validate(json.loads(record.path(tmp_path).read_text()))


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "main"},
        {"pushed": [{"reference": "lacion/foo:1.0.0", "digest": "1234"}]},
        {"sizes": [{"stage": "release"}]},
        {"dirty": "no"},
        {"tags": ["not a tag"]},
        {"run": {"user": 0}},
    ],
)
def test_refuses_what_is_none(change: dict[str, Any]) -> None:
    """The schema is no rubber stamp."""
    data = Record((RELEASE,)).as_json()
    data["images"][0].update(change)
    assert not VALIDATOR.is_valid(json.loads(json.dumps(data)))


def test_older_and_newer_records_are_read(tmp_path: Path) -> None:
    """Fields that an older tinyship did not write have their defaults; those of a newer one are passed over."""
    newer = {**Record((FULL,)).as_json()["images"][0], "image": "lacion/bar", "signature": {"by": ["cosign"]}}
    newer["run"] = {**newer["run"], "stop_signal": "SIGTERM"}
    data = json.loads(json.dumps({"schema": 1, "written_by": "9.0.0", "images": [OLD, newer]}))
    VALIDATOR.validate(data)
    record.path(tmp_path).parent.mkdir()
    record.path(tmp_path).write_text(json.dumps(data))
    assert record.read(tmp_path).images == (RELEASE, replace(FULL, image="lacion/bar"))


def test_is_in_the_wheel(tmp_path: Path) -> None:
    """Whoever installs tinyship has the schema."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tinyship/schemas/release.schema.json").decode() == record.schema()
