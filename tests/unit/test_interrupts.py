"""An interrupt while the course is imported: it comes, and does no harm."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from workq_helpers.interrupts import deferred

#: Interrupts itself as soon as a module is imported, and tries again.
_KERNEL = """
import signal, sys

def interrupt(event, arguments):
    global moment
    if event == "import" and arguments[0] == moment:
        moment = None
        signal.raise_signal(signal.SIGINT)

def use():
    from workq_helpers import Lesson, find_broker, work
    from workq_helpers import broker
    try:
        find_broker(environ={"WORKQ_BROKER_URL": "amqp://127.0.0.1:1", "WORKQ_RUNTIME_DIR": "/tmp"})
    except broker.broker.BrokerError:
        pass
    from workq_helpers.rabbitmq.management import Management
    Management(broker.Endpoint('127.0.0.1', 1, 'guest', 'guest', 'http://127.0.0.1:1')).close()
    from workq_helpers.lessons.round_robin import check
    from workq_helpers import log, pictures, stage
    log.tables, pictures.timeline, stage.Stage

moment = sys.argv[1]
sys.addaudithook(interrupt)
try:
    use()
except KeyboardInterrupt:
    print("interrupted")
use()
print("used")
"""


#: Of ours, of plain Python, of compiled code, and one that registers what Jupyter asks for.
_MOMENTS = ("workq_helpers.session", "pika.spec", "numpy.linalg", "ipywidgets")
_AT_NIGHT = (
    "workq_helpers.impostors", "pika.adapters.select_connection", "httpx", "httpcore._sync", "matplotlib.ft2font",
    "anywidget", "packaging.version",
)  # fmt: skip


@pytest.mark.once  # imports everything, twice
@pytest.mark.parametrize(
    "moment", [*_MOMENTS, *(pytest.param(moment, marks=pytest.mark.nightly) for moment in _AT_NIGHT)]
)
def test_whatever_is_imported_when_it_comes_can_be_used_afterwards(moment: str) -> None:
    command = [sys.executable, "-c", _KERNEL, moment]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "interrupted\nused\n", "")


def test_it_comes_at_the_end_of_the_outermost_block() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it is about where it is raised
        with deferred():
            with deferred():
                signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")
        reached.append("after")
    assert reached == ["inner", "outer"]


def test_other_threads_have_nothing_to_put_off() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def look() -> None:
        with deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
