"""The exercises of the lesson "When a task fails"."""

from __future__ import annotations

import contextlib
import inspect
import sqlite3
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.pace import WorkerKilled
from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.lessons.when_a_task_fails.parking import read_death
from workq_helpers.teaching.calls import misspelled, sendable
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.patience import AnswerError
from workq_helpers.teaching.threads import begun_since
from workq_helpers.teaching.trial import QUEUE, Trial
from workq_helpers.waiting import wait_until

__all__ = ["EXERCISES"]

# -- three chances ------------------------------------------------------------------------------------

_KITCHEN, _PARKING, _PARKED = "kitchen", "parking", "parked"
_POISON, _GOOD = "Dragon.", ("Soup.", "Tea.")
_CHANCES = 3
_TOO_OFTEN = 30


def _three_chances(trial: Trial, arguments: Any) -> str:
    arguments = sendable(arguments)
    try:
        return _given_up_in_time(trial, arguments)
    except CheckFailedError as error:
        raise CheckFailedError(" ".join([str(error), *misspelled(arguments)])) from error


def _given_up_in_time(trial: Trial, arguments: dict[str, Any]) -> str:
    _declare(trial, arguments)
    try:
        cooked, chances = _cook_all(trial)
    except (WorkqError, pika.exceptions.AMQPError) as error:
        raise CheckFailedError(_broke_off(arguments, error)) from error
    if chances >= _TOO_OFTEN or (chances > _CHANCES and not _is_limited(arguments)):
        raise CheckFailedError(_goes_round(arguments, chances))
    for order in _GOOD:
        if not cooked[order]:
            raise CheckFailedError(f"'{order}' never came to the cook. {_why_it_left(arguments)}")
    reason = _found(trial)
    if chances < _CHANCES and "x-delayed-retry-min" in arguments:
        raise CheckFailedError(
            f"'{_POISON}' was delivered {chances} times, and then had to wait: x-delayed-retry-min is "
            f"{arguments['x-delayed-retry-min']!r}, in milliseconds."
        )
    if chances != _CHANCES:
        raise CheckFailedError(
            f"'{_POISON}' was delivered {chances} time{'' if chances == 1 else 's'}, not {_CHANCES}. The limit says "
            f"how often it may come back, and the first delivery is no return."
        )
    if not reason:
        raise CheckFailedError(_nobody_parked_it(arguments))
    if arguments.get("x-expires", _PAUSE_MILLISECONDS) < _PAUSE_MILLISECONDS:
        raise CheckFailedError(f"This time all went well. {_expires(arguments)}")
    if arguments.get("x-message-ttl", _PAUSE_MILLISECONDS) < _PAUSE_MILLISECONDS:
        raise CheckFailedError(f"This time all went well. {_why_it_left(arguments)}")
    return (
        f"'{_POISON}' had {chances} chances and lies in {_PARKED!r} with the reason {reason}; "
        f"{' and '.join(f'{order!r}' for order in _GOOD)} were cooked."
    )


def _declare(trial: Trial, arguments: dict[str, Any]) -> None:
    with trial.lesson.connect() as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange=_PARKING, exchange_type="fanout", durable=True)
        channel.queue_declare(queue=_PARKED, durable=True)
        channel.queue_bind(queue=_PARKED, exchange=_PARKING)
        try:
            channel.queue_declare(queue=_KITCHEN, durable=True, arguments=arguments)
        except (WorkqError, pika.exceptions.AMQPError, TypeError, ValueError) as error:
            raise CheckFailedError(f"The queue can't be declared like that. {_explain(arguments)}{error}") from error
        except Exception as error:
            # pika says in its own ways that it can't encode a value.
            raise CheckFailedError(f"The queue can't be declared like that: {type(error).__name__} {error}") from error


def _explain(arguments: dict[str, Any]) -> str:
    if "x-delivery-limit" in arguments and arguments.get("x-queue-type", "classic") == "classic":
        return "Only a quorum queue counts how often a message comes back: keep x-queue-type. "
    return ""


