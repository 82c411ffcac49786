"""`rabbitmqctl` for a lesson: what the tool on the broker's own machine says about the lesson's virtual host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workq_helpers.errors import BrokerNotOursError
from workq_helpers.text import printable

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Printed", "rabbitmqctl"]


class Printed(str):
    """What a program printed, shown in a notebook as text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return printable(str(self), lines=True)


def rabbitmqctl(lesson: Session, *arguments: str) -> Printed:
    """Run ``rabbitmqctl`` where RabbitMQ runs, on the lesson's virtual host.

    Args:
        lesson: Whose virtual host.
        *arguments: The command line, for example ``"list_queues", "name", "messages_ready"``.

    Returns:
        What it printed; where the RabbitMQ is not the course's own, what to type where it runs.

    Raises:
        InvalidArgumentError: An argument is not a text.
        BrokerError: The tool failed; the message has what it printed.
    """
    try:
        return Printed(lesson.broker.rabbitmqctl(*arguments, "--vhost", lesson.virtual_host))
    except BrokerNotOursError as error:
        return Printed(error)
