"""The exercises of the lesson "Putting it together"."""

from __future__ import annotations

import inspect
import io
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from PIL import Image

from workq_helpers.clients import pika_private
from workq_helpers.clients.pace import work
from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.putting_it_together.consumer_by_hand import judge_consumer
from workq_helpers.lessons.putting_it_together.thumbnails import Album
from workq_helpers.log.events import Event
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.patience import AnswerError, Interrupted, Tries
from workq_helpers.teaching.pauses import with_short_pauses
from workq_helpers.teaching.trial import Trial
from workq_helpers.text import shown, worded

__all__ = ["EXERCISES"]

# -- mend the picture worker --------------------------------------------------------------------------


#: How often the disk is full: whoever gives up after some attempts loses a good picture.
_FULL_TIMES = 6
_FULL = "No space left on device"
#: Which files are pictures. Of the others more than one is sent, so that none is known by its name.
_GOOD_ONES, _FILES = (0, 2, 3), 5


class _Album(Album):
    """An album with two accidents: a worker is killed over the first picture, and the disk is full at the last one.

    Args:
        kill: Kills the worker that is at work.
    """

    def __init__(self, kill: Callable[[], None]) -> None:
        super().__init__(sizes=(16,))
        self._kill = kill
        self._asked: Counter[str] = Counter()
        self._files: dict[str, bytes] = {}
        #: What was given in the place of a name.
        self.strange: list[object] = []

    def keep(self, picture: bytes) -> str:
        name = super().keep(picture)
        self._files[name] = picture
        return name

    def _load(self, name: str) -> bytes:
        return self._files[name]  # no file that a killed worker could leave open

    def make_thumbnails(self, name: str) -> None:
        if not isinstance(name, str | bytes) or name not in self._files:
            self.strange.append(name)
        if not isinstance(name, str | bytes):
            raise TypeError("that is no name")
        self._asked[name] += 1
        if name == self.first and self._asked[name] == 1:
            self._kill()
            work("")  # where a killed worker's callback comes to its end
        if name == self.last and self._asked[name] <= _FULL_TIMES:
            work("")  # whoever tries again in the callback gets on
            raise OSError(_FULL)
        super().make_thumbnails(name)

    @property
    def first(self) -> str:
        return self.names[0]

    @property
    def last(self) -> str:
        return self.names[_GOOD_ONES[-1]]

    def asked(self, name: str) -> int:
        return self._asked[name]


def _mend_the_picture_worker(trial: Trial, callback: Any) -> str:
    trial.most_deliveries = _FULL_TIMES + 3
    album = _Album(lambda: trial.lesson.workers[-1].request_kill())
    files = [_picture() if number in _GOOD_ONES else b"no picture" for number in range(_FILES)]
    first, bad, third, last, worse = map(album.keep, files)

    def with_album(ch: Any, method: Any, properties: Any, body: bytes) -> object:
        return callback(ch, method, properties, body, album)

    # It is to be killed, so it must be there before the first delivery.
    trial.start(with_album, prefetch_count=1, function=callback)
    trial.send(first, bad, third, worse, last)
    trial.settle()
    for _ in range(_FULL_TIMES + 1):
        if not _died_of_something_else(trial) and not any(worker.alive for worker in trial.lesson.workers):
            trial.start(with_album, prefetch_count=1, function=callback)
            trial.settle()
    trial.no_channel_was_closed()
    if album.strange:
        raise CheckFailedError(
            f"make_thumbnails was given {shown(album.strange[0])}, and wants the picture's name: body.decode()."
        )
    _nobody_died_of_it(trial, (bad, worse))
    for name in (bad, worse):
        _is_turned_away(trial, name)
    for name in (first, third, last):
        _a_good_one(trial, album, name)
    parked = trial.parked(bad)
    return (
        f"'{bad}' and '{worse}' were {f'parked in {parked}' if parked else 'turned away'}. '{first}', '{third}' and "
        f"'{last}' have their thumbnails, though a worker was killed over the first and the disk was full "
        f"{_FULL_TIMES} times at the last."
    )


