"""The keys of the settings: what the types say, and what stands below each of them in the source."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
import yaml

from tinyship.settings.schema import IMAGES, Settings

_EXAMPLES = re.compile(r"(?P<meaning>.*?)(?:(?:^|\s)For example (?P<examples>``.*``)\.)?", re.S)


@dataclass(frozen=True)
class Key:
    """A key of a section.

    Args:
        name: its own.
        kind: its type.
        default: as one would write it in YAML; ``msgspec.NODEFAULT`` where it has to be there.
        meaning: for people, as Markdown.
        examples: as one would write them in YAML.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    examples: tuple[str, ...]

    @property
    def section(self) -> type[msgspec.Struct] | None:
        """The type of what is below it, or of each entry of it; None where it is a value."""
        return next((kind for kind in (self.kind, *get_args(self.kind)) if is_section(kind)), None)

    @property
    def is_list(self) -> bool:
        """Whether it can only be a list."""
        return get_origin(self.kind) is tuple

    @property
    def values(self) -> tuple[Any, ...]:
        """The examples as values."""
        return tuple(yaml.safe_load(example) for example in self.examples)


def keys(section: type[msgspec.Struct]) -> tuple[Key, ...]:
    """The keys of a section, in their order.

    Raises:
        ValueError: nothing says what one of them means.
    """
    said = _docstrings(section)
    found = []
    for field in msgspec.structs.fields(section):
        if not said.get(field.name):
            raise ValueError(f"nothing stands below {section.__name__}.{field.name} and says what it means")
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if default is not msgspec.NODEFAULT:
            default = msgspec.json.decode(msgspec.json.encode(default))
        found.append(_key(field.name, field.type, default, said[field.name]))
    return tuple(found)


def leaves(section: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[tuple[str, Key]]:
    """All keys that are values, by their dotted names; ``[]`` stands behind the name of a list of sections."""
    for key in keys(section):
        if key.section:
            yield from leaves(key.section, f"{prefix}{key.name}{'[]' if key.is_list else ''}.")
        else:
            yield f"{prefix}{key.name}", key


def images() -> Key:
    """The key of several images, which is laid out before the others are read, and so is none of their types."""
    return _key("images", tuple[Settings, ...], [], IMAGES)


def is_section(kind: object) -> bool:
    """Whether a type is that of a section."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _key(name: str, kind: Any, default: Any, said: str) -> Key:
    match = _EXAMPLES.fullmatch(" ".join(said.split()))
    assert match
    examples = tuple(re.findall(r"``(.*?)``", match["examples"] or ""))
    return Key(name, kind, default, match["meaning"].replace("``", "`"), examples)


def _docstrings(section: type[msgspec.Struct]) -> dict[str, str]:
    """What stands below each key of a section in its source."""
    (found,) = (
        node
        for node in _module(section.__module__).body
        if isinstance(node, ast.ClassDef) and node.name == section.__name__
    )
    said = {}
    for node, below in zip(found.body, found.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    said[node.target.id] = text
    return said


@cache
def _module(name: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[name]))
