"""A film strip for people to look at: lessons 00 to 02 as a learner meets them, in ten pictures of the whole window.

Beside them lesson 02 as the site plays it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.lab import SCREENSHOTS, Lab, Notebook
from tests.browser.stage import Stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

#: A learner's window, on a laptop.
WINDOW = (1440, 860)

#: Slow enough for a picture in the middle of an action; of the work in lesson 00 nobody waits for the end.
SECONDS_PER_DOT = 0.6
SLOW_SECONDS_PER_DOT = 3.0

pytestmark = pytest.mark.timeout(330)  # a whole section of a lesson, at a pace that one can see; or the site is made

THEMES = pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])

#: Whether every message is where it belongs; what marks it there may still fade.
_NOTHING_FLIES = """() => !document.getAnimations().some(animation => animation.playState === "running"
    && animation.effect?.target?.closest(".workq-message")
    && animation.effect.getKeyframes().some(frame => frame.transform ?? frame.translate))"""


class Learner:
    """Somebody who reads a lesson from top to bottom.

    Args:
        lab: The JupyterLab.
        lesson: The notebook.
        theme: JupyterLab's theme.
        seconds_per_dot: How long a dot of work takes.
    """

    def __init__(self, lab: Lab, lesson: str, theme: str, seconds_per_dot: float = SECONDS_PER_DOT) -> None:
        self.notebook: Notebook = lab.open(lab.copy(NOTEBOOKS / f"{lesson}.ipynb"))
        self.notebook.resize(*WINDOW)
        self.notebook.set_theme(theme)
        self.stage = Stage(self.notebook)
        self.page = self.notebook.page
        self._theme = theme
        self._cells: list[tuple[str, str]] = self.notebook.script(
            "() => [...panel().content.model.cells].map(cell => [cell.type, cell.sharedModel.getSource()])"
        )
        self._next = 0
        self.notebook.evaluate(f"__import__('os').environ.update(WORKQ_SECONDS_PER_DOT='{seconds_per_dot}')")

    def read_to(self, text: str) -> int:
        """Run every cell before the next one with this text, and return that one's index, without having run it."""
        at = next(at for at in range(self._next, len(self._cells)) if text in self._cells[at][1])
        for index in range(self._next, at):
            if self._cells[index][0] == "code":
                self.notebook.run(index)
        self._next = at
        self.notebook.select(at)
        self.notebook.show(at)
        return at

    def run(self, text: str) -> None:
        """Run every cell up to the next one with this text, and that one, and look at it."""
        at = self.read_to(text)
        self.notebook.run(at)
        self._next = at + 1
        self.notebook.show(at)

    def begin(self, text: str) -> None:
        """As `run`, without waiting for the last cell."""
        at = self.read_to(text)
        self.notebook.begin(at)
        self._next = at + 1
        self.notebook.show(at)

    def photograph(self, name: str) -> None:
        """Keep a picture, once no message flies."""
        self.page.wait_for_function(_NOTHING_FLIES)
        self.notebook.screenshot(f"film-{name}-{self._theme}")

    def photograph_stage(self, name: str) -> None:
        """Keep a picture of the stage alone, such as the lessons' text has; see `scripts/lesson_pictures.py`."""
        self.notebook.resize(WINDOW[0], 2 * WINDOW[1])  # all of it
        (SCREENSHOTS / f"stage-{name}-{self._theme}.png").write_bytes(self.stage.root.screenshot())
        self.notebook.resize(*WINDOW)


@pytest.mark.nightly
@THEMES
def test_lesson_00_begins_on_the_stage(lab: Lab, theme: str) -> None:
    learner = Learner(lab, "00_start_here", theme, SLOW_SECONDS_PER_DOT)
    stage = learner.stage
    expect(learner.page.locator("#workq-stage-panel")).to_contain_text("press Shift+Enter")
    learner.photograph("00-opened")
    learner.run("lesson.stage.show(")
    stage.expect_alive()
    learner.photograph("01-empty-stage")
    for _ in range(3):
        stage.press("send")
    stage.press("add_worker")
    expect(stage.message(place="working")).to_have_count(1)
    learner.photograph("02-a-worker-at-work")
    learner.photograph_stage("at-work")
    stage.press("kill", "worker-1")
    expect(stage.message(place="waiting")).not_to_have_count(0)
    learner.photograph("03-killed")
    learner.run('check(lesson, "one message")')
    learner.photograph("04-a-check")


@pytest.mark.nightly
@THEMES
def test_lesson_01_asks_shows_and_compares(lab: Lab, theme: str) -> None:
    learner = Learner(lab, "01_round_robin", theme)
    learner.run('predict(lesson, "five orders")')
    learner.page.locator(".jp-OutputArea input[type=radio]").first.check()
    learner.photograph("05-a-question")
    learner.begin('new_task("Roast')
    expect(learner.stage.message(place="working")).to_have_count(2)
    learner.photograph("06-an-experiment")
    learner.notebook.wait_until_done()
    learner.run('compare(lesson, "five orders")')
    learner.photograph("07-compared")
    learner.run("lesson.timeline()")
    learner.photograph("08-a-timeline")


@pytest.mark.nightly
@THEMES
def test_lesson_02_kills_a_worker_at_work(lab: Lab, theme: str) -> None:
    learner = Learner(lab, "02_acknowledgments", theme)
    learner.begin('new_task("Stew"')
    learner.stage.expect_worker("worker-1", "killed")
    learner.photograph("09-killed-in-an-experiment")
    learner.photograph_stage("killed")
    learner.notebook.wait_until_done()


@THEMES
def test_lesson_02_is_seen_again_on_the_site(
    reader: Browser, lesson_site: Path, theme: Literal["light", "dark"]
) -> None:
    width, height = WINDOW
    with reader.new_context(viewport={"width": width, "height": height}, color_scheme=theme, offline=True) as context:
        page = context.new_page()
        page.goto((lesson_site / "lessons" / "02_acknowledgments.html").as_uri())

        def photograph(name: str) -> None:
            (SCREENSHOTS / f"film-{name}-on-the-site-{theme}.png").write_bytes(page.screenshot())

        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        form = page.locator("form[data-prediction=manual-ack]")
        form.get_by_role("radio").first.check()
        form.scroll_into_view_if_needed()
        photograph("02-a-question")
        stage = page.locator("#stage-done-when-done")
        stage.get_by_role("button", name="worker-1 was killed").click()
        expect(stage.locator(".workq-worker").first).to_contain_text("killed")
        page.wait_for_function(_NOTHING_FLIES)
        stage.scroll_into_view_if_needed()
        photograph("09-killed-in-an-experiment")
        form.get_by_role("link").click()
        page.locator("#compare-manual-ack").scroll_into_view_if_needed()  # once it has come to rest
        photograph("07-compared")