def _died_of_something_else(trial: Trial) -> list[Event]:
    """Return what workers died of, beside the full disk, of which they may."""
    return [event for event in trial.lesson.log if event.kind == "failed" and _FULL not in str(event.detail)]


def _nobody_died_of_it(trial: Trial, bad: Sequence[str]) -> None:
    for event in _died_of_something_else(trial):
        what = "no picture" if event.task in bad else "a good one"
        raise CheckFailedError(
            f"{event.actor} died at '{event.task}', which is {what}: {event.detail}. The task went back to the queue, "
            f"and whoever gets it next dies of it too."
        )


def _is_turned_away(trial: Trial, bad: str) -> None:
    place = trial.message(bad).place
    if place == "done" and trial.parked(bad):
        return
    if place == "done":
        raise CheckFailedError(
            f"'{bad}' is no picture, and it was acknowledged as if its thumbnails were there. Tell RabbitMQ that it "
            f"was turned away, so that a dead-letter exchange can have it."
        )
    if place != "discarded":
        raise CheckFailedError(
            f"'{bad}' is no picture, and RabbitMQ still waits to hear about it, so this worker gets nothing more. "
            f"What does the callback say of it?"
        )


def _a_good_one(trial: Trial, album: _Album, name: str) -> None:
    message = trial.message(name)
    if message.place == "discarded" or trial.parked(name):
        why = "while the disk was full, which passes" if name == album.last else "without a reason"
        raise CheckFailedError(
            f"'{name}' is a good picture, and it was turned away {why}. However often it has failed: reject only what "
            f"will never succeed."
        )
    if not album.asked(name):
        raise CheckFailedError(f"Nobody made thumbnails of '{name}'. Call album.make_thumbnails with its name.")
    if name in album.missing() and message.place == "done":
        raise CheckFailedError(
            f"'{name}' has no thumbnails, and it was acknowledged, so RabbitMQ believes that it is done. Acknowledge "
            f"last, and only when make_thumbnails has come back without an error."
        )
    if name in album.missing():
        raise CheckFailedError(
            f"'{name}' has no thumbnails, and RabbitMQ still waits to hear about it: the callback met an error and "
            f"ended all the same. What may succeed another time goes back to the queue, or ends the worker."
        )
    if message.place != "done":
        raise CheckFailedError(f"'{name}' has its thumbnails, and nobody acknowledged it.")


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 32), "#3f8f5a").save(file, "jpeg")
    return file.getvalue()


# -- outlast the outage -------------------------------------------------------------------------------

_QUEUE = "task_queue"
#: Two of them are alike, for two guests want the same, and both meet a break.
_ORDERS = (
    "Soup.",
    "Juice.",
    "Bread.",
    "Tea.",
    "Salad.",
    "Tea.",
    "Roast.",
    "Toast.",
    "Cake.",
    "Rice.",
    "Fish.",
    "Milk.",
)

#: At which attempts with a connection it breaks: before RabbitMQ has the message, and before its confirm is back.
#: Whoever tries once more without looking meets the next break.
_BREAKS_BEFORE, _BREAKS_AFTER = (4, 5, 6, 10), (12, 13)

#: More than so many of these tell that its loop does not end: attempts, confirms of one order beyond those that are
#: wanted, and channels that were opened and not used.
_MOST_ATTEMPTS, _MOST_CONFIRMS, _MOST_UNUSED = 400, 5, 40
#: While no connection holds, the same for attempts to send one order, and for the seconds that pass.
_MOST_IN_VAIN, _PERSISTS_SECONDS = 40, 6.0
_now = time.monotonic  # the answer's own clock is ahead of it
_CLINGS = "A channel whose connection is gone does not come back: ask open_channel for another one."


