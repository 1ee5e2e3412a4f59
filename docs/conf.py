"""How the site is made of the pages in this folder; `./dev docs` makes it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import tinyship  # noqa: E402

project = "tinyship"
author = "The tinyship maintainers"
version = release = tinyship.__version__
html_title = "tinyship"
html_short_title = "tinyship"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "tools.site"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(_pytest|collections|datetime|invoke|msgspec|pathlib)\..*"),  # other people's pages
    ("py:.*", r"tinyship\.(credentials|engine|settings)\..*"),  # which no script has to know
]
smartquotes = False  # `--json` has two dashes
show_warning_types = True
suppress_warnings = ["misc.highlighting_failure"]  # GitHub has other lexers

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_links_external_new_tab = False

autodoc_default_options = {"members": True, "exclude-members": "__init__,__new__"}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_use_legacy_class_based = True
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 80
add_module_names = False
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = html_favicon = "_static/logo.svg"
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5fa5", "color-brand-content": "#0b5fa5"},
    "dark_css_variables": {"color-brand-primary": "#6cb6ff", "color-brand-content": "#6cb6ff"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
