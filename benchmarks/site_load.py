"""How soon a page of the site can be read and its first run plays: `python benchmarks/site_load.py`.

The site of the kept runs, from its folder and from a static host, below a path there; each time in a browser context
that has seen nothing of it. A page can be read at its first contentful paint. Its run plays when the stage shows a
later moment than the one at which it opened: on the first page by itself, in a lesson once *Play* is pressed, which
happens as soon as it is there. Both are counted from the navigation's start, by the page's own clock. A page with one
sentence takes turns with them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from playwright.sync_api import sync_playwright

from benchmarks.bench import Bench, alone
from benchmarks.row import Goal, Row
from tests.browser import chromium
from tests.browser.static_host import hosted

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PART = "site"
SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "lesson_site.py"

#: The first page, the shortest lesson and the one with the most runs.
PAGES = ("index", "lessons/00_start_here", "lessons/07_when_a_task_fails")
ONE_SENTENCE = "one_sentence"

READ_GOAL, PLAY_GOAL = Goal("<=", 1), Goal("<=", 2)

_WATCH = """addEventListener("DOMContentLoaded", () => {
    const stage = document.querySelector(".course-stage");
    stage?.scrollIntoView({ behavior: "instant" }); // the theme's own way takes a third of a second
    let opened;
    const look = () => {
        const time = stage.querySelector(".workq-time")?.textContent;
        if (time?.includes(" / ") && !opened) {
            opened = time;
            if (!stage.hasAttribute("data-autoplay")) stage.querySelector("[data-do=play]").click();
        }
        if (opened && time !== opened) window.playsAt = performance.now();
        else requestAnimationFrame(look);
    };
    if (stage) look();
})"""
_READ_AT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


class Load(NamedTuple):
    """One load of a page.

    Attributes:
        read_seconds: When it could be read.
        plays_seconds: When its first run played; 0 where there is none.
    """

    read_seconds: float
    plays_seconds: float


def measure(bench: Bench) -> None:
    """Load each page once a round, each way."""
    folder = bench.folder / "site-load"
    subprocess.run([sys.executable, str(SCRIPT), "--folder", str(folder), "--run"], check=True)
    (folder / "site" / f"{ONE_SENTENCE}.html").write_text("<!doctype html><title>One</title><p>One sentence.</p>")
    with sync_playwright() as playwright, chromium.launch(playwright) as browser, hosted(folder) as address:
        ways = {"a folder": folder.as_uri(), "a static host": address}
        sides = [(page, way) for page in (ONE_SENTENCE, *PAGES) for way in ways]
        loads: dict[tuple[str, str], list[Load]] = {side: [] for side in sides}
        for _ in range(bench.rounds):
            for page, way in sides:
                loads[page, way].append(_load(browser, f"{ways[way]}/site/{page}.html", plays=page != ONE_SENTENCE))
    for (page, way), found in loads.items():
        what = f"{page.rpartition('/')[2]} from {way}"
        goal = None if page == ONE_SENTENCE else READ_GOAL
        bench.report.add(Row(PART, what, "can be read", "s", [each.read_seconds for each in found], goal=goal))
        if page != ONE_SENTENCE:
            bench.report.add(Row(PART, what, "plays", "s", [each.plays_seconds for each in found], goal=PLAY_GOAL))


def _load(browser: Browser, address: str, *, plays: bool) -> Load:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(address, wait_until="commit")
        read = page.wait_for_function(_READ_AT).json_value()
        played = page.wait_for_function("() => window.playsAt").json_value() if plays else 0
        return Load(read / 1000, played / 1000)


if __name__ == "__main__":
    alone(PART, measure, __doc__)
