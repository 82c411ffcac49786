"""How soon a page of the site can be read, and its run plays, in a browser that has seen nothing of it yet.

    python benchmarks/site_load.py [SITE]

The site is that of `make site`, opened from its folder and from a static server on this machine, in turns; each round
has a browser context of its own, with an empty cache. A page can be read at its first contentful paint. Its run plays
when the stage moves: on the first page by itself, in a lesson when *Play* is pressed as soon as it is there. Both are
counted from the navigation's start, by the page's own clock.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
PAGES = ["index.html", "lessons/00_start_here.html", "lessons/07_when_a_task_fails.html"]
ROUNDS = 7

#: Brings the first stage near the screen, presses Play where it does not play by itself, and notes when it moves.
_WATCH = """
new MutationObserver(() => {
    const stage = document.querySelector(".course-stage");
    if (!stage || window.plays) return;
    if (!window.near) { window.near = true; stage.scrollIntoView(); }
    if (stage.querySelector('[data-mode="replaying"]')) window.plays = performance.now();
    else if (!stage.hasAttribute("data-autoplay")) stage.querySelector('[data-do="play"]')?.click();
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
_READ = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def main(site: Path) -> int:
    """Print a row for each page and each way to open it."""
    with sync_playwright() as playwright, _served(site) as address:
        path = shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        seconds: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(ROUNDS):
            for page in PAGES:
                for way, root in (("folder", site.resolve().as_uri()), ("server", address)):
                    seconds.setdefault((page, way), []).append(_open(browser, f"{root}/{page}"))
        browser.close()
    print(
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; medians of {ROUNDS} (smallest-largest), in seconds"
    )
    print("| page | from | can be read | plays |\n|---|---|---|---|")
    for (page, way), rounds in seconds.items():
        read, plays = (_told([each[column] for each in rounds]) for column in (0, 1))
        print(f"| {page} | {way} | {read} | {plays} |")
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    print(f"{size / 1e6:.1f} MB in all")
    return 0


def _open(browser: Browser, address: str) -> tuple[float, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(address, wait_until="commit")
        page.wait_for_function("() => window.plays")
        page.wait_for_function(_READ)
        return float(page.evaluate(_READ)) / 1000, float(page.evaluate("() => window.plays")) / 1000
    finally:
        context.close()


def _told(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


@contextmanager
def _served(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"))