class _ShakyLine:
    """Connections to RabbitMQ, of which some break.

    Args:
        trial: Where.
        holds: Whether any does not break.
    """

    def __init__(self, trial: Trial, *, holds: bool = True) -> None:
        self._trial = trial
        self._holds = holds
        self._began = _now()
        self.attempts: list[str] = []
        self._connected = 0  # attempts
        self.confirmed: list[str] = []
        #: Orders that were not confirmed when the next one was sent.
        self.given_up: set[str] = set()
        self._unconfirmed = ""
        self.opened = 0
        self._unused = 0
        #: Whether it clings to a channel whose connection is gone.
        self.clings = False
        #: Orders that were sent and are not persistent.
        self.transient: list[str] = []

    def open_channel(self) -> BlockingChannel:
        """Connect, and return a channel in confirm mode."""
        self.opened += 1
        self._unused += 1
        if self._unused > _MOST_UNUSED:
            raise Interrupted
        connection, channel = self._trial.open_channel()
        channel.confirm_delivery()
        publish, signature = channel.basic_publish, inspect.signature(BlockingChannel.basic_publish)
        dead = Tries()

        def shaky(*arguments: Any, **named: Any) -> None:
            given = signature.bind(channel, *arguments, **named).arguments
            body = given["body"]
            order = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
            if self._unconfirmed not in ("", order):
                self.given_up.add(self._unconfirmed)
            self._unconfirmed = order
            self.attempts.append(order)
            if getattr(given.get("properties"), "delivery_mode", None) != pika.DeliveryMode.Persistent.value:
                self.transient.append(order)
            self._unused = 0
            self.clings = not connection.is_open
            if (self.clings and dead.one_more()) or len(self.attempts) > _MOST_ATTEMPTS or self._goes_on:
                raise Interrupted
            self._connected += connection.is_open
            if connection.is_open and (self._connected in _BREAKS_BEFORE or not self._holds):
                pika_private.cut(connection._impl)
            publish(*arguments, **named)
            if self._connected in _BREAKS_AFTER:
                pika_private.cut(connection._impl)
                connection.process_data_events(time_limit=None)  # raises: it is lost
            self.confirmed.append(order)
            self._unconfirmed = ""

        # An instance's own attribute hides the method.
        channel.basic_publish = shaky  # type: ignore[method-assign]
        _only_pauses(connection)
        return channel

    @property
    def _goes_on(self) -> bool:
        """Whether an order was confirmed again and again, or tried so often in vain."""
        if not self._holds:
            in_vain = self.attempts.count(self.attempts[-1])
            return in_vain > _MOST_IN_VAIN or _now() - self._began > _PERSISTS_SECONDS
        confirmed = Counter(self.confirmed)
        return any(times - _ORDERS.count(order) > _MOST_CONFIRMS for order, times in confirmed.items())


def _only_pauses(connection: Any) -> None:
    """Have a connection wait as anybody else does: when each order has its confirm, nothing is to come."""
    process = connection.process_data_events

    def process_data_events(time_limit: float | None = 0) -> None:
        if time_limit:
            time.sleep(time_limit)
        process(None if time_limit is None else 0)

    # An instance's own attribute hides the method.
    connection.process_data_events = process_data_events
    connection.sleep = process_data_events


