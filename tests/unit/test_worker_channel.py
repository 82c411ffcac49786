from __future__ import annotations

import inspect
from unittest.mock import Mock

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from workq_helpers.clients.recording_connection import RecordingChannel
from workq_helpers.clients.worker_channel import WorkerChannel


@pytest.mark.parametrize(
    "name", [name for name, value in vars(WorkerChannel).items() if callable(value) and not name.startswith("_")]
)
def test_signatures_are_pikas(name: str) -> None:
    ours = inspect.signature(getattr(WorkerChannel, name)).parameters.values()
    theirs = inspect.signature(getattr(BlockingChannel, name)).parameters.values()
    assert [(known.name, known.default) for known in ours] == [(known.name, known.default) for known in theirs]


@pytest.mark.parametrize(
    "name",
    [name for name, value in vars(RecordingChannel).items() if callable(value) and hasattr(BlockingChannel, name)],
)
def test_recorded_signatures_are_pikas(name: str) -> None:
    ours = inspect.signature(getattr(RecordingChannel, name)).parameters.values()
    theirs = inspect.signature(getattr(BlockingChannel, name)).parameters.values()
    assert [(known.name, known.default) for known in ours] == [(known.name, known.default) for known in theirs]


def test_what_a_workers_channel_lacks_is_said_with_the_next_step() -> None:
    channel = WorkerChannel(Mock())
    with pytest.raises(AttributeError, match=r"no 'flow'.*lesson\.connect\(\)"):
        channel.flow(True)
