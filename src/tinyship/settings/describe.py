"""Settings as rows of text: what `config` shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tinyship.settings.schema import Settings


def values(settings: Settings) -> tuple[tuple[str, Any], ...]:
    """Every setting by its dotted key, as plain data; lists are one setting. A proxy's password is left out."""
    found = _flat(msgspec.json.decode(msgspec.json.encode(settings)), "")
    return tuple((key, without_password(value) if key == "proxy" else value) for key, value in found)


def without_password(address: str) -> str:
    """The address of a proxy with `***` in place of the name and the password that it may hold."""
    scheme, _, rest = address.rpartition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}://***@{host}" if at else address


def rows(settings: Settings, origins: Mapping[str, str], *, all: bool) -> tuple[tuple[str, str, str], ...]:
    """Every setting with where it is from, as text; a map in a list has a row for each of its keys: `base[0].name`.

    Args:
        all: those at their defaults too.
    """
    return tuple(
        (name, origins.get(key, "default"), text(inner))
        for key, value in values(settings)
        if all or key in origins
        for name, inner in _spread(key, value)
    )


def text(value: Any) -> str:
    """A setting's value as one would write it in YAML, in one line."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flat(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _spread(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A list of maps as one pair for each key that is set, all else as it is."""
    if not isinstance(value, list) or not any(isinstance(entry, Mapping) for entry in value):
        yield key, value
        return
    for number, entry in enumerate(value):
        for name, inner in _flat(entry, f"{key}[{number}]."):
            if inner not in (None, "", [], 0):
                yield name, inner
