"""One page with all that is known of an image's size: a file of its own, that loads nothing and works without scripts.

What it may run is said by a content security policy: the two scripts in it, by their digests, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from tinyship import units
from tinyship.errors import TinyshipError
from tinyship.sizes.report import charts, gains, palette, sections
from tinyship.sizes.report.markup import code, text
from tinyship.sizes.report.names import shown
from tinyship.sizes.report.report import Report
from tinyship.sizes.report.tree import tree

_TILES = (("tile-base", "base image"), ("tile-own", "own layers"), ("dead", "dead: hidden by a later layer"))
_STAGES = (("base", "of the base image"), ("own", "its own"), ("dead", "dead"))
_LINES = (("line", "unpacked"), ("dots", "pull"), ("dead", "dead"))


def page(report: Report) -> str:
    """The page, as HTML. The same report makes the same bytes.

    Raises:
        TinyshipError: plotly is not installed.
    """
    figures: dict[str, Any] = {}
    boxes = tree(report.account)
    if boxes:
        figures["treemap"] = charts.treemap(report, boxes)
    if len(report.trend) > 1:
        figures["releases"] = charts.trend(report.trend)
    scripts = (_plotly(), _file("page.js")) if figures else ()
    title = f"{shown(report.title)}: {units.size(report.account.unpacked)}"
    data = {"figures": figures, "palettes": {"light": palette.LIGHT, "dark": palette.DARK}} if figures else {}
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(*scripts)}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{text(title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n",
            _body(report, figures),
            *(f'<script type="application/json" id="{name}">{_json(value)}</script>\n' for name, value in data.items()),
            *(f"<script>{script}</script>\n" for script in scripts),
            "</body>\n</html>\n",
        )
    )


def _body(report: Report, figures: Mapping[str, Any]) -> str:
    image = report.account.image
    facts = " · ".join(
        part
        for part in (
            text(shown(report.made[:10])),
            text(shown(image.platform)),
            code(shown(image.id.removeprefix("sha256:")[:12])),
        )
        if part
    )
    boxes = _chart("treemap", f"Boxes to scale: {sections.summary(report)}", figures, _TILES)
    lines = _chart("releases", f"Sizes of {len(report.trend)} releases.", figures, _LINES)
    parts = (
        ("bytes", "Where the bytes are", boxes + sections.folders(report)),
        ("stages", "From base to release", sections.legend(_STAGES) + sections.chain(report) if report.chain else ""),
        ("trend", "Over the releases", lines + sections.trend(report)),
        ("difference", "What changed", gains.section(report.diff) if report.diff else ""),
        ("advice", "What would make it smaller", sections.advice(report)),
        ("layers", "Layers", sections.layers(report)),
        ("files", "Largest files", sections.files(report)),
        ("dead", "Dead files", sections.dead(report)),
        ("packages", "Packages", sections.packages(report)),
        ("notices", "To be known", sections.notices(report)),
    )
    return (
        f'<header><h1>{text(shown(report.title))}</h1><p class="muted">{facts}</p></header>\n<main>\n'
        f"{sections.headline(report)}{sections.budgets(report) if report.budgets else ''}\n"
        f"{''.join(sections.contents(parts))}</main>\n"
        "<footer>Sizes are decimal: 1 MB is 1,000,000 bytes. Made by tinyship.</footer>\n"
    )


def _chart(name: str, description: str, figures: Mapping[str, Any], legend: tuple[tuple[str, str], ...]) -> str:
    if name not in figures:
        return ""
    drawn = f'<div id="{name}" role="img" aria-label="{text(description)} The table below says the same."></div>'
    return f'<div class="chart">{sections.legend(legend)}{drawn}</div>'


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # it has no annotations
    except ImportError:
        raise TinyshipError(
            "the report needs plotly, which is not installed", hint="pip install 'tinyship[report]'"
        ) from None
    return str(get_plotlyjs())


def _style() -> str:
    """Light and dark, by what the reader's system asks for; paper is light."""
    light, dark = palette.variables(palette.LIGHT), palette.variables(palette.DARK)
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{_file('page.css')}"


def _file(name: str) -> str:
    return resources.files("tinyship.sizes.report").joinpath(name).read_text("utf-8")


def _policy(*scripts: str) -> str:
    """What the page may do. Styles are its own: bars have their widths in attributes."""
    allowed = [f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts]
    run = " ".join(allowed) or "'none'"
    return f"default-src 'none'; script-src {run}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def _json(value: object) -> str:
    """JSON that may stand in a script element: nothing in it begins a tag."""
    packed = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return packed.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
