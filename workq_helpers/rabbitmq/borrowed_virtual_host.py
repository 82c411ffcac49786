"""`Claim`: a lesson's hold on one of the virtual hosts that were made for a learner of a class.

Each lesson works in an empty virtual host, and an exercise has one beside its lesson's. Whoever may create virtual
hosts gets a new one each time. A learner of a class may not: RabbitMQ lets administrators alone create any, and those
see everybody's. One virtual host for all that a learner has open would not do, since every lesson empties its own
when it is opened, and an exercise would empty that of the lesson it belongs to. One for each lesson by its name would
not do either: the teacher would have to make new ones for each new lesson, and two kernels with the same lesson would
still meet. So a learner has several, numbered and all alike, and a lesson takes the first that is free:

- the *home*, ``anna``, which the learner's address names and in which nothing but claims is kept;
- ``anna.1``, ``anna.2``, ... for lessons, as many as may be open at the same time.

A claim is an exclusive queue in the home, named as what it claims. RabbitMQ itself then sees to it that there is one
holder, whichever kernel or machine it is on, and lets go of it when the holder's connection ends, however that went.
A holder that vanished without a goodbye, as with a network that was cut, holds on until RabbitMQ notices.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

import pika.exceptions

from workq_helpers.errors import VirtualHostRefusedError
from workq_helpers.rabbitmq.connecting import open_connection, quiet_pika
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.translation import translate

__all__ = ["Claim", "lesson_hosts"]

_NAME = "work queues course: holds a lesson's virtual host"
_RESOURCE_LOCKED = 405


def lesson_hosts(home: str, known: Iterable[str]) -> list[str]:
    """Return those of the `known` virtual hosts that are for lessons of the learner with that `home`, in order."""
    numbers = (re.fullmatch(rf"{re.escape(home)}\.([1-9][0-9]*)", name) for name in known)
    return [f"{home}.{number}" for number in sorted(int(found[1]) for found in numbers if found)]


class Claim:
    """A hold on the first virtual host that no other lesson holds; one thread at a time uses it.

    Raises:
        VirtualHostRefusedError: All of them are held.
        BrokerError: The connection can't be opened.
    """

    def __init__(self, endpoint: Endpoint, virtual_hosts: Iterable[str]) -> None:
        self._endpoint = endpoint
        # Without heartbeats, which somebody would have to answer.
        self._connection = open_connection(endpoint, heartbeat=0, client_properties={"connection_name": _NAME})
        try:
            #: What is held.
            self.virtual_host = self._first_free(list(virtual_hosts))
        except BaseException:
            self.release()
            raise

    def _first_free(self, virtual_hosts: list[str]) -> str:
        for name in virtual_hosts:
            try:
                with quiet_pika():
                    self._connection.channel().queue_declare(name, exclusive=True)
            except pika.exceptions.ChannelClosedByBroker as error:
                if error.reply_code != _RESOURCE_LOCKED:
                    raise translate(error, endpoint=self._endpoint, queue=name) from error
            except pika.exceptions.AMQPError as error:
                raise translate(error, endpoint=self._endpoint, queue=name) from error
            else:
                return name
        raise VirtualHostRefusedError(
            f"All {len(virtual_hosts)} virtual hosts that user {self._endpoint.username!r} has for lessons are in "
            "use. Close a notebook that you are done with and shut its kernel down (in JupyterLab: Kernel, Shut "
            "Down Kernel), then run this cell again."
        )

    @property
    def lost(self) -> bool:
        """Whether the broker went away since, and the hold with it."""
        with quiet_pika(), contextlib.suppress(pika.exceptions.AMQPError):
            self._connection.process_data_events(time_limit=0)
        return not self._connection.is_open

    def release(self) -> None:
        """Let go of it; idempotent."""
        with quiet_pika(), contextlib.suppress(pika.exceptions.AMQPError):
            if self._connection.is_open:
                if hasattr(self, "virtual_host"):
                    # Else it would be free a moment after this returns.
                    self._connection.channel().queue_delete(self.virtual_host)
                self._connection.close()
            elif not self._connection.is_closed:
                self._connection.process_data_events(time_limit=1.0)
