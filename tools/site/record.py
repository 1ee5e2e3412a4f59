"""The fields of the record, from its JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from tinyship.kept import record

_ORDER = ("Release", "Pushed", "Sizes", "Previous", "BaseImage", "Runtime")


def page() -> str:
    """A table for each kind of part of the record."""
    schema = json.loads(record.schema())
    parts = schema["$defs"]
    tables = [_table("The record", schema)]
    names = [name for name in _ORDER if name in parts]
    names += [name for name, part in parts.items() if "properties" in part and name not in names]
    return "\n\n".join([*tables, *(_table(name, parts[name]) for name in names)])


def _table(title: str, part: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {_kind(field)} | {_said(name, field, part)} |" for name, field in part["properties"].items()]
    return "\n".join(
        [f"## {title}", "", part.get("description", ""), "", "| field | type | meaning |", "|---|---|---|", *rows]
    )


def _said(name: str, field: dict[str, Any], part: dict[str, Any]) -> str:
    said: str = field.get("description", "").replace("|", "\\|")
    if name not in part.get("required", ()) and "default" in field:
        said += f" `{json.dumps(field['default'])}` where it is not there."
    return said


def _kind(field: dict[str, Any]) -> str:
    """The type in a few words; a part of the record by its name."""
    if "$ref" in field:
        return _name(str(field["$ref"]))
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(one)}`" for one in field["enum"])
    kinds = field.get("type", "anything")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(f"list of {_kind(field['items'])}" if kind == "array" else kind for kind in kinds)


def _name(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})" if name in _ORDER else name.lower()
