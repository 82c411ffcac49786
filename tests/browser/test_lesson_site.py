"""The site of the lessons as a person reads it: opened from a folder, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.browser.lab import SCREENSHOTS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

pytestmark = pytest.mark.timeout(330)  # the site is made once, for all of them


@pytest.fixture(scope="module")
def reader(playwright: Playwright) -> Iterator[Browser]:
    with chromium.launch(playwright) as launched:
        yield launched


@pytest.fixture(params=["light", "dark", "narrow"])
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(reader: Browser, look: str) -> Iterator[Page]:
    """A page that fails the test if it asks anything of a network, or has an error."""
    width = 390 if look == "narrow" else 1280
    context: BrowserContext = reader.new_context(
        color_scheme="dark" if look == "dark" else "light",
        viewport={"width": width, "height": 900},
        offline=True,
    )
    faults: list[str] = []
    opened = context.new_page()
    opened.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else faults.append(asked.url))
    opened.on("requestfailed", lambda asked: faults.append(f"{asked.url}: {asked.failure}"))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    yield opened
    context.close()
    assert faults == []


def keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"{name}.png").write_bytes(page.screenshot())


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_word_is_searched_and_its_lesson_found(page: Page, look: str, lesson_site: Path) -> None:
    page.goto((lesson_site / "index.html").as_uri())
    if look == "narrow":
        page.locator(".mobile-header label[for=__navigation]").click()
    page.get_by_placeholder("Search").fill("heartbeat")
    page.get_by_placeholder("Search").press("Enter")
    found = page.locator("#search-results li a")
    found.first.wait_for()
    assert "Mistakes, timeouts and long work" in found.all_inner_texts()
    keep(page, f"site-search-{look}")
    found.filter(has_text="Mistakes, timeouts and long work").first.click()
    page.wait_for_url("**/lessons/03_mistakes_and_long_work.html*")
    page.get_by_role("heading", name="Mistakes, timeouts and long work", level=1).wait_for()


def test_a_lesson_is_read_and_an_answer_unfolded(page: Page, look: str, lesson_site: Path) -> None:
    page.goto((lesson_site / "lessons" / "01_round_robin.html").as_uri())
    assert fits(page)
    solution = page.locator("details", has=page.get_by_text("A solution", exact=True)).first
    code = solution.locator("pre")
    assert not code.is_visible()
    solution.locator("summary").click()
    code.wait_for(state="visible")
    keep(page, f"site-solution-{look}")
    seen = page.locator("details", has=page.get_by_text("What RabbitMQ did", exact=True)).first
    seen.locator("summary").click()
    seen.locator("pre").first.wait_for(state="visible")
    keep(page, f"site-lesson-{look}")
    assert fits(page)
