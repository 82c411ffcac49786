"""How Sphinx makes a site of the lessons; `scripts/lesson_site.py` puts them beside this file first."""

from typing import Any

project = "Work queues, seen from inside"
html_title = project
author = "the authors of the course"
project_copyright = "the authors of the course, Apache License 2.0"
language = "en"
smartquotes = False  # a quotation mark in a sentence may well be Python's

extensions = ["myst_nb"]
exclude_patterns = ["**/programs/*.md"]

# The lessons were run already; what they showed is in them.
nb_execution_mode = "off"
nb_number_source_lines = False
# Pictures in text/html have words beside them, those in image/png have none.
nb_mime_priority_overrides = [("html", "text/html", 0)]
# No widgets, and so nothing of what makes them live, which would come from elsewhere.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
myst_heading_anchors = 3
# Each lesson begins with a heading of its own; what a program prints is not a language.
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["lessons.css"]
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
html_show_sphinx = False
# A page that was opened from a folder may not read other pages.
html_show_search_summary = False


def setup(app: Any) -> None:
    """Let what folds an output away be called what it says."""
    app.connect("html-page-context", _name_folds)


def _name_folds(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:  # noqa: ARG001 - Sphinx passes them
    if "body" in context:
        context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")
