"""`restart` and `crash`: an outage in the middle of a lesson, as far as the broker is the course's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython import display

from workq_helpers.broker.by_hand import not_ours
from workq_helpers.errors import BrokerNotOursError, WaitTimeoutError
from workq_helpers.text import Sentence, paragraph

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Outage", "crash", "restart"]


class Outage(NamedTuple):
    """What became of the attempt.

    Attributes:
        happened: Whether the broker went down and came back.
        saw: A sentence that says so, or what to do instead.
    """

    happened: bool
    saw: str

    def __repr__(self) -> str:
        return self.saw

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


class _Steps:
    """The steps of an outage in one line below the cell, which grows as they go."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._handle: Any = None

    def __call__(self, step: str) -> None:
        """Say a step, once."""
        if step in self._said:
            return
        self._said.append(step)
        line = Sentence(" ".join(self._said))
        if self._handle is None:
            self._handle = display.display(line, display_id=True)
        else:
            self._handle.update(line)


def restart(lesson: Session) -> Outage:
    """Stop the lesson's broker properly and start it again with its data; say so where that is not ours to do.

    Raises:
        BrokerError: It did not come up again.
    """
    return _outage(lesson, lesson.broker.restart, "restarted", "stopped")


def crash(lesson: Session) -> Outage:
    """Kill the lesson's broker without warning and start it with what is on its disk; as for `restart`.

    Raises:
        BrokerError: It did not come up again.
    """
    return _outage(lesson, lesson.broker.crash, "killed", "killed")


def _outage(lesson: Session, deed: Callable[[Callable[[str], None]], object], asked: str, done: str) -> Outage:
    """Have the broker go down and come back.

    Args:
        lesson: Whose broker.
        deed: Does it, or waits until it has been done by hand; is given what says the steps.
        asked: What was to become of the broker, where nobody may do that.
        done: What became of it first.
    """
    try:
        deed(_Steps())
    except BrokerNotOursError:
        return Outage(
            False,
            f"{not_ours(lesson.broker.endpoint, f'it was not {asked}')} If you may restart it, do so now where it "
            f"runs, with lesson.broker.wait_for_restart() in a cell of your own; else read on.",
        )
    except WaitTimeoutError as error:
        return Outage(False, str(error))
    if not lesson.broker.ours:
        return Outage(True, "RabbitMQ went down and came back.")
    return Outage(True, f"RabbitMQ was {done} and started again.")
