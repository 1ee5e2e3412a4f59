"""What is not written by hand of the site, as an extension of Sphinx: tasks, record, examples, links out of `docs/`.

A page says where a generated part goes with a comment, which GitHub does not show: `<!-- site: tasks -->`. What
comes after the part's name is for the part: `<!-- site: api tinyship.plan.Plan -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.shell import BashSessionLexer
from pygments.lexers.special import TextLexer

from tools.site import api, changelog, contents, examples, links, names, record, tasks

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PARTS: dict[str, Callable[..., str]] = {
    "api": api.page,
    "changelog": changelog.page,
    "record": record.page,
    "tasks": tasks.page,
}
_PLACE = re.compile(r"<!-- site: (\w+)((?: [\w.]+)*) -->")


class Session(BashSessionLexer):
    """What one types after ``$``, and what a program says; Pygments takes a line with ``98 %`` for a prompt as well."""

    _ps1rgx = re.compile(r"^(\$)( .*\n?)")


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx call us."""
    app.connect("builder-inited", _make_pages)
    app.connect("env-get-outdated", _made_anew)
    app.connect("source-read", _fill)
    app.connect("missing-reference", names.resolve)
    app.connect("autodoc-process-docstring", names.plain, priority=400)  # before napoleon
    app.connect("doctree-resolved", names.dashes)
    app.add_lexer("mermaid", TextLexer)  # what GitHub draws is text here
    app.add_lexer("console", Session)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _make_pages(app: Sphinx) -> None:
    examples.write(Path(app.srcdir) / examples.FOLDER)


def _made_anew(app: Sphinx, env: BuildEnvironment, *pages: set[str]) -> list[str]:
    """The pages that may differ although their files do not."""
    return [page for page in env.found_docs if page == "index" or _PLACE.search(env.doc2path(page).read_text())]


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put generated parts where a page wants them, and let its links lead to pages of the site."""
    text = _PLACE.sub(lambda place: PARTS[place[1]](*place[2].split()), source[0])
    source[0] = links.within(contents.present(text, Path(app.srcdir)), Path(page).parent)
