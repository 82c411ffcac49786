"""`Frame`: what Python sends to the stage's JavaScript, whole, for each moment that is shown.

This is the contract between the two. `scripts/stage_frames.py` makes JavaScript's types and test data from it.
"""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = [
    "Action",
    "BindingLine",
    "BrokerBar",
    "BrokerState",
    "CallLine",
    "Chip",
    "ClusterCard",
    "Contents",
    "DeadLetterRoute",
    "EndList",
    "ExchangeCard",
    "Frame",
    "Ghosts",
    "MarkKind",
    "Mode",
    "Moment",
    "NodeCard",
    "NodeState",
    "Notice",
    "Phase",
    "PlaybackBar",
    "PublisherColumn",
    "PublisherLine",
    "QueueCard",
    "QueueCopyLine",
    "QueueCount",
    "Recorded",
    "Slot",
    "StoryLine",
    "Topology",
    "Work",
    "WorkerCard",
    "WorkerState",
]

#: How the moment that is shown moves on.
Mode = Literal["live", "paused", "replaying"]
BrokerState = Literal["up", "stopping", "down", "coming back"]
WorkerState = Literal[
    "starting",
    "idle",
    "busy",
    "holding",
    "frozen",
    "reconnecting",
    "disconnected",
    "stopping",
    "stopped",
    "killed",
    "crashed",
]
NodeState = Literal["up", "down", "cut off"]
#: How far the delivery of a message to a worker has come.
Phase = Literal["dispatched", "working", "finished"]

#: What a sentence is on the time line: a worker's kill or crash, the broker's outage, or a loss; ``""`` for most.
MarkKind = Literal["", "kill", "crash", "outage", "loss"]


class Chip(TypedDict):
    """One message.

    Attributes:
        key: Tells it from every other message of the lesson.
        task: Its body as text, shortened.
        dots: How many dots of work it holds.
        persistent: Whether it was published as such; ``None`` where nobody saw it published.
        redelivered: Whether its last delivery was not its first.
        deliveries: How often it was delivered.
        worked: How often a worker began with it.
        back_from: Whom it came back from, where it waits in a queue again; ``""`` otherwise.
    """

    key: int
    task: str
    dots: int
    persistent: bool | None
    redelivered: bool
    deliveries: int
    worked: int
    back_from: str


class Slot(Chip):
    """A message that a worker holds."""

    phase: Phase


class Work(TypedDict):
    """The task that a worker is at.

    Attributes:
        key: The message's.
        task: Its text.
        dots: Its dots.
        elapsed_seconds: How long the worker has been at it, without the time that it hung.
        work_seconds: How long it takes in all.
        running: Whether the picture's time and the worker go on.
        settled: Whether the message is settled already, as with auto ack.
    """

    key: int
    task: str
    dots: int
    elapsed_seconds: float
    work_seconds: float
    running: bool
    settled: bool


class WorkerCard(TypedDict):
    """One worker.

    Attributes:
        name: The worker's.
        queue: What it takes from; ``""`` where it does not consume, and holds what it fetched.
        program: ``None`` for a worker of the lesson's own; for a program, of which only its connection is seen, its
            name in the lesson, or ``""`` where the lesson did not start it.
        state: What it does; it is ``"holding"`` tasks where nobody sees whether it works on them.
        ack: How its deliveries are acknowledged.
        prefetch_count: How many unacknowledged messages it may hold; 0 is no limit.
        done: How many it has settled.
        slots: What it holds, the first of it.
        more: How many it holds besides.
        free: How many it may still get; ``None`` where there is no limit.
        busy_with: What it works on.
        console: The last lines that it printed.
        dropped: What it held when it ended and what became of that, in words; ``""`` where it held nothing.
    """

    name: str
    queue: str
    program: str | None
    state: WorkerState
    ack: Literal["auto", "manual"]
    prefetch_count: int
    done: int
    slots: list[Slot]
    more: int
    free: int | None
    busy_with: Work | None
    console: list[str]
    dropped: str


class QueueCount(TypedDict):
    """A number of messages as the broker reports it, ``None`` where it has not answered, and as the log has it."""

    broker: int | None
    log: int


class Ghosts(TypedDict):
    """Messages that the log saw in a queue and the broker has there no more, nobody saw why.

    Attributes:
        count: How many.
        recent: The last of them.
        why: What may have become of them.
    """

    count: int
    recent: list[Chip]
    why: str


class QueueCard(TypedDict):
    """One queue.

    Attributes:
        name: The queue's; ``""`` for what is in an exchange.
        durability: ``"durable"``, ``"transient"``, or ``""`` where nobody saw it declared.
        type: Its type, as ``"classic"``.
        gone: Whether it was deleted or lost.
        ready: How many messages wait in it.
        unacknowledged: How many were delivered and are not acknowledged.
        waiting: The first of those that wait, head first.
        more: How many wait besides.
        ghosts: What the log has and the broker has not.
        unseen: How many wait by the broker's count that nobody here has seen.
    """

    name: str
    durability: str
    type: str
    gone: bool
    ready: QueueCount
    unacknowledged: QueueCount
    waiting: list[Chip]
    more: int
    ghosts: Ghosts
    unseen: int


class BindingLine(TypedDict):
    """A binding of an exchange: what it leads to, and the key."""

    destination: str
    kind: Literal["queue", "exchange"]
    routing_key: str


class ExchangeCard(TypedDict):
    """One exchange besides the default one.

    Attributes:
        name: The exchange's.
        type: Its type, as ``"direct"``.
        bindings: The first of its bindings.
        more: How many it has besides.
    """

    name: str
    type: str
    bindings: list[BindingLine]
    more: int


