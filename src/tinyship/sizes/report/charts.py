"""The two charts that are drawn in the browser, as data for plotly.js. Colours are names of ``palette``.

Source of the attributes: plotly.js, "Figure Reference"; of its text: it reads a few tags and entities, so that what
others named has to be escaped as in HTML.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tinyship.sizes.report.names import apart, instruction, path, shown
from tinyship.sizes.report.palette import LAYERS
from tinyship.sizes.report.report import Point, Report
from tinyship.sizes.report.tree import Node
from tinyship.units import size

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"
_WIDTH = 44  # characters of a line that fits beside a finger on a phone


def treemap(report: Report, nodes: Sequence[Node]) -> dict[str, Any]:
    """Instruction, folder and file as boxes of their bytes; dead ones are hatched."""
    dead = [bool(node.dead) and node.dead == node.size for node in nodes]
    tiles = _tiles(report)
    grounds = ["dead-ground" if gone else tiles[node.layer] for node, gone in zip(nodes, dead, strict=True)]
    return {
        "data": [
            {
                "type": "treemap",
                "ids": [str(node.number) for node in nodes],
                "parents": ["" if node.parent < 0 else str(node.parent) for node in nodes],
                "labels": [_label(report, node) for node in nodes],
                "values": [node.size for node in nodes],
                "customdata": ["<br>".join(_hover(report, node)) for node in nodes],
                "branchvalues": "total",
                "sort": True,
                "textinfo": "label",
                "textfont": {"color": "ink"},
                "hovertemplate": "%{customdata}<extra></extra>",
                "textposition": "top left",
                "tiling": {"packing": "squarify", "pad": 1},
                "pathbar": {"thickness": 24, "textfont": {"size": 12}},
                "marker": {
                    "colors": grounds,
                    "line": {"width": 1, "color": "panel"},
                    "pad": {"t": 20, "l": 2, "r": 2, "b": 2},
                    "pattern": {
                        "shape": ["/" if gone else "" for gone in dead],
                        "bgcolor": grounds,
                        "fgcolor": "dead-line",
                        "fillmode": "replace",
                        "size": 10,
                        "solidity": 0.16,
                    },
                },
            }
        ],
        "layout": {
            **_layout(),
            "margin": {"t": 0, "l": 0, "r": 0, "b": 0},
        },
    }


def trend(points: Sequence[Point]) -> dict[str, Any]:
    """What releases weighed: unpacked, pull, and the dead bytes at the bottom."""
    along = list(range(len(points)))
    lines: list[tuple[str, str, dict[str, Any], str, list[int | None]]] = [
        ("unpacked", "own", {"width": 2.5}, "circle", [point.unpacked for point in points]),
        ("pull", "ink", {"width": 2, "dash": "dot"}, "square", [point.pull for point in points]),
    ]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": along,
            "y": values,
            "line": {"color": colour, **line},
            "marker": {"symbol": symbol, "size": 7, "color": colour},
            "customdata": [_of_point(name, point, value) for point, value in zip(points, values, strict=True)],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for name, colour, line, symbol, values in lines
        if any(value is not None for value in values)
    ]
    if any(point.dead for point in points):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "dead",
                "x": along,
                "y": [point.dead for point in points],
                "line": {"width": 1, "color": "dead"},
                "fill": "tozeroy",
                "fillcolor": "dead-ground",
                "fillpattern": {"shape": "/", "fgcolor": "dead-line", "bgcolor": "dead-ground", "size": 8},
                "customdata": [_of_point("dead", point, point.dead) for point in points],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    marks = _marks(max(point.unpacked for point in points))
    axis: dict[str, Any] = {
        "fixedrange": True,
        "zeroline": False,
        "linecolor": "line",
        "gridcolor": "grid",
        "automargin": True,
    }
    return {
        "data": traces,
        "layout": {
            **_layout(),
            "margin": {"t": 12, "l": 8, "r": 16, "b": 8},
            "hovermode": "closest",
            "dragmode": False,
            "xaxis": {
                **axis,
                "showgrid": False,
                "tickangle": 0,
                "range": [-0.3, len(points) - 0.7],
                "tickvals": along,
                "ticktext": [_escaped(shown(point.version, 14)) for point in points],
            },
            "yaxis": {
                **axis,
                "range": [0, 1.08 * max(point.unpacked for point in points)],
                "tickvals": marks,
                "ticktext": [size(mark) for mark in marks],
            },
        },
    }


def _marks(highest: int) -> list[int]:
    """Round numbers from 0 to the highest, three to ten of them."""
    step = 10 ** (len(str(highest)) - 1)
    first = highest // step
    if first > 5:
        step *= 2
    elif first < 3:
        step //= 2 if first == 2 else 5
    return list(range(0, highest + 1, max(1, step)))


def _layout() -> dict[str, Any]:
    return {
        "autosize": True,
        "paper_bgcolor": "panel",
        "plot_bgcolor": "panel",
        "showlegend": False,
        "font": {"family": _FONT, "size": 12, "color": "ink"},
        "hoverlabel": {
            "bgcolor": "panel",
            "bordercolor": "muted",
            "align": "left",
            "font": {"family": _FONT, "size": 13, "color": "ink"},
        },
    }


def _tiles(report: Report) -> dict[int, str]:
    """The colour of each layer that holds something; -1 is the image."""
    own = [number for number, held in enumerate(report.account.held) if held and number >= report.base]
    return {
        -1: "tile-root",
        **dict.fromkeys(range(report.base), "tile-base"),
        **{number: f"tile-{place % LAYERS}" for place, number in enumerate(own)},
    }


def _label(report: Report, node: Node) -> str:
    if node.layer < 0:
        return f"<b>{_escaped(shown(report.title, 60))}</b>  {size(node.size)}"
    if node.rest:
        return f"{_files(node.files, 'smaller dead' if node.dead else 'smaller')}  {size(node.size)}"
    if node.name:
        return f"{_escaped(shown(node.name, 48))}  {size(node.size)}"
    return f"<b>{_escaped(_beginning(_step(report, node.layer, 400)))}</b>  {size(node.size)}"


def _hover(report: Report, node: Node) -> Iterator[str]:
    if node.layer < 0:
        yield from _bold(shown(report.title, 200))
    elif node.name:
        yield from _bold(path(node.path, 200))
    elif node.rest:
        yield from _bold(f"{_files(node.files)} too small to be drawn, in {path(node.path, 160)}")
    else:
        yield from _bold(_step(report, node.layer, 200))
    yield f"{node.size:,} bytes ({size(node.size)})"
    if not node.killed and not node.rest:
        yield _files(node.files)
    if node.dead and node.dead != node.size:
        yield f"of these dead: {node.dead:,} bytes"
    if node.layer >= 0 and (node.name or node.rest):
        yield from _lines(f"written by {_step(report, node.layer, 120)}")
    if node.killed:
        yield from _lines(f"dead: {node.killed.cause} by {_step(report, node.killed.hidden, 120)}")
    elif node.dead and node.dead == node.size:
        yield "dead: hidden by later layers"


def _of_point(name: str, point: Point, value: int | None) -> str:
    if value is None:
        return ""
    what = f"{name} {value:,} bytes ({size(value)})"
    return "<br>".join(
        (*_bold(shown(point.version, 80)), what, _escaped(shown(f"{point.date[:10]} {point.commit[:7]}")))
    )


def _step(report: Report, layer: int, most: int) -> str:
    return instruction(report.account.image.layers[layer].instruction, layer + 1, most)


def _beginning(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _files(count: int, kind: str = "") -> str:
    return f"{count:,} {f'{kind} ' if kind else ''}file{'' if count == 1 else 's'}"


def _bold(text: str) -> Iterable[str]:
    return (f"<b>{line}</b>" for line in _lines(text))


def _lines(text: str) -> Iterable[str]:
    return (_escaped(line) for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False))


def _escaped(text: str) -> str:
    """Text that plotly takes for neither markup nor, between dollars, a formula."""
    return html.escape(apart(text), quote=False).replace("$", "&#36;")
