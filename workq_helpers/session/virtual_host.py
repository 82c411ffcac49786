"""`VirtualHost`: what the broker says of a lesson's virtual host, and its end."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pika
import pika.exceptions

from workq_helpers import rabbitmq
from workq_helpers.broker import Broker
from workq_helpers.errors import WorkqError
from workq_helpers.log.declarations import headers_of, queue_options_told
from workq_helpers.log.details import Binding, ExchangeOptions, QueueOptions
from workq_helpers.log.fates import DIRECT_REPLY
from workq_helpers.log.ledger import Ledger
from workq_helpers.rabbitmq.connecting import open_connection

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.features import Features
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["COUNT_INTERVAL_SECONDS", "VirtualHost"]

#: How often the broker is asked for its counts while a wait depends on them, in seconds.
COUNT_INTERVAL_SECONDS = 0.1

_NOT_FOUND = 404


class VirtualHost:
    """A virtual host that a broker has.

    Args:
        broker: Whose it is.
        name: Its name.
        ledger: Returns what the log knows. A broker without a management API tells of the queues in it alone, and of
            no others.
    """

    def __init__(self, broker: Broker, name: str, ledger: Callable[[], Ledger]) -> None:
        self.name = name
        self._broker = broker
        self._ledger = ledger

    def queue_counts(self) -> Mapping[str, QueueCounts]:
        """Return what the broker counts in each queue, current to some milliseconds."""
        if self._broker.unmanaged:
            return self._counts_over_amqp()
        return self._broker.queue_counts(self.name)

    def published(self) -> Mapping[str, int]:
        """Return how many messages came into each queue, by statistics that are seconds old."""
        return self._broker.published(self.name)

    def queue_options(self, queue: str) -> QueueOptions | None:
        """Return how a queue was declared, with its policy; without a management API as the log has it."""
        told = {} if self._broker.unmanaged else self._broker.queue_declaration(self.name, queue)
        options = queue_options_told(told) if told else self._ledger().declared(queue)
        return options if options is None or options.type != "quorum" else _as_in(options, self._broker.features)

    def routes(self) -> list[tuple[str, Binding | ExchangeOptions]]:
        """Return the exchanges, and the bindings with the queues that they lead to."""
        told: list[tuple[str, Binding | ExchangeOptions]] = []
        if self._broker.unmanaged:
            return told  # nobody tells of those that others made
        for exchange in self._broker.routes(self.name).exchanges:
            told.append(("", ExchangeOptions(exchange.name, exchange.type, exchange.durable, exchange.alternate)))
            for each in exchange.bindings:
                queue, further = (each.destination, "") if each.kind == "queue" else ("", each.destination)
                arguments = headers_of(dict(each.arguments))
                told.append((queue, Binding(exchange.name, each.routing_key, further, arguments)))
        return told

    def remove(self) -> None:
        """Remove it, or where others may use it what the lesson declared in it."""
        try:
            if self._broker.unmanaged:
                self._delete_declared()
            self._broker.delete_virtual_host(self.name)
        except WorkqError:
            # It is gone, or will be removed when our share in the broker ends.
            logging.getLogger(__name__).debug("virtual host %s not removed", self.name, exc_info=True)

    def _connect(self) -> pika.BlockingConnection:
        return open_connection(self._broker.endpoint.on(self.name))

    def _counts_over_amqp(self) -> Mapping[str, QueueCounts]:
        """Return what the broker counts in each queue that the log mentions; of an exclusive one, the log's own."""
        ledger, counts = self._ledger(), {}
        declared, logged = ledger.declarations(), ledger.queues()
        asked = [name for name in {**declared, **logged} if name not in ("", DIRECT_REPLY) and not ledger.absent(name)]
        with self._connect() as connection:
            for name in asked:
                ready, held = logged.get(name, (0, 0))
                try:
                    ready = connection.channel().queue_declare(name, passive=True).method.message_count
                except pika.exceptions.ChannelClosedByBroker as error:
                    if error.reply_code == _NOT_FOUND:
                        continue
                    ready += ledger.unseen(name)  # it is exclusive, or its user may not ask: what it has nobody tells
                options = declared.get(name, QueueOptions())
                counts[name] = rabbitmq.management.QueueCounts(ready, held, options.durable, options.type)
        return counts

    def _delete_declared(self) -> None:
        """Delete what the lesson declared, unless somebody needs it."""
        for name, options in self._ledger().declarations().items():
            with (
                contextlib.suppress(pika.exceptions.ConnectionClosedByBroker, pika.exceptions.ChannelClosedByBroker),
                self._connect() as connection,
            ):
                channel = connection.channel()
                if options.type == "classic":
                    channel.queue_delete(name, if_unused=True, if_empty=True)
                    continue
                # Of the others RabbitMQ takes no such conditions, and closes the connection for one.
                told = channel.queue_declare(name, passive=True).method
                if not told.message_count and not told.consumer_count:
                    channel.queue_delete(name)


def _as_in(options: QueueOptions, features: Features) -> QueueOptions:
    """Return what the options of a quorum queue come to in a version of RabbitMQ."""
    return replace(
        options,
        in_order=not features.quorum_priorities,
        takes_turns=features.quorum_priorities_take_turns,
        unlimited=features.quorum_delivery_limit is None,
        free_nacks=not features.nack_counts_as_return,
    )
