"""`Publications`: what a client published, and whether the broker has it: confirms, returns and transactions."""

from __future__ import annotations

from collections.abc import Callable

from pika.amqp_object import Method
from pika.spec import Basic

from workq_helpers.log.appearance import Appearance
from workq_helpers.log.book import Book
from workq_helpers.log.channel import CLOSED_BEFORE, Channel, up_to
from workq_helpers.log.details import CloseReason, Detail, PublishOptions, UnderWay
from workq_helpers.log.fates import DIRECT_REPLY
from workq_helpers.log.published import Published

__all__ = ["Publications", "queue_of"]


class Publications:
    """What one client published, over all its channels.

    Args:
        client: Its name in the log.
        book: Where to write.
        appearance: How the log shows it.
    """

    def __init__(self, client: str, book: Book, appearance: Appearance) -> None:
        self._client = client
        self._log = book.log
        self._unmarked = book.marks.unmarked
        self._appearance = appearance
        #: Called with a mark and whether the broker has the message.
        self.on_confirm: Callable[[str, bool], None] = _ignore_confirm

    def published(self, channel: Channel, method: Basic.Publish, told: Published, options: PublishOptions) -> None:
        """Learn that a message was published, or will be when its transaction is committed."""
        if channel.transaction is not None:
            channel.uncommitted.append(told)
            channel.transaction.append(lambda: self._publish(channel, method, told, options))
        else:
            self._publish(channel, method, told, options)

    def _publish(self, channel: Channel, method: Basic.Publish, told: Published, options: PublishOptions) -> None:
        self._appearance.publishes()
        if told.body is not None:
            self._unmarked.published(told.mark, told.queue, told.body)
        self._log.record("published", self._client, told.queue, told.mark, told.task, detail=options)
        if channel.closed:
            self.record("refused", told, CLOSED_BEFORE)
            return
        told.number = channel.in_flight.remember(method, told, ())
        if channel.confirming:
            channel.published += 1
            channel.unconfirmed[channel.published] = told

    # -- confirms and returns -------------------------------------------------------------------------

    def confirms_asked_for(self, channel: Channel, _method: Method) -> None:
        """Learn that a channel asks for confirms."""
        channel.confirming = True

    def confirmed(self, channel: Channel, method: Basic.Ack | Basic.Nack) -> None:
        """Learn that the broker has messages, or refuses them."""
        tag = method.delivery_tag
        good = isinstance(method, Basic.Ack)
        for number in up_to(channel.unconfirmed, tag) if method.multiple else (tag,):
            told = channel.unconfirmed.pop(number, None)
            if told is not None:
                kind = "confirmed" if good else "refused"
                if not good and told.body is not None:
                    self._unmarked.never_arrived(told.mark, told.queue, told.body)
                self._log.record(kind, self._client, told.queue, told.mark, told.task, number)
                channel.in_flight.arrived_up_to(told.number)
                self.on_confirm(told.mark, good)

    def returned(self, method: Basic.Return, mark: str | None, task: str, body: bytes | None) -> None:
        """Learn that the broker returned a message."""
        queue = queue_of(method)
        if body is not None:
            mark = self._unmarked.returned(queue, body)
        reason = CloseReason(method.reply_code, method.reply_text)
        self._log.record("returned", self._client, queue, mark, task, detail=reason)

    # -- transactions ---------------------------------------------------------------------------------

    def transaction_begun(self, channel: Channel, _method: Method) -> None:
        """Learn that what a channel does from here on waits for a commit."""
        channel.transaction = []

    def committing(self, channel: Channel, _method: Method) -> None:
        """Take what the transaction holds for done from here on: others may get it before the answer comes."""
        waiting, channel.transaction = channel.transaction or [], None
        for record in waiting:
            record()
        channel.transaction = []
        channel.committing = True

    def committed(self, channel: Channel, _method: Method) -> None:
        """Learn that it is done."""
        channel.committing = False
        channel.uncommitted.clear()

    def rolled_back(self, channel: Channel, _method: Method) -> None:
        """Learn that it never will be."""
        channel.transaction = []
        self._never_committed(channel, "the transaction was rolled back")

    def _never_committed(self, channel: Channel, why: str) -> None:
        for told in channel.uncommitted:
            if not channel.committing:
                self._log.record("published", self._client, told.queue, told.mark, told.task, detail=PublishOptions())
                self.record("refused", told, why)
            else:
                self.record("unknown", told, "the commit of its transaction was not answered")
        channel.uncommitted.clear()

    # -- what becomes of the rest ---------------------------------------------------------------------

    def end(self, channel: Channel) -> None:
        """Record what becomes of what a channel has not heard of when it ends."""
        self.lose_sight(channel, "its confirm never came")
        channel.unconfirmed.clear()
        self._never_committed(channel, "its transaction was never committed")

    def lose_sight(self, channel: Channel, why: str) -> None:
        """Record that nobody knows of what a channel waits to be confirmed."""
        for told in channel.unconfirmed.values():
            self.record("unknown", told, why)

    def doubt(self, channel: Channel) -> None:
        """Record that what a channel published last may not have arrived before it was lost."""
        if marks := channel.under_way():
            self._log.record("under way", self._client, self._appearance.queue, detail=UnderWay(tuple(marks)))

    def record(self, kind: str, told: Published, why: Detail) -> None:
        """Record what became of a message."""
        if kind == "refused" and told.body is not None:
            self._unmarked.never_arrived(told.mark, told.queue, told.body)
        self._log.record(kind, self._client, told.queue, told.mark, told.task, detail=why)


def queue_of(method: Basic.Publish | Basic.Return) -> str:
    """Return the queue that a message is sent to, ``""`` if an exchange routes it."""
    if method.exchange:
        return ""
    key = str(method.routing_key)
    return DIRECT_REPLY if key.startswith(f"{DIRECT_REPLY}.") else key


def _ignore_confirm(_mark: str, _confirmed: bool) -> None:
    """Do nothing."""