def _cook_all(trial: Trial) -> tuple[Counter[str], int]:
    """Let a cook reject the poison with requeue, as often as it comes; return what it cooked, and how often it came."""
    cooked: Counter[str] = Counter()
    came = 0
    with trial.lesson.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for order in (_POISON, *_GOOD):
            channel.basic_publish(exchange="", routing_key=_KITCHEN, body=order.encode())

        channel.basic_qos(prefetch_count=1)
        for method, _, body in channel.consume(_KITCHEN, inactivity_timeout=_QUIET_SECONDS):
            if method is None or body is None or came >= _TOO_OFTEN:
                break
            if body == _POISON.encode():
                came += 1
                channel.basic_reject(delivery_tag=method.delivery_tag, requeue=True)
            else:
                cooked[body.decode()] += 1
                channel.basic_ack(delivery_tag=method.delivery_tag)
    return cooked, came


#: How long a queue may take to hand out the next message, in seconds.
_QUIET_SECONDS = 0.5
#: How long the cooks may be away, in milliseconds, and find their queue again.
_PAUSE_MILLISECONDS = 60_000


def _found(trial: Trial) -> str:
    """Return why the poison lies in the parking queue; empty if it doesn't come there."""
    with trial.lesson.connect() as connection:
        channel = connection.channel()

        def look() -> str:
            _, properties, _ = channel.basic_get(queue=_PARKED, auto_ack=True)
            return "" if properties is None else read_death(properties.headers)[0]

        return wait_until(look, 2 * _QUIET_SECONDS)


def _broke_off(arguments: dict[str, Any], error: Exception) -> str:
    if "x-expires" in arguments:
        return f"The queue was gone before all was cooked. {_expires(arguments)}"
    if isinstance(error, pika.exceptions.NackError):
        return f"RabbitMQ refused an order, and nobody cooks it: x-overflow is {arguments.get('x-overflow')!r}."
    return f"RabbitMQ did not go on with these arguments: {type(error).__name__} {error}"


def _expires(arguments: dict[str, Any]) -> str:
    return (
        f"x-expires is {arguments['x-expires']!r}: a queue that nobody consumes from for so many milliseconds is "
        f"deleted, with all that is in it."
    )


def _is_limited(arguments: dict[str, Any]) -> bool:
    limit = arguments.get("x-delivery-limit")
    return isinstance(limit, int) and not isinstance(limit, bool)


def _goes_round(arguments: dict[str, Any], chances: int) -> str:
    limit = arguments.get("x-delivery-limit")
    if "x-delivery-limit" not in arguments:
        return (
            f"'{_POISON}' was delivered more than {_CHANCES} times. How often it may come back is an argument of the "
            f"queue."
        )
    if not _is_limited(arguments):
        return (
            f"'{_POISON}' was delivered {chances} times: x-delivery-limit is {limit!r}, a {type(limit).__name__}, and "
            f"RabbitMQ takes a whole number, without quotes."
        )
    return f"'{_POISON}' was delivered {chances} times and came back each time: x-delivery-limit is {limit}."


def _why_it_left(arguments: dict[str, Any]) -> str:
    ttl = arguments.get("x-message-ttl")
    room = arguments.get("x-max-length", arguments.get("x-max-length-bytes"))
    if ttl is not None:
        return f"x-message-ttl is {ttl!r}: what waits longer, in milliseconds, leaves the queue uncooked."
    if room is not None:
        return f"It had to leave the queue, which holds {room!r}."
    return f"It left the queue before, with these arguments: {arguments}."


def _nobody_parked_it(arguments: dict[str, Any]) -> str:
    exchange = arguments.get("x-dead-letter-exchange")
    if exchange is None:
        return (
            f"'{_POISON}' was delivered {_CHANCES} times and then thrown away: {_PARKED!r} is empty. A queue needs to "
            f"be told where its dead letters go."
        )
    if not exchange:
        key = arguments.get("x-dead-letter-routing-key", _KITCHEN)
        return (
            f"'{_POISON}' left the queue and is not in {_PARKED!r}. With the routing key {key!r} the default exchange "
            f"leads to the queue of that name; {_PARKED!r} is bound to the exchange {_PARKING!r}."
        )
    return (
        f"'{_POISON}' left the queue for the exchange {exchange!r} and came nowhere: {_PARKED!r} is empty. It is bound "
        f"to the exchange {_PARKING!r}."
    )


# -- mend the outbox ----------------------------------------------------------------------------------

