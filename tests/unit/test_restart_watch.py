"""`RestartWatch` tells how a broker is, and lets go of its connection however far the broker's own goodbye has got."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pika.exceptions
import pytest
from packaging.version import Version

from workq_helpers import Broker
from workq_helpers.broker import broker as broker_module
from workq_helpers.broker.protocol import Ready
from workq_helpers.errors import BrokerStartError, BrokerUnreachableError
from workq_helpers.rabbitmq import restart_watch
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.restart_watch import RestartWatch

ENDPOINT = Endpoint("127.0.0.1", 1, "anna", "secret")


class Connection:
    """A connection whose broker says goodbye when it is told to, and to whose goodbye somebody has to answer."""

    def __init__(self) -> None:
        self.is_open, self.is_closed = True, False
        self._event = threading.Event()

    def goodbye(self) -> None:
        self.is_open = False
        self._event.set()

    def close(self) -> None:
        self.is_open, self.is_closed = False, True

    def process_data_events(self, time_limit: float) -> None:
        if not self.is_open:
            self.is_closed = True
            raise pika.exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED")
        if self._event.wait(time_limit) and not self.is_open:
            raise pika.exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED")

    def add_callback_threadsafe(self, _function: Callable[[], None]) -> None:
        self._event.set()

    def channel(self) -> Any:
        return self

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@pytest.mark.usefixtures("_quick")
def test_a_goodbye_that_has_begun_is_ended(monkeypatch: pytest.MonkeyPatch, poll_for: Callable[..., None]) -> None:
    first, second = Connection(), Connection()
    answers: list[Any] = [first, None, None, second]
    told: list[str] = []

    def open_connection(*_: object, **__: object) -> Connection:
        answer = answers.pop(0)
        if answer is None:
            raise BrokerUnreachableError("not yet")
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(restart_watch, "open_connection", open_connection)
    watch = RestartWatch(ENDPOINT, told.append)
    poll_for(lambda: "up" in told)
    assert (watch.outages, watch.is_up) == (0, True)
    first.goodbye()
    poll_for(lambda: watch.outages and watch.is_up)
    assert first.is_closed
    assert [change for change, before in zip(told, [None, *told], strict=False) if change != before] == [
        "up",
        "down",
        "up",
    ]
    watch.close()
    assert second.is_closed
    watch.close()
    assert watch.outages == 1


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_watch, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(restart_watch, "_KNOCK_SECONDS", 0.01)


class Watch:
    """A watch of a broker that somebody restarts just then."""

    outages, is_up = 1, False

    def close(self) -> None:
        pass


class Share:
    """A share whose supervisor does what it is asked for right after that other restart, before the watch knocks."""

    ready = Ready(ENDPOINT, "node", "a node", Version("4.3"))

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def request(self, *_: object) -> None:
        self._watch.is_up = True

    def close(self) -> None:
        pass


def test_a_restart_behind_another_waits_for_no_further_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, came_true = Watch(), []
    monkeypatch.setattr(broker_module, "wait_until", lambda condition, *_: came_true.append(condition()))
    with Broker(ENDPOINT, Version("4.3"), Share(watch)) as broker:  # type: ignore[arg-type]
        monkeypatch.setattr(broker_module, "wait_until_started", lambda _: None)
        monkeypatch.setattr(broker, "_restart_watch", watch)
        broker.restart()
    assert came_true == [True]


def test_a_server_that_hangs_is_revived_when_it_dies_later_and_one_that_does_not_come_up_is_tried_once() -> None:
    share = Share(Watch())
    asked: list[object] = []

    def request(operation: str, *_: object) -> None:
        asked.append(operation)
        if len(asked) == 3:
            raise BrokerStartError("It did not come up.")

    share.request = request  # type: ignore[assignment]
    with Broker(ENDPOINT, Version("4.3"), share) as broker:  # type: ignore[arg-type]
        for _ in range(5):
            broker._saw("down")  # as the watch tells at each of its knocks
    assert asked == ["revive"] * 3
