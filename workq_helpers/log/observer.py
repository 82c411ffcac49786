"""`Observer`: reads the AMQP methods that pass between one client and the broker, and writes events.

It is told of each method once that was sent, or before pika acts on what was received, so nothing is recorded that
did not happen, and the order is that of the wire. It knows what the methods mean: consumers, delivery tags, publisher
confirms and transactions, and what a channel that the broker closed has swallowed.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pika.amqp_object import Method
from pika.spec import Basic, BasicProperties, Channel, Confirm, Connection, Exchange, Queue, Tx

from workq_helpers.log.declarations import (
    DEATHS_HEADER,
    binding_of,
    deaths_of,
    exchange_options,
    publish_options,
    queue_options,
)
from workq_helpers.log.details import (
    CloseReason,
    ConsumeOptions,
    Detail,
    FetchOptions,
    Handback,
    Mistake,
    ProgramOptions,
    PublishOptions,
    QueueOptions,
    UnderWay,
)
from workq_helpers.log.events import EventLog
from workq_helpers.log.fates import DIRECT_REPLY, UNREAD
from workq_helpers.log.messages import MARK_HEADER, Marks, task_text
from workq_helpers.log.trace import Trace
from workq_helpers.log.unmarked import fingerprint

__all__ = ["Book", "Held", "Observer"]

#: How many of the methods sent last are remembered, for the case that the broker closes the channel for one of them.
_REMEMBERED = 5_000

#: How many commands a channel has under way to a quorum queue; further ones wait in it, and end with it
#: (``quorum_commands_soft_limit`` of RabbitMQ). Its answers show nothing of those.
_QUORUM_COMMANDS = 32

Settling = Basic.Ack | Basic.Nack | Basic.Reject


class Book:
    """What all clients of a lesson write to: its log, its trace, and the marks of its messages."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.trace = Trace(log)
        self.marks = Marks()
        #: When the last event was of those whose messages the broker counted as the log did, on its clock.
        self.agreed_seconds = 0.0
        self._quorum_queues: set[str] = set()
        self._observers: weakref.WeakSet[Observer] = weakref.WeakSet()
        self._lock = threading.Lock()

    def join(self, observer: Observer) -> None:
        """Learn of another observer that writes here."""
        with self._lock:
            self._observers.add(observer)

    def declared(self, client: str, queue: str, options: QueueOptions) -> None:
        """Record that a client declared a queue."""
        self.log.record("declared", client, queue, detail=options)
        if options.type == "quorum":
            self._quorum_queues.add(queue)
        else:
            self._quorum_queues.discard(queue)

    def begin_again(self) -> None:
        """Learn that the log was cleared."""
        self.trace.clear()
        self.agreed_seconds = 0.0

    def is_quorum(self, queue: str) -> bool:
        """Whether a queue was last declared as a quorum queue; ``""``, where an exchange routes, may be any."""
        return queue in self._quorum_queues if queue else bool(self._quorum_queues)

    def agreed(self, events: int) -> None:
        """Learn that the broker's counts were those of the log when it had so many events: all had arrived by then."""
        with self._lock:
            observers = list(self._observers)
        last = self.log.rows(events - 1, events)  # nothing where the log was cleared meanwhile
        self.agreed_seconds = last[0][0] if last else 0.0
        for observer in observers:
            observer.agreed(events)


class Held:
    """A delivery that a client got."""

    __slots__ = ("auto_ack", "body", "channel", "consumer_tag", "mark", "queue", "redelivered", "tag", "task", "turn")

    def __init__(
        self,
        tag: int,
        queue: str,
        mark: str,
        task: str,
        redelivered: bool,
        auto_ack: bool,
        consumer_tag: str,
        channel: _Channel,
        body: bytes | None,
        turn: object,
    ) -> None:
        self.turn = turn  # what stands for it where messages bear no marks
        self.channel = channel
        self.body = body  # the fingerprint of one that bears no mark
        self.tag = tag
        self.queue = queue
        self.mark = mark
        self.task = task
        self.redelivered = redelivered
        self.consumer_tag = consumer_tag
        self.auto_ack = auto_ack


class _Subscription:
    """A consumer, or the one message that was asked for; `prefetch_count` is 0 where there is no limit of its own."""

    __slots__ = ("auto_ack", "delivered", "prefetch_count", "queue", "settled")

    def __init__(self, queue: str, auto_ack: bool, prefetch_count: int = 0) -> None:
        self.queue = queue
        self.auto_ack = auto_ack
        self.prefetch_count = prefetch_count
        self.delivered = 0
        self.settled = 0  # of which the broker has shown to know


