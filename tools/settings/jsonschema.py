"""The JSON Schema of `invoke.yaml`, of draft 7, which every editor knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec

from tinyship.settings.schema import Settings
from tinyship.settings.stages import Option, Words
from tools.settings.constraints import LISTS, SECTIONS, VALUES, Schema
from tools.settings.keys import Key, images, keys

FILE = Path(__file__).resolve().parent.parent.parent / "src" / "tinyship" / "schemas" / "settings.schema.json"
_NAME = "Its name, as one types it: `--image NAME`."


def text() -> str:
    """The file's text."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """The schema of a file with a section `tinyship`, beside which others may stand."""
    settings, several = _section(Settings, ""), images()
    same = {key: {"$ref": f"#/definitions/Project/properties/{key}"} for key in settings["properties"]}
    entry = {
        "description": "One image; what is not said here is as it is around `images`.",
        "type": "object",
        "properties": {"name": {"description": _NAME, "type": "string", "minLength": 1}, **same},
        "additionalProperties": False,
        "required": ["name"],
    }
    project = {
        **settings,
        "properties": {
            **settings["properties"],
            "images": {
                "description": several.meaning,
                "anyOf": [{"type": "array", "items": {"$ref": "#/definitions/Image"}}, {"type": "null"}],
                "examples": list(several.values),
            },
        },
        "anyOf": [
            {"required": ["image"]},
            {
                "required": ["images"],
                "properties": {"images": {"type": "array", "minItems": 1, "items": {"required": ["image"]}}},
            },
        ],
    }
    del project["required"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:tinyship:settings:1",
        "title": "The settings of tinyship",
        "description": "A config file of Invoke: its section `tinyship`, and whatever else stands there.",
        "type": "object",
        "properties": {"tinyship": {"$ref": "#/definitions/Project"}},
        "definitions": {"Project": project, "Image": entry},
    }


def _section(kind: type[msgspec.Struct], place: str, *, nothing: bool = True) -> Schema:
    """The schema of a section.

    Args:
        place: its dotted name; ``[]`` stands behind the name of a list.
        nothing: whether its keys may be null, which is as if they were not there; so it is where sources are merged.
    """
    said = " ".join((kind.__doc__ or "").split()).replace("``", "`")
    found: Schema = {"description": said, "type": "object", "properties": {}, "additionalProperties": False}
    for key in keys(kind):
        name = f"{place}.{key.name}".lstrip(".")
        found["properties"][key.name] = _property(key, name, nothing and key.default is not msgspec.NODEFAULT)
    if required := [key.name for key in keys(kind) if key.default is msgspec.NODEFAULT]:
        found["required"] = required
    return {**found, **SECTIONS.get(place, {})}


def _property(key: Key, name: str, nothing: bool) -> Schema:
    forms = _forms(key, name, nothing)
    if nothing or (key.section and type(None) in get_args(key.kind)):
        forms = [*forms, {"type": "null"}]
    found: Schema = {"description": key.meaning, **(forms[0] if len(forms) == 1 else {"anyOf": forms})}
    if key.default not in (msgspec.NODEFAULT, None) and not (key.section and not key.is_list):
        found["default"] = key.default
    if key.examples:
        found["examples"] = list(key.values)
    return found


def _forms(key: Key, name: str, nothing: bool) -> list[Schema]:
    """The ways in which one may write a value; numbers and yes and no in quotes too, as variables have them."""
    limits = VALUES.get(name, {})
    if key.section:
        inner = _section(key.section, f"{name}[]" if key.is_list else name, nothing=nothing and not key.is_list)
        return [{"type": "array", "items": inner}] if key.is_list else [inner]
    if get_origin(key.kind) is Literal:
        return [{"enum": list(get_args(key.kind))}]
    if key.kind is bool:
        return [
            {"type": "boolean"},
            {"enum": [0, 1]},
            {"type": "string", "pattern": "^(?:0|1|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"},
        ]
    if key.kind is int:
        least = "[1-9][0-9]*" if limits.get("minimum") == 1 else "(?:0|[1-9][0-9]*)"
        return [{"type": "integer", **limits}, {"type": "string", "pattern": f"^{least}$"}]
    if key.kind is float:
        return [{"type": "number", **limits}, {"type": "string", "pattern": r"^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"}]
    if key.kind == Words:
        return [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    if key.kind == str | int:
        return [{"type": "string", **limits}, {"type": "integer", "minimum": 0}]
    if key.kind is str:
        return [{"type": "string", **limits}]
    if key.is_list and get_args(key.kind)[0] in (str, Option):
        items = {"type": "string", **VALUES.get(f"{name}[]", {})}
        return [{"type": "array", "items": items, **LISTS.get(name, {})}]
    raise TypeError(f"{name}: nothing says what {key.kind} is in a schema")
