"""The scenes that JavaScript's tests draw: one for each that the stage must draw well."""

from __future__ import annotations

from collections.abc import Callable

from stage_recording import Recording

from workq_helpers.log.details import BrokerChange, ClusterSeen, Handback, NodeSeen, QueueCopy
from workq_helpers.rabbitmq.routes import Binding, DeadLetters, Exchange, Routes
from workq_helpers.stage.calls import FIVE_TASKS, Call
from workq_helpers.stage.composition import broker_bar
from workq_helpers.stage.frame import Frame
from workq_helpers.stage.playhead import Position

__all__ = ["scenes"]

FIRST, SECOND, THIRD, FOURTH, FIFTH = FIVE_TASKS

FLOOD_WORKERS = 50
FLOOD_HELD = 9
FLOOD_BACKLOG = 100_000


def scenes() -> dict[str, Frame]:
    """Return a frame for each scene, by its name."""
    flood, flood_afterwards = _flood()
    others = {name: make() for name, make in _SCENES.items()}
    return {**others, "flood": flood, "floodAfterwards": flood_afterwards}


def _empty() -> Frame:
    return Recording().frame()


def _sample() -> Frame:
    """One queue, one worker and nothing to do: what tests make others from."""
    it = Recording()
    it.declare("hello")
    it.start("worker-1")
    it.counts, it.reachable = {"hello": (0, 0)}, True
    return it.frame()


def _tutorial_recording() -> Recording:
    """Two workers, five tasks and a few more."""
    it = Recording(6.0)
    it.declare("hello")
    it.start("worker-1")
    it.start("worker-2", prefetch_count=5)
    it.record("connected", "publisher-1", "hello")
    it.publish("hello", *FIVE_TASKS)
    it.deliver("worker-1", "hello", FIRST)
    it.deliver("worker-2", "hello", SECOND, FOURTH, FIFTH)
    it.handle("started finished acked", "worker-1", "hello", FIRST)
    it.deliver("worker-1", "hello", THIRD)
    it.handle("started finished acked", "worker-2", "hello", SECOND)
    it.publish("hello", "Hello...")
    it.publish("hello", "A longer task, which nobody will want to wait for.........", persistent=True)
    it.publish("hello", "Again.")
    it.publish("hello", "Quick", persistent=True)
    it.publish("hello", "Last..")
    for task in ("Hello...", "Again.", "Quick"):
        it.record("confirmed", "publisher-1", "hello", task)
    it.handle("started", "worker-1", "hello", THIRD)
    it.seconds += 0.69
    it.handle("started", "worker-2", "hello", FOURTH)
    it.counts, it.reachable = {"hello": (5, 3)}, True
    sent = Call("start_publisher", (["Hello..."],), {"queue": "hello"})
    started = Call("start_worker", ("print_work_and_ack",), {"queue": "hello", "prefetch_count": 1})
    it.calls = [{"number": 1, "code": sent.code}, {"number": 2, "code": started.code}]
    it.notices = [{"number": 3, "level": "info", "text": "worker-2 takes tasks from hello."}]
    return it


def _tutorial() -> Frame:
    return _tutorial_recording().frame(number=57, later_seconds=0.4)


def _killed_recording() -> Recording:
    """Two workers were killed: one's task went back and is worked on again, the other's tasks are lost."""
    queue = "task_queue"
    it = Recording()
    it.declare(queue, durable=True)
    it.start("worker-1", queue, prefetch_count=2)
    it.start("worker-2", queue, prefetch_count=0)
    it.publish(queue, FIRST, SECOND, "Zeroth")
    it.deliver("worker-2", queue, FIRST, SECOND, "Zeroth")
    it.handle("started finished acked", "worker-2", queue, FIRST, SECOND, "Zeroth")
    it.publish(queue, "Acknowledged too late.")
    it.deliver("worker-2", queue, "Acknowledged too late.")
    it.handle("started finished", "worker-2", queue, "Acknowledged too late.")
    it.publish(queue, THIRD, persistent=True)
    it.publish(queue, FOURTH)
    it.deliver("worker-1", queue, THIRD, FOURTH)
    it.handle("started", "worker-1", queue, THIRD)
    it.record("killed", "worker-1", queue)
    it.handle("requeued", "worker-1", queue, THIRD, FOURTH)
    it.deliver("worker-2", queue, THIRD)
    it.handle("started", "worker-2", queue, THIRD)
    it.start("worker-3", queue, auto_ack=True)
    it.publish(queue, "Invoice 17....", "Invoice 18..", FIFTH)
    it.deliver("worker-3", queue, "Invoice 17....", "Invoice 18..")
    it.handle("started", "worker-3", queue, "Invoice 17....")
    it.record("killed", "worker-3", queue)
    it.handle("lost", "worker-3", queue, "Invoice 17....", "Invoice 18..")
    it.deliver("worker-2", queue, FIFTH)
    it.start("worker-4", queue)
    it.publish(queue, "Deep freeze.....")
    it.deliver("worker-4", queue, "Deep freeze.....")
    it.handle("started", "worker-4", queue, "Deep freeze.....")
    it.seconds += 1.4
    it.record("frozen", "worker-4", queue)
    it.publish(queue, "Poison")
    it.deliver("worker-2", queue, "Poison")
    it.handle("rejected", "worker-2", queue, "Poison", detail=Handback.DISCARD)
    it.publish(queue, "Sixth.", persistent=True)
    it.publish("", "Nobody home.")
    it.record("returned", "publisher-1", "", "Nobody home.")
    it.notices = [
        {"number": 4, "level": "info", "text": "worker-1 was killed: its tasks went back to task_queue."},
        {
            "number": 5,
            "level": "error",
            "text": "worker-3 was killed with 2 tasks in hand. It had auto ack, so they are lost.",
        },
    ]
    return it


