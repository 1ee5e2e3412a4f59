"""What is wrong with the config, in its own names and words; an error names key, value and source in one line."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from tinyship.settings.schema import Settings

if TYPE_CHECKING:
    from tinyship.settings.merge import Merged

SECTION = "tinyship"
_AT = re.compile(r"(?P<problem>.*?)(?: - at `(?P<path>[^`]*)`)?", re.S)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.S)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.S)
_ABOUT = re.compile(r"`(\w+)`: (.*)", re.S)
_EXPECTED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "array": "a list",
    "object": "a section",
    "object | null": "a section",
    "str | array": "text or a list",
}
_PRIVATE = ("args", "labels", "env", "secrets", "cache_from", "cache_to", "proxy")


def explained(message: str, merged: Merged) -> str:
    """msgspec's message with the names and words of the config."""
    match = _AT.fullmatch(message)
    assert match
    problem, path = match["problem"], (match["path"] or "$").removeprefix("$").lstrip(".")
    dotted = re.sub(r"\[.*?\]", "", path)
    if unknown := _UNKNOWN.fullmatch(problem):
        key = f"{dotted}.{unknown[1]}".lstrip(".")
        named = f"{path}.{unknown[1]}".lstrip(".")
        return f"{merged.source_of(key)}: `{SECTION}.{named}` is no setting; {_nearest(dotted, unknown[1])}"
    if missing := _MISSING.fullmatch(problem):
        named = f"{path}.{missing[1]}".lstrip(".")
        return f"{merged.source_of(dotted)}: `{SECTION}.{named}` is missing"
    value = _at(merged.values, path)
    where = f"{merged.source_of(dotted)}: `{SECTION}.{path}`" if path else f"{merged.source_of('')}: `{SECTION}`"
    if dotted == "version" and not isinstance(value, Mapping):
        literal = value if isinstance(value, str | int | float | date) else "1.2.3"
        written = f'`{{literal: "{literal}"}}`, in quotes as it is meant'
        return f"{where} is {shown(value)}, but a section is expected: {written}"
    if expected := _EXPECTED.fullmatch(problem):
        wanted = _WORDS.get(expected[1], expected[1])
        what = shown(value) if not _is_private(dotted) else _WORDS.get(expected[2], expected[2])
        quote = ": quote it" if "str" in expected[1] and isinstance(value, bool | int | float | date) else ""
        return f"{where} is {what}, but {wanted} is expected{quote}"
    if problem.startswith("Invalid enum value"):
        return f"{where} is {shown(value)}, but one of {', '.join(_choices(dotted))} is expected"
    if keyed := _ABOUT.fullmatch(problem):
        key, named = (f"{prefix}.{keyed[1]}".lstrip(".") for prefix in (dotted, path))
        return f"{merged.source_of(key)}: `{SECTION}.{named}`: {keyed[2]}"
    return f"{where}: {problem}"


def _is_private(dotted: str) -> bool:
    return dotted.rpartition(".")[2] in _PRIVATE


def shown(value: object) -> str:
    """A value as an error may have it: short, and without what is in it where that may be a secret."""
    if isinstance(value, Mapping | list | tuple):  # a secret may stand in it
        return "a section" if isinstance(value, Mapping) else "a list"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _at(values: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        try:
            values = values[int(part)] if isinstance(values, list | tuple) else values[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return values


def _nearest(dotted: str, key: str) -> str:
    """The valid key that was meant: one of the same section, or one of that name in another."""
    here = [field.name for field in msgspec.structs.fields(_section(dotted))]
    if not dotted:
        here.append("images")
    elsewhere = {name.rpartition(".")[2]: name for name in _keys(Settings, "")}
    # A close key of the same section before an equal one of another, and that before a distant one.
    cutoff = 0.8 if key in elsewhere else 0.6
    if near := difflib.get_close_matches(key, here, n=1, cutoff=cutoff):
        return f"the nearest is `{near[0]}`"
    if near := difflib.get_close_matches(key, elsewhere, n=1, cutoff=0.8):
        return f"the nearest is `{SECTION}.{elsewhere[near[0]]}`"
    near = difflib.get_close_matches(key, here, n=1, cutoff=0)
    return f"the nearest is `{near[0]}`; there are {', '.join(here)}"


def _section(dotted: str) -> type[msgspec.Struct]:
    """The type of the section at a dotted key."""
    section: type[msgspec.Struct] = Settings
    for part in dotted.split(".") if dotted else ():
        kind = next(field.type for field in msgspec.structs.fields(section) if field.name == part)
        section = next(inner for inner in (kind, *get_args(kind)) if _is_section(inner))
    return section


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _keys(section: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for entry in msgspec.structs.fields(section):
        yield f"{prefix}{entry.name}"
        for inner in (entry.type, *get_args(entry.type)):
            if _is_section(inner):
                yield from _keys(inner, f"{prefix}{entry.name}.")


def _choices(dotted: str) -> tuple[str, ...]:
    parent, _, name = dotted.rpartition(".")
    kind = next(field.type for field in msgspec.structs.fields(_section(parent)) if field.name == name)
    return tuple(str(choice) for choice in get_args(kind) if choice)
