from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.broker.course import admin, course, node_is_possible
from tests.support import need
from workq_helpers.broker import Broker, commands, find_broker
from workq_helpers.errors import (
    BrokerUnreachableError,
    LoginRefusedError,
    VirtualHostRefusedError,
)

pytestmark = pytest.mark.once  # on a broker of its own, whichever version the machine has

GUEST = "somebody"


def quiet(_text: str) -> None:
    """Take in progress and show nothing."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A broker whose address others are given."""
    need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")
    with course() as environ, find_broker(quiet, environ) as broker:
        for host in ("lent", "empty"):
            admin(broker, "PUT", f"vhosts/{host}")
        admin(broker, "PUT", f"users/{GUEST}", password="let-me-in", tags="management")
        for host in ("lent", "%2F"):
            admin(broker, "PUT", f"permissions/{host}/{GUEST}", configure=".*", write=".*", read=".*")
        yield broker


def named(broker: Broker, login: str = "", virtual_host: str = "", port: int = 0) -> dict[str, str]:
    """Return the environment of somebody who was given the broker's address."""
    login = login or f"{broker.endpoint.username}:{broker.endpoint.password}"
    return {
        "WORKQ_BROKER_URL": f"amqp://{login}@127.0.0.1:{port or broker.endpoint.port}/{virtual_host}",
        "WORKQ_MANAGEMENT_URL": str(broker.endpoint.management_url),
    }


def declare(broker: Broker, virtual_host: str, queue: str) -> None:
    import pika

    with pika.BlockingConnection(broker.connection_parameters(virtual_host)) as connection:
        connection.channel().queue_declare(queue, durable=True)


def test_an_administrator_gets_virtual_hosts_that_go_with_the_handle(broker: Broker) -> None:
    with find_broker(quiet, named(broker)) as given:
        host = given.create_virtual_host("Round robin!")
        assert host.startswith("workq.Round-robin.")
        declare(given, host, "hello")
        assert given.queue_counts(host)["hello"].ready == 0
        assert host in broker.virtual_hosts()
    assert host not in broker.virtual_hosts()


def test_who_may_create_none_gets_the_one_named_emptied(broker: Broker) -> None:
    declare(broker, "lent", "left over")
    with find_broker(quiet, named(broker, f"{GUEST}:let-me-in", "lent")) as given:
        assert given.create_virtual_host("lesson") == "lent"
        assert broker.queue_counts("lent") == {}
    assert "lent" in broker.virtual_hosts()


def test_the_default_virtual_host_is_never_emptied(broker: Broker) -> None:
    declare(broker, "/", "precious")
    with (
        find_broker(quiet, named(broker, f"{GUEST}:let-me-in")) as given,
        pytest.raises(VirtualHostRefusedError, match="never uses '/'"),
    ):
        given.create_virtual_host("lesson")
    assert "precious" in broker.queue_counts("/")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"login": f"{GUEST}:wrong-secret"}, LoginRefusedError),
        ({"login": f"{GUEST}:let-me-in", "virtual_host": "empty"}, VirtualHostRefusedError),
        ({"virtual_host": "nowhere"}, VirtualHostRefusedError),
        ({"port": 1}, BrokerUnreachableError),
    ],
)
def test_an_address_that_does_not_work(broker: Broker, given: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        find_broker(quiet, named(broker, **given))
    assert "wrong-secret" not in str(raised.value)
    assert broker.endpoint.password not in str(raised.value)


def test_an_open_handle_that_is_dropped_warns_and_closes(broker: Broker) -> None:
    given = find_broker(quiet, named(broker))
    with pytest.warns(ResourceWarning, match="unclosed <Broker RabbitMQ"):
        given.__del__()
    assert repr(given).endswith("closed>")
    given.close()
    assert commands.url(named(broker)).startswith("amqp://")