def _killed() -> Frame:
    return _killed_recording().frame(number=90)


def _flood() -> tuple[Frame, Frame]:
    """Fifty workers with nine messages each before a backlog of 100,000; and the same when they have nine others."""
    it = Recording()
    it.declare("hello")
    for number, name in enumerate(_CROWD):
        it.start(name, prefetch_count=0 if number % 10 == 9 else 10)
    it.record("connected", "publisher-1", "hello")
    tasks = [f"Task {number}{'.' * (number % 4)}" for number in range(FLOOD_BACKLOG + 3 * _AT_ONCE)]
    done, held, next_held = (tasks[begin:][:_AT_ONCE] for begin in (0, _AT_ONCE, 2 * _AT_ONCE))
    it.publish("hello", *tasks[:-_AT_ONCE])
    _take(it, done)
    _work_off(it, done)
    _take(it, held)
    it.counts, it.reachable = {"hello": (FLOOD_BACKLOG, _AT_ONCE - 1)}, True
    before = it.frame(number=100)
    it.publish("hello", *tasks[-_AT_ONCE:])
    _work_off(it, held)
    _take(it, next_held)
    return before, it.frame(number=101)


def _take(it: Recording, tasks: list[str]) -> None:
    for name, mine in zip(_CROWD, _batched(tasks), strict=True):
        it.deliver(name, "hello", *mine)
        it.handle("started", name, "hello", mine[0])


def _work_off(it: Recording, tasks: list[str]) -> None:
    for name, mine in zip(_CROWD, _batched(tasks), strict=True):
        it.handle("finished acked", name, "hello", mine[0])
        it.handle("started finished acked", name, "hello", *mine[1:])


def _batched(tasks: list[str]) -> list[list[str]]:
    return [tasks[begin : begin + FLOOD_HELD] for begin in range(0, len(tasks), FLOOD_HELD)]


_CROWD = [f"worker-{number}" for number in range(1, FLOOD_WORKERS + 1)]
_AT_ONCE = FLOOD_WORKERS * FLOOD_HELD


def _paused() -> Frame:
    it = _tutorial_recording()
    events = len(it.events)
    return it.frame(number=58, position=Position("paused", 7.3, events, 12.4, events + 14))


def _not_steerable() -> Frame:
    where = "WORKQ_BROKER_URL, rabbit.example.org:5672"
    return _tutorial_recording().frame(state=broker_bar("3.10.8", where, "up", ours=False))


def _down() -> Frame:
    it = _killed_recording()
    it.record("broker", "lesson", detail=BrokerChange.DOWN)
    for worker in ("worker-2", "worker-4"):
        it.record("disconnected", worker, "task_queue", detail="the connection was reset")
        it.record("reconnecting", worker, "task_queue")
    return it.frame(number=91)


def _closed() -> Frame:
    closed = "The lesson 'round-robin' is closed. Run the notebook's first cell again to open it anew."
    return _tutorial_recording().frame(closed=closed)


