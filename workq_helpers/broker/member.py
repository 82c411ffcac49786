"""`Member`: what one node of a cluster is told of itself and of the others, whatever starts it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from workq_helpers.broker.ports import LOOPBACK, free_ports
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["ERLANG_ARGUMENTS", "Member", "members"]

#: Nodes meet on the loopback address of one machine, or of one container.
_HOST = "localhost"

# The nodes find each other by this list, each time one starts without data. Where they were cut off from each other,
# RabbitMQ before 4.3 needs somebody to decide whose view of queues and users holds: it restarts the smaller side then.
# The first node of RabbitMQ 3 looks for one to join ten times, and lets the others in only after that: half a second
# between two looks made that 5 to 8 s of a start, and nodes that wait for it look ever more rarely.
_SETTINGS = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.discovery_retry_interval = 100
cluster_partition_handling = autoheal
"""

# A lesson's load is small, and the nodes share the processors.
ERLANG_ARGUMENTS = "+S 1:1"


@dataclass(frozen=True)
class Member:
    """One node of a cluster.

    Attributes:
        name: What the course calls it: ``"node-1"``.
        peers: The names of all of them as Erlang has them, this one among them.
        endpoint: Its address, with the login that all of them share.
        management: The port of its management API.
        distribution: The port at which the other nodes reach it.
        epmd: The port of the epmd that tells them so.
        cookie: What nodes show each other; it lets its reader run any code in them.
    """

    name: str
    peers: tuple[str, ...]
    endpoint: Endpoint
    management: int
    distribution: int
    epmd: int
    cookie: str = field(repr=False)

    @property
    def node_name(self) -> str:
        """Its name as Erlang has it: ``"node-1@localhost"``."""
        return _node_name(self.name)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the other nodes as Erlang has them."""
        return tuple(each for each in self.peers if each != self.node_name)

    @property
    def settings(self) -> str:
        """The lines of rabbitmq.conf that make it one of them."""
        lines = (f"cluster_formation.classic_config.nodes.{n} = {each}\n" for n, each in enumerate(self.peers, start=1))
        return _SETTINGS + "".join(lines)


def members(count: int) -> Sequence[Member]:
    """Return the nodes of a new cluster, with ports that are free now, a login and a cookie of its own."""
    epmd, *ports = free_ports(1 + 3 * count)
    names = [f"node-{number}" for number in range(1, count + 1)]
    peers, cookie = tuple(map(_node_name, names)), secrets.token_hex(20)
    username, password = f"workq-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    made = []
    for number, name in enumerate(names):
        amqp, management, distribution = ports[3 * number : 3 * number + 3]
        endpoint = Endpoint(LOOPBACK, amqp, username, password, management_url=f"http://{LOOPBACK}:{management}")
        made.append(Member(name, peers, endpoint, management, distribution, epmd, cookie))
    return made


def _node_name(name: str) -> str:
    return f"{name}@{_HOST}"