class _Published:
    """A message that was published."""

    __slots__ = ("body", "exchange", "expiration", "mark", "number", "queue", "size", "task", "user_id")

    def __init__(
        self,
        queue: str,
        mark: str,
        task: str,
        exchange: str,
        properties: BasicProperties,
        size: int,
        body: bytes | None,
    ) -> None:
        self.body = body  # the fingerprint of one that bears no mark
        self.queue = queue
        self.mark = mark
        self.task = task
        self.exchange = exchange
        self.user_id = properties.user_id
        self.expiration = properties.expiration
        self.size = size
        self.number = 0  # the how-manieth method it was on its channel


#: A method that the broker may close the channel for: the how-manieth it was, itself, and what it published or settled.
_Sent = tuple[int, Method, _Published | None, tuple[Held, ...]]


class _Channel:
    """What is known of one channel.

    Args:
        on_settled: Called for a delivery that bears no mark and was answered, once that has arrived or came to nothing.
    """

    def __init__(self, on_settled: Callable[[str, str, bytes, object], None]) -> None:
        self._on_settled = on_settled
        self.subscriptions: dict[str, _Subscription] = {}
        self.asked_for: deque[_Subscription] = deque()  # without a consumer tag: the broker gives one
        self.prefetch_count = 0
        self.own_prefetch_count = 0  # that each further consumer has for itself
        self.fetches: deque[_Subscription] = deque()
        self.last_queue = ""  # an empty name stands for the queue that was declared last
        self.requests: deque[tuple[Method, int]] = deque()  # that wait for their answers, and how many methods it had
        self.closed = False  # by the broker, which ignores what comes after
        self.unsettled: dict[int, Held] = {}
        self.recovering = 0  # how many basic.recover are not answered: nothing settles what comes before they are
        self.withdrawn: set[int] = set()  # tags of deliveries whose consumer the broker canceled
        self.confirming = False
        self.published = 0
        self.unconfirmed: dict[int, _Published] = {}
        self.transaction: list[Callable[[], None]] | None = None
        self.uncommitted: list[_Published] = []
        self.committing = False
        self.count = 0  # of methods
        self.sent: deque[_Sent] = deque()  # and not shown to have arrived
        self.published_before: list[str] = []  # marks of what is not remembered any more, nor shown to have arrived

    def remember(self, method: Method, told: _Published | None, settled: tuple[Held, ...]) -> int:
        """Remember a method, and return its number."""
        self.count += 1
        if len(self.sent) == _REMEMBERED:
            if (first := self.sent[0][2]) is not None:
                self.published_before.append(first.mark)
            self._forget_first()
        self.sent.append((self.count, method, told, settled))
        return self.count

    def forget_up_to(self, number: int) -> None:
        """Forget methods that the broker has shown to have taken: it takes them in their order."""
        while self.sent and self.sent[0][0] <= number:
            self._first_arrived()

    def delivered_to(self, subscription: _Subscription) -> None:
        """Learn of a delivery: the broker sent it because it knows that enough of those before are settled."""
        subscription.delivered += 1
        if subscription.prefetch_count:
            while self.sent and subscription.delivered - subscription.settled > subscription.prefetch_count:
                self._first_arrived()

    def went_back(self, held: Held) -> None:
        """Learn that the broker took a delivery back, or knows that it is settled."""
        if (subscription := self.subscriptions.get(held.consumer_tag)) is not None:
            subscription.settled += 1

    def under_way(self) -> list[str]:
        """Return the marks of what was published and not shown to have arrived; of what has confirms those tell."""
        if self.confirming:
            return []
        return [*self.published_before, *(told.mark for _, _, told, _ in self.sent if told is not None)]

    def _first_arrived(self) -> None:
        self.published_before.clear()
        self._forget_first()

    def _forget_first(self) -> None:
        for held in self.sent.popleft()[3]:
            self.went_back(held)
            if held.body is not None:
                self._on_settled(held.mark, held.queue, held.body, held.turn)


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
        #: The queue that it is about: where a program consumes, or a publisher of the course's publishes to.
        self.queue = ""
        self._shown: ProgramOptions | None = None
        self._has_published = False
        self._book = book
        self._log = book.log
        self._trace = book.trace
        self._marks = book.marks
        self._unmarked = book.marks.unmarked
        self._channels: dict[int, _Channel] = {}
        self._next_mark, self._again = "", False
        book.join(self)
        #: Held while a delivery changes hands, so that the log never says "finished" after "lost".
        self.lock = threading.RLock()
        #: The delivery that was received last, or ``None`` if the client is not to have it.
        self.latest: Held | None = None
        #: Deliveries under auto-ack that the client has not come to yet.
        self.at_hand: dict[Held, None] = {}
        #: Why what it holds goes back, once the client has a reason of its own.
        self.why = ""
        #: Whether the client still comes to what it has under auto-ack when its connection is gone, as workers do.
        self.outlives_connections = False
        #: Whether the client is dead, and gets nothing more that others will get.
        self.dead = False
        #: Called with the lock held before deliveries go back, so that the client forgets them.
        self.on_release: Callable[[], None] = _nothing
        #: Whether the broker reads nothing from it, for an alarm of memory or disk.
        self.is_blocked = False
        #: Called when that begins.
        self.on_blocked: Callable[[], None] = _nothing
        #: Called with a mark and whether the broker has the message.
        self.on_confirm: Callable[[str, bool], None] = _ignore_confirm
        self._when_sent: dict[type[Method], Callable[[_Channel, Any], None]] = {
            Basic.Ack: self._settled,
            Basic.Nack: self._settled,
            Basic.Reject: self._settled,
            Basic.Consume: self._subscribed,
            Basic.Get: self._fetching,
            Basic.Recover: self._recovering,
            Basic.Qos: self._limited,
            Confirm.Select: self._confirms_asked_for,
            Tx.Select: self._transaction_begun,
            Tx.Commit: self._committing,
        }
        self._when_received: dict[type[Method], Callable[[_Channel, Any], None]] = {
            Basic.Ack: self._confirmed,
            Basic.Nack: self._confirmed,
            Basic.Cancel: self._canceled,
            Basic.ConsumeOk: self._consuming,
            Basic.GetEmpty: self._found_empty,
            Basic.RecoverOk: self._recovered,
            Channel.Close: self._closed_by_broker,
            Connection.Blocked: self._blocked,
            Connection.Unblocked: self._unblocked,
            Exchange.BindOk: self._answered,
            Exchange.DeclareOk: self._answered,
            Exchange.DeleteOk: self._answered,
            Exchange.UnbindOk: self._answered,
            Queue.BindOk: self._answered,
            Queue.UnbindOk: self._answered,
            Queue.DeclareOk: self._declared,
            Queue.DeleteOk: self._emptied,
            Queue.PurgeOk: self._emptied,
            Tx.CommitOk: self._committed,
            Tx.RollbackOk: self._rolled_back,
        }

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
        if isinstance(method, Channel.CloseOk):
            self.channel_closed(number, "the broker closed the channel")  # its number may be used again
            return
        channel = self._channel(number)
        with self.lock:
            handle = self._when_sent.get(type(method))
            if handle is not None:
                handle(channel, method)
            if method.synchronous and not isinstance(method, Basic.Get) and not getattr(method, "nowait", False):
                channel.requests.append((method, channel.count))
            if getattr(method, "nowait", False):
                self._answered(channel, method)

    def published(
        self, number: int, method: Basic.Publish, properties: BasicProperties, body: bytes, mark: str, size: int = -1
    ) -> None:
        """Learn that a message was published on a channel; `size` is the body's where not all of it is told."""
        task = task_text(body)
        self._trace.add(self.client, "sent", method, task)
        channel = self._channel(number)
        again, self._next_mark, self._again = self._again, "", False
        queue = _queue_of(method)
        size = len(body) if size < 0 else size
        like = fingerprint(body, size) if self._program and MARK_HEADER not in (properties.headers or ()) else None
        told = _Published(queue, mark, task, method.exchange, properties, size, like)
        options = publish_options(method, properties, again)
        if properties.headers and DEATHS_HEADER in properties.headers:
            self._marks.told_deaths.add(repr(properties.headers[DEATHS_HEADER]))
        with self.lock:
            if channel.transaction is not None:
                channel.uncommitted.append(told)
                channel.transaction.append(lambda: self._record_published(channel, method, told, options))
            else:
                self._record_published(channel, method, told, options)

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

    def _answer_shows(self, channel: _Channel, number: int) -> None:
        """Learn that a channel has come to a method, and so to all before; a quorum queue may not have."""
        held_up = sum(self._commands_a_quorum_queue(each) for each in channel.sent if each[0] <= number)
        if held_up <= _QUORUM_COMMANDS:
            channel.forget_up_to(number)

    def _commands_a_quorum_queue(self, sent: _Sent) -> bool:
        _, method, told, settled = sent
        if told is not None:
            return self._book.is_quorum(told.queue)
        return _takes_away(method) and any(self._book.is_quorum(held.queue) for held in settled)

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
            if isinstance(method, Basic.Deliver):
                if (subscription := self._subscription(channel, method.consumer_tag)) is None:
                    self.latest = None  # it came when the channel had ended: the client drops it, the broker keeps it
                    return
                self._delivered(channel, method, subscription, mark, task, like, properties)
            elif isinstance(method, Basic.GetOk):
                subscription = channel.fetches.popleft() if channel.fetches else _Subscription("", False)
                self._delivered(channel, method, subscription, mark, task, like, properties)
            elif isinstance(method, Basic.Return):
                self._returned(method, mark, task, like)

    def opened(self) -> None:
        """Learn that a new connection begins: its channels begin anew."""
        self._channels.clear()
        self.is_blocked = False

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
                    channel.forget_up_to(channel.count)

    # -- asked and told by the client -----------------------------------------------------------------

    def unsettled(self, number: int) -> Iterable[int]:
        """Return the tags of the deliveries that wait to be settled on a channel, in their order."""
        return self._channel(number).unsettled

    def knows(self, number: int, tag: object) -> bool:
        """Whether a delivery of that tag waits to be settled on a channel."""
        return tag in self._channel(number).unsettled

    def in_doubt(self, number: int) -> bool:
        """Whether something was settled on a channel, and nothing has shown yet that the broker knows of it."""
        return any(_takes_away(each[1]) for each in self._channel(number).sent)

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
                for each in channel.unsettled.values():
                    self.record("unknown", each, why)
                for told in channel.unconfirmed.values():
                    self._fate("unknown", told, why)
            self._channels.clear()

    def drop(self, why: str, held: Iterable[Held] | None = None) -> None:
        """Record that deliveries under auto-ack are nobody's: by default all that the client has not come to."""
        with self.lock:
            for each in list(self.at_hand if held is None else held):
                if self.at_hand.pop(each, each) is None:
                    self.record("lost", each, why)

    def came_to(self, number: int, tag: int) -> Held | None:
        """Take note that the client has come to a delivery under auto-ack, and return it."""
        channel = self._channel(number)
        held = next((each for each in self.at_hand if each.tag == tag and each.channel is channel), None)
        if held is not None:
            del self.at_hand[held]
        return held

    def at_hand_of(self, number: int, consumer_tag: str) -> list[Held]:
        """Return what a consumer under auto-ack got and has not come to."""
        channel = self._channel(number)
        return [each for each in self.at_hand if each.channel is channel and each.consumer_tag == consumer_tag]

    def record(self, kind: str, held: Held, detail: Detail = "") -> None:
        """Record an event about a delivery."""
        still_held = _STILL_HELD_AUTO_ACK if held.auto_ack else _STILL_HELD
        if held.body is not None and kind not in still_held and detail != UNREAD:
            comes_again = kind in _COME_AGAIN or detail is Handback.REQUEUE or (kind == "unknown" and not held.auto_ack)
            answered = self._unmarked.turned_away if detail is Handback.DISCARD else self._unmarked.answered
            finally_gone = self._unmarked.settled if held.auto_ack else answered
            move = self._unmarked.put_back if comes_again else finally_gone
            move(held.mark, held.queue, held.body, held.turn)
        self._log.record(kind, self.client, held.queue, held.mark, held.task, held.tag, held.redelivered, detail)

    # -- deliveries -----------------------------------------------------------------------------------

    def _subscribed(self, channel: _Channel, method: Basic.Consume) -> None:
        asked = _Subscription(method.queue or channel.last_queue, bool(method.no_ack), channel.own_prefetch_count)
        if method.consumer_tag:
            channel.subscriptions[method.consumer_tag] = asked
            if method.nowait:
                self._show(channel, asked)
        else:
            channel.asked_for.append(asked)

    def _subscription(self, channel: _Channel, consumer_tag: str) -> _Subscription | None:
        """Return a consumer by its tag, which the broker may have given to the one that asked first without."""
        if consumer_tag not in channel.subscriptions and channel.asked_for:
            channel.subscriptions[consumer_tag] = asked = channel.asked_for.popleft()
            self._show(channel, asked)
        return channel.subscriptions.get(consumer_tag)

    def _consuming(self, channel: _Channel, answer: Basic.ConsumeOk) -> None:
        if answer.consumer_tag in channel.subscriptions:
            self._show(channel, channel.subscriptions[answer.consumer_tag])
        else:
            self._subscription(channel, answer.consumer_tag)

    def _show(self, channel: _Channel, subscription: _Subscription) -> None:
        """Have a program be shown as the consumer that it is."""
        shown = self._shown
        # A client may have several consumers. It is shown as the one begun last, of those that acknowledge if any do.
        if self._program and (shown is None or shown.auto_ack or not subscription.auto_ack):
            self.queue = subscription.queue
            self._shown = replace(self._program, auto_ack=subscription.auto_ack, prefetch_count=channel.prefetch_count)
            self._log.record("connected", self.client, self.queue, detail=self._shown)

    def _limited(self, channel: _Channel, method: Basic.Qos) -> None:
        channel.prefetch_count = int(method.prefetch_count)
        channel.own_prefetch_count = 0 if method.global_qos else channel.prefetch_count

    def _fetching(self, channel: _Channel, method: Basic.Get) -> None:
        channel.fetches.append(_Subscription(method.queue or channel.last_queue, bool(method.no_ack)))

    def _found_empty(self, channel: _Channel, _method: Method) -> None:
        if channel.fetches:
            channel.fetches.popleft()

    def _delivered(
        self,
        channel: _Channel,
        method: Basic.Deliver | Basic.GetOk,
        subscription: _Subscription,
        mark: str | None,
        task: str,
        body: bytes | None,
        properties: BasicProperties,
    ) -> None:
        queue, auto_ack = subscription.queue, subscription.auto_ack
        if self.dead and not auto_ack:
            self.latest = None  # the dead get nothing, and the broker puts it back
            return
        redelivered = bool(method.redelivered)
        deaths = deaths_of(properties, self._marks.told_deaths) if properties.headers else []
        turn = object() if body is not None else None
        if body is not None:
            mark = self._unmarked.delivered(queue, body, redelivered, [died_in for died_in, _ in deaths], turn)
        mark = mark or ""
        if redelivered:
            self._came_back(queue, mark)
        if deaths:
            self._log.record("dead-lettered", self.client, deaths[0][0], mark, task, detail=deaths[0][1])
        consumer_tag = method.consumer_tag if isinstance(method, Basic.Deliver) else ""
        held = Held(method.delivery_tag, queue, mark, task, redelivered, auto_ack, consumer_tag, channel, body, turn)
        self.latest = held
        if not auto_ack:
            channel.delivered_to(subscription)
            channel.unsettled[held.tag] = held
            self.record("delivered", held, "" if consumer_tag else FetchOptions())
        elif self._program is not None:
            self.record("delivered", held, _AUTO_ACK)
            self.record("unknown", held, "sent under auto-ack: what a program does with it nobody sees")
        elif isinstance(method, Basic.GetOk):
            self.record("delivered", held, _FETCHED)
        else:
            self.at_hand[held] = None
            self.record("delivered", held, _AUTO_ACK)

    def _came_back(self, queue: str, mark: str) -> None:
        """Take note that another channel, which still seems to hold a delivery, does not: here it comes again."""
        for channel in self._channels.values():
            for held in [each for each in channel.unsettled.values() if each.mark == mark and each.queue == queue]:
                del channel.unsettled[held.tag]
                channel.went_back(held)
                held.body = None  # the delivery that has just come has it, if it bears no mark
                self.record("requeued", held, "it was delivered again")

    def _settled(self, channel: _Channel, method: Settling) -> None:
        if channel.transaction is not None:
            channel.transaction.append(lambda: self._record_settled(channel, method))
        else:
            self._record_settled(channel, method)

    def _record_settled(self, channel: _Channel, method: Settling) -> None:
        tag = method.delivery_tag
        if channel.closed:
            self._log.record("ack dropped", self.client, delivery_tag=tag, detail=_CLOSED_BEFORE)
            return
        multiple = getattr(method, "multiple", False)
        if channel.recovering:
            settled: tuple[Held, ...] = ()
        elif not multiple:
            found = channel.unsettled.pop(tag, None)
            settled = () if found is None else (found,)
        else:
            tags = list(channel.unsettled) if tag == 0 else _up_to(channel.unsettled, tag)
            settled = tuple(channel.unsettled.pop(known) for known in tags)
        kind, detail = _KINDS[type(method)], _handback(method)
        for held in settled:
            self.record(kind, held, detail)
        if settled:
            channel.remember(method, None, settled)
            if self.is_blocked:
                self._hold_up([channel.sent[-1]])
        elif tag in channel.withdrawn:
            self._log.record("ack dropped", self.client, delivery_tag=tag, detail=Mistake.CONSUMER_CANCELED)
        elif not multiple or tag:
            self._log.record(kind, self.client, delivery_tag=tag, detail=Mistake.UNKNOWN_DELIVERY_TAG)
            channel.remember(method, None, ())

    def _canceled(self, channel: _Channel, method: Basic.Cancel) -> None:
        subscription = channel.subscriptions.pop(method.consumer_tag, None)
        queue = subscription.queue if subscription else ""
        self._log.record("cancelled", self.client, queue, detail="by the broker")
        held = [each for each in channel.unsettled.values() if each.consumer_tag == method.consumer_tag]
        if held:
            self.on_release()
        for each in held:
            del channel.unsettled[each.tag]
            channel.withdrawn.add(each.tag)
            self.record("unknown", each, "RabbitMQ canceled its consumer: the queue is gone, or an ack was overdue")

    def _recovering(self, channel: _Channel, _method: Method) -> None:
        """Take back what the channel holds: no answer after this one settles it."""
        channel.recovering += 1
        self._take_back(channel)

    def _recovered(self, channel: _Channel, _method: Method) -> None:
        channel.recovering -= 1
        self._take_back(channel)  # what was on its way meanwhile

    def _take_back(self, channel: _Channel) -> None:
        for held in channel.unsettled.values():
            channel.went_back(held)
            self.record("requeued", held, "basic.recover asked for it")
        channel.unsettled.clear()

    # -- publishing -----------------------------------------------------------------------------------

    def _record_published(
        self, channel: _Channel, method: Basic.Publish, told: _Published, options: PublishOptions
    ) -> None:
        if self._program and not self._has_published and self._shown is None:
            self._log.record("connected", self.client)
        self._has_published = True
        if told.body is not None:
            self._unmarked.published(told.mark, told.queue, told.body)
        self._log.record("published", self.client, told.queue, told.mark, told.task, detail=options)
        if channel.closed:
            self._fate("refused", told, _CLOSED_BEFORE)
            return
        told.number = channel.remember(method, told, ())
        if channel.confirming:
            channel.published += 1
            channel.unconfirmed[channel.published] = told

    def _confirms_asked_for(self, channel: _Channel, _method: Method) -> None:
        channel.confirming = True

    def _confirmed(self, channel: _Channel, method: Basic.Ack | Basic.Nack) -> None:
        tag = method.delivery_tag
        good = isinstance(method, Basic.Ack)
        for number in _up_to(channel.unconfirmed, tag) if method.multiple else (tag,):
            told = channel.unconfirmed.pop(number, None)
            if told is not None:
                kind = "confirmed" if good else "refused"
                if not good and told.body is not None:
                    self._unmarked.never_arrived(told.mark, told.queue, told.body)
                self._log.record(kind, self.client, told.queue, told.mark, told.task, number)
                channel.forget_up_to(told.number)
                self.on_confirm(told.mark, good)

    def _returned(self, method: Basic.Return, mark: str | None, task: str, body: bytes | None) -> None:
        queue = _queue_of(method)
        if body is not None:
            mark = self._unmarked.returned(queue, body)
        reason = CloseReason(method.reply_code, method.reply_text)
        self._log.record("returned", self.client, queue, mark, task, detail=reason)

    def _fate(self, kind: str, told: _Published, why: Detail) -> None:
        if kind == "refused" and told.body is not None:
            self._unmarked.never_arrived(told.mark, told.queue, told.body)
        self._log.record(kind, self.client, told.queue, told.mark, told.task, detail=why)

    # -- transactions ---------------------------------------------------------------------------------

    def _transaction_begun(self, channel: _Channel, _method: Method) -> None:
        channel.transaction = []

    def _committing(self, channel: _Channel, _method: Method) -> None:
        """Take what the transaction holds for done from here on: others may get it before the answer comes."""
        waiting, channel.transaction = channel.transaction or [], None
        for record in waiting:
            record()
        channel.transaction = []
        channel.committing = True

    def _committed(self, channel: _Channel, _method: Method) -> None:
        channel.committing = False
        channel.uncommitted.clear()

    def _rolled_back(self, channel: _Channel, _method: Method) -> None:
        channel.transaction = []
        self._never_committed(channel, "the transaction was rolled back")

    def _never_committed(self, channel: _Channel, why: str) -> None:
        for told in channel.uncommitted:
            if not channel.committing:
                self._log.record("published", self.client, told.queue, told.mark, told.task, detail=PublishOptions())
                self._fate("refused", told, why)
            else:
                self._fate("unknown", told, "the commit of its transaction was not answered")
        channel.uncommitted.clear()

    # -- queues ---------------------------------------------------------------------------------------

    def _declared(self, channel: _Channel, answer: Queue.DeclareOk) -> None:
        channel.last_queue = answer.queue
        asked = channel.requests[0][0] if channel.requests else None
        if isinstance(asked, Queue.Declare) and not asked.passive:
            self._book.declared(self.client, answer.queue, queue_options(asked))

    def _answered(self, channel: _Channel, method: Method) -> None:
        """Record what was asked of exchanges and bindings, once it was answered, or sent if no answer comes."""
        asked: Method | None = channel.requests[0][0] if channel.requests else None
        if getattr(method, "nowait", False):
            asked = method
        if isinstance(asked, Queue.Bind | Queue.Unbind):
            kind = "bound" if isinstance(asked, Queue.Bind) else "unbound"
            self._log.record(kind, self.client, asked.queue or channel.last_queue, detail=binding_of(asked))
        elif isinstance(asked, Exchange.Bind | Exchange.Unbind):
            kind = "bound" if isinstance(asked, Exchange.Bind) else "unbound"
            self._log.record(kind, self.client, detail=binding_of(asked))
        elif isinstance(asked, Exchange.Declare | Exchange.Delete) and not getattr(asked, "passive", False):
            kind = "exchange declared" if isinstance(asked, Exchange.Declare) else "exchange deleted"
            self._log.record(kind, self.client, detail=exchange_options(asked))
        elif isinstance(asked, Queue.Declare) and asked.nowait:
            channel.last_queue = asked.queue
            self._book.declared(self.client, asked.queue, queue_options(asked))

    def _emptied(self, channel: _Channel, answer: Queue.DeleteOk | Queue.PurgeOk) -> None:
        asked = channel.requests[0][0] if channel.requests else None
        if isinstance(asked, Queue.Delete | Queue.Purge):
            kind = "deleted" if isinstance(asked, Queue.Delete) else "purged"
            queue = asked.queue or channel.last_queue
            self._unmarked.emptied(queue)
            self._log.record(kind, self.client, queue, detail=int(answer.message_count))

    # -- alarms ---------------------------------------------------------------------------------------

    def _blocked(self, _channel: _Channel, method: Connection.Blocked) -> None:
        """Learn that the broker reads no more: a worker's ack is on its way by then, if it published before it."""
        self.is_blocked = True
        self._log.record("blocked", self.client, self.queue, detail=str(method.reason))
        for channel in self._channels.values():
            self._hold_up(channel.sent)
        self.on_blocked()

    def _unblocked(self, _channel: _Channel, _method: Method) -> None:
        self.is_blocked = False
        self._log.record("unblocked", self.client, self.queue)

    # -- the end of a channel -------------------------------------------------------------------------

    def _closed_by_broker(self, channel: _Channel, method: Channel.Close) -> None:
        reason = CloseReason(method.reply_code, method.reply_text)
        queue = next(iter(channel.subscriptions.values())).queue if channel.subscriptions else ""
        self._log.record("channel closed", self.client, queue, detail=reason)
        channel.closed = True
        self.on_release()
        for _, _, told, settled in self._swallowed(channel, method, reason):
            if told is not None:
                self._forget_unconfirmed(channel, told)
                self._fate("refused", told, _CLOSED_BEFORE)
            for held in settled:
                self.record("ack dropped", held, _CLOSED_BEFORE)
                channel.unsettled[held.tag] = held
        self._end(channel, "the broker closed the channel")

    def _swallowed(self, channel: _Channel, method: Channel.Close, reason: CloseReason) -> list[_Sent]:
        """Return what was sent after the method that the broker closed the channel for, where that can be told."""
        sent = list(channel.sent)
        guilty = [at for at, each in enumerate(sent) if method.class_id << 16 | method.method_id == each[1].INDEX]
        sure = [at for at in guilty if _is_meant(sent[at], reason.text)]
        if not guilty or not (sure or len(guilty) == 1):
            for at in guilty:
                if (told := sent[at][2]) is not None:
                    self._forget_unconfirmed(channel, told)
                    self._fate("unknown", told, f"RabbitMQ closed the channel for one of {len(guilty)}: {reason}")
            self._doubt_answers(sent[guilty[0] if guilty else 0 :], "RabbitMQ closed the channel")
            self._doubt_messages(channel)
            return []
        first = (sure or guilty)[0]
        if (told := sent[first][2]) is not None:
            self._forget_unconfirmed(channel, told)
            self._fate("refused", told, reason)
        for held in sent[first][3]:
            self.record("ack dropped", held, reason)
            channel.unsettled[held.tag] = held
        return sent[first + 1 :]

    def _doubt(self, channel: _Channel, what: str) -> None:
        """Record that what a channel was given last may not have arrived before it was lost."""
        self._doubt_answers(channel.sent, what)
        self._doubt_messages(channel)

    def _doubt_messages(self, channel: _Channel) -> None:
        if marks := channel.under_way():
            self._log.record("under way", self.client, self.queue, detail=UnderWay(tuple(marks)))

    def _doubt_answers(self, sent: Iterable[_Sent], what: str) -> None:
        """Record that what was settled may not be: nothing has shown that the broker knew of it when this happened."""
        for answer, held in _taken_away(sent):
            self.record("unknown", held, f"its {answer} may not have arrived before {what}")

    def _hold_up(self, sent: Iterable[_Sent]) -> None:
        """Record that the broker does not know yet of what was settled or handed back, until it reads again."""
        for _, method, _, settled in sent:
            for held in settled:
                if not _takes_away(method):
                    held.body = None  # it was put back when it was handed back
                self.record("unknown", held, UNREAD)

    @staticmethod
    def _forget_unconfirmed(channel: _Channel, published: _Published) -> None:
        for number, told in list(channel.unconfirmed.items()):
            if told is published:
                del channel.unconfirmed[number]

    def _end(self, channel: _Channel, why: str) -> None:
        """Record what becomes of what a channel held. Under `lock`."""
        if channel.unsettled:
            self.on_release()
        for held in channel.unsettled.values():
            self.record("requeued", held, why)
        channel.unsettled.clear()
        for told in channel.unconfirmed.values():
            self._fate("unknown", told, "its confirm never came")
        channel.unconfirmed.clear()
        self._never_committed(channel, "its transaction was never committed")
        if not self.outlives_connections:
            self.drop(f"{why} before the client came to it", [each for each in self.at_hand if each.channel is channel])
        channel.forget_up_to(channel.count)

    def _channel(self, number: int) -> _Channel:
        channel = self._channels.get(number)
        if channel is None:
            channel = self._channels[number] = _Channel(self._unmarked.settled)
        return channel


