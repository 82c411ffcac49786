"""The stage for everybody: by keyboard, by ear, in either theme, on a narrow screen, and without movement."""

from __future__ import annotations

import io
import itertools
import re
from typing import TYPE_CHECKING, Literal

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import Stage, open_stage

if TYPE_CHECKING:
    from playwright.sync_api import Locator

TWO_WORKERS = 'workers = lesson.start_workers(2, callback, queue="hello", prefetch_count=1)\n'

#: Roles of what can be operated.
ROLES = ("button", "textbox", "checkbox", "spinbutton", "slider", "combobox", "DisclosureTriangle")

#: Every animation that a message makes, from now on.
_WATCH_ANIMATIONS = """root => {
    window.workqAnimated = [];
    const look = () => {
        for (const animation of root.getAnimations({subtree: true})) {
            const target = animation.effect?.target;
            if (target?.closest(".workq-message") && animation.playState === "running"
                && animation.effect.getComputedTiming().duration > 1)
                window.workqAnimated.push(target.className);
        }
        window.requestAnimationFrame(look);
    };
    look();
}"""

#: When the live region's text changed, in milliseconds.
_LISTEN = """region => {
    window.workqHeard = [];
    new MutationObserver(() => window.workqHeard.push([performance.now(), region.textContent]))
        .observe(region, {childList: true, characterData: true, subtree: true});
}"""


def tab_to(stage: Stage, target: Locator, key: str = "Tab") -> None:
    """Press a key until the target has the focus; it never leaves the stage meanwhile."""
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        stage.page.keyboard.press(key)
        assert stage.root.evaluate("root => root.contains(document.activeElement)"), "Tab left the stage"
    pytest.fail("Tab does not come to it")


def test_the_keyboard_alone_is_enough(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=0.25, before_stage=TWO_WORKERS)
    stage.root.locator("button").first.focus()
    task = stage.field("task")
    tab_to(stage, task)
    stage.page.keyboard.press("ControlOrMeta+a")
    stage.page.keyboard.type("Typed" + 20 * ".")
    stage.record()
    stage.page.keyboard.press("Enter")
    expect(stage.worker("worker-1").locator("[data-place='working']")).to_contain_text("Typed")
    stage.watch_frames(5)
    assert {frame["focus"] for frame in stage.frames()} == {"task"}  # no frame takes it away
    add = stage.button("add_worker")
    tab_to(stage, add)
    stage.page.keyboard.press("Space")
    stage.expect_worker("worker-3", "idle", "busy")
    expect(add).to_be_focused()
    tab_to(stage, stage.worker("worker-1").locator("[data-do='freeze']"))
    stage.page.keyboard.press("Enter")  # so that its task lasts until it is killed
    stage.expect_worker("worker-1", "frozen")
    kill = stage.worker("worker-1").locator("[data-do='kill']")
    tab_to(stage, kill, "Shift+Tab")
    stage.screenshot("stage-focus")
    stage.page.keyboard.press("Enter")
    stage.expect_worker("worker-1", "killed")
    assert stage.root.evaluate("root => root.contains(document.activeElement)")
    expect(stage.message("Typed", "done")).to_be_visible()
    assert stage.root.evaluate("root => root.contains(document.activeElement)")
    tab_to(stage, stage.worker("worker-2").locator("[data-do='stop']"))
    stage.page.keyboard.press("Space")
    stage.expect_worker("worker-2", "stopped")


def test_controls_have_names_keep_their_keys_and_news_is_told_politely(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=0.1, before_stage=TWO_WORKERS)
    keys_are_no_commands_of_the_notebook(stage)
    every_control_has_a_name(stage)
    news_is_told_politely(stage)


def keys_are_no_commands_of_the_notebook(stage: Stage) -> None:
    sources = "() => [...panel().content.model.cells].map(cell => cell.type + cell.sharedModel.getSource())"
    before = stage.notebook.script(sources)
    summary = stage.root.locator(".workq-python > summary")
    for control in (stage.field("task"), stage.button("five"), stage.field("persistent"), summary):
        control.focus()
        stage.page.keyboard.type("abddxmy")
        assert stage.notebook.script(sources) == before
        expect(control).to_be_focused()
    expect(stage.field("task")).to_have_value(re.compile("abddxmy"))
    stage.expect_alive()


