"""Settings from ``TINYSHIP_...`` variables, read by the settings' own types.

Invoke's ``INVOKE_...`` variables cannot carry lists, and fail on them. A variable's name is the key in upper case with
``_`` for ``.``: ``TINYSHIP_PUSH_TO`` is ``push.to``. A list is JSON, or its entries between commas; a list of maps is
JSON, and so is one whose entries have commas: ``TINYSHIP_SECRETS='["id=npm,env=NPM_TOKEN"]'``. An empty variable is
none.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec

from tinyship.errors import ConfigError
from tinyship.settings.schema import Settings
from tinyship.settings.stages import Option, Words

PREFIX = "TINYSHIP_"
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that variables set: dotted keys and values, the variable's name as first of each pair.

    Returns:
        ``{"push.to": ["registry.example.com"]}``.

    Raises:
        ConfigError: a variable that begins with ``TINYSHIP_`` is no setting, or cannot be read.
    """
    known = {variable(key): (key, kind) for key, kind in _leaves(Settings, "")}
    known[variable("images")] = ("images", tuple[dict[str, Any], ...])
    found = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or not text:
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise ConfigError(f"{name} is no setting; the nearest is {near[0]}")
        key, kind = known[name]
        found[key] = _value(name, text, kind)
    return found


def variable(key: str) -> str:
    """The name of the variable of a dotted key."""
    return PREFIX + key.replace(".", "_").upper()


def _leaves(struct: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.name}"
        section = next((kind for kind in (field.type, *get_args(field.type)) if _is_section(kind)), None)
        if section and getattr(field.type, "__origin__", None) is not tuple:
            yield from _leaves(section, f"{key}.")
        else:
            yield key, field.type


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _value(name: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(f"{name} is `{text}`, but yes or no is expected")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ConfigError(f"{name} is `{text}`, but a number is expected") from None
    is_list = getattr(kind, "__origin__", None) is tuple
    if is_list and text.lstrip().startswith("["):
        return _json(name, text)
    if kind == Words and text.lstrip().startswith('["'):  # `[ -f x ]` is a command too
        return _json(name, text)
    if is_list and get_args(kind)[0] == Option:
        if "," in text:  # of two entries or of one, nobody could tell
            raise ConfigError(f"""{name} is a list whose entries have commas: write it as JSON, '["key=value,..."]'""")
        return [text.strip()]
    if is_list and get_args(kind)[0] is not str:
        return _json(name, text)
    return [entry.strip() for entry in text.split(",") if entry.strip()] if is_list else text


def _json(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} is no JSON: {error}") from None
    if not isinstance(value, list):
        raise ConfigError(f"{name} is no list")
    return value
