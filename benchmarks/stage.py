"""The stage under load, in a real JupyterLab and a real Chromium: `python benchmarks/stage.py`.

For each rate, messages go through the lesson while the stage shows them. Measured at the same time: frames
drawn a second, how busy the page's main thread is, what the kernel's threads of the stage take of a core, how
long an event takes to reach the screen, and whether the last picture equals the log and the broker.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.bench import Bench, alone
from benchmarks.row import Goal, Row
from tests.browser import chromium
from tests.browser.lab import Lab, Tab
from tests.browser.server import serving
from tests.browser.stage import Stage

PART = "stage"
RATES = (100, 1_000, 5_000)
WORKERS = 2

#: How long each flood lasts.
SECONDS = 30

#: Of the flood alone: not the moments in which it starts and ends.
MARGIN_SECONDS = 1.0

LESSON = """
import psutil, threading, time
from workq_helpers import Lesson

def ack(ch, method, properties, body):
    ch.basic_ack(delivery_tag=method.delivery_tag)

def stage_seconds():
    spent = {each.id: each.user_time + each.system_time for each in psutil.Process().threads()}
    return sum(spent.get(thread.native_id, 0) for thread in threading.enumerate() if thread.name.startswith("stage"))

lesson = Lesson("stage-benchmark")
with lesson.connect() as connection:
    connection.channel().queue_declare(queue="hello", durable=True)
"""

# The observer is told on the writer's thread: number of the frame, events it shows.
WATCH = """
sent = []
def note(change):
    sent.append((change.new["number"], change.new["playback"]["event"]))

