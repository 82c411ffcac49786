from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pika

from workq_helpers.errors import WorkqError
from workq_helpers.events import EventLog
from workq_helpers.messages import MessageIds
from workq_helpers.publisher import Publisher, PublisherOptions


def test_a_task_is_on_its_way_before_the_next_one_is_asked_for() -> None:
    nudged_with: list[int] = []
    asked_after: list[int] = []

    def slow() -> Iterator[str]:
        for task in ("a", "b", "c"):
            asked_after.append(len(nudged_with))
            yield task

    publisher = Publisher(
        "publisher-1",
        slow(),
        PublisherOptions("hello"),
        parameters=pika.ConnectionParameters(),
        log=EventLog(),
        ids=MessageIds(),
        explain=lambda error: WorkqError(str(error)),
    )
    publisher._pump._loop.close()
    publisher._pump = SimpleNamespace(nudge=lambda: nudged_with.append(len(publisher._ready)))  # type: ignore[assignment]
    publisher.do_work()
    assert nudged_with == [1, 2, 3]
    assert asked_after == [0, 1, 2]
