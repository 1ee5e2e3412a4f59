"""The tables of `docs/settings.md`: between two comments, `<!-- settings: KEY ... -->` and `<!-- end -->`, stand rows.

A key that is a section stands for all that is in it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from tools.settings.keys import Key, images, leaves

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "settings.md"
_NOTHING: tuple[Any, ...] = (msgspec.NODEFAULT, None, "", 0, False, [])
_TABLE = re.compile(r"(<!-- settings: (?P<names>[^>]*?) -->\n).*?(<!-- end -->)", re.S)


def filled(text: str) -> str:
    """The page with its tables made anew.

    Raises:
        ValueError: a table names what is no key, or the tables do not have each key once.
    """
    known = {"images": images(), **dict(leaves())}
    shown: list[str] = []

    def table(place: re.Match[str]) -> str:
        names = [name for wanted in place["names"].split() for name in _below(wanted, known)]
        shown.extend(names)
        rows = [f"| `{name}` | {_form(known[name])} | {_meaning(known[name])} |" for name in names]
        return place[1] + "\n".join(["", "| key | form | meaning |", "|---|---|---|", *rows, "", ""]) + place[3]

    text = _TABLE.sub(table, text)
    if sorted(shown) != sorted(known):
        missing, twice = sorted(known.keys() - set(shown)), sorted({name for name in shown if shown.count(name) > 1})
        raise ValueError(f"docs/settings.md: no table has {missing}; several have {twice}")
    return text


def _below(wanted: str, known: dict[str, Key]) -> list[str]:
    names = [name for name in known if name == wanted or name.startswith((f"{wanted}.", f"{wanted}[]."))]
    if not names:
        raise ValueError(f"docs/settings.md: `{wanted}` is no key")
    return names


def _form(key: Key) -> str:
    return ", ".join(f"`{_cell(form)}`" for form in _forms(key))


def _forms(key: Key) -> list[str]:
    """How one writes it."""
    if get_origin(key.kind) is Literal:
        return [str(choice) for choice in get_args(key.kind) if choice]
    if key.kind is bool:
        return ["true", "false"]
    return list(key.examples) or [_shown(key.default)]


def _meaning(key: Key) -> str:
    """What it means, and its default where that does not go without saying."""
    unsaid = key.default in _NOTHING or (
        not key.examples and key.kind is not bool and get_origin(key.kind) is not Literal
    )
    return _cell(key.meaning) + ("" if unsaid else f" By default `{_shown(key.default)}`.")


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