lesson.stage._widget.observe(note, "frame")
lesson.stage
"""

FLOOD = """
lesson.start_over()
sent.clear()
lesson.start_workers({workers}, ack, queue="hello", prefetch_count=100)
opened_at = time.time() - lesson.log.seconds()
flood = lesson.start_publisher("Drop", queue="hello", rate={rate}, count={count})
lesson.log.wait_for(lambda: len(lesson.log) > 50, 30)
spent, began = stage_seconds(), time.monotonic()
"""

REACHED = (
    "(lambda times: (len(times) - 1) / (times[-1] - times[0]))"
    "([row[0] for row in lesson.log.rows() if row[1] == 'published'])"
)

# A frame counts as seen at the animation frame after the one that drew it: then it has been painted.
RECORD = """() => {
    const root = document.querySelector(".workq-stage");
    const seen = window.workqSeen = [];
    new MutationObserver(() => {
        const number = Number(root.dataset.number);
        requestAnimationFrame(() => seen.push([number, performance.timeOrigin + performance.now()]));
    }).observe(root, {attributes: true, attributeFilter: ["data-number"]});
}"""

#: What is measured at each rate: its unit, and what it should be.
FIGURES = {
    "frames a second": ("/s", Goal(">=", 8.0)),
    "page busy": ("%", Goal("<=", 30.0)),
    "kernel busy": ("%", Goal("<=", 10.0)),
    "event to pixels, 95 %": ("ms", Goal("<=", 250.0)),
}


class Figures(NamedTuple):
    """What was measured at one rate, and whether the end was right."""

    reached: float
    figures: dict[str, float]
    ended_right: bool


def measure(bench: Bench) -> None:
    """Measure the stage at each rate."""
    rates = RATES[:1] if bench.quick else RATES
    found: dict[int, list[Figures]] = {rate: [] for rate in rates}
    with (
        tempfile.TemporaryDirectory(prefix="workq-bench-", ignore_cleanup_errors=True) as folder,
        serving(Path(folder)) as server,
        sync_playwright() as playwright,
        chromium.launch(playwright, whole=True) as browser,  # the figures are a learner's
    ):
        _ = bench.broker  # found before the lesson looks for it
        tab = Tab(browser, server, "stage-benchmark")
        tab.goto()
        lab = Lab(server, browser, tab, "stage-benchmark")
        notebook = lab.open(lab.write([LESSON, WATCH, ""]))
        notebook.run_all()
        assert notebook.errors() == [], notebook.errors()
        notebook.show(1)
        stage = Stage(notebook)
        stage.expect_alive()
        stage.page.evaluate(RECORD)
        for _ in range(bench.rounds):
            for rate in rates:
                found[rate].append(flood(stage, rate, bench.count(SECONDS, 5)))
        stage.page.screenshot(path=bench.folder / "stage.png")
        lab.close()
        tab.close()
    for rate, rounds in found.items():
        _report(bench, rate, rounds)


def _report(bench: Bench, rate: int, rounds: list[Figures]) -> None:
    what = f"{rate:,} messages a second"
    bench.report.add(Row(PART, what, "reached", "msg/s", [each.reached for each in rounds]))
    for name, (unit, goal) in FIGURES.items():
        bench.report.add(Row(PART, what, name, unit, [each.figures[name] for each in rounds], goal=goal))
    right = [float(each.ended_right) for each in rounds]
    bench.report.add(Row(PART, what, "ended as log and broker", "of 1", right, goal=Goal(">=", 1.0)))


def flood(stage: Stage, rate: int, seconds: int) -> Figures:
    """Send messages through the lesson at a rate, and measure the stage meanwhile."""
    notebook, page = stage.notebook, stage.page
    page.evaluate("() => { window.workqSeen.length = 0; }")
    notebook.set_source(2, FLOOD.format(workers=WORKERS, rate=rate, count=rate * seconds))
    notebook.run(2)
    assert notebook.errors() == [], notebook.errors()
    page.wait_for_timeout(MARGIN_SECONDS * 1000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = page_seconds(page, session)
    page.wait_for_timeout((seconds - 3 * MARGIN_SECONDS) * 1000)
    after = page_seconds(page, session)
    session.detach()
    spent = notebook.evaluate("[flood.wait(None), stage_seconds() - spent, time.monotonic() - began]")
    ended_right = ends_right(stage, rate * seconds)
    reached = notebook.evaluate(REACHED)
    seen = page.evaluate("() => window.workqSeen")
    drawn = [at for _, at in seen if before["at"] <= at <= after["at"]]
    return Figures(
        reached,
        {
            "frames a second": 1000 * (len(drawn) - 1) / (drawn[-1] - drawn[0]),
            "page busy": 100 * (after["busy"] - before["busy"]) / ((after["at"] - before["at"]) / 1000),
            "kernel busy": 100 * spent[1] / spent[2],
            "event to pixels, 95 %": latency(notebook, seen),
        },
        ended_right,
    )


def page_seconds(page: Page, session: CDPSession) -> dict[str, float]:
    """Return how long the page's main thread has worked, in seconds, and the time in the page's milliseconds."""
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    now = page.evaluate("() => performance.timeOrigin + performance.now()")
    return {"busy": metrics["TaskDuration"], "at": now}


def ends_right(stage: Stage, count: int) -> bool:
    """Whether within a second of the end the picture equals what the log and the broker say."""
    stage.notebook.evaluate("lesson.wait_until_idle(60)")
    try:
        stage.page.wait_for_function(
            """count => {
                const root = document.querySelector(".workq-stage");
                const read = name => root.querySelector(`[data-count='${name}']`)?.textContent;
                const done = root.querySelector(".workq-end[data-end='done'] [data-count]")?.textContent;
                return Number(done?.replaceAll(",", "")) === count
                    && ["ready-log", "ready-broker", "unacknowledged-log", "unacknowledged-broker"]
                        .every(name => read(name) === "0");
            }""",
            arg=count,
            timeout=1000,
        )
    except Exception as error:  # noqa: BLE001 - a picture that is not right in time is a result
        print(f"not right a second after the end: {error}".splitlines()[0])
        return False
    return True


def latency(notebook: Any, seen: list[list[float]]) -> float:
    """Return in how many milliseconds 95 % of the events had reached the screen."""
    opened_at, sent = notebook.evaluate("[opened_at, sent]")
    times = notebook.evaluate("lesson.log.columns()['seconds'][::20]")
    at = dict(seen)
    # The first frame drawn that shows so many events or more.
    shown = sorted((events, at[number]) for number, events in sent if number in at)
    waits, place = [], 0
    for index, seconds in enumerate(times):
        while place < len(shown) and shown[place][0] <= index * 20:
            place += 1
        if place < len(shown):
            waits.append(shown[place][1] - 1000 * (opened_at + seconds))
    return statistics.quantiles(waits, n=20)[-1]


if __name__ == "__main__":
    alone(PART, measure, __doc__)
