"""A virtual host that a broker in trouble did not delete is deleted later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from packaging.version import Version

from workq_helpers import Broker
from workq_helpers.broker.protocol import Ready
from workq_helpers.errors import ManagementError
from workq_helpers.rabbitmq.endpoint import Endpoint


class Administration:
    """A management API; with a full disk it does as it is told, too late for an answer."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.full = False

    def is_started(self) -> bool:
        return True

    def create_virtual_host(self, name: str) -> None:
        self.hosts.add(name)
        self._answer()

    def delete_virtual_host(self, name: str) -> None:
        self._answer()
        self.hosts.discard(name)

    def _answer(self) -> None:
        if self.full:
            raise ManagementError("it did not answer in time")


class Share:
    ready = Ready(Endpoint("127.0.0.1", 1, "u", "p"), "node", "a node", Version("4.3"))

    def __init__(self) -> None:
        self.hosts: set[str] = set()

    def note(self, virtual_host: str, *, made: bool) -> None:
        (self.hosts.add if made else self.hosts.discard)(virtual_host)

    def close(self) -> None:
        pass


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Broker, Administration, Share]]:
    administration, share = Administration(), Share()
    broker = Broker(Endpoint("127.0.0.1", 1, "u", "p"), Version("4.3"), share)  # type: ignore[arg-type]
    monkeypatch.setattr(broker, "_api", lambda: administration)
    yield broker, administration, share
    broker.close()


def test_one_that_was_made_although_the_broker_did_not_say_so(known: tuple[Broker, Administration, Share]) -> None:
    broker, administration, share = known
    administration.full = True
    with pytest.raises(ManagementError):
        broker.create_virtual_host("first")
    [left] = administration.hosts
    administration.full = False
    second = broker.create_virtual_host("second")
    assert administration.hosts == share.hosts == {second}
    assert left != second


def test_one_that_was_not_deleted(known: tuple[Broker, Administration, Share]) -> None:
    broker, administration, share = known
    first, second = broker.create_virtual_host("first"), broker.create_virtual_host("second")
    administration.full = True
    with pytest.raises(ManagementError):
        broker.delete_virtual_host(first)
    assert share.hosts == {first, second}
    administration.full = False
    broker.delete_virtual_host(second)
    assert administration.hosts == share.hosts == set()
