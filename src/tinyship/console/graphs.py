"""The graph of a project's images: as a tree for people, as Mermaid for pages, as data for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tinyship.codes import without_codes
from tinyship.console.tables import table
from tinyship.errors import ConfigError
from tinyship.lineage import Edge, Lineage, Node, Shared, Total
from tinyship.units import known, size

FORMATS = ("tree", "mermaid", "json")
_COLUMNS = ("image", "stage", "unpacked", "unique", "layers", "shared")
_HOW = {"FROM": "FROM", "artifacts": "artifacts of", "uses": "uses"}
_PLAIN = re.compile(r"[^A-Za-z0-9 /:._,@+-]")
_CLASSES = (
    "classDef release stroke-width:3px",
    "classDef base stroke-width:1px",
    "classDef build stroke-dasharray:1 3",
    "classDef external fill:none",
    "classDef missing fill:none,stroke-dasharray:6 4",
)


def drawing(format: str) -> Callable[[Lineage], tuple[str, ...]]:
    """What makes lines of a graph, for the name of a format; that of the tree where it is empty.

    Raises:
        ConfigError: there is no such format.
    """
    if format and format not in FORMATS:
        raise ConfigError(f"`--format={format}`: there are {', '.join(FORMATS)}")
    drawn = {"tree": tree, "mermaid": mermaid, "json": _as_json}
    return drawn[format or "tree"]


def tree(graph: Lineage) -> tuple[str, ...]:
    """A row for each image, below those that stand on it; one that stands below several is shown in full once."""
    shown: set[str] = set()
    rows = [row for top in graph.tops() for row in _rows(graph, top, shown)]
    lines = (*table(_COLUMNS, rows, right=("unpacked", "unique", "layers")), "", *_totals(graph), *_said(graph))
    return tuple(without_codes(line) for line in lines)


def mermaid(graph: Lineage) -> tuple[str, ...]:
    """A flowchart: sizes on the images, and what they share on the arrows, which lead to what an image stands on.

    Source: Mermaid's syntax of flowcharts ("Special characters that break syntax", "Entity codes to escape
    characters"): what is between quotes is text, but for quotes, entities, and what begins a directive or Markdown.
    """
    number = {node.image: f"i{count}" for count, node in enumerate(graph.nodes)}
    return (
        "flowchart TD",
        *(f"  {number[node.image]}{_label(_node_text(node))}:::{_class(node)}" for node in graph.nodes),
        *(
            f"  {number[edge.image]} {_arrow(edge)}|{_quoted(_edge_text(graph, edge))}| {number[edge.on]}"
            for edge in graph.edges
        ),
        *(f"  total{_label([*_totals(graph)])}" for _ in range(bool(graph.nodes))),
        *(f"  {line}" for line in _CLASSES),
    )


def data(graph: Lineage) -> dict[str, Any]:
    """The graph as JSON has it: bytes are unpacked ones, of files on disk; null where not known."""
    return {
        "images": [
            {
                "image": node.image,
                "stage": node.stage,
                "of": node.of,
                "in_engine": node.is_there,
                "id": node.id or None,
                "unpacked": node.unpacked,
                "unique": graph.unique(node.image),
                "layers": node.layers,
            }
            for node in graph.nodes
        ],
        "edges": [
            {
                "image": edge.image,
                "on": edge.on,
                "how": edge.how,
                "shared": graph.shared(edge),
                "stale": graph.is_stale(edge),
            }
            for edge in graph.edges
        ],
        "total": graph.total(),
        "releases": graph.total("release"),
        "notes": graph.notes,
    }


def _as_json(graph: Lineage) -> tuple[str, ...]:
    from dataclasses import asdict

    return (json.dumps(data(graph), default=asdict),)


def _rows(
    graph: Lineage, node: Node, shown: set[str], *, before: str = "", joint: str = "", edge: Edge | None = None
) -> Iterator[tuple[str, ...]]:
    """The row of an image, and those of what it stands on.

    Args:
        shown: the images that were shown in full.
        before: what stands before each row of this branch.
        joint: what joins this row to its branch; empty for the top.
        edge: what leads here.
    """
    again = node.image in shown and bool(graph.below(node.image))
    how = f"{_HOW[edge.how]} " if edge else ""
    yield (
        f"{before}{joint}{how}{node.image}{' (above)' if again else ''}",
        node.stage,
        "missing" if not node.is_there else known(node.unpacked),
        known(graph.unique(node.image)),
        str(len(node.layers)) if node.is_there else "-",
        _shared_text(graph.shared(edge), stale=graph.is_stale(edge)) if edge else "",
    )
    if again:
        return
    shown.add(node.image)
    inside = before + {"": "", "├─ ": "│  ", "└─ ": "   "}[joint]
    below = graph.below(node.image)
    for count, lower in enumerate(below, 1):
        next_joint = "└─ " if count == len(below) else "├─ "
        yield from _rows(graph, graph.node(lower.on), shown, before=inside, joint=next_joint, edge=lower)


def _shared_text(shared: Shared | None, *, stale: bool) -> str:
    if shared is None:
        return "-"
    if not shared.layers:
        said = "nothing"
    else:
        count = f"{shared.layers} layer{'' if shared.layers == 1 else 's'}"
        many = f"{shared.layers} of {shared.of} layers" if shared.layers < shared.of else count
        said = f"{many}, {known(shared.unpacked)}"
    return f"{said}: made from another one" if stale else said


def _totals(graph: Lineage) -> Iterator[str]:
    yield f"all: {_total_text(graph.total())}"
    yield f"releases: {_total_text(graph.total('release'))}"


def _total_text(total: Total) -> str:
    if not total.images:
        return "not known"
    images = f"{total.images} image{'' if total.images == 1 else 's'}"
    layers = f"{total.layers} layer{'' if total.layers == 1 else 's'}"
    apart = f", {size(total.apart)} if none were shared" if total.apart != total.unpacked else ""
    missing = len(total.missing)
    without = f"; {missing} more {'is' if missing == 1 else 'are'} not counted" if missing else ""
    return f"{size(total.unpacked)} unpacked, {layers} of {images}, each once{apart}{without}"


def _said(graph: Lineage) -> Iterator[str]:
    if missing := [node.image for node in graph.nodes if not node.is_there]:
        yield f"not in this engine: {', '.join(missing)}"
    if unread := [node.image for node in graph.nodes if node.is_there and node.unpacked is None]:
        yield f"not weighed yet: {', '.join(unread)}"
    for note in graph.notes:
        yield f"note: {note}"


def _node_text(node: Node) -> list[str]:
    if not node.is_there:
        return [node.image, f"{node.stage}, not in this engine"]
    weight = "not weighed yet" if node.unpacked is None else f"{size(node.unpacked)} unpacked"
    return [node.image, f"{node.stage}, {weight}"]


def _edge_text(graph: Lineage, edge: Edge) -> str:
    shared = graph.shared(edge)
    text = "shared: not known" if shared is None else _shared_text(shared, stale=graph.is_stale(edge))
    return f"{edge.how}, {'shares ' if shared else ''}{text}"


def _class(node: Node) -> str:
    return node.stage if node.is_there else "missing"


def _arrow(edge: Edge) -> str:
    return "-->" if edge.how == "FROM" else "-.->"


def _label(lines: list[str]) -> str:
    return f'["{"<br/>".join(_escaped(line) for line in lines)}"]'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return _PLAIN.sub(lambda match: f"#{ord(match[0])};", without_codes(text))
