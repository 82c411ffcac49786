"""Plain pika through the relay beside plain pika, in messages a second: `python benchmarks/relay.py`.

Both are the same program in a process of its own, on one broker; only the address differs. The fill of the queue goes
to the broker directly.
"""

from __future__ import annotations

import functools

from benchmarks.bench import Bench, alone
from benchmarks.engine import YARDSTICK, Yard
from benchmarks.peers.peer import PEERS, Peer
from benchmarks.row import Goal
from workq_helpers import Lesson

PART = "relay"
THROUGH = "through the relay"

PLAIN = PEERS[YARDSTICK]
#: The fill is published by the yardstick; only the consumer goes through the relay.
RELAYED = Peer(THROUGH, PLAIN.consume, PLAIN.publish)


def measure(bench: Bench) -> None:
    """Measure consuming with acks, and publishing with confirms."""
    with Lesson("bench-relay", bench.broker) as lesson:
        yard = RelayYard(bench, lesson)
        goal = {THROUGH: Goal(">=", 0.5)}
        for prefetch_count in (1,) if bench.quick else (1, 100):
            sides = {
                peer.name: functools.partial(yard.consume, peer, prefetch_count=prefetch_count)
                for peer in (PLAIN, RELAYED)
            }
            what = f"consume, prefetch {prefetch_count}"
            bench.compare(PART, what, "msg/s", sides, yardstick=YARDSTICK, goals=goal if prefetch_count == 1 else {})
        sides = {peer.name: functools.partial(yard.publish, peer, confirm=True) for peer in (PLAIN, RELAYED)}
        bench.compare(PART, "publish with confirms", "msg/s", sides, yardstick=YARDSTICK, goals={})


class RelayYard(Yard):
    """Where both run; what goes through the relay has its address.

    Args:
        bench: How much of it.
        lesson: Has the virtual host and the relay.
    """

    def __init__(self, bench: Bench, lesson: Lesson) -> None:
        super().__init__(bench, lesson)
        self._lesson = lesson

    def consume(self, peer: Peer, prefetch_count: int = 0, auto_ack: bool = False) -> float:
        """Return how many messages a second one consumer takes."""
        self._lesson.log.clear()  # what earlier rounds have left there is not to be carried along
        return super().consume(peer, prefetch_count, auto_ack)

    def url_of(self, peer: Peer) -> str:
        """Return the relay's address for what goes through it."""
        return str(self._lesson.address) if peer is RELAYED else super().url_of(peer)


if __name__ == "__main__":
    alone(PART, measure, __doc__)