_CLOSED_BEFORE = "RabbitMQ had closed the channel before it came"

#: What happens to a delivery that will be delivered again, beside a negative acknowledgment that asks for it.
_COME_AGAIN = frozenset({"requeued", "ack dropped"})

#: What says nothing of where a delivery goes.
_STILL_HELD_AUTO_ACK = frozenset({"delivered", "started"})
_STILL_HELD = _STILL_HELD_AUTO_ACK | {"finished", "failed"}

_AUTO_ACK = ConsumeOptions(auto_ack=True)
_FETCHED = FetchOptions(auto_ack=True)

_KINDS: dict[type[Method], str] = {Basic.Ack: "acked", Basic.Nack: "nacked", Basic.Reject: "rejected"}


#: What pika calls the three.
_ANSWERS: dict[type[Method], str] = {Basic.Ack: "ack", Basic.Nack: "nack", Basic.Reject: "reject"}


def _queue_of(method: Basic.Publish | Basic.Return) -> str:
    """Return the queue that a message is sent to, ``""`` if an exchange routes it."""
    if method.exchange:
        return ""
    key = str(method.routing_key)
    return DIRECT_REPLY if key.startswith(f"{DIRECT_REPLY}.") else key


def _handback(method: Settling) -> Detail:
    if isinstance(method, Basic.Ack):
        return ""
    return Handback.REQUEUE if method.requeue else Handback.DISCARD


