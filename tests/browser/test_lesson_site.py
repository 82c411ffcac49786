"""The site of the lessons as a person reads it: opened from a folder, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.lab import SCREENSHOTS
from tests.browser.static_host import hosted
from workq_helpers.lessons import CHAPTERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

pytestmark = pytest.mark.timeout(330)  # the site is made once, for all of them


@pytest.fixture(params=["narrow", *(pytest.param(look, marks=pytest.mark.nightly) for look in ("light", "dark"))])
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(reader: Browser, look: str) -> Iterator[Page]:
    """A page that fails the test if it asks anything of a network, or has an error."""
    width = 400 if look == "narrow" else 1280
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


def open_lesson(page: Page, site: Path, name: str) -> None:
    (file,) = (site / "lessons").glob(f"*_{name}.html")
    page.goto(file.as_uri())


def seconds(stage: Locator) -> float:
    expect(stage.locator(".workq-time")).to_contain_text(" / ")
    return float(stage.locator(".workq-time").inner_text().split(" / ")[0])


def test_a_word_is_searched_and_its_lesson_found(page: Page, look: str, lesson_site: Path) -> None:
    page.goto((lesson_site / "index.html").as_uri())
    if look == "narrow":
        page.locator(".mobile-header label[for=__navigation]").click()
    page.get_by_placeholder("Search").fill("cooks")
    page.get_by_placeholder("Search").press("Enter")
    found = page.locator("#search-results li a")
    found.filter(has_text="Round robin").first.wait_for()  # the list grows, page by page
    keep(page, f"site-search-{look}")
    found.filter(has_text="Round robin").first.click()
    page.get_by_role("heading", name="Round robin", level=1).wait_for()


def test_a_static_host_serves_it_below_any_path(reader: Browser, lesson_site: Path) -> None:
    root = lesson_site.parents[1]
    with hosted(root) as address, reader.new_context() as context:
        below = f"{address}/{lesson_site.relative_to(root).as_posix()}"
        page = context.new_page()
        answers: dict[str, int] = {}
        page.on("response", lambda answer: answers.update({answer.url: answer.status}))
        page.goto(f"{below}/index.html")
        page.locator(".course-stage").get_by_role("button", name="Pause").wait_for()
        page.get_by_placeholder("Search").fill("cooks")
        page.get_by_placeholder("Search").press("Enter")
        page.locator("#search-results li a").filter(has_text="Round robin").first.click()
        page.locator("#stage-two-workers").scroll_into_view_if_needed()
        page.locator("#stage-two-workers").get_by_role("button", name="Play").wait_for()
        assert {url: status for url, status in answers.items() if status >= 400 or not url.startswith(below)} == {}


def test_the_first_page_plays_by_itself(page: Page, look: str, lesson_site: Path) -> None:
    page.goto((lesson_site / "index.html").as_uri())
    stage = page.locator(".course-stage")
    stage.get_by_role("button", name="Pause").wait_for()
    stage.locator(".workq-worker").first.wait_for()
    keep(page, f"site-first-page-{look}")
    assert fits(page)
    stage.locator(".workq-story-line[data-mark]").first.wait_for()
    texts = stage.locator(".workq-story-text")
    assert texts.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    assert violations(page) == []


def test_a_run_is_played_in_its_lesson(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "round_robin")
    stage = page.locator("#stage-two-workers")
    stage.scroll_into_view_if_needed()
    begin = seconds(stage)
    stage.get_by_role("button", name="Play").click()
    expect(stage.locator(".workq-worker")).to_have_count(2)
    expect(stage.locator(".workq-worker").first).to_contain_text("working")
    keep(page, f"site-run-{look}")
    stage.get_by_role("button", name="Pause").click()
    assert seconds(stage) > begin
    assert fits(page)


def test_a_sentence_opens_the_run_at_its_moment(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "round_robin")
    link = page.locator('a[data-play-from][href="#stage-a-worker-that-comes-late"]').first
    link.click()
    stage = page.locator("#stage-a-worker-that-comes-late")
    stage.get_by_role("button", name="Pause").wait_for()
    assert seconds(stage) >= int(float(link.get_attribute("data-play-from") or "nan") * 10) / 10


def test_a_prediction_is_answered_and_compared(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "round_robin")
    form = page.locator("form[data-prediction=five-orders]")
    compare = form.get_by_role("link")
    expect(compare).to_be_hidden()
    asked = next(each for chapter in CHAPTERS for each in chapter.predictions if each.name == "five orders")
    wrong = asked.choices[1]
    form.get_by_role("radio", name=wrong.text).check()
    expect(form.get_by_role("status")).to_contain_text(f"Noted: {asked.letter(1)}")
    keep(page, f"site-prediction-{look}")
    compare.click()
    compared = page.locator("#compare-five-orders")
    expect(compared).to_be_visible()
    expect(compared).to_contain_text("It came out differently")
    expect(compared).to_contain_text(wrong.why)
    keep(page, f"site-comparison-{look}")


def test_a_number_is_predicted_and_compared(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "mistakes_and_long_work")
    form = page.locator("form[data-prediction=once-more]")
    field = form.get_by_role("spinbutton", name="Number")
    compared = page.locator("#compare-once-more")
    for number, verdict in {"4": "✗ It came out differently", "5": "✔ You predicted it"}.items():
        field.fill(number)
        field.press("Enter")
        expect(form.get_by_role("status")).to_contain_text(f"Noted: {number}.")
        form.get_by_role("link").click()
        expect(compared.locator("td").first).to_have_text(number)
        expect(compared).to_contain_text(verdict)
    keep(page, f"site-number-{look}")
    assert fits(page)


def test_a_quiz_is_answered(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "round_robin")
    (chapter,) = (each for each in CHAPTERS if each.title == "Round robin")
    question = chapter.questions[0]
    form = page.locator("form.course-question", has_text=question.question)
    answer = form.get_by_role("button", name="Answer")
    answer.click()
    expect(form.get_by_role("status")).to_have_text("Choose one first.")
    for choice in (question.wrong[0], question.right):
        form.get_by_role("radio", name=choice.text).check()
        answer.click()
        expect(form.get_by_role("status")).to_have_text(question.feedback(choice))
    keep(page, f"site-quiz-{look}")
    assert fits(page)
    assert violations(page) == []


def test_all_is_unfolded_and_a_picture_enlarged(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "round_robin")
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("article details:not([open])").count() == 0
    picture = page.get_by_role("button", name="Enlarge: Timeline").first
    assert picture.locator("img").evaluate("one => one.getBoundingClientRect().width") >= 600
    assert fits(page)
    assert violations(page) == []
    picture.click()
    enlarged = page.get_by_role("dialog")
    assert enlarged.locator("img").evaluate("one => one.getBoundingClientRect().width") >= 900
    keep(page, f"site-picture-{look}")
    page.keyboard.press("Escape")
    expect(enlarged).to_be_hidden()
    page.get_by_role("button", name="Fold all").click()
    assert page.locator("article details[open]").count() == 0


def test_a_lesson_is_read_and_an_answer_unfolded(page: Page, look: str, lesson_site: Path) -> None:
    open_lesson(page, lesson_site, "round_robin")
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
