"""`ClusterServer`: the nodes of one cluster, started together, taken down and cut off one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from workq_helpers import rabbitmq
from workq_helpers.broker.member import Member, members
from workq_helpers.broker.protocol import JsonObject
from workq_helpers.broker.server import Progress, silent
from workq_helpers.errors import BrokerError, BrokerStartError, InvalidArgumentError, PortTakenError
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.waiting import wait_until

__all__ = ["DEEDS", "NODES", "ClusterServer", "Machine", "NodeServers"]

#: How many nodes a cluster of the course has: the fewest of which one can be missed.
NODES = 3
#: What can be done to a node.
DEEDS = ("start", "stop", "kill", "cut off", "heal")
#: How long the nodes may take to know of each other once each accepts AMQP, in seconds.
MEETING_SECONDS = 30.0
_LOOK_SECONDS = 0.1

# A node that shows another cookie is refused, whoever calls, and what is said is not taken in. So a cut is one of
# the connections between the nodes alone: clients reach all of them. Both sides notice it at once.
_CUT = "[begin erlang:set_cookie(N, cut), erlang:disconnect_node(N) end || N <- [{others}]]."
_HEAL = "[begin erlang:set_cookie(N, erlang:get_cookie()), net_kernel:connect_node(N) end || N <- [{others}]]."


class Machine(Protocol):
    """What a node runs on: a private process or a container, as `Server` has it, which the others do without."""

    def launch(self) -> None:
        """Start it, or start it again with the same data, and return at once."""

    def wait_until_it_accepts(self) -> None:
        """Return when it accepts AMQP."""

    def shut_down(self) -> None:
        """Stop it gracefully; its data stays."""

    def kill(self) -> None:
        """SIGKILL it; its data stays."""

    def stop(self) -> None:
        """Stop it and remove everything it left; no error if nothing is left."""

    def rabbitmqctl(self, arguments: Sequence[str]) -> str:
        """Run rabbitmqctl where it runs, and return what it printed."""

    def is_running(self) -> bool | None:
        """Return whether its process or container runs, ``None`` where nobody can tell."""

    def logs(self) -> str:
        """Return its log so far."""


#: What makes the machines of these nodes, none of them started yet, and what to stop after them.
NodeServers = Callable[[Sequence[Member], Progress], tuple[Sequence[Machine], Callable[[], None]]]


class ClusterServer:
    """A cluster as the supervisor has it: a `Server` whose nodes can be taken down one by one.

    Args:
        source: Where its nodes come from: ``"docker"`` or ``"node"``.
        description: The same in a few words.
        make: Makes its nodes.
        image: What they are started from, where there is an image.
    """

    def __init__(self, source: str, description: str, make: NodeServers, image: str | None = None) -> None:
        self.source = source
        self.image = image
        self.description = description
        self._make = make
        self._members: Sequence[Member] = ()
        self._machines: dict[str, Machine] = {}
        self._cut: set[str] = set()
        self._stop_rest: Callable[[], None] = _nothing

    # -- what a Server does

    def start(self, progress: Progress = silent) -> Endpoint:
        """Start all nodes at once, and return when they have met.

        Raises:
            PortTakenError: Ports that were free have been taken, twice.
            BrokerStartError: A node did not come up; the message ends with the last lines of its log.
        """
        try:
            try:
                return self._start(progress)
            except PortTakenError:
                self.stop()  # another program was quicker: once more with other ports
                return self._start(progress)
        except BaseException:
            with contextlib.suppress(BrokerError):  # what went wrong first is more telling
                self.stop()
            raise

    def _start(self, progress: Progress) -> Endpoint:
        self._members = members(NODES)
        machines, self._stop_rest = self._make(self._members, progress)
        self._machines = {member.name: machine for member, machine in zip(self._members, machines, strict=True)}
        progress(f"Starting {NODES} nodes of a cluster, {self.description}")
        self._bring_up(list(self._machines))
        return self._members[0].endpoint

    def stop(self) -> None:
        """End all nodes and remove everything they left."""
        with contextlib.ExitStack() as stack:  # each, whatever becomes of the others
            stack.callback(self._stop_rest)
            for machine in self._machines.values():
                stack.callback(machine.stop)
        self._machines, self._stop_rest = {}, _nothing
        self._cut.clear()

    def restart(self) -> None:
        """Bring back every node that is down or cut off; return when all have met."""
        for name in list(self._cut):
            self._heal(name)
        self._bring_up([name for name, machine in self._machines.items() if not machine.is_running()])

    def crash(self) -> None:
        """SIGKILL all nodes, start them with the same data, and return when they have met."""
        for machine in self._machines.values():
            machine.kill()
        self.restart()

    def rabbitmqctl(self, arguments: Sequence[str]) -> str:
        """Run rabbitmqctl on the first node that runs, and return what it printed.

        Raises:
            BrokerError: It failed, or no node runs.
        """
        running = next((each for each in self._machines.values() if each.is_running()), None)
        if running is None:
            raise BrokerError("No node of the cluster runs. Start one first.")
        return running.rabbitmqctl(arguments)

    def is_running(self) -> bool:
        """Return whether all nodes run, and none is cut off."""
        return bool(self._machines) and not self._cut and all(each.is_running() for each in self._machines.values())

    def logs(self) -> str:
        """Return the logs of all nodes."""
        return "".join(f"--- {name}\n{machine.logs()}" for name, machine in self._machines.items())

    # -- its nodes

    def nodes(self) -> list[JsonObject]:
        """Return the nodes: the name, the ports and the state of each, which is "up", "down" or "cut off"."""
        return [
            {
                "name": each.name,
                "node_name": each.node_name,
                "port": each.endpoint.port,
                "management": each.management,
                "state": self._state(each.name),
            }
            for each in self._members
        ]

    def _state(self, name: str) -> str:
        if not self._machines[name].is_running():
            return "down"
        return "cut off" if name in self._cut else "up"

    def do(self, deed: str, name: str) -> None:
        """Do something to a node, and return when it is done; a start returns when the node accepts AMQP.

        Raises:
            InvalidArgumentError: There is no such node or no such deed.
            BrokerError: It could not be done.
        """
        if name not in self._machines or deed not in DEEDS:
            raise InvalidArgumentError(f"The cluster can't {deed} {name}: its nodes are {', '.join(self._machines)}.")
        machine = self._machines[name]
        if deed == "start":
            self._start_node(name)
        elif deed == "heal":
            self._heal(name)
        elif deed == "cut off":
            self._cut_off(name)
        else:
            if [each for each, other in self._machines.items() if other.is_running()] == [name]:
                raise BrokerError(f"{name} is the only node that runs: a cluster without one has nobody to ask.")
            (machine.kill if deed == "kill" else machine.shut_down)()
            self._cut.discard(name)  # where it starts again it knows nothing of the cut

    def _start_node(self, name: str) -> None:
        if not self._machines[name].is_running():
            self._bring_up([name])

    def _bring_up(self, names: Sequence[str]) -> None:
        for name in names:
            self._machines[name].launch()
        for name in names:
            self._machines[name].wait_until_it_accepts()
        for name in names:
            self._wait_until_met(self._member(name))

    def _cut_off(self, name: str) -> None:
        self._evaluate(_CUT, name)
        self._cut.add(name)

    def _heal(self, name: str) -> None:
        if name in self._cut:
            self._evaluate(_HEAL, name)
            self._cut.discard(name)
            self._machines[name].wait_until_it_accepts()
            self._wait_until_met(self._member(name))

    def _evaluate(self, expression: str, name: str) -> str:
        others = ", ".join(f"'{each}'" for each in self._member(name).others)
        return self._machines[name].rabbitmqctl(["eval", expression.format(others=others)])

    def _wait_until_met(self, member: Member) -> None:
        """Return when a node says that all nodes that run are one cluster."""
        expected = {each.node_name for each in self._members if self._state(each.name) == "up"}
        with rabbitmq.management.Management(member.endpoint) as management:

            def met() -> bool:
                with contextlib.suppress(BrokerError):
                    return expected <= management.running_nodes()
                return False

            if not wait_until(met, MEETING_SECONDS, interval_seconds=_LOOK_SECONDS):
                raise BrokerStartError(
                    f"{member.name} accepts AMQP, but has not met the other nodes within {MEETING_SECONDS:.0f} s. "
                    "Start the cluster anew, and see the nodes' logs in the error's cause or with `workq doctor`."
                )

    def _member(self, name: str) -> Member:
        return next(each for each in self._members if each.name == name)


def _nothing() -> None:
    """Nothing is left to stop."""
