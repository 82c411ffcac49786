"""`Recording`: a log that never happened, for a frame that Python computes from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from workq_helpers.log.details import ConsumeOptions, PublishOptions, QueueOptions
from workq_helpers.log.events import Event, Rows
from workq_helpers.rabbitmq.routes import Routes
from workq_helpers.stage.composition import broker_bar, compose
from workq_helpers.stage.frame import BrokerBar, BrokerState, CallLine, Frame, Notice
from workq_helpers.stage.playhead import Position
from workq_helpers.stage.scene import BrokerCounts, Scene

__all__ = ["Recording"]

#: How long after the one before each event happens, in seconds.
STEP_SECONDS = 0.01


class Recording:
    """Written as a lesson's log is, one event after the other, but with times of its own."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.events: list[Event] = []
        self.calls: list[CallLine] = []
        self.notices: list[Notice] = []
        self.consoles: dict[str, list[str]] = {}
        self.counts: dict[str, tuple[int, int]] = {}
        self.reachable: bool | None = None
        self.routes = Routes()
        self._tags: Counter[str] = Counter()
        self._held: dict[tuple[str, str], int] = {}
        self._delivered: Counter[str] = Counter()

    # -- what happens

    def record(self, kind: str, actor: str, queue: str = "", task: str = "", **more: Any) -> None:
        """Add an event; the task stands for the message."""
        self.seconds += STEP_SECONDS
        message_id = f"id of {task}" if task or "delivery_tag" in more or kind == "published" else None
        self.events.append(Event(self.seconds, kind, actor, queue, message_id, task, **more))

    def declare(self, queue: str, *, durable: bool = False, type: str = "classic") -> None:
        """A queue is declared."""
        self.record("declared", "lesson", queue, detail=QueueOptions(durable, type))

    def start(self, worker: str, queue: str = "hello", *, auto_ack: bool = False, prefetch_count: int = 1) -> None:
        """A worker starts and is connected."""
        options = ConsumeOptions(auto_ack=True) if auto_ack else ConsumeOptions(prefetch_count=prefetch_count)
        self.record("starting", worker, queue, detail=options)
        self.record("connected", worker, queue, detail=options)
        self.consoles.setdefault(worker, [" [*] Waiting for messages. To exit press CTRL+C"])

    def publish(self, queue: str, *tasks: str, persistent: bool = False, publisher: str = "publisher-1") -> None:
        """Messages are published."""
        for task in tasks:
            self.record("published", publisher, queue, task, detail=PublishOptions(persistent))

    def deliver(self, worker: str, queue: str, *tasks: str) -> None:
        """Messages are handed to a worker, marked as redelivered where they were handed to somebody before."""
        for task in tasks:
            self._tags[worker] += 1
            self._held[worker, task] = self._tags[worker]
            self._delivered[task] += 1
            self.handle("delivered", worker, queue, task, redelivered=self._delivered[task] > 1)

    def handle(self, kinds: str, worker: str, queue: str, *tasks: str, **more: Any) -> None:
        """Something happens to messages that the worker was handed."""
        for task in tasks:
            for kind in kinds.split():
                self.record(kind, worker, queue, task, delivery_tag=self._held[worker, task], **more)
                if kind == "started":
                    self.consoles.setdefault(worker, []).append(f" [x] Received {task}")
                if kind == "finished":
                    self.consoles[worker].append(" [x] Done")

    # -- what the stage shows of it

    def frame(
        self,
        *,
        state: BrokerBar | None = None,
        position: Position | None = None,
        number: int = 1,
        closed: str = "",
        later_seconds: float = 0.0,
        lesson: str = "round-robin",
        controls: tuple[str, ...] = (),
    ) -> Frame:
        """Return the frame of a moment: of the end of the log and so many seconds, or of a position."""
        end = self.seconds + later_seconds
        position = position or Position("live", end, len(self.events), end, len(self.events))
        scene = Scene(seconds_per_dot=1.0)
        scene.update(Rows.of(self.events[: position.events]))
        answer = BrokerCounts(position.seconds, self.reachable, 0.0, self.counts)
        moment = scene.picture(position.seconds, answer, self._console, running=position.mode != "paused")
        return compose(
            moment,
            position,
            state or _ours(moment["broker_state"]),
            number=number,
            lesson=lesson,
            closed=closed,
            controls=controls,
            routes=self.routes,
            marks=scene.narration.notable(),
            calls=self.calls,
            notices=self.notices,
        )

    def _console(self, worker: str, count: int, _until_seconds: float) -> list[str]:
        return self.consoles.get(worker, [])[-count:]


def _ours(state: BrokerState) -> BrokerBar:
    return broker_bar("4.3.6", "Docker, container 3f9a12c04b7e", state, ours=True)
