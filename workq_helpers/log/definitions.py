"""`Definitions`: what clients ask of queues, exchanges and bindings, and whether it was answered."""

from __future__ import annotations

from pika.amqp_object import Method
from pika.spec import Exchange, Queue

from workq_helpers.log.book import Book
from workq_helpers.log.channel import Channel
from workq_helpers.log.declarations import binding_of, exchange_options, queue_options

__all__ = ["Definitions"]


class Definitions:
    """Records what one client declares, binds, empties and deletes.

    Args:
        client: Its name in the log.
        book: Where to write.
    """

    def __init__(self, client: str, book: Book) -> None:
        self._client = client
        self._book = book
        self._log = book.log

    def declared(self, channel: Channel, answer: Queue.DeclareOk) -> None:
        """Learn that a queue is there."""
        channel.last_queue = answer.queue
        asked = channel.asked()
        if isinstance(asked, Queue.Declare) and not asked.passive:
            self._book.declared(self._client, answer.queue, queue_options(asked))

    def answered(self, channel: Channel, _answer: Method) -> None:
        """Learn that what was asked for is done."""
        if (asked := channel.asked()) is not None:
            self._done(channel, asked)

    def sent_without_answer(self, channel: Channel, asked: Method) -> None:
        """Learn that something was asked for and no answer comes."""
        if isinstance(asked, Queue.Declare):
            channel.last_queue = asked.queue
            self._book.declared(self._client, asked.queue, queue_options(asked))
        else:
            self._done(channel, asked)

    def _done(self, channel: Channel, asked: Method) -> None:
        if isinstance(asked, Queue.Bind | Queue.Unbind):
            kind = "bound" if isinstance(asked, Queue.Bind) else "unbound"
            self._log.record(kind, self._client, asked.queue or channel.last_queue, detail=binding_of(asked))
        elif isinstance(asked, Exchange.Bind | Exchange.Unbind):
            kind = "bound" if isinstance(asked, Exchange.Bind) else "unbound"
            self._log.record(kind, self._client, detail=binding_of(asked))
        elif isinstance(asked, Exchange.Declare | Exchange.Delete) and not getattr(asked, "passive", False):
            kind = "exchange declared" if isinstance(asked, Exchange.Declare) else "exchange deleted"
            self._log.record(kind, self._client, detail=exchange_options(asked))

    def emptied(self, channel: Channel, answer: Queue.DeleteOk | Queue.PurgeOk) -> None:
        """Learn that a queue was purged or deleted."""
        asked = channel.asked()
        if isinstance(asked, Queue.Delete | Queue.Purge):
            kind = "deleted" if isinstance(asked, Queue.Delete) else "purged"
            queue = asked.queue or channel.last_queue
            self._book.marks.unmarked.emptied(queue)
            self._log.record(kind, self._client, queue, detail=int(answer.message_count))
