"""A quiz is answered and an evening is drawn in JupyterLab, by keyboard alone."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.lab import Lab

CELLS = [
    "from workq_helpers.lessons import fair_dispatch\n"
    "from workq_helpers.lessons.acknowledgments import CHAPTER, quiz\n"
    "from workq_helpers.log.events import EventLog",
    "quiz()",
    'fair_dispatch.draw(EventLog(), "feast")',
]


def test_forms_are_answered_by_keyboard_and_shown_again(lab: Lab) -> None:
    notebook = lab.open(lab.write(CELLS))
    notebook.run_all()
    assert notebook.errors() == []
    page = notebook.page
    form = page.locator(".workq-form")
    form.get_by_role("button", name="Answer").first.wait_for()
    assert not page.get_by_text("No buttons below?").first.is_visible()
    questions = notebook.evaluate("[each.question.question for each in CHAPTER.quiz().quiz.asked]")
    assert len(questions) == form.get_by_role("button", name="Answer").count()
    notebook.select(0)
    form.locator("input[type=radio]").first.focus()
    active = notebook.script("() => [panel().content.activeCellIndex, panel().content.mode]")
    page.keyboard.press("ArrowDown")
    expect(form.locator("input[type=radio]").nth(1)).to_be_checked()
    page.keyboard.press("Tab")
    expect(form.get_by_role("button", name="Answer").first).to_be_focused()
    page.keyboard.press("Enter")
    said = form.get_by_role("status")
    said.wait_for()
    assert notebook.script("() => [panel().content.activeCellIndex, panel().content.mode]") == active
    assert said.inner_text() == notebook.evaluate("CHAPTER.quiz().quiz.feedback(0)")
    assert notebook.evaluate("CHAPTER.quiz().quiz.given(0)") == 1
    drawing = page.locator(".workq-drawing")
    drawing.locator("input[type=radio]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(drawing.get_by_text("4 to go")).to_be_visible()
    assert violations(page, ".workq-form") == []
    notebook.show(2)
    notebook.screenshot("drawing")
    notebook.show(1)
    notebook.screenshot("quiz")
    notebook.run(1)
    form.get_by_role("status").wait_for()
    assert form.locator("input[type=radio]").nth(1).is_checked()
