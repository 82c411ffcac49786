"""A saved run as anybody plays it: opened from a folder, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.lab import SCREENSHOTS
from tests.made_up_runs import MadeUpRun
from tests.unit.test_saved_run import saved
from workq_helpers.stage import saving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVENTS = 61
HOSTILE = "</script><img src=x onerror=alert(1)>{}.."


@pytest.fixture(params=["light", "dark", "phone"])
def page(reader: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A run that is opened, in a page that fails the test if it asks anything of a network, or has an error."""
    look = request.param
    context = reader.new_context(
        color_scheme="light" if look == "light" else "dark",
        viewport={"width": 400 if look == "phone" else 1200, "height": 900},
        offline=True,
    )
    file = saving.save(saved(MadeUpRun(11, text=HOSTILE)), tmp_path / "run.html")
    faults: list[str] = []
    opened = context.new_page()
    opened.on("request", lambda asked: None if asked.url.startswith("file:") else faults.append(asked.url))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text))
    opened.on("dialog", lambda dialog: faults.append(dialog.message))
    opened.goto(file.as_uri())
    yield opened
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"saved-run-{look}.png").write_bytes(opened.screenshot())
    context.close()
    assert faults == []


def seconds(page: Page) -> float:
    return float(page.locator(".workq-time").inner_text().split(" / ")[0])


def test_it_plays_and_has_no_levers(page: Page) -> None:
    expect(page.locator(".workq-stage")).to_be_visible()
    assert seconds(page) == 0
    shown = page.locator("[data-do]:visible").evaluate_all("all => all.map(one => one.dataset.do)")
    assert set(shown) <= {"play", "pause", "step", "seek", "speed", "mark"}
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".workq-time")).not_to_contain_text(re.compile(r"^0\.[0-4] /"))
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_it_is_read_as_a_table(page: Page) -> None:
    expect(page.get_by_text("Signs", exact=True)).to_be_visible()
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    page.get_by_text("Show as table", exact=True).click()
    expect(page.get_by_role("table", name="Workers")).to_contain_text("worker-1")
    page.get_by_text(re.compile("What became of [0-9]+ tasks")).click()
    assert violations(page) == []


def test_nobody_is_kept_out_in_either_state_of_the_broker(page: Page) -> None:
    state = page.locator(".workq-broker .workq-state")
    assert violations(page) == []
    first = state.inner_text()
    while state.inner_text() == first:
        page.get_by_role("button", name="Next event").click()
    assert violations(page) == []


def test_it_is_played_by_keyboard_alone(page: Page) -> None:
    page.get_by_role("button", name="Next event").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".workq-events")).to_contain_text("event 1 of")
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    expect(page.locator(".workq-events")).to_contain_text(f"event {EVENTS} of {EVENTS}")
    page.get_by_text(re.compile("What became of [0-9]+ tasks")).click()
    expect(page.get_by_role("region", name="Tasks")).to_contain_text("<img src=x")
