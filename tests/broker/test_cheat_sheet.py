"""notebooks/cheat_sheet.md: its code is a program that does what it says."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from workq_helpers import Lesson

SHEET = (Path(__file__).parents[2] / "notebooks" / "cheat_sheet.md").read_text(encoding="utf-8")
WORK = """
import time
burned = [b"Soup.."]
def work(body):
    if body == b"Stone":
        raise ValueError("a stone")
    if body in burned:
        burned.remove(body)
        raise OSError("it burned")
    while body == b"Stew" and connection.is_open:
        time.sleep(0.01)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "sheet.py"
    file.write_text("\n".join([WORK, *re.findall(r"```python\n(.*?)```", SHEET, re.DOTALL)]), encoding="utf-8")
    return file


def test_it_publishes_consumes_and_parks_what_is_rejected(
    lesson: Lesson, program: Path, poll_for: Callable[..., None]
) -> None:
    running = lesson.start_program(program)
    poll_for(lambda: "parking" in lesson.queue_counts() and lesson.queue_counts()["parking"].ready == 1)
    lesson.wait_until_idle(timeout=60)
    soup = lesson.tasks().query("task == 'Soup..'")
    assert soup[["fate", "deliveries"]].to_numpy().tolist() == [["done", 2]], "what has failed comes again"
    assert not running.console.lines, "nothing was refused"
    with lesson.connect() as connection:
        channel = connection.channel()
        _, properties, body = channel.basic_get(queue="parking", auto_ack=True)
        channel.basic_publish(exchange="", routing_key="task_queue", body="Stew")
    assert body == b"Stone"
    assert properties.headers["x-first-death-reason"] == "rejected"
    assert properties.delivery_mode == 2
    assert properties.message_id
    poll_for(lambda: lesson.queue_counts()["task_queue"].unacknowledged == 1)
    os.kill(running.pid, signal.SIGINT)
    running.wait()
    assert running.status == 0
    assert not running.console.lines
    poll_for(lambda: lesson.queue_counts()["task_queue"].ready == 1)


def test_it_says_so_where_there_is_no_queue(lesson: Lesson, program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    program.write_text(text.replace('routing_key="task_queue"', 'routing_key="attic"'), encoding="utf-8")
    running = lesson.start_program(program)
    running.wait_for("There is no such queue.")
    running.kill()
