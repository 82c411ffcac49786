"""The stage as a person meets it: its controls, queues, workers and messages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.lab import Lab, Notebook

if TYPE_CHECKING:
    from playwright.sync_api import Locator

__all__ = ["SECONDS", "Stage", "lesson_cells", "open_stage", "put"]

#: How long the stage may take to show what happened, with a busy machine in mind.
SECONDS = 60.0
expect.set_options(timeout=SECONDS * 1000)

_FIRST_CELL = """\
import os
os.environ["WORKQ_SECONDS_PER_DOT"] = "{seconds_per_dot}"
from workq_helpers import Lesson, work

lesson = Lesson("{name}")

def callback(ch, method, properties, body):
    print(f" [x] Received {{body.decode()}}")
    work(body)
    print(" [x] Done")
    ch.basic_ack(delivery_tag=method.delivery_tag)

def callback_without_ack(ch, method, properties, body):
    print(f" [x] Received {{body.decode()}}")
    work(body)
    print(" [x] Done")

with lesson.connect() as connection:
    connection.channel().queue_declare(queue="hello", durable=True)
"""

# One entry a drawn frame: what was where. The observer runs when a frame has been drawn whole.
_RECORD = """root => {
    const frames = window.workqFrames = [];
    const look = () => frames.push({
        number: Number(root.dataset.number),
        milliseconds: performance.now(),
        broker: root.querySelector(".workq-broker")?.dataset.state,
        published: root.querySelector("[data-count='published']")?.textContent,
        focus: document.activeElement?.dataset.do ?? document.activeElement?.dataset.field
            ?? document.activeElement?.className ?? null,
        workers: Object.fromEntries([...root.querySelectorAll(".workq-worker")].map(
            worker => [worker.dataset.worker, worker.dataset.state])),
        messages: [...root.querySelectorAll(".workq-message")].map(message => ({
            key: message.dataset.key, place: message.dataset.place, text: message.textContent,
            worker: message.closest(".workq-worker")?.dataset.worker ?? null})),
    });
    look();
    new MutationObserver(look).observe(root, {attributes: true, attributeFilter: ["data-number"]});
}"""


def lesson_cells(name: str, *, seconds_per_dot: float = 0.05, before_stage: str = "") -> list[str]:
    """Return the cells of a notebook: its lesson with the queue ``hello``, the stage, and a cell to write in.

    Args:
        name: The lesson's.
        seconds_per_dot: How long a dot takes.
        before_stage: What else the first cell does.
    """
    first = _FIRST_CELL.format(name=name, seconds_per_dot=seconds_per_dot)
    return [first + before_stage, "lesson.stage", ""]


def open_stage(lab: Lab, *, seconds_per_dot: float = 0.05, before_stage: str = "", beside: bool = True) -> Stage:
    """Open a notebook with a stage, run it, and return the stage once it lives.

    Args:
        lab: The test's JupyterLab.
        seconds_per_dot: As for `lesson_cells`, and so is `before_stage`.
        before_stage: What else the first cell does.
        beside: Whether it stays beside the notebook; else its panel is closed, and it is below its cell.
    """
    path = lab.write(lesson_cells(lab.name, seconds_per_dot=seconds_per_dot, before_stage=before_stage))
    notebook = lab.open(path)
    notebook.run_all()
    assert notebook.errors() == []
    notebook.show(1)
    stage = Stage(notebook)
    stage.expect_alive()
    put(stage, beside)
    notebook.show(1)
    return stage


def put(stage: Stage, beside: bool) -> None:
    """Put the stage beside its notebook or below its cell; JupyterLab remembers what the test before wanted."""
    panel = stage.page.locator("#workq-stage-panel .workq-stage")
    back = stage.page.get_by_role("button", name="Show the stage beside the notebook")
    expect(panel.or_(back.filter(visible=True)).first).to_be_visible()
    if beside and panel.count() == 0:
        back.click()
    elif not beside and panel.count() == 1:
        stage.page.get_by_title("Close Stage", exact=True).click()
    expect(panel).to_have_count(int(beside))


class Stage:
    """The stage in a notebook.

    Args:
        notebook: The notebook it is in.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.root = self.page.locator(".workq-stage")

    # -- what is there

    @property
    def broker(self) -> Locator:
        return self.root.locator(".workq-broker[data-state]")

    @property
    def overlay(self) -> Locator:
        return self.root.locator(".workq-overlay")

    @property
    def controls(self) -> Locator:
        """Everything that can be pressed or filled in."""
        return self.root.locator("button, input, select, textarea")

    def button(self, do: str) -> Locator:
        return self.root.locator(f"[data-do='{do}']")

    def field(self, name: str) -> Locator:
        return self.root.locator(f"[data-field='{name}']")

    def queue(self, name: str = "hello") -> Locator:
        return self.root.locator(f".workq-queue[data-queue='{name}']")

    def count(self, which: str, queue: str = "hello") -> Locator:
        """A count of a queue: ``"ready-broker"``, ``"ready-log"``, ``"unacknowledged-broker"``, ..."""
        return self.queue(queue).locator(f"[data-count='{which}']")

    def worker(self, name: str) -> Locator:
        return self.root.locator(f".workq-worker[data-worker='{name}']")

    def console(self, worker: str) -> Locator:
        return self.worker(worker).locator(".workq-console")

    def done_by(self, worker: str) -> Locator:
        return self.worker(worker).locator("[data-count='done']")

    def message(self, task: str | None = None, place: str | None = None) -> Locator:
        found = self.root.locator(".workq-message" + (f"[data-place='{place}']" if place else ""))
        return found.filter(has_text=task) if task else found

    def end(self, name: str) -> Locator:
        return self.root.locator(f".workq-end[data-end='{name}']")

    def end_count(self, name: str) -> Locator:
        return self.end(name).locator("[data-count]")

    # -- what one does

    def send(self, task: str) -> None:
        """Fill in a task and press the button."""
        self.field("task").fill(task)
        self.press("send")

    def send_by_keyboard(self, task: str) -> None:
        """Type a task and press Enter, without touching the mouse."""
        self.field("task").focus()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(task)
        self.page.keyboard.press("Enter")

    def press(self, do: str, worker: str | None = None) -> None:
        """Press a button, of a worker's card if one is named."""
        (self.worker(worker).locator(f"[data-do='{do}']") if worker else self.button(do)).click()

    # -- what one sees

    def expect_alive(self) -> None:
        expect(self.root).to_have_count(1)
        expect(self.root).to_have_attribute("data-alive", "true")
        expect(self.overlay).to_have_count(0)

    def expect_dead(self) -> None:
        """A dead view says so and takes nothing."""
        expect(self.root).to_have_attribute("data-alive", "false")
        expect(self.overlay).to_be_visible()
        expect(self.overlay).to_have_text(re.compile(r"\w+ \w+.*\."))
        for control in self.controls.all():
            expect(control).to_be_disabled()

    def expect_count(self, which: str, number: int, queue: str = "hello") -> None:
        expect(self.count(which, queue)).to_have_text(_number(number))

    def expect_counts(self, *, ready: int, unacknowledged: int, queue: str = "hello") -> None:
        """Broker and log say the same, and this."""
        for source in ("broker", "log"):
            self.expect_count(f"ready-{source}", ready, queue)
            self.expect_count(f"unacknowledged-{source}", unacknowledged, queue)

    def expect_worker(self, name: str, *states: str) -> None:
        expect(self.worker(name)).to_have_attribute("data-state", re.compile(f"^({'|'.join(states)})$"))

    def expect_end_count(self, name: str, number: int) -> None:
        expect(self.end_count(name)).to_have_text(_number(number))

    # -- what was drawn

    def record(self) -> None:
        """Keep what every frame shows from now on."""
        self.root.evaluate(_RECORD)

    def frames(self) -> list[dict[str, Any]]:
        """Return the frames that were drawn since `record`."""
        found: list[dict[str, Any]] = json.loads(self.page.evaluate("() => JSON.stringify(window.workqFrames)"))
        return found

    def watch_frames(self, count: int) -> None:
        """Wait until so many more frames were drawn."""
        self.page.wait_for_function(
            "([root, number]) => Number(root.dataset.number) >= number",
            arg=[self.root.element_handle(), self.number() + count],
        )

    def number(self) -> int:
        """Return the number of the frame that is shown."""
        return int(self.root.get_attribute("data-number") or 0)

    def journey(self, task: str) -> list[str]:
        """Return the places that a task was seen in, in order, each once for a stay."""
        places: list[str] = []
        for frame in self.frames():
            for message in frame["messages"]:
                place = " ".join(filter(None, (message["worker"], message["place"])))
                if task in message["text"] and places[-1:] != [place]:
                    places.append(place)
        return places

    def states_of_broker(self) -> list[str]:
        """Return the states of the broker that were seen, in order."""
        seen: list[str] = []
        for frame in self.frames():
            if seen[-1:] != [frame["broker"]]:
                seen.append(frame["broker"])
        return seen

    def states_of(self, worker: str) -> list[str]:
        """Return the states of a worker that were seen, in order."""
        seen: list[str] = []
        for frame in self.frames():
            state = frame["workers"].get(worker)
            if state and seen[-1:] != [state]:
                seen.append(state)
        return seen

    def screenshot(self, name: str) -> None:
        """Keep a picture of the page."""
        self.notebook.screenshot(name)


def _number(number: int) -> re.Pattern[str]:
    """The number in a text that may hold more, such as its unit; thousands may be grouped."""
    digits = r"[,.\s\u202f\u00a0]?".join(re.findall(r"\d{1,3}(?=(?:\d{3})*$)", str(number)))
    return re.compile(rf"(?<![\d,.]){digits}(?![\d,.])")
