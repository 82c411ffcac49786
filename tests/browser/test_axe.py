"""Nobody is kept out: axe-core finds nothing in any state of the stage, in either theme, at two widths."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations
from tests.browser.lab import SCREENSHOTS
from workq_helpers.stage.widget import StageWidget

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FRAMES = json.loads((Path(__file__).parents[1] / "js" / "frames.json").read_text(encoding="utf-8"))

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The stage</title><style>%s</style></head>
<body data-jp-theme-light="%s" style="margin: 0; background: %s"><div id="place"></div></body></html>"""

#: A view of one frame, as anywidget makes it.
_SHOW = """async ([source, frame]) => {
    const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
    const stage = (await import(address)).default;
    const model = {get: () => frame, on() {}, off() {}, send() {}};
    stage.render({model, el: document.querySelector("#place")});
    for (const folded of document.querySelectorAll("details")) folded.open = true;
    await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}"""

#: Buttons below an arrow between two columns; an arrow is drawn before its column, turned or not about its middle.
_ARROWS_ON_CONTROLS = """() => {
    const arrows = [...document.querySelectorAll(".workq-column")].flatMap(column => {
        const style = getComputedStyle(column, "::before");
        if (style.content === "none" || style.display === "none") return [];
        const box = column.getBoundingClientRect();
        const [left, top] = [box.left + parseFloat(style.left), box.top + parseFloat(style.top)];
        const [x, y] = [left + parseFloat(style.width) / 2, top + parseFloat(style.height) / 2];
        return [{left: x - 8, right: x + 8, top: y - 8, bottom: y + 8}];
    });
    return [...document.querySelectorAll("button, input, select")].filter(one => one.checkVisibility()).filter(one => {
        const box = one.getBoundingClientRect();
        return arrows.some(arrow => arrow.left < box.right && box.left < arrow.right
            && arrow.top < box.bottom && box.top < arrow.bottom);
    }).map(one => one.textContent);
}"""

_NAMES_OUTSIDE = """() => [...document.querySelectorAll(".workq-worker")].filter(card => {
    const box = card.getBoundingClientRect();
    return card.scrollWidth > card.clientWidth + 1 || [...card.querySelectorAll("*")]
        .filter(one => one.checkVisibility() && getComputedStyle(one).position !== "absolute")
        .some(one => one.getBoundingClientRect().right > box.right + 1);
}).map(card => card.dataset.worker)"""


#: What lies on something else, or leaves the stage; marks of moments that are near each other may.
_COVERED = """() => {
    const stage = document.querySelector(".workq-stage").getBoundingClientRect();
    const things = [...document.querySelectorAll(`button:not(.workq-scrubber-mark), input, select, h3, h4, [data-count],
        .workq-state, .workq-broker-name, .workq-lesson, .workq-found`)].filter(one => one.checkVisibility());
    const boxes = things.map(one => ({one, name: one.textContent || one.dataset.field,
        ...one.getBoundingClientRect().toJSON()})).filter(({width, height}) => width && height);
    const covers = (a, b) => !a.one.contains(b.one) && !b.one.contains(a.one)
        && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    const outside = boxes.filter(({left, right}) => left < stage.left - 1 || right > stage.right + 1);
    const covered = boxes.flatMap((a, at) => boxes.slice(at + 1).filter(b => covers(a, b)).map(b => [a.name, b.name]));
    return [...outside.map(({name}) => [name, "leaves the stage"]), ...covered];
}"""

#: Where the broker comes from, cut off after so few letters that nobody can read it.
_CUT_SHORT = """() => [...document.querySelectorAll(".workq-found")].filter(one => one.clientWidth
    < Math.min(one.scrollWidth, 70)).map(one => [one.textContent, one.clientWidth])"""

#: Kills, crashes and losses that are out of view, or behind something else.
_MARKED_OUT_OF_VIEW = """() => [...document.querySelectorAll(".workq-story-line[data-mark]")].filter(one => {
    const box = one.getBoundingClientRect();
    return !one.contains(document.elementFromPoint(box.left + 60, (box.top + box.bottom) / 2));
}).map(one => one.textContent)"""