#: Between two that are alike the program is killed; the last two, which are alike, nothing disturbs.
_ORDERS = ("Soup.", "Tea.", "Bread.", "Tea.", "Rice.", "Rice.")
_LATE = "Cake."
#: At which attempt to publish the program is killed: before RabbitMQ has the message, and after.
_KILLED_BEFORE, _KILLED_AFTER = 2, 5
#: At which attempt the connection is gone.
_LOST_BEFORE = 3
_RUNS = 5
#: Who sends a task more often in one run does not come to an end.
_MOST_IN_A_RUN = 12


class _Sent(NamedTuple):
    """A message in the queue."""

    key: str | None
    task: str


class _Desk:
    """A database with an outbox, and programs that empty it, two of which are killed."""

    def __init__(self, trial: Trial, folder: str) -> None:
        self._trial = trial
        self._path = str(Path(folder) / "shop.db")
        self.attempts = 0
        #: How often each task was tried in this run.
        self._in_this_run: Counter[str] = Counter()
        #: Why a run did not come to an end; empty if each did.
        self.endless = ""
        #: The tasks that the program had tried to send, and those of them that were not persistent.
        self.tried: set[str] = set()
        self.transient: list[str] = []
        self.killed = False
        #: What the program was to send when it was killed, and when its connection was gone.
        self.killed_at, self.unsent = _Sent("", ""), _Sent("", "")
        #: Whether the row still stood in the outbox when the program was killed before it was sent.
        self.stood = False
        #: What was in the outbox before a run that nothing disturbed, and after it: keys and tasks.
        self.passed_over: list[tuple[str, str]] = []
        #: What was ever in the outbox: tasks by key.
        self.rows = {f"order-{number}": order for number, order in enumerate(_ORDERS, start=1)}
        with self.database() as database, database:
            database.execute("CREATE TABLE outbox (key TEXT PRIMARY KEY, task TEXT)")
            database.executemany("INSERT INTO outbox VALUES (?, ?)", self.rows.items())

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open the database as a program does; what it has not committed ends with it."""
        # The function is called in a thread of its own.
        with contextlib.closing(sqlite3.connect(self._path, check_same_thread=False)) as database:
            yield database

    def left(self) -> list[str]:
        """Return what is still in the outbox."""
        return [task for _, task in self._rows()]

    def _rows(self) -> list[tuple[str, str]]:
        with self.database() as database:
            try:
                return database.execute("SELECT key, task FROM outbox").fetchall()
            except sqlite3.OperationalError as error:
                raise CheckFailedError(
                    f"The outbox can't be read any more: {error}. Delete the rows that were sent, and keep the table."
                ) from error

    def run(self, empty_outbox: Any) -> None:
        """Call the function as one program, which may be killed or lose its connection.

        Raises:
            CheckFailedError: It raised something of its own, or spoiled the outbox.
        """
        self._in_this_run.clear()
        self.killed, before, rows, threads = False, self.unsent, self._rows(), threading.enumerate()
        with self.database() as database, self._trial.channel() as channel:
            channel.confirm_delivery()
            self._watch(channel, database)
            try:
                self._trial.call(empty_outbox, database, channel, name="empty_outbox")
            except CheckFailedError:
                if not self.killed:
                    raise
            except AnswerError as raised:
                if not self.killed and self.unsent == before:
                    self._trial.no_channel_was_closed()
                    raise CheckFailedError(
                        f"empty_outbox raised {raised}.{_tuple_of_one(raised.error)}"
                    ) from raised.error
            if not self.killed and _is_closed(database):
                raise CheckFailedError(
                    "empty_outbox closed the database. It was lent: whoever lent it goes on with it, and closes it."
                )
            if begun_since(threads):
                raise CheckFailedError(
                    "empty_outbox came back, and a thread that it had started was still at work. Its caller takes the "
                    "outbox for sent: send in the function itself, or wait for the thread with join()."
                )
        if not self.killed and self.unsent == before:
            self.passed_over += [row for row in self._rows() if row in rows]

    def _watch(self, channel: Any, database: sqlite3.Connection) -> None:
        publish, signature = channel.basic_publish, inspect.signature(BlockingChannel.basic_publish)

        def watched(*arguments: Any, **named: Any) -> None:
            given = signature.bind(channel, *arguments, **named).arguments
            body = given["body"]
            self.attempts += 1
            task = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
            this = _Sent(getattr(given.get("properties"), "message_id", None), task)
            self._in_this_run[task] += 1
            if self._in_this_run[task] > _MOST_IN_A_RUN:
                self.endless = _why_it_goes_on(task, channel.connection.is_open)
                self._die(channel, database)
            self.tried.add(task)
            if getattr(given.get("properties"), "delivery_mode", None) != pika.DeliveryMode.Persistent.value:
                self.transient.append(task)
            if self.attempts == _KILLED_BEFORE:
                self._end(channel, database)
                self.killed_at, self.stood = this, this in self._rows()  # now, for the program may have locked them
                raise WorkerKilled
            if self.attempts == _LOST_BEFORE:
                self.unsent = this
                pika_private.cut(channel.connection._impl)
            publish(*arguments, **named)
            if self.attempts == _KILLED_AFTER + 1:
                self._late_order()
            if self.attempts == _KILLED_AFTER:
                self._die(channel, database)

        # An instance's own attribute hides the method.
        channel.basic_publish = watched

    def _die(self, channel: Any, database: sqlite3.Connection) -> None:
        self._end(channel, database)
        raise WorkerKilled

    def _end(self, channel: Any, database: sqlite3.Connection) -> None:
        self.killed = True
        database.rollback()
        database.close()
        pika_private.cut(channel.connection._impl)

    def _late_order(self) -> None:
        """Take another order while the outbox is being emptied, if the database lets somebody else write."""
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(self._path, timeout=0.0)) as other,
            other,
        ):
            other.execute("INSERT INTO outbox VALUES (?, ?)", ("order-late", _LATE))
            other.commit()
            self.rows["order-late"] = _LATE


def _is_closed(database: sqlite3.Connection) -> bool:
    try:
        database.cursor().close()
    except sqlite3.ProgrammingError:
        return True
    return False


def _tuple_of_one(error: BaseException) -> str:
    wrong = isinstance(error, sqlite3.ProgrammingError) and "bindings" in str(error)
    return " execute takes its values as a tuple, and a tuple of one has a comma: (key,)." if wrong else ""


def _why_it_goes_on(task: str, connected: bool) -> str:
    mend = (
        "What was sent leaves the outbox, and when nothing is left the function comes back."
        if connected
        else "Its connection was gone, and a channel does not come back without one: let the error out, and the next "
        "run sends what is left."
    )
    return f"In one run '{task}' was given to basic_publish {_MOST_IN_A_RUN} times, and would have been again. {mend}"


def _mend_the_outbox(trial: Trial, empty_outbox: Any) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        desk = _Desk(trial, folder)
        kills = 0
        for _ in range(_RUNS):
            desk.run(empty_outbox)
            kills += desk.killed
            if desk.endless:
                break
        trial.no_channel_was_closed()
        left = desk.left()
    sent = _fetch_all(trial)
    _judge(sent, desk, left)
    twice = len(sent) - len(set(sent))
    return (
        f"{len(desk.rows)} orders were in the outbox, and all of them came to the queue, though the program was "
        f"killed {kills} times and lost its connection once. {twice} came twice, with the same message_id: whoever "
        f"gets it can know it again."
    )


def _judge(sent: list[_Sent], desk: _Desk, left: list[str]) -> None:
    """Hold what came to the queue against the rows that were in the outbox."""
    rows = desk.rows
    wanted = Counter(rows.values())
    named_by_row = all(each.key is not None and rows.get(each.key) == each.task for each in sent)
    there = Counter(each.task for each in (set(sent) if named_by_row else sent))
    if not sent:
        raise CheckFailedError("Nothing came to the queue. Publish each row's task to the queue 'hello'.")
    strange = next((task for task in there if task not in wanted), None)
    if strange is not None:
        raise CheckFailedError(f"{strange!r} came to the queue, which nobody ordered. Send each task as it is.")
    if desk.endless:
        raise CheckFailedError(desk.endless)
    _none_is_lost([task for task in wanted if there[task] < wanted[task]], there, left, desk, sent)
    if left:
        raise CheckFailedError(
            f"All was sent, and {', '.join(f'{task!r}' for task in left)} is still in the outbox, where it stands for "
            f"what has yet to be sent. Delete what was sent, and commit that."
        )
    if desk.passed_over:
        key, task = desk.passed_over[0]
        raise CheckFailedError(
            f"'{task}', the row {key!r}, was in the outbox when a run began that nothing disturbed, and still there "
            f"when it came back. Each run sends all that it finds; of two rows with the same text it sends both."
        )
    if any(each.key is None for each in sent):
        raise CheckFailedError(
            "Orders came without a message_id, and one of them twice: whoever gets it can't know it again. Send the "
            "key of its row as the message_id."
        )
    if not named_by_row:
        raise CheckFailedError(
            f"The orders bear other names than their rows, such as {sent[0].key!r}, so nobody can tell that one came "
            f"twice. Send the key of its row as the message_id."
        )
    often = [key for key, times in Counter(each.key for each in sent).items() if times > 1]
    if len(often) > 1:
        raise CheckFailedError(
            f"The program was killed after one publish, and {len(often)} orders came twice. What was sent has to leave "
            f"the outbox at once: commit after each."
        )
    if desk.transient:
        raise CheckFailedError(
            f"All came to the queue, and '{desk.transient[0]}' is not persistent: it left the outbox, and the next "
            f"restart of RabbitMQ loses it. Send it with delivery_mode=2."
        )


def _none_is_lost(missing: list[str], there: Counter[str], left: list[str], desk: _Desk, sent: list[_Sent]) -> None:
    if not missing:
        return
    if missing[0] in left:
        raise CheckFailedError(
            f"'{missing[0]}' is still in the outbox, and nobody has sent it in {_RUNS} runs. Send all that is there."
        )
    if missing == [_LATE]:
        raise CheckFailedError(
            f"'{_LATE}' was ordered while the outbox was being emptied, and it was never sent: it was deleted with the "
            f"others. Delete what you have sent, by its key, and nothing else."
        )

    def is_lost(interrupted: _Sent) -> bool:
        known_by_name = interrupted.key in desk.rows and interrupted.key not in {each.key for each in sent}
        return missing[0] == interrupted.task and (known_by_name or not there[missing[0]])

    if is_lost(desk.unsent):
        raise CheckFailedError(
            f"'{missing[0]}' is lost: the connection was gone, basic_publish raised an error, and the row left the "
            f"outbox all the same. Delete it only when basic_publish has come back without one."
        )
    if missing[0] not in desk.tried:
        raise CheckFailedError(
            f"'{missing[0]}' left the outbox, and nobody had given it to basic_publish: another row was deleted than "
            f"the one that had been sent. Delete the row whose key you have sent."
        )
    if there[missing[0]] and not is_lost(desk.killed_at):
        raise CheckFailedError(
            f"'{missing[0]}' is lost: another one with the same text was sent, and it was taken for that or left the "
            f"outbox with it. Equal orders are not the same order; their keys tell them apart."
        )
    raise CheckFailedError(
        f"'{missing[0]}' is lost: it {'passed for sent' if desk.stood else 'had left the outbox'} when the program was "
        f"killed, and RabbitMQ had not got it. "
        f"First the publish, then the delete, then the commit."
    )


def _fetch_all(trial: Trial) -> list[_Sent]:
    found: list[_Sent] = []
    with trial.lesson.connect() as connection:
        channel = connection.channel()

        def took_one() -> bool:
            method, properties, body = channel.basic_get(queue=QUEUE, auto_ack=True)
            if method is None or not isinstance(properties, BasicProperties) or body is None:
                return False
            found.append(_Sent(properties.message_id, body.decode(errors="replace")))
            return True

        while took_one():
            pass
    return found


EXERCISES = (
    Exercise(
        "three chances",
        "when_a_task_fails/three_chances",
        "arguments",
        (
            "Two things are missing: how often an order may come back, and where it goes then.",
            "Both names stand in this lesson. The first delivery is no return: how often does an order come back that "
            "has three chances?",
            "Add x-delivery-limit with 2, and x-dead-letter-exchange with the name of the exchange.",
        ),
        _three_chances,
    ),
    Exercise(
        "mend the outbox",
        "when_a_task_fails/mend_the_outbox",
        "empty_outbox",
        (
            "The program can be killed at any line. For each of them: what is in the outbox then, and what in the "
            "queue?",
            "What is deleted before it is published can be lost. What is published before it is deleted can come "
            "twice, which the receiver can bear if it can know the order again.",
            "For each row: publish with properties=pika.BasicProperties(message_id=key), then delete the row with that "
            "key, then commit.",
        ),
        _mend_the_outbox,
        "database, channel",
    ),
)