def _takes_away(method: Method) -> bool:
    """Whether a method takes deliveries from their queue for good."""
    return isinstance(method, Settling) and _handback(method) is not Handback.REQUEUE


def _taken_away(sent: Iterable[_Sent]) -> Iterator[tuple[str, Held]]:
    """Yield what methods take from their queues for good, each with pika's word for its method."""
    for _, method, _, settled in sent:
        if _takes_away(method):
            for held in settled:
                yield _ANSWERS[type(method)], held


def _up_to(numbers: Iterable[int], last: int) -> list[int]:
    """Return the numbers up to `last`; they come in order."""
    found = []
    for number in numbers:
        if number > last:
            break
        found.append(number)
    return found


def _is_meant(sent: _Sent, text: str) -> bool:
    """Whether the broker's words for closing a channel fit this method and hardly another."""
    _, method, told, settled = sent
    if told is None:
        tag = getattr(method, "delivery_tag", 0)
        return not settled and bool(re.search(rf"unknown delivery tag {tag}\b", text))
    if "no exchange" in text:
        return f"no exchange '{told.exchange}'" in text
    if "user_id" in text:
        return told.user_id is not None and f"set to '{told.user_id}'" in text
    if "invalid expiration" in text:
        return told.expiration is not None and f"invalid expiration '{told.expiration}'" in text
    size = re.search(r"message size (\d+)", text)
    return size is not None and told.size == int(size[1])


def _nothing() -> None:
    """Do nothing."""


def _ignore_confirm(_mark: str, _confirmed: bool) -> None:
    """Do nothing."""