def every_control_has_a_name(stage: Stage) -> None:
    for folded in stage.root.locator("details").all():
        folded.evaluate("details => { details.open = true; }")
    session = stage.page.context.new_cdp_session(stage.page)
    session.send("Accessibility.enable")
    root = session.send("Runtime.evaluate", {"expression": "document.querySelector('.workq-stage')"})
    names = []
    for role in ROLES:
        query = {"objectId": root["result"]["objectId"], "role": role}
        nodes = session.send("Accessibility.queryAXTree", query)["nodes"]
        names += [(role, node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    session.detach()
    assert len(names) >= stage.controls.filter(visible=True).count() > 15
    assert [role for role, name in names if not re.search(r"\w{2}", name)] == []
    killing = [name for role, name in names if name.startswith("Kill")]
    assert killing == ["Kill worker-1", "Kill worker-2"]


def news_is_told_politely(stage: Stage) -> None:
    region = stage.root.locator(".workq-summary")
    expect(region).to_have_attribute("aria-live", "polite")
    expect(region).to_contain_text("0 ready")
    region.evaluate(_LISTEN)
    stage.press("five")
    stage.expect_end_count("done", 5)
    stage.press("kill", "worker-2")
    expect(region).to_contain_text("1 killed")
    heard = stage.page.evaluate("() => window.workqHeard")
    assert all(later - earlier > 1_000 for (earlier, _), (later, _) in itertools.pairwise(heard))
    assert all(re.fullmatch(r"[^<>{}]{20,400}", text) for _, text in heard)


def test_the_table_shows_the_counts(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    for worker in ("worker-1", "worker-2"):
        stage.press("freeze", worker)
        stage.expect_worker(worker, "frozen")
    stage.press("five")
    stage.expect_counts(ready=3, unacknowledged=2)
    stage.root.locator(".workq-table > summary").click()
    hello = stage.root.locator(".workq-table table tr", has_text="hello").first
    expect(hello.locator("th, td")).to_have_text(["hello", re.compile("durable.*classic"), "3", "3", "2", "2"])
    rows = stage.root.locator(".workq-table table tr", has_text="frozen")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("worker-1")
    stage.root.locator(".workq-table").scroll_into_view_if_needed()
    stage.screenshot("stage-table")


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_it_fits_a_narrow_page(lab: Lab, theme: str) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS, beside=False)
    stage.notebook.resize(740, 1400)
    stage.notebook.set_theme(theme)
    stage.press("freeze", "worker-1")
    stage.expect_worker("worker-1", "frozen")
    stage.press("five")
    stage.expect_counts(ready=0, unacknowledged=1)
    stage.press("kill", "worker-1")
    stage.expect_end_count("done", 5)
    width = stage.root.evaluate("root => root.clientWidth")
    assert 580 <= width <= 640
    assert stage.root.evaluate("root => root.scrollWidth") <= width + 1
    cut = stage.root.evaluate(
        """root => [...root.querySelectorAll("button, input, select, [data-count], h3")]
            .filter(one => one.checkVisibility())
            .filter(one => one.getBoundingClientRect().right > root.getBoundingClientRect().right + 1
                || one.getBoundingClientRect().left < root.getBoundingClientRect().left - 1)
            .map(one => one.outerHTML)"""
    )
    assert cut == []
    stage.screenshot(f"stage-narrow-{theme}")


def test_tables_break_no_word_on_a_narrow_page(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS, beside=False)
    stage.notebook.resize(740, 1400)
    for worker in ("worker-1", "worker-2"):
        stage.press("freeze", worker)
        stage.expect_worker(worker, "frozen")
    stage.press("five")
    stage.send(60 * "x")
    stage.root.locator(".workq-table > summary").click()
    expect(stage.root.locator(".workq-table tr", has_text="frozen")).to_have_count(2)
    broken = stage.root.evaluate(
        """root => [...root.querySelectorAll(".workq-tables :is(th, td)")].filter(cell => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            const lines = new Set([...range.getClientRects()].map(box => box.top)).size;
            return lines > cell.textContent.split(/\\s/).length;
        }).map(cell => cell.textContent)"""
    )
    assert broken == []
    stage.screenshot("stage-narrow-table")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_forced_colors_hide_nothing(lab: Lab, scheme: Literal["light", "dark"]) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS, beside=False)
    stage.page.emulate_media(forced_colors="active", color_scheme=scheme)
    stage.field("persistent").check()
    stage.send("Long" + 60 * ".")
    expect(stage.message("Long", "working")).to_be_visible()
    count = pixels(stage.message("Long", "working").locator(".workq-dots"))
    assert max(map(sum, count)) - min(map(sum, count)) > 300  # a number that one can read
    for worker in ("worker-1", "worker-2"):
        stage.press("freeze", worker)
        stage.expect_worker(worker, "frozen")
    stage.press("five")
    expect(stage.message("Second message", "waiting")).to_be_visible()
    fill = stage.worker("worker-1").locator(".workq-fill")
    fill.evaluate("fill => fill.style.setProperty('--workq-part', '0.5')")
    left, right = colors_across(stage.worker("worker-1").locator(".workq-track"))
    assert left != right
    second = stage.message("Second message", "waiting")
    assert len(set(pixels(second.locator(".workq-dots")))) > 1
    mark = pixels(second.locator(".workq-mark"))
    assert mark[len(mark) // 2 + 4] != mark[0]  # filled, where its corner shows what is behind it
    for column in ("queue-column", "worker-column", "ends"):
        box = stage.root.locator(f".workq-{column}").bounding_box()
        assert box is not None
        arrow = {"x": box["x"] - 26, "y": box["y"] + 3, "width": 22, "height": 16}
        assert len(set(pixels_of(stage.page.screenshot(clip=arrow)))) > 1  # type: ignore[arg-type]
    stage.screenshot(f"stage-forced-colors-{scheme}")


def pixels(what: Locator) -> list[bytes]:
    return pixels_of(what.screenshot(animations="allow"))


def pixels_of(png: bytes) -> list[bytes]:
    raw = Image.open(io.BytesIO(png)).convert("RGB").tobytes()
    return [raw[at : at + 3] for at in range(0, len(raw), 3)]


def colors_across(bar: Locator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colors at a quarter and at three quarters of a bar."""
    image = Image.open(io.BytesIO(bar.screenshot())).convert("RGB")
    left, right = (image.getpixel((image.width * part // 4, image.height // 2)) for part in (1, 3))
    return left, right  # type: ignore[return-value]


@pytest.mark.parametrize("motion", ["reduce", pytest.param("no-preference", marks=pytest.mark.nightly)])
def test_nothing_moves_for_who_wants_no_movement(lab: Lab, motion: Literal["reduce", "no-preference"]) -> None:
    stage = open_stage(lab, seconds_per_dot=0.2, before_stage=TWO_WORKERS)
    stage.page.emulate_media(reduced_motion=motion)
    stage.root.evaluate(_WATCH_ANIMATIONS)
    stage.press("five")
    stage.press("kill", "worker-1")
    stage.expect_end_count("done", 5)
    animated = stage.page.evaluate("() => window.workqAnimated")
    assert bool(animated) == (motion == "no-preference")


def test_keyboard_and_finger_reach_each_of_many_workers(lab: Lab) -> None:
    stage = open_stage(lab, before_stage='lesson.start_workers(20, callback, queue="hello")\n')
    expect(stage.root).to_have_attribute("data-density", "mass")
    expect(stage.broker).to_contain_text("up")
    kill = stage.worker("worker-20").locator("[data-do='kill']")
    stage.worker("worker-20").locator("[data-do='stop']").focus()
    stage.page.keyboard.press("Tab")
    expect(kill).to_be_focused()
    assert kill.evaluate("button => button.checkVisibility({opacityProperty: true})")
    stage.page.keyboard.press("Enter")
    stage.expect_worker("worker-20", "killed")
    stage.notebook.save()
    touched = Stage(lab.open(stage.notebook.path, has_touch=True, is_mobile=True))
    touched.expect_alive()
    touched.worker("worker-19").locator("[data-do='kill']").tap()
    touched.expect_worker("worker-19", "killed")
    touched.screenshot("stage-touched")
