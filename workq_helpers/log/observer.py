"""`Observer`: reads the AMQP methods that pass between one client and the broker, and has each understood.

It is told of each method once that was sent, or before pika acts on what was received, so nothing is recorded that
did not happen, and the order is that of the wire. `Deliveries`, `Publications` and `Definitions` know what the methods
mean and write the events; what a channel that the broker closed has swallowed is told here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pika import spec
from pika.amqp_object import Method
from pika.spec import Basic, BasicProperties, Confirm, Connection, Exchange, Queue, Tx

from workq_helpers.log.appearance import Appearance
from workq_helpers.log.book import Book
from workq_helpers.log.channel import CLOSED_BEFORE, Channel
from workq_helpers.log.declarations import DEATHS_HEADER, publish_options
from workq_helpers.log.definitions import Definitions
from workq_helpers.log.deliveries import Deliveries
from workq_helpers.log.details import CloseReason, ProgramOptions
from workq_helpers.log.held import Held
from workq_helpers.log.in_flight import Sent
from workq_helpers.log.messages import mark_of, task_text
from workq_helpers.log.publications import Publications, queue_of
from workq_helpers.log.published import Published
from workq_helpers.log.settling import takes_away
from workq_helpers.log.unmarked import fingerprint

__all__ = ["Observer"]

#: How many commands a channel has under way to a quorum queue; further ones wait in it, and end with it
#: (``quorum_commands_soft_limit`` of RabbitMQ). Its answers show nothing of those.
_QUORUM_COMMANDS = 32

_DELIVERED = Basic.Deliver, Basic.GetOk


class Observer:
    """Watches one client, over all its channels and connections.

    Args:
        client: Its name in the log.
        book: Where to write.
        program: What the log says of a client that is a program, seen through the relay alone: its messages bear no
            marks, and what it does with what it gets is not seen.
    """

    def __init__(self, client: str, book: Book, program: ProgramOptions | None = None) -> None:
        self.client = client
        self._program = program
        self._book = book
        self._log = book.log
        self._trace = book.trace
        self._marks = book.marks
        self._channels: dict[int, Channel] = {}
        self._next_mark, self._again = "", False
        self.appearance = Appearance(client, book.log, program)
        self.deliveries = Deliveries(client, book, self._channels, self.appearance, program)
        self.publications = Publications(client, book, self.appearance)
        self._definitions = Definitions(client, book)
        #: Held while something is recorded.
        self.lock = self.deliveries.lock
        #: Why what it holds goes back, once the client has a reason of its own.
        self.why = ""
        #: Whether the client still comes to what it has under auto-ack when its connection is gone, as workers do.
        self.outlives_connections = False
        #: Called when the broker begins to read nothing from it.
        self.on_blocked: Callable[[], None] = _nothing
        self._when_sent = self._handlers_of_sent()
        self._when_received = self._handlers_of_received()
        book.join(self)

    def _handlers_of_sent(self) -> dict[type[Method], Callable[[Channel, Any], None]]:
        deliveries, publications = self.deliveries, self.publications
        return {
            Basic.Ack: deliveries.settled,
            Basic.Nack: deliveries.settled,
            Basic.Reject: deliveries.settled,
            Basic.Consume: deliveries.subscribed,
            Basic.Get: deliveries.fetching,
            Basic.Recover: deliveries.recovering,
            Basic.Qos: deliveries.limited,
            Confirm.Select: publications.confirms_asked_for,
            Tx.Select: publications.transaction_begun,
            Tx.Commit: publications.committing,
        }

    def _handlers_of_received(self) -> dict[type[Method], Callable[[Channel, Any], None]]:
        deliveries, publications, definitions = self.deliveries, self.publications, self._definitions
        return {
            Basic.Ack: publications.confirmed,
            Basic.Nack: publications.confirmed,
            Basic.Cancel: deliveries.canceled,
            Basic.ConsumeOk: deliveries.consuming,
            Basic.GetEmpty: deliveries.found_empty,
            Basic.RecoverOk: deliveries.recovered,
            spec.Channel.Close: self._closed_by_broker,
            Connection.Blocked: self._blocked,
            Connection.Unblocked: self._unblocked,
            Exchange.BindOk: definitions.answered,
            Exchange.DeclareOk: definitions.answered,
            Exchange.DeleteOk: definitions.answered,
            Exchange.UnbindOk: definitions.answered,
            Queue.BindOk: definitions.answered,
            Queue.UnbindOk: definitions.answered,
            Queue.DeclareOk: definitions.declared,
            Queue.DeleteOk: definitions.emptied,
            Queue.PurgeOk: definitions.emptied,
            Tx.CommitOk: publications.committed,
            Tx.RollbackOk: publications.rolled_back,
        }

    @property
    def is_blocked(self) -> bool:
        """Whether the broker reads nothing from it, for an alarm of memory or disk."""
        return self.deliveries.is_unread

    # -- told by the connection -----------------------------------------------------------------------

    def next_mark(self) -> str:
        """Return the mark of the message that is published next; it stays the same until one is."""
        if not self._next_mark:
            self._next_mark = self._marks.new()
        return self._next_mark

    def publishes_again(self, mark: str) -> None:
        """Learn that the message published next was published before under that mark, and is not known to be there."""
        self._next_mark, self._again = mark, True

    def sent(self, number: int, method: Method) -> None:
        """Learn that a method without content was sent on a channel."""
        self._trace.add(self.client, "sent", method)
        if isinstance(method, spec.Channel.CloseOk):
            self.channel_closed(number, "the broker closed the channel")  # its number may be used again
            return
        channel = self._channel(number)
        with self.lock:
            handle = self._when_sent.get(type(method))
            if handle is not None:
                handle(channel, method)
            if getattr(method, "nowait", False):
                self._definitions.sent_without_answer(channel, method)
            elif method.synchronous and not isinstance(method, Basic.Get):
                channel.requests.append((method, channel.in_flight.count))

    def published(
        self, number: int, method: Basic.Publish, properties: BasicProperties, body: bytes, mark: str, size: int = -1
    ) -> None:
        """Learn that a message was published on a channel; `size` is the body's where not all of it is told."""
        task = task_text(body)
        self._trace.add(self.client, "sent", method, task)
        again, self._next_mark, self._again = self._again, "", False
        size = len(body) if size < 0 else size
        like = fingerprint(body, size) if self._program and mark_of(properties) is None else None
        told = Published(queue_of(method), mark, task, method.exchange, properties, size, like)
        options = publish_options(method, properties, again)
        if properties.headers and DEATHS_HEADER in properties.headers:
            self._marks.told_deaths.add(repr(properties.headers[DEATHS_HEADER]))
        channel = self._channel(number)
        with self.lock:
            self.publications.published(channel, method, told, options)

    def received(self, number: int, method: Method) -> None:
        """Learn that a method without content came on a channel."""
        self._trace.add(self.client, "received", method)
        channel = self._channel(number)
        with self.lock:
            handle = self._when_received.get(type(method))
            if handle is not None:
                handle(channel, method)
            if channel.requests and type(method).__name__ == f"{type(channel.requests[0][0]).__name__}Ok":
                self._answer_shows(channel, channel.requests.popleft()[1])

    def _answer_shows(self, channel: Channel, number: int) -> None:
        """Learn that a channel has come to a method, and so to all before; a quorum queue may not have."""
        held_up = sum(self._commands_a_quorum_queue(each) for each in channel.in_flight.sent if each[0] <= number)
        if held_up <= _QUORUM_COMMANDS:
            channel.in_flight.arrived_up_to(number)

    def _commands_a_quorum_queue(self, sent: Sent) -> bool:
        _, method, told, settled = sent
        if told is not None:
            return self._book.is_quorum(told.queue)
        return takes_away(method) and any(self._book.is_quorum(held.queue) for held in settled)

    def received_message(
        self, number: int, method: Method, properties: BasicProperties, body: bytes, size: int = -1
    ) -> None:
        """Learn that a message came on a channel, and take off its mark; `size` as for `published`."""
        task = task_text(body)
        self._trace.add(self.client, "received", method, task)
        mark = self._marks.take_off(properties)
        like = fingerprint(body, len(body) if size < 0 else size) if mark is None else None
        channel = self._channel(number)
        with self.lock:
            if isinstance(method, Basic.Return):
                self.publications.returned(method, mark, task, like)
            elif isinstance(method, _DELIVERED):
                self.deliveries.came(channel, method, properties, mark, task, like)

    def opened(self) -> None:
        """Learn that a new connection begins: its channels begin anew."""
        self._channels.clear()
        self.deliveries.is_unread = False

    def channel_closed(self, number: int, why: str) -> None:
        """Learn that a channel is closed; what it held goes back."""
        channel = self._channels.pop(number, None)
        if channel is not None:
            with self.lock:
                self._end(channel, self.why or why)

    def connection_closed(self, why: str, *, answered: bool = True) -> None:
        """Learn that the connection is gone; what it held goes back.

        Args:
            why: In words.
            answered: Whether the client said goodbye and the broker answered. If not, what it sent last may not have
                arrived.
        """
        for number, channel in list(self._channels.items()):
            if not answered:
                with self.lock:
                    self._doubt(channel, "the connection was lost")
            self.channel_closed(number, why)

    def agreed(self, events: int) -> None:
        """Learn that the broker's counts were those of the log: what was sent by then has arrived."""
        with self.lock:
            if len(self._log) == events and not self.is_blocked:
                for channel in self._channels.values():
                    channel.in_flight.all_arrived()

    def _channel(self, number: int) -> Channel:
        channel = self._channels.get(number)
        if channel is None:
            channel = self._channels[number] = Channel(self._marks.unmarked.settled)
        return channel

    # -- asked and told by the client -----------------------------------------------------------------

    def unsettled(self, number: int) -> Iterable[int]:
        """Return the tags of the deliveries that wait to be settled on a channel, in their order."""
        return self._channel(number).unsettled

    def knows(self, number: int, tag: object) -> bool:
        """Whether a delivery of that tag waits to be settled on a channel."""
        return tag in self._channel(number).unsettled

    def in_doubt(self, number: int) -> bool:
        """Whether something was settled on a channel, and nothing has shown yet that the broker knows of it."""
        return self._channel(number).in_flight.takes_away()

    def came_to(self, number: int, tag: int) -> Held | None:
        """Take note that the client has come to a delivery under auto-ack, and return it."""
        return self.deliveries.came_to(self._channel(number), tag)

    def at_hand_of(self, number: int, consumer_tag: str) -> list[Held]:
        """Return what a consumer under auto-ack got and has not come to."""
        return [each for each in self._at_hand_on(self._channel(number)) if each.consumer_tag == consumer_tag]

    def release(self, why: str, *, by_a_cut: bool = False) -> None:
        """Record that what the client held goes back to its queues.

        Args:
            why: In words.
            by_a_cut: Whether its connection is cut: what it sent last may not arrive then.
        """
        with self.lock:
            for channel in self._channels.values():
                if by_a_cut:
                    self._doubt(channel, why)
                self._end(channel, why)

    def lose_sight(self, why: str) -> None:
        """Record that nothing more is seen of the client: what becomes of what it has can't be told."""
        with self.lock:
            for channel in self._channels.values():
                self.deliveries.lose_sight(channel, why)
                self.publications.lose_sight(channel, why)
            self._channels.clear()

    def _at_hand_on(self, channel: Channel) -> list[Held]:
        return [each for each in self.deliveries.at_hand if each.channel is channel]

    # -- alarms ---------------------------------------------------------------------------------------

    def _blocked(self, _channel: Channel, method: Connection.Blocked) -> None:
        """Learn that the broker reads no more: a worker's ack is on its way by then, if it published before it."""
        self.deliveries.is_unread = True
        self._log.record("blocked", self.client, self.appearance.queue, detail=str(method.reason))
        for channel in self._channels.values():
            self.deliveries.hold_up(channel.in_flight.sent)
        self.on_blocked()

    def _unblocked(self, _channel: Channel, _method: Method) -> None:
        self.deliveries.is_unread = False
        self._log.record("unblocked", self.client, self.appearance.queue)

    # -- the end of a channel -------------------------------------------------------------------------

    def _closed_by_broker(self, channel: Channel, method: spec.Channel.Close) -> None:
        reason = CloseReason(method.reply_code, method.reply_text)
        queue = next(iter(channel.subscriptions.values())).queue if channel.subscriptions else ""
        self._log.record("channel closed", self.client, queue, detail=reason)
        channel.closed = True
        self.deliveries.on_release()
        suspects = channel.in_flight.suspects(method, reason.text)
        if len(suspects) == 1:
            guilty, *after = list(channel.in_flight.sent)[suspects[0] :]
            self._came_to_nothing(channel, guilty, reason)
            for each in after:
                self._came_to_nothing(channel, each, CLOSED_BEFORE)
        else:
            self._one_came_to_nothing(channel, suspects, reason)
        self._end(channel, "the broker closed the channel")

    def _came_to_nothing(self, channel: Channel, sent: Sent, why: CloseReason | str) -> None:
        """Take back what was sent: the broker closed the channel for it, or before it came to it."""
        _, _, told, settled = sent
        if told is not None:
            channel.forget_unconfirmed(told)
            self.publications.record("refused", told, why)
        for held in settled:
            self.deliveries.record("ack dropped", held, why)
            channel.unsettled[held.tag] = held

    def _one_came_to_nothing(self, channel: Channel, suspects: list[int], reason: CloseReason) -> None:
        """Record that one of the suspects came to nothing, and what was sent after it, and that nobody knows which."""
        sent = list(channel.in_flight.sent)
        for at in suspects:
            if (told := sent[at][2]) is not None:
                channel.forget_unconfirmed(told)
                why = f"RabbitMQ closed the channel for one of {len(suspects)}: {reason}"
                self.publications.record("unknown", told, why)
        self.deliveries.doubt(sent[suspects[0] if suspects else 0 :], "RabbitMQ closed the channel")
        self.publications.doubt(channel)

    def _doubt(self, channel: Channel, what: str) -> None:
        """Record that what a channel was given last may not have arrived before it was lost."""
        self.deliveries.doubt(channel.in_flight.sent, what)
        self.publications.doubt(channel)

    def _end(self, channel: Channel, why: str) -> None:
        """Record what becomes of what a channel held. Under `lock`."""
        self.deliveries.hand_back(channel, why)
        self.publications.end(channel)
        if not self.outlives_connections:
            self.deliveries.drop(f"{why} before the client came to it", self._at_hand_on(channel))
        channel.in_flight.all_arrived()


def _nothing() -> None:
    """Do nothing."""