def _outlast_the_outage(trial: Trial, send_all: Any) -> str:
    trial.queues = {_QUEUE}
    with trial.lesson.connect() as connection:
        connection.channel().queue_declare(queue=_QUEUE, durable=True)
    line = _ShakyLine(trial)
    _send(trial, line, send_all)
    trial.no_channel_was_closed()
    wanted, there = Counter(_ORDERS), _fetch(trial)
    strange = next((text for text in there if text not in wanted), None)
    if strange is not None:
        raise CheckFailedError(f"There is {strange!r} in {_QUEUE}, which nobody ordered. Send each order as it is.")
    never = [order for order in wanted if order not in line.attempts]
    if never:
        raise CheckFailedError(f"send_all came to its end, and {_some(never)} had never been sent.")
    missing = [order for order in wanted if not line.confirmed.count(order)]
    if missing:
        where = "may or may not be" if there[missing[0]] else f"{_are(missing)} not"
        raise CheckFailedError(
            f"{_some(missing)} {where} in {_QUEUE}: the connection broke before RabbitMQ had confirmed that, and it "
            f"was not sent again."
        )
    if one_of_a_pair := _one_of_a_pair(line):
        raise CheckFailedError(one_of_a_pair)
    twice = [order for order in wanted if line.confirmed.count(order) > wanted[order]]
    if twice:
        raise CheckFailedError(
            f"{_some(twice)} had been confirmed, and sent again all the same. Go on where you were, not from the "
            f"beginning."
        )
    lost = [order for order in wanted if there[order] < wanted[order]]
    if lost:
        raise CheckFailedError(
            f"{_some(lost)} {'was' if len(lost) == 1 else 'were'} confirmed and {_are(lost)} not in {_QUEUE}: RabbitMQ "
            f"confirms what it can't route, too. Where does send_all publish to?"
        )
    if line.transient:
        raise CheckFailedError(
            f"All {len(_ORDERS)} orders are in {_QUEUE}, and '{line.transient[0]}' was sent without "
            f"properties=persistent: the next restart of RabbitMQ would lose what outlasted these breaks."
        )
    _it_does_not_give_up_in_silence(trial, send_all)
    double = [order for order in wanted if there[order] > wanted[order]]
    breaks = len(_BREAKS_BEFORE) + len(_BREAKS_AFTER)
    return (
        f"The connection broke {breaks} times, even while an order was sent again, and all {len(_ORDERS)} orders are "
        f"in {_QUEUE}. {_some(double)} {_are(double)} there more often than ordered, for it was the confirm "
        f"that got lost, and nobody could have known."
    )


def _it_does_not_give_up_in_silence(trial: Trial, send_all: Callable[..., object]) -> None:
    line = _ShakyLine(trial, holds=False)
    trial.cut()  # it may have kept a channel
    try:
        trial.call(with_short_pauses(send_all), line.open_channel, list(_ORDERS), name="send_all", function=send_all)
    except (CheckFailedError, AnswerError):
        return  # it goes on, or says that it does not
    raise CheckFailedError(
        f"All {len(_ORDERS)} orders are in {_QUEUE}. Then it was called once more, when every connection broke, and "
        f"send_all came back as if all were there, after {len(line.attempts)} attempts: it gives up in silence. Go on "
        f"until each order is confirmed, or let an error out at the end."
    )


def _one_of_a_pair(line: _ShakyLine) -> str:
    """Say which order was confirmed less often than ordered; nothing if there is none, or one not at all."""
    confirmed = Counter(line.confirmed)
    few = next((order for order, times in Counter(_ORDERS).items() if confirmed[order] < times), None)
    if few is None or not all(confirmed[order] for order in _ORDERS):
        return ""
    if few in line.given_up:
        return (
            f"'{few}' was ordered {_ORDERS.count(few)} times and confirmed {confirmed[few]} time: the connection "
            f"broke, and the next order was sent in place of that one. Send it until it is confirmed."
        )
    return (
        f"'{few}' was ordered {_ORDERS.count(few)} times and confirmed {confirmed[few]} time. Equal orders are not the "
        f"same order: what keeps one of each, as a set or a dict does, loses the others."
    )


def _send(trial: Trial, line: _ShakyLine, send_all: Callable[..., object]) -> None:
    try:
        trial.call(with_short_pauses(send_all), line.open_channel, list(_ORDERS), name="send_all", function=send_all)
    except CheckFailedError as error:
        raise CheckFailedError(f"{error} {_CLINGS if line.clings else ''}".rstrip()) from error
    except AnswerError as raised:
        if isinstance(raised.error, pika.exceptions.AMQPChannelError):
            trial.no_channel_was_closed()
        raise CheckFailedError(_why_it_ended(raised.error, line)) from raised.error


