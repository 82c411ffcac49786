"""The keyboard alone leads through the experiments of lesson 01."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import CELL_SECONDS, Lab, Notebook
from tests.conftest import poll_for

LESSON = Path(__file__).parents[2] / "notebooks" / "01_round_robin.ipynb"

#: More than it takes from one place in a notebook to the next.
MOST_TABS = 15


class Keyboard:
    """Reads a notebook from top to bottom and touches no mouse.

    Args:
        notebook: The notebook, which JupyterLab has just opened.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.cells: list[Any] = notebook.script(
            "() => [...panel().content.model.cells].map(cell => [cell.type, cell.sharedModel.getSource()])"
        )

    def active(self) -> int:
        """Return the index of the active cell."""
        index: int = self.notebook.script("() => panel().content.activeCellIndex")
        return index

    def run(self) -> None:
        """Press Shift+Enter, and wait until that cell is done and the next one active."""
        index = self.active()
        self.page.keyboard.press("Shift+Enter")
        poll_for(lambda: self._is_done(index), CELL_SECONDS)

    def _is_done(self, index: int) -> bool:
        done: bool = self.notebook.script(
            "at => { const cell = panel().content.model.cells.get(at);"
            " return panel().content.activeCellIndex > at"
            " && (cell.type !== 'code' || (cell.executionCount !== null && cell.executionState !== 'running')); }",
            index,
        )
        return done

    def tab_to(self, selector: str, key: str = "Tab") -> None:
        """Press a key until what has the focus is one of these."""
        for _ in range(MOST_TABS):
            if self.page.evaluate("selector => document.activeElement?.matches(selector)", selector):
                return
            self.page.keyboard.press(key)
        pytest.fail(f"{key} does not lead to {selector}")

    def choose(self, form: Locator, letter: str) -> None:
        """Press the arrow down until this answer is chosen: each press chooses the next one, and the notebook stays."""
        active = self.active()
        for _ in form.locator("input[type=radio]").all():
            self.page.keyboard.press("ArrowDown")
            expect(form.locator("input[type=radio]:focus")).to_be_checked()
            if form.locator(f"input[data-value^='{letter}.']").is_checked():
                break
        expect(form.get_by_text(f"Noted: {letter}.")).to_be_visible()
        assert self.active() == active

    def answer(self) -> None:
        """Choose the second answer of the question above, give a reason, and go back to where the notebook was."""
        went_on = self.active()
        form = self.page.locator(".workq-form").last
        cut_off = (
            "all => all.filter(label => label.scrollHeight > label.clientHeight + 1).map(label => label.textContent)"
        )
        assert form.locator("label").evaluate_all(cut_off) == []
        self.tab_to(".workq-form input[type=radio]", "Shift+Tab")
        self.choose(form, "B")
        self.tab_to(".workq-form input[type=text]")
        self.page.keyboard.type("as I would")
        self.page.keyboard.press("Enter")
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.active() >= went_on:
                break
        self.page.keyboard.press("Escape")  # out of a cell's text, if it is in one
        for _ in range(self.active() - went_on):
            self.page.keyboard.press("ArrowUp")
        assert self.active() == went_on


@pytest.mark.nightly  # the gate has the stage, and the forms, by keyboard alone
@pytest.mark.timeout(300)
def test_the_keyboard_alone_leads_through_the_experiments(lab: Lab) -> None:
    notebook = lab.open(lab.copy(LESSON))
    keyboard = Keyboard(notebook)
    end = next(at for at, (_, source) in enumerate(keyboard.cells) if source.startswith("## Exercise"))
    notebook.select(0)
    notebook.command("notebook:enter-command-mode")
    notebook.script("() => { panel().content.node.focus(); }")
    asked = 0
    while (at := keyboard.active()) < end:
        keyboard.run()
        if keyboard.cells[at][1].startswith("predict("):
            asked += 1
            keyboard.answer()
    assert notebook.errors() == []
    shown = [
        output["data"]["text/plain"]
        for index in range(end)
        for output in (notebook.outputs(index) if keyboard.cells[index][0] == "code" else [])
        if "text/plain" in output.get("data", {})
    ]
    answers = [text for text in shown if text.startswith("Your answer: B.")]
    assert len(answers) == asked == 4
    assert all("Your reason: as I would" in text for text in answers)
    assert len([text for text in shown if text.startswith("✔")]) == 4
