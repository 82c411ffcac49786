"""Nobody is kept out of the site: axe-core finds nothing on any page, in either theme, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# The site is made once, for all pages; each of them is opened once.
pytestmark = pytest.mark.timeout(330)

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PAGES = [
    *("index", "real", "search"),
    *sorted(f"lessons/{path.stem}" for path in [*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("*.md")]),
]

#: Those that the gate looks at: one of each kind, and the lesson with the widest tables and most stages.
NOW = ("index", "real", "search", "lessons/00_start_here", "lessons/07_when_a_task_fails", "lessons/glossary")

#: The themes, and the widths of a desktop and a phone: each in the gate, each with each other at night.
LOOKS = {
    "as most": [("light", 1280), ("dark", 400)],
    "the other way round": [("dark", 1280), ("light", 400)],
}

_UNFOLD = "() => { for (const fold of document.querySelectorAll('details')) fold.open = true; }"

#: Whether the page has come to its new size: what scrolls there can be reached by keyboard.
_RESIZED = """() => [...document.querySelectorAll("article :is(pre, .text_html, .table-wrapper)")]
    .every(box => box.scrollWidth <= box.clientWidth || box.tabIndex >= 0)"""


@pytest.fixture
def page(reader: Browser) -> Iterator[Page]:
    context = reader.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    yield context.new_page()
    context.close()


def test_every_page_is_known(lesson_site: Path) -> None:
    made = {file.relative_to(lesson_site).with_suffix("").as_posix() for file in lesson_site.rglob("*.html")}
    assert made - {"genindex"} == set(PAGES)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.nightly] * (name not in NOW), id=name) for name in PAGES]
)
@pytest.mark.parametrize(
    "looks", [LOOKS["as most"], pytest.param(LOOKS["the other way round"], marks=pytest.mark.nightly)], ids=list(LOOKS)
)
def test_no_page_keeps_anybody_out(page: Page, lesson_site: Path, name: str, looks: list[tuple[str, int]]) -> None:
    page.goto((lesson_site / f"{name}.html").as_uri())
    assert violations(page) == [], "as it is opened"
    page.evaluate(_UNFOLD)
    stages = page.locator(".course-stage").all()
    for stage in stages:
        stage.scroll_into_view_if_needed()
        stage.locator(".workq-playback").wait_for()
    for stage in stages[:1]:
        if stage.get_by_role("button", name="Play").is_visible():  # the first page's plays by itself
            stage.get_by_role("button", name="Play").click()
    found = {}
    for theme, width in looks:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its literals
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(_RESIZED)
        found[theme, width] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"it fits {width} pixels"
    assert not any(found.values()), found
