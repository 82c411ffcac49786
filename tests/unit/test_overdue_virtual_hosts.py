"""A virtual host that a broker in trouble did not delete is deleted later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from packaging.version import Version

from workq_helpers import Broker
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


class Lease:
    def __init__(self) -> None:
        self.hosts: set[str] = set()

    def request(self, operation: str, *_: object, virtual_host: str = "") -> dict[str, int]:
        if operation == "register":
            self.hosts.add(virtual_host)
        elif operation == "unregister":
            self.hosts.discard(virtual_host)
        return {"restarts": 0}

    def close(self) -> None:
        pass


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Broker, Administration, Lease]]:
    administration, lease = Administration(), Lease()
    broker = Broker(Endpoint("127.0.0.1", 1, "u", "p"), Version("4.3"), lease)  # type: ignore[arg-type]
    monkeypatch.setattr(broker, "_api", lambda: administration)
    yield broker, administration, lease
    broker.close()


def test_one_that_was_made_although_the_broker_did_not_say_so(known: tuple[Broker, Administration, Lease]) -> None:
    broker, administration, lease = known
    administration.full = True
    with pytest.raises(ManagementError):
        broker.create_virtual_host("first")
    [left] = administration.hosts
    administration.full = False
    second = broker.create_virtual_host("second")
    assert administration.hosts == lease.hosts == {second}
    assert left != second


def test_one_that_was_not_deleted(known: tuple[Broker, Administration, Lease]) -> None:
    broker, administration, lease = known
    first, second = broker.create_virtual_host("first"), broker.create_virtual_host("second")
    administration.full = True
    with pytest.raises(ManagementError):
        broker.delete_virtual_host(first)
    assert lease.hosts == {first, second}
    administration.full = False
    broker.delete_virtual_host(second)
    assert administration.hosts == lease.hosts == set()
