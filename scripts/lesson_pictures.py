"""Makes the pictures in the lessons' text, and the README's of the stage: `make pictures`.

They are for those who read on GitHub, so they are real, small, and give no answer away. Two of the stage are what the
browser tests' film strip photographs, the others a moment of a kept run; both need a Chromium.
"""

import io
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from recording import KEPT, Recording

from tests.browser import chromium
from workq_helpers import Lesson, print_work_and_ack
from workq_helpers.stage.run_page import PLAYER_CSS, PLAYER_JS, player_element
from workq_helpers.stage.saved_run import SavedRun

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "notebooks" / "pictures"

FILM_STRIP = "tests/browser/test_film_strip.py"

#: Where each of the film strip's pictures of the stage goes.
STAGES = {
    "stage-at-work-light.png": PICTURES / "stage.png",
    "stage-killed-light.png": ROOT / "docs" / "stage.png",
}

#: For each other lesson the kept run that its picture shows, and what has not happened in it yet, in the story's words.
BEFORE = {
    "acknowledgments": ("done_when_done", "worker-2 acknowledged Tea"),
    "mistakes_and_long_work": ("a_kitchen_for_mistakes", "worker-1 acknowledged Soup"),
    "durability": ("a_queue_by_its_name_alone", "RabbitMQ was told to restart"),
    "fair_dispatch": ("a_queue_that_fills", "notebook sent Plate 8"),
    "putting_it_together": ("everything_at_once", "was killed"),
    "when_a_task_fails": ("a_kitchen_to_fail_in_2", "worker-1 acknowledged Soup"),
    "one_of_three_dies": ("the_leader_s_node_dies", "was killed"),
}

#: In CSS pixels: what a lesson's text is wide on GitHub, or less.
WIDTH, HEIGHT = 680, 900

#: Enough for the stage's colors and the edges of its letters.
COLORS = 256


def main() -> int:
    """Make all pictures and return the exit status."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"WORKQ_SCREENSHOTS": folder}
        tests = [sys.executable, "-m", "pytest", FILM_STRIP, "-q", "-k", "light and not lesson_01"]
        status = subprocess.run(tests, cwd=ROOT, env=environ, check=False).returncode
        if status:
            print("The pictures of the stage stay as they are: the film strip could not be made.")
            return status
        for taken, place in STAGES.items():
            place.write_bytes(small((Path(folder) / taken).read_bytes()))
    (PICTURES / "timeline.png").write_bytes(timeline())
    photograph_runs()
    return 0


def photograph_runs() -> None:
    """Make the pictures of the moments in kept runs."""
    with sync_playwright() as playwright, chromium.launch(playwright) as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for lesson, (experiment, sentence) in BEFORE.items():
            run = Recording.load(KEPT / lesson).runs[experiment]
            at_seconds, events = moment_before(run, sentence)
            page.set_content(
                f"<!doctype html><style>{PLAYER_CSS}</style>{player_element(run, at_seconds)}"
                f'<script type="module">{PLAYER_JS}</script>'
            )
            stage = page.locator(".workq-stage")
            stage.locator(f".workq-events:has-text('event {events} of')").wait_for()
            page.wait_for_function("() => !document.getAnimations().length")
            (PICTURES / f"{lesson}.png").write_bytes(small(stage.screenshot()))


def moment_before(run: SavedRun, sentence: str) -> tuple[float, int]:
    """Return a moment midway between what the story first tells and the event before: its second, and its events.

    Args:
        run: The run.
        sentence: What is told, or a part of it.
    """
    moments = run.moments
    for before, moment in pairwise(moments):
        if any(sentence in line["text"] for line in moment.shown["story"]):
            since = next(each.seconds for each in moments if each.events == before.events)
            return (since + moment.seconds) / 2 - moments[0].seconds, before.events
    raise LookupError(f"{run!r} never tells {sentence!r}; name something else that it tells in BEFORE.")


def small(png: bytes) -> bytes:
    """Return a PNG with a palette."""
    made = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLORS, Image.Quantize.MEDIANCUT).save(made, "png", optimize=True)
    return made.getvalue()


def timeline() -> bytes:
    """Return the timeline of one worker, whose first task keeps the others waiting."""
    lesson = Lesson("picture")
    with lesson.connect() as connection:
        connection.channel().queue_declare(queue="hello", durable=True)
    lesson.start_worker(print_work_and_ack, queue="hello")
    lesson.start_publisher(["Soup...", "Tea.", "Toast.."], queue="hello").wait()
    lesson.wait_until_idle(timeout=60)
    picture = lesson.timeline().png()
    lesson.close()
    return picture


if __name__ == "__main__":
    sys.exit(main())
