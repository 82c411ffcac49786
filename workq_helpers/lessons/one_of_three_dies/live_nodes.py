"""`LiveNodes`: three nodes that run, what is done to them under load, and what came of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pika
import pika.exceptions

from workq_helpers.broker import Cluster
from workq_helpers.broker.cluster import QueueMembers
from workq_helpers.clients import pika_private
from workq_helpers.errors import BrokerError, CheckFailedError, InvalidArgumentError, WorkqError
from workq_helpers.lessons.one_of_three_dies.diary import Diary
from workq_helpers.lessons.one_of_three_dies.load import Load
from workq_helpers.lessons.one_of_three_dies.nodes import Nodes
from workq_helpers.lessons.one_of_three_dies.outages import Count, Outage
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture
from workq_helpers.log.events import EventLog
from workq_helpers.waiting import wait_until

__all__ = ["LiveNodes"]

#: How many orders are confirmed before anything is done, and how many are enough to see that it goes on.
_BEFORE, _AFTER = 100, 100
#: How long the first of them may take, and how long is waited for those afterwards, in seconds.
_BEGIN_SECONDS, _WAIT_SECONDS = 30.0, 8.0
#: How long an orphaned queue may take to have a leader again once all nodes are back, in seconds.
_SETTLE_SECONDS = 20.0
_FETCH_AGAIN_SECONDS = 0.5
#: How long the election of a leader may take to be told, in seconds.
_ELECTION_SECONDS = 5.0
#: How often the nodes are looked at for the stage, in seconds.
_LOOK_SECONDS = 1.0


class LiveNodes(Nodes):
    """Three nodes that run.

    Args:
        cluster: The cluster, which is closed with this.
        log: The lesson's, which hears how the nodes are and what is done to them; nobody's by default.
    """

    def __init__(self, cluster: Cluster, log: EventLog | None = None) -> None:
        super().__init__()
        self._cluster = cluster
        self._diary = Diary(EventLog() if log is None else log)
        self._known: dict[str, QueueMembers] = {}
        self._closed = threading.Event()
        self._by_hand: list[str] = []  # what was done beside the experiments, when it was begun and when it was done

    # -- what they are

    def describe(self) -> str:
        """Return the version, where the nodes come from, and how they are."""
        return self._cluster.describe()

    def picture(self) -> ClusterPicture:
        """Return what the nodes are at this moment, for a notebook to draw."""
        return self._diary.look(lambda: self._look(settled=True))

    def keep_looking(self) -> None:
        """Have the log hear how the nodes are, whatever becomes of them, until they are closed."""
        threading.Thread(target=self._keep_looking, name="workq nodes", daemon=True).start()

    def _keep_looking(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(WorkqError):  # nobody answers at this moment, or they are being closed
                self._diary.look(lambda: self._look(settled=False))
            self._closed.wait(_LOOK_SECONDS)

    def _look(self, *, settled: bool) -> ClusterPicture:
        states = {node.name: node.state for node in self._cluster.nodes()}
        seen = {each.name: each for each in (self._settled_queues(states) if settled else self._queues())}
        # Nodes without a majority may not name a queue, nor do the others one whose only copy is on a node that is
        # down; both are on the nodes' disks.
        self._known |= seen
        queues = (_led(each, states) for each in self._known.values())
        return ClusterPicture(states, tuple(sorted(queues, key=lambda each: each.name)))

    def _queues(self) -> Sequence[QueueMembers]:
        with contextlib.suppress(BrokerError):  # without a majority some versions answer nothing
            return self._cluster.queues()
        return list(self._known.values())

    def _settled_queues(self, states: Mapping[str, str]) -> Sequence[QueueMembers]:
        """Return the queues once their leaders are those that are up: what a node says of them is a moment old."""

        def settled(queues: Sequence[QueueMembers]) -> bool:
            return all(each.type == "classic" or states.get(each.leader) == "up" for each in queues)

        enough = 2 * list(states.values()).count("up") > len(states)
        return wait_until(self._queues, _ELECTION_SECONDS if enough else 0.0, accept=settled, interval_seconds=0.1)

    def addresses(self, first: str | None = None) -> list[pika.ConnectionParameters]:
        """Return pika's parameters for a connection to each node.

        Args:
            first: The node whose address stands first.
        """
        return self._cluster.addresses(first, socket_timeout=5.0, heartbeat=10, connection_attempts=1)

    def node_of(self, connection: pika.BlockingConnection) -> str:
        """Return the name of the node that a connection leads to."""
        port = pika_private.port_of(connection)
        nodes = self._cluster.nodes()
        first = next((node.name for node in nodes if node.state == "down"), "")
        found = next((node.name for node in nodes if node.endpoint.port == port), None)
        if found is None:
            raise InvalidArgumentError("That connection leads to none of the three nodes. Open it with addresses().")
        if first:
            self.reached = (found, first)
        return found

    def leader(self, queue: str) -> str:
        """Return the name of the node that leads a queue."""
        return self._cluster.leader(queue)

    # -- what is done to them

    def kill(self, name: str) -> None:
        """Kill a node, as a power cut would."""
        self.picture()  # a saved run shows what it takes away
        with self._noted(f"{name} was killed"), self._diary.doing("node killed", [name], f"killed {name}"):
            self._cluster.kill(name)
        self.picture()

    def start(self, name: str) -> None:
        """Start a node that is down."""
        doing = self._diary.doing("node started", [name], f"started {name}", f"starting {name} …")
        with self._noted(f"{name} was started"), doing:
            self._cluster.start(name)
        self.picture()

    @contextlib.contextmanager
    def _noted(self, deed: str) -> Iterator[None]:
        self._by_hand.append(deed)
        try:
            yield
        finally:
            self._by_hand.append(deed)

    def bring_back(self) -> None:
        """Start what is down, let those meet that are cut off, and return when all is as it was."""
        away = [node.name for node in self._cluster.nodes() if node.state != "up"]
        with self._diary.doing("node started", away, "brought all back", "bringing all back …"):
            self._cluster.bring_back()
        wait_until(lambda: all(each.leader for each in self._queues()), _SETTLE_SECONDS)
        self.picture()

    def kill_leader(self, queue: str) -> Outage:
        """Kill the node that leads a queue, or has its only copy, while a publisher sends through another node."""
        leader = self.leader(queue)
        kind = "leader" if self._type(queue) == "quorum" else "only copy"
        deed = "killed the leader's node" if kind == "leader" else "killed the queue's node"
        return self._under_load(kind, deed, queue, [leader], self._cluster.kill, first=self._another(leader))

    def kill_two(self, queue: str) -> Outage:
        """Kill two nodes while a publisher sends through the third."""
        names = [node.name for node in self._cluster.nodes()]
        return self._under_load("two", "killed", queue, names[:2], self._cluster.kill, first=names[2])

    def cut_off_leader(self, queue: str) -> Outage:
        """Cut the node that leads a queue off from the others, while a publisher sends through that very node."""
        leader = self.leader(queue)
        return self._under_load("cut", "cut off the leader's node", queue, [leader], self._cluster.cut_off, leader)

    def _type(self, queue: str) -> str:
        return next(each.type for each in self._cluster.queues() if each.name == queue)

    def _another(self, than: str) -> str:
        return next(node.name for node in self._cluster.nodes() if node.name != than)

    def _under_load(
        self, kind: str, deed: str, queue: str, names: Sequence[str], do: Callable[[str], None], first: str
    ) -> Outage:
        by_hand = len(self._by_hand)
        self._need_all("run the cell again")
        self.picture()  # so that it is known where the queues were
        load = Load(self.addresses(first), queue)
        try:
            if not load.wait_for(_BEFORE, _BEGIN_SECONDS):
                raise CheckFailedError(
                    f"In {_BEGIN_SECONDS:.0f} s only {len(load.confirms)} orders to {queue} were confirmed. Declare "
                    f"the queue, and see that all nodes are up."
                )
            before = len(load.confirms)
            with self._diary.watching(lambda: self._look(settled=False), lambda: len(load.confirms)):
                for name in names:
                    event = "node cut off" if kind == "cut" else "node killed"
                    with self._diary.doing(event, [name], deed if len(names) == 1 else "killed two nodes"):
                        do(name)
                # What had been sent by now may have been confirmed by nodes that were still there.
                sent, since = load.sent, time.monotonic()
                load.wait_for(len(load.confirms) + _AFTER, _WAIT_SECONDS)
                waited = time.monotonic() - since
        finally:
            load.stop()
        self._diary.sum_up(len(load.confirms))
        outage = load.outage(deed, names, before=before, sent=sent, waited_seconds=waited)
        outage.besides = " and ".join(dict.fromkeys(self._by_hand[by_hand:]))
        copies: dict[str, int] = {}
        outage.count_orders = lambda: self._count(queue, load, copies)
        self.outages[kind] = outage
        return outage

    def _need_all(self, then: str) -> None:
        away = [node for node in self._cluster.nodes() if node.state != "up"]
        if away:
            states = " and ".join(f"{node.name} is {node.state}" for node in away)
            raise CheckFailedError(f"{states}. Call bring_back() first, and {then}.")

    def _count(self, queue: str, load: Load, copies: dict[str, int]) -> Count:
        """Fetch all from a queue, beside what was fetched before; it needs its leader, or the node with its only copy.

        Raises:
            CheckFailedError: A node is away, or the queue does not give out what it has.
        """
        self._need_all("count then")
        confirmed = load.confirmed
        failures: list[pika.exceptions.AMQPError] = []

        def fetch() -> bool:
            # A queue whose nodes are only just back may not answer at first, or answer that it is empty.
            failures.clear()
            try:
                copies.update(self._fetch(queue))
            except pika.exceptions.AMQPError as failure:
                failures.append(failure)
            return confirmed <= orders()

        def orders() -> set[int]:
            return set(ours().values())

        def ours() -> dict[str, int]:
            # What an earlier load left is no copy of this one's.
            return {message_id: order for message_id, order in copies.items() if message_id.startswith(f"{load.name}-")}

        if not wait_until(fetch, _SETTLE_SECONDS, interval_seconds=_FETCH_AGAIN_SECONDS) and failures:
            raise CheckFailedError(
                f"RabbitMQ does not give out what is in {queue} yet, so nobody can say what is missing: {failures[0]}. "
                "The nodes have only just come back: run this cell again in some moments."
            )
        found = orders()
        return Count(len(confirmed), len(found), len(confirmed - found), len(ours()) - len(found))

    def _fetch(self, queue: str) -> dict[str, int]:
        """Return the order of each copy in a queue, by message id, and acknowledge all only then.

        What an error interrupts is still there. So may be what was acknowledged, where a node is killed just then.
        """
        found: dict[str, int] = {}
        with pika.BlockingConnection(self.addresses()) as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(queue=queue)
                if method is None or properties is None or body is None:
                    break
                found[str(properties.message_id)] = int(body)
            channel.basic_ack(delivery_tag=0, multiple=True)  # all of them
        return found

    def close(self) -> None:
        """Give the nodes back; they are put away some seconds later."""
        self._closed.set()
        self._diary.end()
        self.why_not = "The nodes are put away. The first cell of any section opens them again."
        self._cluster.close()


def _led(queue: QueueMembers, states: Mapping[str, str]) -> QueueMembers:
    """Return a queue without its leader where that can't be one: it is not up, or no majority of the members is."""
    members = [each for each in (queue.leader, *queue.followers) if each]
    up = [each for each in members if states.get(each) == "up"]
    if queue.type == "classic" or (queue.leader in up and 2 * len(up) > len(members)):
        return queue
    return replace(queue, leader="", followers=tuple(sorted(members)))
