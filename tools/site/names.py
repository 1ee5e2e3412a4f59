"""What Sphinx has to know of our annotations and docstrings: `Plan` in an annotation is `tinyship.plan.Plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_ELSEWHERE = frozenset(
    {
        "Account",
        "Any",
        "Callable",
        "Engine",
        "Events",
        "Iterator",
        "Mapping",
        "Path",
        "Sequence",
        "Tasks",
        "Together",
        "array",
    }
)
"""What others document, and what says enough as it is."""

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Element | None:
    """The one documented thing whose name ends so; None where there is none, or several."""
    if node.get("refdomain") != "py":
        return None
    from sphinx.util.nodes import make_refnode

    wanted = node["reftarget"].partition("[")[0].rpartition(".")[2]
    if wanted in _ELSEWHERE:
        return content
    found = {
        (entry.docname, entry.node_id)
        for name, entry in env.domains.python_domain.objects.items()
        if name.rpartition(".")[2] == wanted and entry.objtype not in {"attribute", "method", "property", "module"}
    }
    if len(found) == 1:
        page, place = found.pop()
        return make_refnode(app.builder, node["refdoc"], page, place, content, wanted)
    return None


def dashes(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let a dash stand between a parameter and what it is."""
    from docutils import nodes
    from sphinx.addnodes import desc_content

    for content in doctree.findall(desc_content):
        for text in content.findall(lambda node: isinstance(node, nodes.Text) and node == " -- "):
            text.parent.replace(text, nodes.Text(" \u2013 "))


def plain(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let an attribute's docstring be text: napoleon takes what stands before its first colon for a type."""
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]  # an empty comment
