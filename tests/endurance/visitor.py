"""What a learner does in an evening, in short: ``python -m tests.endurance.visitor``; prints what came of it as JSON.

They open the lessons with `workq lab`, start a kernel, save a notebook, take a lesson, and stop JupyterLab.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

__all__ = ["visit"]

NOTEBOOK = "notebooks/00_start_here.ipynb"
#: The beginning of what they write into it.
ADDED = "A note of mine, "

_URL = re.compile(r"(http://127\.0\.0\.1:\d+)/lab/tree/\S+\?token=(\w+)")
_LESSON = """
from workq_helpers import Lesson
from workq_helpers.lessons import course_progress
with Lesson("visit") as lesson:
    with lesson.connect() as connection:
        connection.channel().queue_declare(queue="hello", durable=True)
    lesson.start_worker(lambda ch, method, properties, body: ch.basic_ack(method.delivery_tag), queue="hello")
    lesson.start_publisher(["First.", "Second.."], "hello", confirm=True)
    lesson.wait_until_idle(60)
    assert sum(event.kind == "acked" for event in lesson.log) == 2, list(lesson.log)
    print(lesson.broker.endpoint.port, sorted(lesson.broker.virtual_hosts()))
progress = course_progress()
progress.mark_lesson("00_start_here.ipynb")
print(progress.trouble)
"""


def visit(opened: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Do all of it in the working folder, and return what was said and seen.

    Args:
        opened: Called when JupyterLab is open, before anything is done there.
    """
    began = time.monotonic()
    lab = subprocess.Popen(
        [Path(sys.executable).with_name("workq"), "lab", "--no-browser", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert lab.stdout is not None
    said: list[str] = []
    try:
        for line in lab.stdout:
            said.append(line)
            if found := _URL.search(line):
                break
        else:
            return {"said": "".join(said), "opened": False}
        opened_seconds = time.monotonic() - began
        before = len(said)
        opened()
        headers = {"Authorization": f"token {found[2]}"}
        transport = httpx.HTTPTransport(retries=6)
        with httpx.Client(base_url=found[1], headers=headers, transport=transport, timeout=120) as client:
            kernel = client.post("/api/kernels", json={"name": "python3"})
            saved = _save(client)
        lesson = subprocess.run([sys.executable, "-c", _LESSON], capture_output=True, text=True, check=False)
    finally:
        lab.terminate()
        said.append(lab.communicate()[0])
    return {
        "said": "".join(said[:before]),
        "opened": True,
        "opened_seconds": opened_seconds,
        "address": found[1],
        "kernel": kernel.status_code,
        "saved": saved.status_code,
        "lesson": lesson.stdout,
        "lesson_failed": lesson.stderr if lesson.returncode else "",
        "status": lab.returncode,
        "user": os.geteuid(),
    }


def _save(client: httpx.Client) -> httpx.Response:
    notebook = client.get(f"/api/contents/{NOTEBOOK}").raise_for_status().json()
    notebook["content"]["cells"][0]["source"] = ADDED * 1000
    return client.put(f"/api/contents/{NOTEBOOK}", json=notebook)


def _wait() -> None:
    """Say that JupyterLab is open, and go on when stdin ends."""
    print("opened", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    print(json.dumps(visit(_wait if "--wait" in sys.argv else lambda: None)))
