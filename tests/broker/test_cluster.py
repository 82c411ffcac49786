from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pika
import psutil
import pytest

from benchmarks.cluster import resident_bytes
from tests.broker.cluster_books import Books, fetch_all
from tests.broker.course import Holder, course, node_is_possible, processes_in
from tests.broker.test_supervisor import SOURCES, containers_of, need_docker, quiet
from tests.support import need
from workq_helpers.broker import Cluster, memory, start_cluster
from workq_helpers.broker.cluster import NEEDED_BYTES
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.share import ask
from workq_helpers.errors import BrokerError, BrokerNotOursError, BrokerStartError, InvalidArgumentError
from workq_helpers.waiting import wait_until

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


def declare(cluster: Cluster, queue: str) -> None:
    with pika.BlockingConnection(cluster.addresses()) as connection:
        connection.channel().queue_declare(queue=queue, durable=True, arguments={"x-queue-type": "quorum"})


def delete(cluster: Cluster, queue: str) -> None:
    with pika.BlockingConnection(cluster.addresses()) as connection:
        connection.channel().queue_delete(queue=queue)


# -- seeded kills


class Fault(NamedTuple):
    """What is done to the nodes: how, and to which of a queue's members."""

    deed: str
    victims: tuple[str, ...]


FAULTS = {
    "leader": Fault("kill", ("leader",)),
    "follower": Fault("kill", ("follower",)),
    "two": Fault("kill", ("leader", "follower")),
    "cut": Fault("cut off", ("leader",)),
}
#: Where one node is gone; the night has all of them, two hundred times.
IN_THE_GATE = ("leader", "follower", "cut")
#: How long 95 % of the pauses may last at most, where one node of three is gone, in seconds.
PAUSE_SECONDS = 2.0
#: What may be on its way when the second node dies has come by then, in seconds.
ON_ITS_WAY_SECONDS = 1.0
#: How long nothing is confirmed without a majority, as far as a test waits, in seconds.
WITHOUT_SECONDS = 3.0


def suffer(cluster: Cluster, fault: Fault, seed: int) -> float | None:
    """Let a publisher suffer a fault, and judge what came of it by its own books.

    Returns:
        The longest gap between confirms after it; None where there must be none.
    """
    chance = random.Random(seed)  # noqa: S311 - seeded, to be repeated
    cluster.bring_back()
    queue = f"books-{seed}"
    declare(cluster, queue)
    leader = cluster.leader(queue)
    follower = chance.choice([name for name in NAMES if name != leader])
    victims = [leader if each == "leader" else follower for each in fault.victims]
    books = Books(cluster.addresses(chance.choice(NAMES), connection_attempts=1, socket_timeout=2.0), queue)
    try:
        assert wait_until(lambda: len(books.confirmed) >= chance.randint(20, 60), 60)
        began = time.monotonic()
        for name in victims:
            (cluster.kill if fault.deed == "kill" else cluster.cut_off)(name)
        if len(victims) > 1:
            (left,) = set(NAMES) - set(victims)
            with pytest.raises(BrokerError, match=f"{left} is the only node that runs"):
                cluster.kill(left)
            since = time.monotonic() + ON_ITS_WAY_SECONDS
            wait_until(lambda: max(books.confirmed.values()) > since, ON_ITS_WAY_SECONDS + WITHOUT_SECONDS)
            assert max(books.confirmed.values()) <= since, "confirmed by a minority"
            gap = None
        else:
            enough = len(books.confirmed) + 30
            assert wait_until(lambda: len(books.confirmed) >= enough, 60), "two of three are enough to go on"
            gap = books.longest_gap(began)
    finally:
        books.stop()
    cluster.bring_back()
    found = fetch_all(cluster.addresses(), queue, books.confirmed.keys())
    assert not books.confirmed.keys() - set(found), "confirmed, and gone"
    delete(cluster, queue)
    return gap


def pauses(cluster: Cluster, faults: Mapping[int, str]) -> list[float]:
    """Let publishers suffer faults, by their seeds, and return the longest gap of each where two nodes were left."""
    gaps = []
    for seed, fault in faults.items():
        gap = suffer(cluster, FAULTS[fault], seed)
        print(f"seed {seed}, {fault}: {'none' if gap is None else f'{gap:.2f} s'}")
        if gap is not None:
            gaps.append(gap)
    return gaps


def longest_of_95_percent(gaps: Sequence[float]) -> float:
    return sorted(gaps)[int(0.95 * len(gaps)) - 1]


@pytest.mark.once
def test_what_was_confirmed_outlives_each_fault_and_confirms_pause_for_two_seconds_at_most(cluster: Cluster) -> None:
    gaps = pauses(cluster, dict(enumerate(IN_THE_GATE)))
    assert longest_of_95_percent(gaps) <= PAUSE_SECONDS, gaps


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("first", range(0, 200, 20))
def test_confirms_pause_for_two_seconds_at_most(first: int, cluster: Cluster) -> None:
    chances = {seed: random.Random(-seed) for seed in range(first, first + 20)}  # noqa: S311 - as above
    gaps = pauses(cluster, {seed: chance.choice(list(FAULTS)) for seed, chance in chances.items()})
    assert longest_of_95_percent(gaps) <= PAUSE_SECONDS, gaps


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


def test_three_nodes_take_no_more_memory_than_is_asked_for(cluster: Cluster) -> None:
    cluster.bring_back()
    assert resident_bytes(os.environ) < NEEDED_BYTES


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


# -- whole lives

_HOLD_CLUSTER = """
import json, sys
from workq_helpers.broker import start_cluster
cluster = start_cluster(lambda text: print(json.dumps({"progress": text}), flush=True))
print(json.dumps({"port": cluster.nodes()[0].endpoint.port}), flush=True)
sys.stdin.read()
"""


def of_the_cluster(environ: dict[str, str]) -> Folders:
    return Folders.from_environ(environ).of_the_cluster()


@pytest.mark.machine
@pytest.mark.parametrize("source", ["node", pytest.param("docker", marks=[pytest.mark.root, pytest.mark.nightly])])
@pytest.mark.parametrize(
    "killed", ["kernel", *(pytest.param(each, marks=pytest.mark.nightly) for each in ("supervisor", "both"))]
)
def test_nothing_is_left_of_three_nodes(source: str, killed: str, poll_for: PollFor) -> None:
    if source == "docker":
        need_docker()
    else:
        need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")
    with course(**SOURCES[source]) as environ:
        folders = of_the_cluster(environ)
        holder = Holder(environ, code=_HOLD_CLUSTER)
        holder.ready()
        status = ask(folders, "status")
        assert status is not None
        if killed != "kernel":
            os.kill(status["answer"]["supervisor"], signal.SIGKILL)
        if killed == "supervisor":
            poll_for(lambda: not folders.runtime.exists(), 60)
            holder.end()
        else:
            holder.kill()
        poll_for(lambda: not processes_in(environ) and not folders.runtime.exists(), 60)
        inside = environ | {"WORKQ_RUNTIME_DIR": str(folders.runtime)}
        assert source == "node" or containers_of(inside) == []
