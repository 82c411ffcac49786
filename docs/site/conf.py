"""How Sphinx makes a site of the lessons; `scripts/lesson_site.py` puts them beside this file first."""

import re
from pathlib import Path
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
html_css_files = ["player.css", "lessons.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
html_show_sphinx = False
# A page that was opened from a folder may not read other pages.
html_show_search_summary = False


#: What keeps somebody out of the theme's pages, and what stands there instead.
_MENDED = {
    # What folds an output away is called what it says.
    ' aria-label="Toggle hidden content"': "",
    # A heading has a level, and a page a heading.
    'class="caption" role="heading"': 'class="caption" role="heading" aria-level="2"',
    '<div id="search-results"></div>': '<h1>Search</h1>\n<div id="search-results"></div>',
    # Two asides are told apart.
    '<aside class="sidebar-drawer"': '<aside class="sidebar-drawer" aria-label="The course"',
    '<aside class="toc-drawer': '<aside aria-label="This page" class="toc-drawer',
}


def setup(app: Any) -> None:
    """Mend what keeps somebody out."""
    app.connect("build-finished", _mend)


#: The same, where what is found is not always the same text.
_MENDED_WHEREVER = {
    # What heads nothing is no heading.
    r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>": "<td></td>",
    # What leads up stands beside the text, in a landmark of its own.
    r'(?s)(<a href="#" class="back-to-top.*?</a>)': r'<nav aria-label="Back to top">\1</nav>',
}


def _mend(app: Any, error: Exception | None) -> None:
    for page in [] if error else Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for found, mended in _MENDED.items():
            text = text.replace(found, mended)
        for pattern, mended in _MENDED_WHEREVER.items():
            text = re.sub(pattern, mended, text)
        page.write_text(text, encoding="utf-8")
