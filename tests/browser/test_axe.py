"""Nobody is kept out: axe-core finds nothing in any state of the stage, in either theme, at two widths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.browser.axe import violations
from tests.browser.lab import SCREENSHOTS
from workq_helpers.stage.widget import StageWidget

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

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


@pytest.fixture(scope="module")
def browser_alone(playwright: Playwright) -> Iterator[Browser]:
    with chromium.launch(playwright) as launched:
        yield launched


@pytest.fixture(params=[600, 1200], ids=["narrow", "wide"])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["light", "dark"])
def page(browser_alone: Browser, request: pytest.FixtureRequest, width: int) -> Iterator[Page]:
    """An empty page that looks as a notebook in a theme does."""
    light = request.param == "light"
    context = browser_alone.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    opened.set_content(_PAGE % (StageWidget._css, str(light).lower(), "#ffffff" if light else "#111111"))
    yield opened
    context.close()


@pytest.mark.parametrize("scene", [name for name in FRAMES if name != "sample"])
def test_no_state_of_the_stage_keeps_anybody_out(page: Page, scene: str, request: pytest.FixtureRequest) -> None:
    page.evaluate(_SHOW, [StageWidget._esm, FRAMES[scene]])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"scene-{scene}-{request.node.callspec.id}.png").write_bytes(page.screenshot(full_page=True))
    assert violations(page, ".workq-stage") == []