class DeadLetterRoute(TypedDict):
    """Where the dead letters of a queue go.

    Attributes:
        queue: The queue.
        exchange: The exchange; ``""`` for the default one, in which the key names a queue.
        routing_key: The key; ``""`` where each message keeps its own.
    """

    queue: str
    exchange: str
    routing_key: str


class PublisherLine(TypedDict):
    """One publisher at work."""

    name: str
    state: str
    published: int


class PublisherColumn(TypedDict):
    """What publishers did in all, and those at work.

    Attributes:
        published: How many messages were published.
        confirmed: How many of them the broker confirmed.
        refused: How many it refused.
        returned: How many it sent back.
        active: The publishers at work, the first of them.
        more: How many are at work besides.
    """

    published: int
    confirmed: int
    refused: int
    returned: int
    active: list[PublisherLine]
    more: int


class EndList(TypedDict):
    """The messages that came to one end: how many, and the last of them."""

    count: int
    recent: list[Chip]


class StoryLine(TypedDict):
    """A sentence on something that happened.

    Attributes:
        number: The event's that it is about; the first one's, where it sums several up.
        seconds: When, since the lesson opened; the last one's, where something followed from it.
        text: The sentence, without a full stop.
        mark: What it is on the time line.
    """

    number: int
    seconds: float
    text: str
    mark: MarkKind


class QueueCopyLine(TypedDict):
    """What a node has of a queue.

    Attributes:
        queue: The queue's name.
        role: What the copy is to the queue: its leader, a follower or all there is.
    """

    queue: str
    role: Literal["leader", "follower", "the only copy"]


class NodeCard(TypedDict):
    """A node of a cluster.

    Attributes:
        name: Its name.
        state: How it is.
        copies: What it has of the queues.
    """

    name: str
    state: NodeState
    copies: list[QueueCopyLine]


class ClusterCard(TypedDict):
    """A cluster beside the broker.

    Attributes:
        nodes: Its nodes, in order.
        deed: What was done to them last, in a few words; ``""`` for nothing.
        confirmed: How many orders were confirmed by then; ``null`` where nobody sends any.
    """

    nodes: list[NodeCard]
    deed: str
    confirmed: int | None


class Contents(TypedDict):
    """What a moment and a whole frame have in common: all that is drawn from the log.

    Attributes:
        publishers: What was published.
        queues: The queues, the first of them.
        resting: The names of those that were used and then left: since another one was declared, nobody has turned to
            them, and nobody takes from them.
        more_queues: How many there are besides.
        workers: The workers, the first of them.
        more_workers: How many there are besides.
        ends: What became of messages, by the name of the end.
        cluster: The lesson's cluster; ``null`` where it has none.
        story: What happened last, oldest first.
        summary: All of it in a sentence or two.
    """

    publishers: PublisherColumn
    queues: list[QueueCard]
    resting: list[str]
    more_queues: int
    workers: list[WorkerCard]
    more_workers: int
    ends: dict[str, EndList]
    cluster: ClusterCard | None
    story: list[StoryLine]
    summary: str


class Moment(Contents):
    """One moment, as `Scene` computes it from the log."""

    broker_state: BrokerState


class Topology(TypedDict):
    """How messages find their way.

    Attributes:
        exchanges: The exchanges besides the default one, the first of them.
        more_exchanges: How many there are besides.
        dead_letters: Where dead letters go.
    """

    exchanges: list[ExchangeCard]
    more_exchanges: int
    dead_letters: list[DeadLetterRoute]


class Recorded(Moment, Topology):
    """One moment, as a saved run has it."""


class PlaybackBar(TypedDict):
    """Which moment is shown.

    Attributes:
        mode: How it moves on.
        speed: How many of its seconds pass in one.
        seconds: The moment, since the lesson opened.
        end_seconds: The end of what was recorded.
        event: How many events had happened by then.
        events: How many there are.
        caption: A sentence on it; ``""`` while it is live.
        marks: The kills, crashes and losses of the recording, oldest first.
    """

    mode: Mode
    speed: float
    seconds: float
    end_seconds: float
    event: int
    events: int
    caption: str
    marks: list[StoryLine]


class BrokerBar(TypedDict):
    """The broker.

    Attributes:
        name: What it is, with its version.
        found: Where it comes from.
        state: What it does.
        steerable: Whether it may be restarted from here.
        why_not: Why not; ``""`` where it may.
    """

    name: str
    found: str
    state: BrokerState
    steerable: bool
    why_not: str


class Action(TypedDict):
    """Whether something can be done at this moment, and why not."""

    enabled: bool
    why: str


class CallLine(TypedDict):
    """A call that was made from the stage, as a learner would type it."""

    number: int
    code: str


class Notice(TypedDict):
    """A sentence for the learner."""

    number: int
    level: Literal["info", "error"]
    text: str


class Frame(Contents, Topology):
    """One moment with all that surrounds it.

    Attributes:
        number: Frames are numbered as they are sent.
        lesson: The lesson's name.
        closed: Why nothing goes on here any more; ``""`` while the lesson is open.
        during: Names the experiment of the cell that runs; ``""`` while none does. A command brings it back.
        playback: Which moment is shown.
        broker: The broker.
        controls: The controls that the lesson has introduced, the others come on request; empty where all are shown.
        actions: What can't be done at this moment, by the name of the command.
        queue: The queue that forms act on, unless the learner chose another; ``""`` where there is none.
        python: The last calls that were made from the stage, oldest first.
        notices: The last notices, oldest first.
    """

    number: int
    lesson: str
    closed: str
    during: str
    playback: PlaybackBar
    broker: BrokerBar
    controls: list[str]
    actions: dict[str, Action]
    queue: str
    python: list[CallLine]
    notices: list[Notice]
