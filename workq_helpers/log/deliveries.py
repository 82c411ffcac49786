"""`Deliveries`: what a client got from its queues, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from pika.amqp_object import Method
from pika.spec import Basic, BasicProperties

from workq_helpers.log.appearance import Appearance
from workq_helpers.log.book import Book
from workq_helpers.log.channel import CLOSED_BEFORE, Channel, Subscription
from workq_helpers.log.declarations import deaths_of
from workq_helpers.log.details import ConsumeOptions, Detail, FetchOptions, Handback, Mistake, ProgramOptions
from workq_helpers.log.fates import UNREAD
from workq_helpers.log.held import Held
from workq_helpers.log.in_flight import Sent
from workq_helpers.log.settling import ANSWERS, KINDS, Settling, handback, takes_away

__all__ = ["Deliveries"]

#: What happens to a delivery that will be delivered again, beside a negative acknowledgment that asks for it.
_COME_AGAIN = frozenset({"requeued", "ack dropped"})

#: What says nothing of where a delivery goes.
_STILL_HELD_AUTO_ACK = frozenset({"delivered", "started"})
_STILL_HELD = _STILL_HELD_AUTO_ACK | {"finished", "failed"}

_AUTO_ACK = ConsumeOptions(auto_ack=True)
_FETCHED = FetchOptions(auto_ack=True)


class Deliveries:
    """Consumers and deliveries of one client, over all its channels.

    Args:
        client: Its name in the log.
        book: Where to write.
        channels: Those that it has open, by their numbers.
        appearance: How the log shows it.
        program: What the log says of a client that is a program: what it does with what it gets is not seen.
    """

    def __init__(
        self,
        client: str,
        book: Book,
        channels: Mapping[int, Channel],
        appearance: Appearance,
        program: ProgramOptions | None,
    ) -> None:
        self._client = client
        self._log = book.log
        self._marks = book.marks
        self._unmarked = book.marks.unmarked
        self._channels = channels
        self._appearance = appearance
        self._is_program = program is not None
        #: Held while a delivery changes hands, so that the log never says "finished" after "lost".
        self.lock = threading.RLock()
        #: The delivery that was received last, or ``None`` if the client is not to have it.
        self.latest: Held | None = None
        #: Deliveries under auto-ack that the client has not come to yet.
        self.at_hand: dict[Held, None] = {}
        #: Whether the client is dead, and gets nothing more that others will get.
        self.dead = False
        #: Called with the lock held before deliveries go back, so that the client forgets them.
        self.on_release: Callable[[], None] = _nothing
        #: Whether the broker reads nothing from the client, for an alarm of memory or disk.
        self.is_unread = False

    # -- consumers ------------------------------------------------------------------------------------

    def subscribed(self, channel: Channel, method: Basic.Consume) -> None:
        """Learn that the client asks to consume."""
        asked = Subscription(method.queue or channel.last_queue, bool(method.no_ack), channel.own_prefetch_count)
        if method.consumer_tag:
            channel.subscriptions[method.consumer_tag] = asked
            if method.nowait:
                self._show(channel, asked)
        else:
            channel.asked_for.append(asked)

    def consuming(self, channel: Channel, answer: Basic.ConsumeOk) -> None:
        """Learn that it consumes."""
        if answer.consumer_tag in channel.subscriptions:
            self._show(channel, channel.subscriptions[answer.consumer_tag])
        else:
            self._subscription(channel, answer.consumer_tag)

    def limited(self, channel: Channel, method: Basic.Qos) -> None:
        """Learn how many deliveries it will hold."""
        channel.prefetch_count = int(method.prefetch_count)
        channel.own_prefetch_count = 0 if method.global_qos else channel.prefetch_count

    def fetching(self, channel: Channel, method: Basic.Get) -> None:
        """Learn that it asks for one message."""
        channel.fetches.append(Subscription(method.queue or channel.last_queue, bool(method.no_ack)))

    def found_empty(self, channel: Channel, _method: Method) -> None:
        """Learn that there was none."""
        if channel.fetches:
            channel.fetches.popleft()

    def canceled(self, channel: Channel, method: Basic.Cancel) -> None:
        """Learn that the broker canceled a consumer."""
        subscription = channel.subscriptions.pop(method.consumer_tag, None)
        queue = subscription.queue if subscription else ""
        self._log.record("cancelled", self._client, queue, detail="by the broker")
        held = [each for each in channel.unsettled.values() if each.consumer_tag == method.consumer_tag]
        if held:
            self.on_release()
        for each in held:
            del channel.unsettled[each.tag]
            channel.withdrawn.add(each.tag)
            self.record("unknown", each, "RabbitMQ canceled its consumer: the queue is gone, or an ack was overdue")

    def _subscription(self, channel: Channel, consumer_tag: str) -> Subscription | None:
        """Return a consumer by its tag, which the broker may have given to the one that asked first without."""
        if consumer_tag not in channel.subscriptions and channel.asked_for:
            channel.subscriptions[consumer_tag] = asked = channel.asked_for.popleft()
            self._show(channel, asked)
        return channel.subscriptions.get(consumer_tag)

    def _show(self, channel: Channel, subscription: Subscription) -> None:
        self._appearance.consumes(subscription.queue, subscription.auto_ack, channel.prefetch_count)

    # -- what comes -----------------------------------------------------------------------------------

    def came(
        self,
        channel: Channel,
        method: Basic.Deliver | Basic.GetOk,
        properties: BasicProperties,
        mark: str | None,
        task: str,
        body: bytes | None,
    ) -> None:
        """Learn of a delivery; `body` is the fingerprint of one that bears no mark."""
        if isinstance(method, Basic.Deliver):
            consumer_tag, subscription = method.consumer_tag, self._subscription(channel, method.consumer_tag)
        else:
            consumer_tag, subscription = "", channel.fetches.popleft() if channel.fetches else Subscription("", False)
        if subscription is None or (self.dead and not subscription.auto_ack):
            self.latest = None  # the channel had ended, or the client is dead: the broker keeps it
            return
        queue, redelivered = subscription.queue, bool(method.redelivered)
        deaths = deaths_of(properties, self._marks.told_deaths) if properties.headers else []
        turn = object() if body is not None else None
        if body is not None:
            mark = self._unmarked.delivered(queue, body, redelivered, [died_in for died_in, _ in deaths], turn)
        mark = mark or ""
        if redelivered:
            self._came_back(queue, mark)
        if deaths:
            self._log.record("dead-lettered", self._client, deaths[0][0], mark, task, detail=deaths[0][1])
        tag = method.delivery_tag
        held = Held(tag, queue, mark, task, redelivered, subscription.auto_ack, consumer_tag, channel, body, turn)
        self.latest = held
        if held.auto_ack:
            self._acked_by_itself(held)
        else:
            channel.delivered_to(subscription)
            channel.unsettled[tag] = held
            self.record("delivered", held, "" if consumer_tag else FetchOptions())

    def _acked_by_itself(self, held: Held) -> None:
        """Record a delivery under auto-ack, and take it to be at hand where it shows when the client comes to it."""
        if self._is_program:
            self.record("delivered", held, _AUTO_ACK)
            self.record("unknown", held, "sent under auto-ack: what a program does with it nobody sees")
        elif not held.consumer_tag:
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

    # -- what is settled ------------------------------------------------------------------------------

    def settled(self, channel: Channel, method: Settling) -> None:
        """Learn that the client settles what it got, or will when its transaction is committed."""
        if channel.transaction is not None:
            channel.transaction.append(lambda: self._settle(channel, method))
        else:
            self._settle(channel, method)

    def _settle(self, channel: Channel, method: Settling) -> None:
        tag = method.delivery_tag
        if channel.closed:
            self._log.record("ack dropped", self._client, delivery_tag=tag, detail=CLOSED_BEFORE)
            return
        multiple = getattr(method, "multiple", False)
        settled = () if channel.recovering else channel.settle(tag, multiple)
        kind, detail = KINDS[type(method)], handback(method)
        for held in settled:
            self.record(kind, held, detail)
        if settled:
            channel.in_flight.remember(method, None, settled)
            if self.is_unread:
                self.hold_up([channel.in_flight.sent[-1]])
        elif tag in channel.withdrawn:
            self._log.record("ack dropped", self._client, delivery_tag=tag, detail=Mistake.CONSUMER_CANCELED)
        elif not multiple or tag:
            self._log.record(kind, self._client, delivery_tag=tag, detail=Mistake.UNKNOWN_DELIVERY_TAG)
            channel.in_flight.remember(method, None, ())

    def recovering(self, channel: Channel, _method: Method) -> None:
        """Take back what the channel holds: no answer after this one settles it."""
        channel.recovering += 1
        self._take_back(channel)

    def recovered(self, channel: Channel, _method: Method) -> None:
        """Take back what was on its way meanwhile."""
        channel.recovering -= 1
        self._take_back(channel)

    def _take_back(self, channel: Channel) -> None:
        for held in channel.unsettled.values():
            channel.went_back(held)
            self.record("requeued", held, "basic.recover asked for it")
        channel.unsettled.clear()

    # -- what becomes of the rest ---------------------------------------------------------------------

    def came_to(self, channel: Channel, tag: int) -> Held | None:
        """Take note that the client has come to a delivery under auto-ack, and return it."""
        held = next((each for each in self.at_hand if each.tag == tag and each.channel is channel), None)
        if held is not None:
            del self.at_hand[held]
        return held

    def drop(self, why: str, held: Iterable[Held] | None = None) -> None:
        """Record that deliveries under auto-ack are nobody's: by default all that the client has not come to."""
        with self.lock:
            for each in list(self.at_hand if held is None else held):
                if self.at_hand.pop(each, each) is None:
                    self.record("lost", each, why)

    def hand_back(self, channel: Channel, why: str) -> None:
        """Record that all that a channel holds goes back to its queues."""
        if channel.unsettled:
            self.on_release()
        for held in channel.unsettled.values():
            self.record("requeued", held, why)
        channel.unsettled.clear()

    def lose_sight(self, channel: Channel, why: str) -> None:
        """Record that nobody sees what becomes of all that a channel holds."""
        for held in channel.unsettled.values():
            self.record("unknown", held, why)

    def doubt(self, sent: Iterable[Sent], what: str) -> None:
        """Record that what was settled may not be: nothing has shown that the broker knew of it when this happened."""
        for answer, held in _taken_away(sent):
            self.record("unknown", held, f"its {answer} may not have arrived before {what}")

    def hold_up(self, sent: Iterable[Sent]) -> None:
        """Record that the broker does not know yet of what was settled or handed back, until it reads again."""
        for _, method, _, settled in sent:
            for held in settled:
                if not takes_away(method):
                    held.body = None  # it was put back when it was handed back
                self.record("unknown", held, UNREAD)

    def record(self, kind: str, held: Held, detail: Detail = "") -> None:
        """Record an event about a delivery."""
        if held.body is not None:
            self._move(kind, held, detail)
        self._log.record(kind, self._client, held.queue, held.mark, held.task, held.tag, held.redelivered, detail)

    def _move(self, kind: str, held: Held, detail: Detail) -> None:
        """Take note where a delivery goes that bears no mark."""
        assert held.body is not None  # noqa: S101 - it bears none
        if kind in (_STILL_HELD_AUTO_ACK if held.auto_ack else _STILL_HELD) or detail == UNREAD:
            return
        comes_again = kind in _COME_AGAIN or detail is Handback.REQUEUE or (kind == "unknown" and not held.auto_ack)
        answered = self._unmarked.turned_away if detail is Handback.DISCARD else self._unmarked.answered
        finally_gone = self._unmarked.settled if held.auto_ack else answered
        move = self._unmarked.put_back if comes_again else finally_gone
        move(held.mark, held.queue, held.body, held.turn)


def _taken_away(sent: Iterable[Sent]) -> Iterator[tuple[str, Held]]:
    """Yield what methods take from their queues for good, each with pika's word for its method."""
    for _, method, _, settled in sent:
        if takes_away(method):
            for held in settled:
                yield ANSWERS[type(method)], held


def _nothing() -> None:
    """Do nothing."""