def _hostile() -> Frame:
    """Texts that would do harm as markup, and texts that are too long."""
    attack = "<img src=x onerror=alert(1)>"
    long = "A task whose text is far too long for any chip to show it .."
    it = Recording()
    it.declare(attack)
    it.start(attack, attack)
    it.start("short-lived", attack, auto_ack=True)
    it.publish(attack, "Done")
    it.deliver(attack, attack, "Done")
    it.handle("started finished acked", attack, attack, "Done")
    it.publish(attack, f"{attack}.")
    it.deliver(attack, attack, f"{attack}.")
    it.handle("started", attack, attack, f"{attack}.")
    it.publish(attack, long)
    it.deliver("short-lived", attack, long)
    it.handle("started", "short-lived", attack, long)
    it.record("killed", "short-lived", attack)
    it.handle("lost", "short-lived", attack, long)
    it.publish(
        attack, attack, f"{long}.", "", "</li><script>alert(1)</script>", "\u202eright to left", f"Dots{'.' * 20}"
    )
    it.deliver(attack, attack, "Nobody saw it published")
    it.handle("started finished acked", attack, attack, "Nobody saw it published")
    it.consoles[attack] = [attack, long * 3]
    it.calls = [{"number": 1, "code": Call("start_publisher", ([attack],), {"queue": "hello"}).code}]
    it.notices = [{"number": 1, "level": "error", "text": attack}]
    return it.frame(lesson=attack, state=broker_bar(attack, attack, "up", ours=True))


def _many_queues() -> Frame:
    it = _tutorial_recording()
    it.declare("task_queue", durable=True)
    it.declare("logs", durable=True, type="quorum")
    it.declare("a.very.long.queue.name.that.does.not.fit")
    for number in range(5):
        it.declare(f"more-{number}")
    for index, queue in enumerate(("hello", "task_queue", "logs", "a.very.long.queue.name.that.does.not.fit")):
        it.publish(queue, *(f"{queue} {number}.." for number in range(6 + 10 * index)))
    it.record("deleted", "lesson", "logs")
    return it.frame(number=59)


def _resting() -> Frame:
    """Two queues of a part that is over, one of which still holds an order, and the one that came after them."""
    it = Recording()
    it.declare("tasting", durable=True)
    it.publish("tasting", "Soup.")
    it.declare("hello")
    it.start("worker-1")
    it.publish("hello", FIRST)
    it.deliver("worker-1", "hello", FIRST)
    it.handle("started finished acked", "worker-1", "hello", FIRST)
    it.record("stopped", "worker-1", "hello")
    it.declare("task_queue", durable=True)
    it.start("worker-2", "task_queue")
    it.publish("task_queue", SECOND, THIRD)
    it.deliver("worker-2", "task_queue", SECOND)
    it.handle("started", "worker-2", "task_queue", SECOND)
    it.counts, it.reachable = {"tasting": (1, 0), "hello": (0, 0), "task_queue": (1, 1)}, True
    return it.frame(number=62)


def _exchanges() -> Frame:
    """Exchanges besides the default one, and a queue whose dead letters go through one of them."""
    it = _tutorial_recording()
    it.declare("dead_letters", durable=True)
    kitchen = (Binding("hello", "queue", "order.*"), Binding("audit", "exchange", "#"))
    it.routes = Routes(
        (
            Exchange("kitchen", "topic", kitchen),
            Exchange("audit", "fanout", ()),
            Exchange("dlx", "direct", (Binding("dead_letters", "queue", "rejected"),)),
        ),
        (DeadLetters("hello", "dlx", "rejected"), DeadLetters("dead_letters", "", "hello")),
    )
    return it.frame(number=60)


def _nodes() -> Frame:
    """Three nodes of a cluster, the leader's of which was killed while a publisher sent."""
    it = Recording()
    only, lost = QueueCopy("classic_orders", "the only copy"), "killed the leader's node"
    nodes = [NodeSeen(f"node-{number}", "up", (QueueCopy("orders", "follower"),)) for number in (1, 2, 3)]
    nodes[0] = NodeSeen("node-1", "up", (QueueCopy("orders", "leader"), only))
    it.record("cluster", "lesson", detail=ClusterSeen(tuple(nodes)))
    it.record("node killed", "node-1")
    nodes[0] = NodeSeen("node-1", "down", (QueueCopy("orders", "follower"), only))
    it.record("cluster", "lesson", detail=ClusterSeen(tuple(nodes), lost, 103))
    it.record("leader elected", "node-3", "orders")
    nodes[2] = NodeSeen("node-3", "up", (QueueCopy("orders", "leader"),))
    it.record("cluster", "lesson", detail=ClusterSeen(tuple(nodes), lost, 103))
    return it.frame(number=61, lesson="one-of-three-dies")


_SCENES: dict[str, Callable[[], Frame]] = {
    "empty": _empty,
    "sample": _sample,
    "tutorial": _tutorial,
    "killed": _killed,
    "paused": _paused,
    "notSteerable": _not_steerable,
    "down": _down,
    "closed": _closed,
    "hostile": _hostile,
    "manyQueues": _many_queues,
    "resting": _resting,
    "exchanges": _exchanges,
    "nodes": _nodes,
}
