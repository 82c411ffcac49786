from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import psutil
import pytest

from tests.broker.course import course
from tests.broker.test_supervisor import quiet
from tests.support import need
from workq_helpers.broker import Cluster, memory, start_cluster
from workq_helpers.errors import BrokerError, BrokerNotOursError, BrokerStartError, InvalidArgumentError

#: Three nodes take as long to start as three brokers, and each to come back.
pytestmark = pytest.mark.timeout(600)

NAMES = ["node-1", "node-2", "node-3"]
PollFor = Callable[..., None]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        started = start_cluster(quiet)
    except BrokerError as error:
        need(False, f"no cluster to test with: {error}")
        raise
    with started:
        yield started


# -- its nodes


@pytest.mark.once
def test_a_node_goes_and_comes_and_clients_find_another(cluster: Cluster) -> None:
    cluster.bring_back()
    cluster.stop("node-1")
    assert [node.state for node in cluster.nodes()] == ["down", "up", "up"]
    assert "node-1 is down" in cluster.describe()
    with pika.BlockingConnection(cluster.addresses()) as connection:
        assert connection.is_open
    cluster.start("node-1")
    cluster.cut_off("node-3")
    assert [node.state for node in cluster.nodes()] == ["up", "up", "cut off"]
    with pika.BlockingConnection(cluster.addresses("node-3")[0]) as connection:
        assert connection.is_open, "clients reach it all the same"
    cluster.heal("node-3")
    assert [node.state for node in cluster.nodes()] == ["up", "up", "up"]


@pytest.mark.once
def test_what_can_not_be_done_is_told(cluster: Cluster) -> None:
    cluster.bring_back()
    with pytest.raises(InvalidArgumentError, match=r"no node .node-4.\. The nodes are node-1, node-2, node-3"):
        cluster.kill("node-4")
    with pytest.raises(InvalidArgumentError, match="no queue 'nowhere'"):
        cluster.leader("nowhere")
    cluster.kill("node-1")
    cluster.kill("node-2")
    with pytest.raises(BrokerError, match="node-3 is the only node that runs"):
        cluster.kill("node-3")
    cluster.bring_back()


@pytest.mark.once
def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    ports = {node.endpoint.port for node in cluster.nodes()}
    ports |= {int(str(node.endpoint.management_url).rpartition(":")[2]) for node in cluster.nodes()}
    listening = [each.laddr for each in psutil.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening if address.port in ports} == {"127.0.0.1"}


@pytest.mark.once
def test_the_login_is_shown_nowhere(cluster: Cluster) -> None:
    password = cluster.nodes()[0].endpoint.password
    assert password not in repr(cluster) + cluster.describe() + repr(cluster.nodes())


# -- without nodes


@pytest.mark.once
def test_a_machine_that_is_too_small_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 123_456_789)
    with course() as environ:
        with pytest.raises(BrokerStartError, match=r"123 MB of memory are free here, and 3 nodes .* need 600 MB"):
            start_cluster(quiet, environ)
        assert not Path(f"{environ['WORKQ_RUNTIME_DIR']}-cluster").exists()


@pytest.mark.once
def test_beside_a_broker_of_somebody_else_none_is_started() -> None:
    environ = {"WORKQ_BROKER_URL": "amqp://guest:guest@127.0.0.1:5672/lessons"}
    with pytest.raises(BrokerNotOursError, match="somebody else runs"):
        start_cluster(quiet, environ)