#: Whether the player is in one row that fits; else the heights of what is in it, and how much too wide it is.
_PLAYER_ROW = """() => {
    const player = document.querySelector(".workq-player");
    const middles = [...player.children].map(one => one.getBoundingClientRect()).filter(box => box.width)
        .map(box => (box.top + box.bottom) / 2);
    const tooWide = player.scrollWidth - player.clientWidth;
    return Math.max(...middles) - Math.min(...middles) < 6 && tooWide === 0 ? [] : [["the player", middles, tooWide]];
}"""

_LOOKS_FOR = (_COVERED, _CUT_SHORT, _MARKED_OUT_OF_VIEW, _PLAYER_ROW)

#: Hours, with a hundred thousand events.
LONG_RUN = {"seconds": 12345.6, "end_seconds": 12345.6, "event": 123456, "events": 123456}

#: From a phone to where the columns stand side by side.
WIDTHS = (*range(340, 700, 20), 880, 1200)

_CALMER = ("tutorial", "notSteerable")

LONG_LESSON = "the-lesson-of-the-kitchen-behind-the-second-door-on-the-left"


#: Width and theme; what looks wrong in one theme or at one width does so in whichever state it is seen.
LOOKS = {
    "narrow-light": (600, "light"),
    "wide-dark": (1200, "dark"),
    "narrow-dark": (600, "dark"),
    "wide-light": (1200, "light"),
}


def each_seen_once(scenes: list[str]) -> pytest.MarkDecorator:
    """Return the mark that shows each scene in one look, the first two in turns, and in all of them at night."""
    cases = [
        pytest.param(size, scene, id=f"{look}-{scene}", marks=[] if at == number % 2 else pytest.mark.nightly)
        for number, scene in enumerate(scenes)
        for at, (look, size) in enumerate(LOOKS.items())
    ]
    return pytest.mark.parametrize(("page", "scene"), cases, indirect=["page"])


@pytest.fixture
def page(reader: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page that looks as a notebook in a theme does."""
    with opened(reader, *request.param) as empty:
        yield empty


@contextlib.contextmanager
def opened(reader: Browser, width: int, theme: str) -> Iterator[Page]:
    light = theme == "light"
    context = reader.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_content(_PAGE % (StageWidget._css, str(light).lower(), "#ffffff" if light else "#111111"))
    yield page
    context.close()


@each_seen_once([name for name in FRAMES if name != "sample"])
def test_no_state_of_the_stage_keeps_anybody_out(page: Page, scene: str, request: pytest.FixtureRequest) -> None:
    page.evaluate(_SHOW, [StageWidget._esm, FRAMES[scene]])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"scene-{scene}-{request.node.callspec.id}.png").write_bytes(page.screenshot(full_page=True))
    assert violations(page, ".workq-stage") == []


@each_seen_once(["tutorial", "killed", "exchanges"])
def test_no_arrow_lies_on_a_control_and_no_name_leaves_its_card(page: Page, scene: str) -> None:
    frame = json.loads(json.dumps(FRAMES[scene]))
    for worker in frame["workers"]:
        worker["name"] = f"{worker['name']}-of-the-kitchen-behind-the-second-door-on-the-left"
    page.evaluate(_SHOW, [StageWidget._esm, frame])
    assert page.evaluate(_ARROWS_ON_CONTROLS) == []
    assert page.evaluate(_NAMES_OUTSIDE) == []


@pytest.mark.parametrize("scene", ["killed", *(pytest.param(each, marks=pytest.mark.nightly) for each in _CALMER)])
@pytest.mark.parametrize("state", ["coming back", pytest.param("up", marks=pytest.mark.nightly)])
def test_nothing_lies_on_anything_at_any_width(reader: Browser, scene: str, state: str) -> None:
    frame = json.loads(json.dumps(FRAMES[scene]))
    frame["lesson"] = LONG_LESSON
    frame["broker"]["state"] = state
    frame["playback"] |= LONG_RUN
    with opened(reader, WIDTHS[0], "light") as page:
        page.evaluate(_SHOW, [StageWidget._esm, frame])
        found = {}
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("width => window.innerWidth === width", arg=width)
            found[width] = [each for look in _LOOKS_FOR for each in page.evaluate(look)]
        assert {width: what for width, what in found.items() if what} == {}
