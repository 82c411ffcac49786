"""What the supervisor says of its broker, as another version of the course reads it."""

from __future__ import annotations

import contextlib
import socket

import pytest
from packaging.version import Version

from workq_helpers.broker.protocol import Link, Ready, converse
from workq_helpers.errors import BrokerStartError
from workq_helpers.rabbitmq.endpoint import Endpoint

READY = Ready(Endpoint("127.0.0.1", 5672, "u", "p"), "node", "a node", Version("4.3"))


def test_a_broker_of_this_version_is_read_as_it_was_said() -> None:
    assert Ready.from_json(READY.to_json()) == READY


@pytest.mark.parametrize("said", [READY.to_json() | {"more": 1}, {"endpoint": READY.to_json()["endpoint"]}])
def test_a_broker_of_another_version_of_the_course_has_a_sentence(said: dict[str, object]) -> None:
    with pytest.raises(BrokerStartError, match=r"another version of the course.*workq broker stop"):
        Ready.from_json(said)


def test_who_is_told_of_the_progress_may_have_a_timeout_of_their_own() -> None:
    def progress(text: str, _done: int, _total: int) -> None:
        raise TimeoutError(text)

    ours, theirs = map(Link, socket.socketpair())
    with contextlib.closing(ours), contextlib.closing(theirs):
        theirs.send({"progress": "Looking", "done": 0, "total": 0})
        with pytest.raises(TimeoutError, match="Looking"):
            converse(ours, {"op": "share"}, 1.0, progress)
