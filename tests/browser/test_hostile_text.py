"""What strangers may choose - bodies, names, output - shown in a real JupyterLab: as text, whatever it looks like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import SECONDS

if TYPE_CHECKING:
    from tests.browser.lab import Notebook

pytestmark = pytest.mark.once

TAG = "<img src=x onerror=pwned=1>"
MATH = r"$\href{javascript:pwned=1}{a+b}$"
ESCAPE = "\x1b[31mred\x1b]0;title\x07"
BODIES = (TAG, MATH, ESCAPE, "<script>pwned=1</script>", "[a](javascript:pwned=1) **b**")

_FIRST = """\
import os
os.environ["WORKQ_SECONDS_PER_DOT"] = "0"
import json
from workq_helpers import Lesson
from workq_helpers.lessons.putting_it_together.task_stories import task_stories

TAG, MATH, BODIES = json.loads({given!r})
lesson = Lesson(TAG)

def callback(ch, method, properties, body):
    print(f" [x] Received {{body.decode()}}")
    ch.basic_ack(delivery_tag=method.delivery_tag)

with lesson.connect() as connection:
    connection.channel().queue_declare(queue=TAG, durable=True)
worker = lesson.start_worker(callback, queue=TAG, name=MATH)
lesson.start_publisher(BODIES, queue=TAG, name=TAG)
lesson.wait_until_idle(timeout=30)
"""

SHOWN = (
    "lesson.stage",
    "lesson.deliveries()",
    "lesson.events()",
    "lesson.tasks()",
    "task_stories(lesson, all_tasks=True)",
    "lesson.timeline()",
    "worker.console",
    "from workq_helpers.teaching.check import CheckResult; CheckResult('saw', ' '.join(lesson.deliveries()['task']))",
    "from workq_helpers.lessons.mistakes_and_long_work.rabbitmqctl import rabbitmqctl; "
    "rabbitmqctl(lesson, 'list_queues', 'name')",
    "worker",
    "lesson",
    "with lesson.connect() as connection:\n    connection.channel().queue_declare(queue=TAG, durable=False)",
)

#: Everything in an output that none of this may have become.
_ALIVE = """() => [...document.querySelectorAll([
    "img:not([src^='data:'])", "script", "strong:not([class], [style])", "mjx-container",
    "[href^='javascript']", ".ansi-red-fg", "[onerror]",
    ].map(what => `.jp-OutputArea ${what}`).join())]
    .map(element => element.outerHTML.slice(0, 200))"""


@pytest.fixture
def notebook(lab: Lab) -> Notebook:
    given = json.dumps([TAG, MATH, BODIES])
    opened = lab.open(lab.write([_FIRST.format(given=given), *SHOWN]))
    opened.run_all()
    return opened


def test_it_stays_text_wherever_it_is_shown(lab: Lab, notebook: Notebook) -> None:
    refused = [error for error in notebook.errors() if not error.startswith("QueueMismatchError")]
    assert refused == []
    page = notebook.page
    stage = page.locator(".workq-stage")
    expect(stage).to_have_attribute("data-alive", "true", timeout=SECONDS * 1000)
    expect(stage.get_by_text(TAG).first).to_be_attached()
    for index in range(len(SHOWN) + 1):
        notebook.show(index)
    text = " ".join(page.locator(".jp-OutputArea").all_text_contents())
    for shown in (TAG, MATH, "␛[31mred␛]0;title␇", BODIES[3]):
        assert shown in text, shown
    notebook.screenshot("hostile-text")
    assert page.evaluate(_ALIVE) == []
    assert page.evaluate("() => [window.pwned, document.title.includes('title')]") == [None, False]
