"""YAML with the line of each value, read by the YAML that Invoke brings along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_TRUE = {"true", "yes", "on", "y"}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its line, from 1: a map of nodes, a list of nodes, or a text, a truth value or None.

    Numbers stay the texts that they are written as: ``3.10`` is no ``3.1``.
    """

    value: Any
    line: int

    def get(self, key: str) -> Node:
        """What a map has under a key; a node of None where it has none, or is none."""
        found = self.value.get(key) if isinstance(self.value, Mapping) else None
        return found if isinstance(found, Node) else Node(None, self.line)

    def items(self) -> Iterator[tuple[str, Node]]:
        """The keys of a map with their values; none where it is none."""
        yield from self.value.items() if isinstance(self.value, Mapping) else ()

    def each(self) -> Iterator[Node]:
        """The entries of a list; none where it is none."""
        yield from self.value if isinstance(self.value, list) else ()

    def text(self) -> str:
        """A scalar as a text; empty where it is none."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return self.value if isinstance(self.value, str) else ""


def read(path: Path) -> Node:
    """Read a file of one document.

    Raises:
        ValueError: it is no YAML; the first line says why.
    """
    util: Any = import_module("invoke.util")  # Invoke's types do not tell that it has one
    yaml = util.yaml
    try:
        root = yaml.compose(path.read_text("utf-8", "replace"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return _node(root) if root is not None else Node(None, 1)


def _node(node: Any) -> Node:
    line = node.start_mark.line + 1
    if node.id == "sequence":
        return Node([_node(one) for one in node.value], line)
    if node.id == "mapping":
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key, value in node.value:
            if key.value == "<<":
                for one in value.value if value.id == "sequence" else [value]:
                    merged = {**dict(_node(one).items()), **merged}
            else:
                own[str(key.value)] = _node(value)
        return Node({**merged, **own}, line)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return Node(None, line)
    return Node(node.value.lower() in _TRUE if kind == "bool" else node.value, line)
