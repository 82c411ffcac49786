"""`Lesson`: the face of a session that a learner sees, with its tables, its pictures, its stage and its checks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from workq_helpers import log as logs
from workq_helpers import pictures
from workq_helpers import stage as stages
from workq_helpers.errors import InvalidArgumentError
from workq_helpers.session import Session
from workq_helpers.teaching.experiment import guests

if TYPE_CHECKING:
    import pandas as pd

    from workq_helpers.broker import Broker
    from workq_helpers.pictures.picture import Picture
    from workq_helpers.stage import RunPlayer, Stage
    from workq_helpers.teaching.chapter import Chapter
    from workq_helpers.teaching.check import CheckResult

__all__ = ["Lesson"]

#: A stage by its lesson's name: what is on the screen goes on when the lesson is opened again.
_stages: dict[str, Stage] = {}
_staging = threading.RLock()


class Lesson(Session):
    """One notebook's view of RabbitMQ: an empty virtual host, its workers and publishers, and the log.

    Opening a lesson again under the same name closes everything that the first one opened.

    Args:
        name: Names the lesson and its virtual host, for example "round-robin".
        broker: The broker to use; by default one is found or started, with its progress shown.

    Raises:
        BrokerError: There is no broker to use; the message says what to do.
    """

    #: The chapters whose checks `check` knows by name; `workq_helpers.lessons` gives them.
    chapters: ClassVar[Sequence[Chapter]] = ()

    def __init__(self, name: str, broker: Broker | None = None) -> None:
        super().__init__(name, broker)
        with _staging:
            if name in _stages:
                _stages[name].follow(self)

    def events(self) -> pd.DataFrame:
        """Return everything that happened, a row an event."""
        return logs.tables.events(self.log)

    def deliveries(self) -> pd.DataFrame:
        """Return every delivery to a worker, a row each, in order."""
        return logs.tables.deliveries(self.log)

    def tasks(self) -> pd.DataFrame:
        """Return every task and what became of it, a row each; the log is held against RabbitMQ's counts before."""
        if not self._closed:
            self.take_stock()
        return logs.tables.tasks(self.log)

    def trace(self, *methods: str) -> pd.DataFrame:
        """Return the last AMQP methods that passed between the lesson's clients and RabbitMQ, a row each, in order.

        `methods` are the names of those that are of interest, such as ``"basic.ack"``; without any, all are returned.

        A worker that is killed right after an ack sends one method that its callback did not: channel.flow, which asks
        for what is so already. RabbitMQ answers once it has come to the acks before it. With a connection that is cut
        without that some of them would be lost, and tasks that were seen to be done would come again.
        """
        return logs.tables.trace(self._book.trace, methods)

    def timeline(self) -> Picture:
        """Return a picture of who worked on what, and when, since the last question that was asked.

        What was started or sent by hand on the stage beside the experiment is left out.
        """
        apart = guests(self.log)
        return pictures.timeline.timeline(
            self.log,
            since_seconds=self.experiments.last_began_seconds(),
            without=apart.workers | apart.publishers,
            now_seconds=0.0 if self._closed else self.log.seconds(),
        )

    @property
    def stage(self) -> Stage:
        """The live view of the lesson: name it at the end of a cell to see it."""
        with _staging:
            if self.name not in _stages:
                self._check_open()
                _stages[self.name] = stages.Stage(self)
            elif not self._closed:
                _stages[self.name].follow(self)
            return _stages[self.name]

    def save_run(
        self, path: str | Path = "run.html", *, begin_seconds: float = 0.0, end_seconds: float | None = None
    ) -> Path:
        """Save what the stage has shown, so that anybody can play it: in any browser, without Python and RabbitMQ.

        Args:
            path: Where: ``.html`` is a page with the player in it, ``.json`` the run alone.
            begin_seconds: Where to begin, in seconds since the lesson opened.
            end_seconds: Where to end; now by default.

        Returns:
            The file.

        Raises:
            InvalidArgumentError: There is nothing in that stretch, or more than can be played.
            RunFileError: The file can't be written.
        """
        return stages.saving.save(self.stage.saved_run(begin_seconds, end_seconds), path)

    def replay(self, path: str | Path) -> RunPlayer:
        """Play a saved run on a stage without levers; name it at the end of a cell to see it.

        Args:
            path: The file, of either kind.

        Raises:
            RunFileError: It can't be read, or holds no run.
        """
        return stages.RunPlayer(stages.saving.load(path))

    def check(self, name: str) -> CheckResult:
        """Say whether a claim was observed in this lesson.

        Args:
            name: Which claim, for example "round robin".

        Raises:
            CheckFailedError: It was not; the message says what is missing.
            InvalidArgumentError: There is no check of that name.
        """
        for chapter in self.chapters:
            if isinstance(name, str) and name in chapter.checks:
                return chapter.require(self, name)
        known = ", ".join(repr(each) for chapter in self.chapters for each in chapter.checks)
        raise InvalidArgumentError(f"There is no check named {name!r}. The checks are: {known}.")

    def _end(self) -> None:
        with _staging:
            stage = _stages.get(self.name)
        if stage is not None:
            stage.leave(self)
        super()._end()
