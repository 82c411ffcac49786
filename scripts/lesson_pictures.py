"""Makes the pictures in the lessons' text, and the README's of the stage: `make pictures`.

They are for those who read on GitHub, so they are real, small, and give no answer away. Those of the stage are what
the browser tests' film strip photographs, which needs a Chromium.
"""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from workq_helpers import Lesson, print_work_and_ack

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "notebooks" / "pictures"

FILM_STRIP = "tests/browser/test_film_strip.py"

#: Where each of the film strip's pictures of the stage goes.
STAGES = {
    "stage-at-work-light.png": PICTURES / "stage.png",
    "stage-killed-light.png": ROOT / "docs" / "stage.png",
}

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
    return 0


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
