"""`Cluster`: three RabbitMQ nodes of one cluster, started by `start_cluster`, taken down and cut off one by one."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pika
import pika.exceptions
from packaging.version import Version

from workq_helpers import rabbitmq
from workq_helpers.broker import memory
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.cluster_server import NODES
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.progress import shown
from workq_helpers.broker.protocol import ask
from workq_helpers.broker.share import RESTART_SECONDS, Share, take_share
from workq_helpers.errors import BrokerError, BrokerNotOursError, BrokerStartError, InvalidArgumentError
from workq_helpers.hidden import ENVIRON
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.waiting import wait_until

__all__ = ["NEEDED_BYTES", "Cluster", "Node", "QueueMembers", "start_cluster"]

#: What three nodes take with room to spare: some 350 MB were measured with RabbitMQ 4.3, 300 MB with 3.10.
NEEDED_BYTES = 600_000_000
#: How long nodes that have met may refuse a queue with a member on each of them, in seconds.
_SETTLE_SECONDS = 60.0
#: A queue that is there while the cluster is tried.
_TRIAL = "workq-trial"


@dataclass(frozen=True)
class Node:
    """One node, as it was when it was asked for."""

    name: str
    state: str  # "up", "down" or "cut off"
    endpoint: Endpoint


@dataclass(frozen=True)
class QueueMembers:
    """Where a queue is: its leader and its followers, as a node says that can be asked.

    Attributes:
        name: The queue's name.
        type: ``"classic"`` or ``"quorum"``.
        leader: The node that decides; for a classic queue the only one that has it. ``""`` where nobody leads.
        followers: The other nodes that have a copy.
    """

    name: str
    type: str
    leader: str
    followers: tuple[str, ...]


def start_cluster(progress: Callable[[str], None] | None = None, environ: Mapping[str, str] = ENVIRON) -> Cluster:
    """Start the course's cluster, or find it running with all its nodes up, and return once they have met.

    Args:
        progress: Called with each step in words; by default a progress bar shows them if there is anything to wait for.
        environ: As for `find_broker`.

    Returns:
        A handle on it; close it, or use it as a context manager. The cluster stays while anyone holds one.

    Raises:
        BrokerNotOursError: The environment names a broker that somebody else runs.
        BrokerNotFoundError: No cluster could be started; the message says why.
        BrokerStartError: There is too little memory, or the source that was asked for does not work.
    """
    choice = BrokerChoice.from_environ(environ)
    if choice.uses_url:
        raise BrokerNotOursError(
            "WORKQ_BROKER_URL names a broker that somebody else runs, and the course starts no cluster beside it. "
            "Unset it to have three nodes of your own."
        )
    folders = Folders.from_environ(environ).of_the_cluster()
    free = memory.free_bytes()
    if free < NEEDED_BYTES and ask(folders, "status") is None:
        raise BrokerStartError(
            f"{free / 1e6:.0f} MB of memory are free here, and {NODES} nodes of RabbitMQ need "
            f"{NEEDED_BYTES / 1e6:.0f} MB. Nothing was started. Close what you can spare, and try again."
        )
    with shown(progress) as show:
        share = take_share(folders, choice, environ, show)
        with contextlib.ExitStack() as unless_open:
            unless_open.callback(share.close)
            cluster = Cluster(share)
            unless_open.pop_all()
    return cluster


class Cluster:
    """Three nodes of one cluster, with a virtual host of this handle's own."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self.virtual_host = f"workq-cluster-{secrets.token_hex(4)}"
        self.bring_back()
        share.note(self.virtual_host, made=True)
        self._on_any(lambda management: management.create_virtual_host(self.virtual_host))
        if not wait_until(self._takes_quorum_queues, _SETTLE_SECONDS, interval_seconds=0.2):
            raise BrokerStartError(
                f"{NODES} nodes have met, and took no quorum queue within {_SETTLE_SECONDS:.0f} s. "
                f"End them with `workq broker stop`, and try again."
            )

    def _takes_quorum_queues(self) -> bool:
        """Say whether a queue can have its members; RabbitMQ 4.0 was seen to refuse one with 541 at first."""
        try:
            with pika.BlockingConnection(self.addresses()) as connection:
                channel = connection.channel()
                channel.queue_declare(queue=_TRIAL, durable=True, arguments={"x-queue-type": "quorum"})
                channel.queue_delete(queue=_TRIAL)
        except pika.exceptions.AMQPError:
            return False
        return True

    @property
    def version(self) -> Version:
        """The version that its nodes announced when they came up."""
        return self._share.ready.version

    def describe(self) -> str:
        """Return its version, where it comes from, and how its nodes are, for people to read."""
        states = ", ".join(f"{node.name} is {node.state}" for node in self.nodes())
        return f"RabbitMQ {self.version} · {self._share.ready.description} · {states}"

    # -- its nodes

    def nodes(self) -> list[Node]:
        """Return its nodes, as they are at this moment."""
        return [self._node(each) for each in self._share.request("nodes")]

    def _node(self, said: Mapping[str, Any]) -> Node:
        mine = self._share.ready.endpoint
        url = f"http://{mine.host}:{said['management']}"
        endpoint = replace(mine, port=said["port"], management_url=url, virtual_host=self.virtual_host)
        return Node(said["name"], said["state"], endpoint)

    def kill(self, name: str) -> None:
        """SIGKILL a node; its data stays.

        Args:
            name: Which, for example "node-1".

        Raises:
            InvalidArgumentError: There is no such node.
            BrokerError: It could not be done, or it is the only one that runs.
        """
        self._do("kill", name)

    def stop(self, name: str) -> None:
        """Stop a node gracefully; its data stays. Arguments and errors as `kill`."""
        self._do("stop", name)

    def start(self, name: str) -> None:
        """Start a node with its data, and return when it is one of them again. Arguments and errors as `kill`."""
        self._do("start", name)

    def cut_off(self, name: str) -> None:
        """End the connections between a node and the others, and let none come; clients reach it all the same.

        Arguments and errors as `kill`.
        """
        self._do("cut off", name)

    def heal(self, name: str) -> None:
        """Let a node that is cut off meet the others again. Arguments and errors as `kill`."""
        self._do("heal", name)

    def bring_back(self) -> None:
        """Start every node that is down and heal every cut; return when all nodes have met."""
        self._share.request("revive", RESTART_SECONDS)

    def _do(self, deed: str, name: str) -> None:
        names = [node.name for node in self.nodes()]
        if name not in names:
            raise InvalidArgumentError(f"There is no node {name!r}. The nodes are {', '.join(names)}.")
        self._share.request("node", RESTART_SECONDS, deed=deed, node=name)

    # -- addresses and queues

    def addresses(self, first: str | None = None, **overrides: Any) -> list[pika.ConnectionParameters]:
        """Return pika's parameters for a connection to each node, whether it is up or not.

        Args:
            first: The node whose address stands first; the others follow in their order.
            **overrides: Any argument of `pika.ConnectionParameters`, to set or replace one.
        """
        nodes = sorted(self.nodes(), key=lambda node: node.name != first)
        return [rabbitmq.connecting.connection_parameters(node.endpoint, **overrides) for node in nodes]

    def queues(self) -> list[QueueMembers]:
        """Return where each queue of the virtual host is.

        Raises:
            BrokerError: No node answers.
        """
        rows = self._on_any(lambda management: management.queue_members(self.virtual_host))
        return [
            QueueMembers(row["name"], row["type"], _short(row["leader"]), tuple(map(_short, row["followers"])))
            for row in rows
        ]

    def leader(self, queue: str) -> str:
        """Return the name of the node that leads a queue.

        Raises:
            InvalidArgumentError: There is no such queue.
        """
        known = {each.name: each.leader for each in self.queues()}
        if queue not in known:
            raise InvalidArgumentError(f"There is no queue {queue!r} in the cluster. It has: {', '.join(known)}.")
        return known[queue]

    def _on_any(self, ask_for: Callable[[rabbitmq.management.Management], Any]) -> Any:
        """Return what the first node says that answers; those that others see first, those that are cut off last."""
        failures: list[BrokerError] = []
        for node in sorted(self.nodes(), key=lambda each: ("up", "cut off", "down").index(each.state)):
            try:
                with rabbitmq.management.Management(node.endpoint) as management:
                    return ask_for(management)
            except BrokerError as error:
                failures.append(error)
        raise failures[0]

    # -- its end

    def close(self) -> None:
        """Give it back; idempotent. It is put away some seconds after the last one who has it."""
        self._share.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Cluster of {NODES} nodes, RabbitMQ {self.version} from {self._share.ready.source}>"


def _short(node_name: str) -> str:
    return node_name.partition("@")[0]
