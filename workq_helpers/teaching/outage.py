"""`restart` and `crash`: an outage in the middle of a lesson, as far as the broker is the course's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from workq_helpers.errors import BrokerNotOursError, WaitTimeoutError
from workq_helpers.text import paragraph

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Outage", "crash", "restart"]

_BY_HAND = "RabbitMQ went down and came back."


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


def restart(lesson: Session) -> Outage:
    """Stop the lesson's broker properly and start it again with its data; say so where that is not ours to do.

    Raises:
        BrokerError: It did not come up again.
    """
    try:
        lesson.broker.restart()
    except BrokerNotOursError:
        return _not_ours(lesson, "restarted")
    except WaitTimeoutError as error:
        return Outage(False, str(error))
    return Outage(True, "RabbitMQ was stopped and started again." if lesson.broker.ours else _BY_HAND)


def crash(lesson: Session) -> Outage:
    """Kill the lesson's broker without warning and start it with what is on its disk; as for `restart`.

    Raises:
        BrokerError: It did not come up again.
    """
    try:
        lesson.broker.crash()
    except BrokerNotOursError:
        return _not_ours(lesson, "killed")
    except WaitTimeoutError as error:
        return Outage(False, str(error))
    return Outage(True, "RabbitMQ was killed and started again." if lesson.broker.ours else _BY_HAND)


def _not_ours(lesson: Session, done: str) -> Outage:
    endpoint = lesson.broker.endpoint
    return Outage(
        False,
        f"The RabbitMQ at {endpoint.host}:{endpoint.port} is not the course's own, so it was not {done}. If you may "
        f"restart it, do so now where it runs, with lesson.broker.wait_for_restart() in a cell of your own; else read "
        f"on.",
    )