def _why_it_ended(error: BaseException, line: _ShakyLine) -> str:
    match error:
        case Interrupted():
            return (
                f"send_all had tried {len(line.attempts)} times to send {len(_ORDERS)} orders, with {line.opened} "
                f"connection{'' if line.opened == 1 else 's'}, and would have gone on. {_why_it_goes_on(line)}"
            )
        case pika.exceptions.AMQPConnectionError() if not line.attempts:
            return (
                f"send_all raised {worded(error)}, and had sent nothing by a channel of open_channel. Call that for a "
                f"channel, and no connection of your own."
            )
        case pika.exceptions.AMQPConnectionError():
            again = "again " if line.attempts.count(line.attempts[-1]) > 1 else ""
            return (
                f"RabbitMQ went away while '{line.attempts[-1]}' was {again}on its way, and send_all ended with "
                f"{type(error).__name__}. Catch that{', each time' if again else ''}, open a channel anew, and go on."
            )
        case pika.exceptions.AMQPChannelError():
            return (
                f"send_all ended with {type(error).__name__}: it used a channel whose connection was gone. Ask "
                f"open_channel for another one."
            )
        case _:
            return f"send_all raised {worded(error)}."


def _why_it_goes_on(line: _ShakyLine) -> str:
    if line.clings:
        return _CLINGS
    return _one_of_a_pair(line) or "When does its loop end?"


def _fetch(trial: Trial) -> Counter[str]:
    """Return what is in the queue, and empty it."""
    there: Counter[str] = Counter()
    with trial.lesson.connect() as connection:
        channel = connection.channel()
        for _ in itertools.count():
            _, _, body = channel.basic_get(queue=_QUEUE, auto_ack=True)
            if body is None:
                break
            there[body.decode(errors="replace")] += 1
    return there


def _some(orders: list[str]) -> str:
    return f"'{orders[0]}'" if len(orders) == 1 else f"'{orders[0]}' and {len(orders) - 1} more"


def _are(orders: list[str]) -> str:
    return "is" if len(orders) == 1 else "are"


EXERCISES = (
    Exercise(
        "write a consumer",
        "putting_it_together/write_a_consumer",
        "consume",
        (
            "Five calls, in the order of the table: queue_declare, basic_qos, basic_consume, start_consuming, close. "
            "What does basic_consume need besides the queue?",
            "Define a callback inside of consume, with the parameters ch, method, properties and body. It calls taste "
            "with body.decode(), and then ch.basic_ack with method.delivery_tag.",
            'When body is b"Last.", the callback calls ch.stop_consuming(), after the acknowledgment. Then '
            "start_consuming comes back, and connection.close() is the last line.",
        ),
        judge_consumer,
        "connection, taste",
    ),
    Exercise(
        "mend the picture worker",
        "putting_it_together/mend_the_picture_worker",
        "callback",
        (
            "One of the files is no picture at all. What happens to the worker that gets it, and where does the task "
            "go?",
            "album.make_thumbnails raises ValueError for what is no picture. Such a task never succeeds, so it must "
            "not come back, and it is not done either.",
            "Catch ValueError alone, and call basic_reject with requeue=False there; acknowledge in an else. Any other "
            "error may pass: let it end the worker, and another one tries again.",
        ),
        _mend_the_picture_worker,
        "ch, method, properties, body, album",
    ),
    Exercise(
        "outlast the outage",
        "putting_it_together/outlast_the_outage",
        "send_all",
        (
            "Which error ends send_all, and at which order? Catch it, and ask for a new channel.",
            "When basic_publish returns, RabbitMQ has the order. When it raises, you don't know. So which orders do "
            "you still have to send?",
            "Keep a list of the orders that are left, and take one out after basic_publish has returned. While there "
            "are any, publish the first; on pika.exceptions.AMQPConnectionError open a new channel.",
        ),
        _outlast_the_outage,
        "open_channel, orders",
    ),
)
