"""`Witness` lets go of its connection, however far the broker's own goodbye has got."""

from __future__ import annotations

import pika.exceptions
import pytest

from workq_helpers.rabbitmq import restart_watch
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.restart_watch import Witness


class HalfClosed:
    """A connection whose broker has said goodbye, and which has yet to answer."""

    is_open = False
    is_closed = False

    def process_data_events(self, time_limit: float) -> None:
        if time_limit:
            self.is_closed = True
            raise pika.exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED")


def test_a_goodbye_that_has_begun_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = HalfClosed()
    monkeypatch.setattr(restart_watch, "open_connection", lambda *_, **__: connection)
    seen = Witness(Endpoint("127.0.0.1", 1, "anna", "secret"))
    assert seen.saw_it_go()
    assert not connection.is_closed
    seen.close()
    assert connection.is_closed
    seen.close()
