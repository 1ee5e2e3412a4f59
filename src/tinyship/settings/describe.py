"""Settings as rows of text: what `config` shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tinyship.settings.schema import Settings


def values(settings: Settings) -> tuple[tuple[str, Any], ...]:
    """Every setting by its dotted key, as plain data; lists are one setting."""
    return tuple(_flat(msgspec.json.decode(msgspec.json.encode(settings)), ""))


def text(value: Any) -> str:
    """A setting's value as one would write it in YAML, in one line; what is empty in a list of maps is left out."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(_short(value), ensure_ascii=False)


def _flat(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _short(inner) for key, inner in value.items() if inner not in (None, "", [], 0)}
    return [_short(inner) for inner in value] if isinstance(value, list) else value
