"""`QueueWatch`: a queue's depth over time, as the log has it and as the broker itself counts it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import pandas as pd

from workq_helpers.clients.pace import seconds_per_dot
from workq_helpers.errors import WaitTimeoutError, WorkqError
from workq_helpers.log.ledger import Ledger
from workq_helpers.pictures.palette import INK
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.queue_depth import counts_from_first_message, queue_depth
from workq_helpers.pictures.style import STYLE
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Counted", "QueueWatch", "counts_beside", "ready_messages", "wait_until_ready", "watch_queue"]

#: How often the broker is asked, in seconds: four times a dot, within reason.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 0.25


class Counted(NamedTuple):
    """What the broker said of a queue."""

    seconds: float  # on the log's clock
    ready: int
    unacknowledged: int


class QueueWatch:
    """Asks the broker for one queue's counts again and again, in a thread of its own.

    Naming it in a cell draws the queue's depth over time so far.
    """

    def __init__(self, lesson: Session, queue: str = "hello") -> None:
        self.lesson = lesson
        self.queue = queue
        self._counted: list[Counted] = []
        self._ending = threading.Event()
        self._interval_seconds = min(max(seconds_per_dot() / 4, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        self._thread = threading.Thread(target=self._run, name=f"watch: {queue}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                counts = self.lesson.queue_counts().get(self.queue)
            except WorkqError:
                return  # the lesson was closed, or this broker can't be asked: the log's numbers are left
            if counts is not None:
                self._counted.append(Counted(self.lesson.log.seconds(), counts.ready, counts.unacknowledged))
            self._ending.wait(self._interval_seconds)

    def stop(self) -> None:
        """Ask no more; what was counted is kept."""
        self._ending.set()
        self._thread.join(10.0)

    @property
    def counted(self) -> list[Counted]:
        """What the broker has said so far, in order."""
        return list(self._counted)

    def picture(self) -> Picture:
        """Draw the queue's depth: bands for the log's counts, dots for the broker's."""
        counted = self.counted
        drawn = counts_from_first_message(self.lesson.log, self.queue)
        picture = queue_depth(self.lesson.log, self.queue)
        if not counted or drawn.empty:
            return Picture(picture.figure, f"{picture.alternative_text} The broker itself was not asked.")
        with mpl.rc_context(STYLE):
            self._draw(picture, counted, float(drawn["seconds"].min()))
        return Picture(picture.figure, f"{picture.alternative_text} {self._describe(counted)}")

    def _draw(self, picture: Picture, counted: list[Counted], begin: float) -> None:
        (axes,) = picture.figure.axes
        seconds = [each.seconds - begin for each in counted]
        kept = [each.ready + each.unacknowledged for each in counted]
        style: dict[str, Any] = {"linestyle": "", "color": INK, "clip_on": True, "zorder": 4}
        axes.plot(seconds, kept, marker="o", markersize=3.2, label="all of them, by the broker", **style)
        held = [each.unacknowledged for each in counted]
        axes.plot(seconds, held, marker="x", markersize=4.0, label="unacknowledged, by the broker", **style)
        _, top = axes.get_ylim()
        axes.set_ylim(0, max(top, max(kept) * 1.15))
        for legend in list(picture.figure.legends):
            legend.remove()
        axes.set_position((0.085, 0.2, 0.895, 0.6))  # with room for two lines above it
        picture.figure.legend(loc="upper right", ncols=2, frameon=False, fontsize=8, labelcolor=INK)

    def _describe(self, counted: list[Counted]) -> str:
        """Say what the dots show, without measured times."""
        last = counted[-1]
        most = max(each.ready for each in counted)
        return (
            f"The broker's own counts: at most {most} ready; when it was asked last, {last.ready} ready and "
            f"{last.unacknowledged} unacknowledged."
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return self.picture()._repr_mimebundle_()

    def __repr__(self) -> str:
        return self.picture().alternative_text


def watch_queue(lesson: Session, queue: str = "hello") -> QueueWatch:
    """Begin to watch a queue; naming what is returned draws its depth over time.

    Args:
        lesson: Where the queue is.
        queue: Its name.
    """
    return QueueWatch(lesson, queue)


def counts_beside(lesson: Session) -> pd.DataFrame:
    """Return each queue's counts as the broker has them, beside those of the log.

    The log's are of what was seen to come and to go, and not of what the broker's counts have told it since.

    Args:
        lesson: Where the queues are.

    Returns:
        A row a queue, by name: what is ready and what is unacknowledged, each by broker and by log; missing where
        only one of the two knows the queue.

    Raises:
        BrokerError: The broker can't be asked.
    """
    ledger = Ledger()
    ledger.update(row for row in lesson.log.rows() if row[1] != "counted")
    counts, known = lesson.queue_counts(), ledger.queues()
    names = sorted({*counts, *known} - {""})
    rows = [
        [
            getattr(source[queue], what) if queue in source else None
            for what in ("ready", "unacknowledged")
            for source in (counts, known)
        ]
        for queue in names
    ]
    columns = pd.MultiIndex.from_product([("ready", "unacknowledged"), ("broker", "log")])
    return pd.DataFrame(rows, names, columns, dtype="Int64")


def wait_until_ready(lesson: Session, queue: str, count: int, timeout: float = 30.0) -> None:
    """Wait until so many messages are ready in a queue, as the broker counts them.

    Args:
        lesson: Where the queue is.
        queue: Its name.
        count: How many.
        timeout: Seconds to wait at most.

    Raises:
        WaitTimeoutError: There were more or fewer until the end; the message says how many.
        QueueNotFoundError: There is no such queue.
    """
    ready = ready_messages(lesson, queue, count, timeout)
    if ready != count:
        raise WaitTimeoutError(
            f"{ready} messages are ready in {queue!r} after {timeout} seconds, not {count}. "
            f"Was everything above run, in order?"
        )


def ready_messages(lesson: Session, queue: str, expected: int, timeout_seconds: float) -> int:
    """Return how many messages are ready in a queue, once they are as many as expected or the time is over.

    Args:
        lesson: Where the queue is.
        queue: Its name.
        expected: How many there should be.
        timeout_seconds: Seconds to wait at most.

    Raises:
        QueueNotFoundError: There is no such queue.
    """
    with lesson.connect() as connection:
        channel = connection.channel()
        return wait_until(
            lambda: int(channel.queue_declare(queue=queue, passive=True).method.message_count),
            timeout_seconds,
            accept=lambda ready: ready == expected,
        )
