"""The grammar of `docker build`'s options: fields between commas, ``key=value,key="a,b"``.

Source: RFC 4180, which Docker's own commands read their options with; quotes stand around a field, ``"key=a,b"``, or
around its value, ``key="a,b"``, and a quote inside of them is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIELD = re.compile(
    r"""\s*(?:"(?P<whole>(?:[^"]|"")*)"|(?P<key>[^",=]*=)\s*"(?P<value>(?:[^"]|"")*)"|(?P<plain>[^",]*))\s*(?P<end>,|$)"""
)


def split(text: str) -> tuple[str, ...]:
    """The fields of an option, without their quotes.

    Raises:
        ValueError: a quote is out of place, or a field is empty; never tells the text, in which a secret may stand.
    """
    found, at, end = [], 0, ","
    while end == ",":
        match = _FIELD.match(text, at)
        if not match:
            raise ValueError("a quote stands in the middle of a field, or is not closed")
        quoted = match["whole"] or match["value"] or ""
        field = (match["key"] or match["plain"] or "").strip() + quoted.replace('""', '"')
        if not field:
            raise ValueError("a field is empty")
        found.append(field)
        at, end = match.end(), match["end"]
    return tuple(found)


def pairs(text: str) -> dict[str, str]:
    """The fields of an option as keys and values.

    Raises:
        ValueError: as ``split``; or a field is not of the form ``key=value``, or a key stands there twice.
    """
    found: dict[str, str] = {}
    for field in split(text):
        key, equals, value = field.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError("a field is not of the form `key=value`")
        if key in found:
            raise ValueError(f"`{key}` stands there twice")
        found[key] = value
    return found


def join(values: Mapping[str, str]) -> str:
    """Keys and values as one option, which ``pairs`` reads back."""
    return ",".join(_quoted(f"{key}={value}") for key, value in values.items())


def _quoted(field: str) -> str:
    plain = not re.search(r'[",\s]', field)
    return field if plain else '"' + field.replace('"', '""') + '"'
