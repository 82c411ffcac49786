"""The judge of the exercise "write a consumer": it is run in the notebook's process, and as a program of its own."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from workq_helpers.errors import CheckFailedError, WaitTimeoutError, WorkqError
from workq_helpers.teaching.function import definitions_beside, name_of
from workq_helpers.teaching.patience import AnswerError
from workq_helpers.teaching.trial import Trial
from workq_helpers.text import shown, worded
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.clients.recording_connection import RecordingConnection

__all__ = ["judge_consumer"]

_QUEUE = "tasting"
_LAST, _LATE = "Last.", "Too late."
_ORDERS = ("Soup.", "Tea.", "Tea.", _LAST)

#: Whoever tastes so often, and more, does not come to an end.
_MANY_TASTED = 2 * len(_ORDERS)

#: How long nothing may happen before the line is cut, in seconds: what waits then waits for ever.
_QUIET_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_SENT_SECONDS = 5.0
_PROGRAM_SECONDS = 10.0
_ENDING_SECONDS = 5.0

_CONSUMING = ("basic_consume", "consume")

#: The two lines that make a program of a cell, and a taste that says what it got.
_PROGRAM = """import os
import pika
{cell}

def taste_and_tell(order):
    print("tasted", order, flush=True)

{name}(pika.BlockingConnection(pika.URLParameters(os.environ["WORKQ_BROKER_URL"])), taste_and_tell)
"""


def judge_consumer(trial: Trial, consume: Any) -> str:
    """Try a consumer with four orders, and one that comes too late; then the same lines as a program."""
    trial.queues = {_QUEUE}
    evening = _Evening(trial)
    evening.spend(consume)
    _it_ran(evening)
    _it_was_asked_well(trial)
    _it_tasted_first(evening)
    _it_was_limited(evening)
    _it_acknowledged(evening)
    _it_ended(evening)
    trial.nothing_was_emptied()  # as a program it would wait for what it has thrown away
    _as_a_program(trial, consume)
    return (
        f"{len(_ORDERS)} orders were tasted one at a time and acknowledged, the one after '{_LAST}' waited for the "
        f"next consumer, and the connection was closed. The next consumer was a program of its own, made of the same "
        f"lines: it tasted '{_LATE}' and ended, too."
    )


class _Evening:
    """Orders that come when the queue is there, and whoever tastes them."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.tasted: list[object] = []
        #: How many had been acknowledged when each was tasted.
        self.acknowledged_before: list[int] = []
        #: How many consumers RabbitMQ counted, and how many ready orders, while the first was tasted.
        self.consumers = self.ready = 0
        self.trouble: BaseException | None = None
        #: Whether nothing happened any more, so that the line was cut.
        self.cut = False
        self.left_open = False
        self._sent = threading.Event()
        self._over = threading.Event()

    def spend(self, consume: Any) -> None:
        """Let the learner's function have its evening.

        Raises:
            CheckFailedError: It never came back.
        """
        connection = self.trial.connect()
        self._listen(connection)
        guests = threading.Thread(target=self._send, name="exercise: guests", daemon=True)
        guests.start()
        try:
            self.trial.call(consume, connection, self._taste, name="consume")
        except CheckFailedError:
            _it_handed_nothing_back(self.trial)
            raise
        except AnswerError as raised:
            self.trouble = raised.error
        finally:
            self._over.set()
            guests.join()
        self.left_open = connection.is_open
        with contextlib.suppress(WorkqError, pika.exceptions.AMQPError):
            connection.close()

    def _listen(self, connection: RecordingConnection) -> None:
        open_channel = connection.channel

        def channel(channel_number: int | None = None) -> Any:
            opened = open_channel(channel_number)
            self.trial.calls.listen(opened)
            return opened

        # An instance's own attribute hides the method.
        connection.channel = channel  # type: ignore[method-assign]

    def _send(self) -> None:
        """Send the orders as soon as there is a queue, and cut the line when nothing happens any more."""
        log = self.trial.lesson.log
        wait_until(lambda: _declared(self.trial) or self._consumes or self._over.is_set(), _SENT_SECONDS)
        if _declared(self.trial) and not self._over.is_set():
            with contextlib.suppress(pika.exceptions.NackError):  # the learner's queue takes no more
                self.trial.send(*_ORDERS, _LATE, queue=_QUEUE, confirm=True)
        self._sent.set()
        seen, quiet_looks = -1, 0
        while not self._over.wait(_LOOK_SECONDS):
            now = len(log) + len(self.tasted)
            quiet_looks = quiet_looks + 1 if now == seen else 0
            seen = now
            if quiet_looks * _LOOK_SECONDS >= _QUIET_SECONDS or len(self.tasted) > _MANY_TASTED:
                self.cut = True
                self.trial.cut()
                return

    @property
    def _consumes(self) -> bool:
        return any(call.name in _CONSUMING for call in list(self.trial.calls))

    def _taste(self, text: object) -> None:
        if not self.tasted:
            self._sent.wait(_SENT_SECONDS)
            self.consumers, self.ready = _counted(self.trial)
        self.acknowledged_before.append(len(self.trial.calls.named("basic_ack")))
        self.tasted.append(text)


def _it_ran(evening: _Evening) -> None:
    trial = evening.trial
    declared = _declared(trial)
    if not trial.calls and not declared and evening.trouble is not None:
        raise CheckFailedError(
            f"consume raised {worded(evening.trouble)}, and had asked nothing by the connection that it is given."
        )
    if not trial.calls and not declared:
        raise CheckFailedError(
            f"consume asked RabbitMQ for nothing: no queue was declared, and nobody consumed. The five steps stand "
            f"above; the queue is called {_QUEUE!r}."
        )
    if not declared:
        raise CheckFailedError(
            f"consume never declared the queue {_QUEUE!r}, and there was none. Whoever reads from a queue declares it, "
            f"for nobody knows who comes first."
        )
    trial.no_channel_was_closed()
    if evening.trouble is not None and not evening.cut:
        raise CheckFailedError(
            f"consume raised {worded(evening.trouble)}. Before that it had tasted {_orders(len(evening.tasted))}."
        )
    if not evening.tasted:
        raise CheckFailedError(_why_nothing(evening))
    known = (*_ORDERS, _LATE)
    # What pika hands over can be compared with its own kind alone.
    strange = [each for each in evening.tasted if not isinstance(each, str) or each not in known]
    if strange and not isinstance(strange[0], str):
        raise CheckFailedError(f"taste got {shown(strange[0])}, and wants the order's text: body.decode().")
    if strange:
        raise CheckFailedError(
            f"taste got {shown(strange[0])}, which nobody ordered. Hand it the order's text as it is."
        )


def _why_nothing(evening: _Evening) -> str:
    calls = evening.trial.calls
    if not any(call.name in _CONSUMING for call in calls):
        return (
            "The queue was declared, and nobody consumed: basic_consume tells RabbitMQ from which queue, and what to "
            "call for each message."
        )
    if calls.named("start_consuming") and not evening.cut and not calls.named("basic_ack"):
        return (
            "consume came back before anything was tasted, though somebody had called start_consuming, as in a thread. "
            "A connection belongs to the thread that made it: call it in consume itself."
        )
    if evening.cut or calls.named("basic_ack"):
        return f"RabbitMQ had {_orders(len(_ORDERS))}, and taste was never called. Your callback is to call taste(...)."
    return (
        "consume came back before anything was tasted: basic_consume alone only tells RabbitMQ. The loop that calls "
        "your callback is channel.start_consuming()."
    )


def _it_was_asked_well(trial: Trial) -> None:
    for asked in trial.calls.named("queue_declare"):
        if asked["queue"] == _QUEUE and not asked["passive"] and not asked["durable"]:
            raise CheckFailedError(f"{_QUEUE!r} was declared without durable=True: it is gone after a restart.")
        if asked["queue"] == _QUEUE and (asked["exclusive"] or asked["auto_delete"]):
            raise CheckFailedError(
                f"{_QUEUE!r} was declared so that it goes when its consumer goes, with all that waits in it. Leave out "
                f"exclusive and auto_delete."
            )
    for asked in (*trial.calls.named("basic_consume"), *trial.calls.named("consume")):
        if asked["auto_ack"]:
            raise CheckFailedError(
                "This consumer has auto_ack=True: RabbitMQ forgets an order when it is handed over, tasted or not. "
                "Leave that out, and acknowledge each when it was tasted."
            )


def _it_was_limited(evening: _Evening) -> None:
    if not evening.consumers:
        raise CheckFailedError(
            "While the first order was tasted RabbitMQ counted no consumer: your code asks for one order after "
            "another. Let RabbitMQ bring them: basic_consume, and start_consuming."
        )
    if evening.ready >= len(_ORDERS):
        return
    held = len(_ORDERS) + 1 - evening.ready
    names = [call.name for call in evening.trial.calls if call.name in ("basic_qos", *_CONSUMING)]
    why = "Nobody set a limit: channel.basic_qos(prefetch_count=1)."
    if "basic_qos" in names:
        late = names[0] != "basic_qos"
        why = (
            "The limit came after the consumer, and holds for those that come later. First basic_qos, then consume."
            if late
            else f"The limit is {evening.trial.calls.named('basic_qos')[-1]['prefetch_count']!r}. It should be 1."
        )
    raise CheckFailedError(f"While the first order was tasted, RabbitMQ had handed over {_orders(held)}. {why}")


def _it_tasted_first(evening: _Evening) -> None:
    for number, (order, before) in enumerate(zip(evening.tasted, evening.acknowledged_before, strict=True)):
        if before > number:
            raise CheckFailedError(
                f"'{order}' was acknowledged before it was tasted. Who dies in between has an order that RabbitMQ has "
                f"forgotten. First taste, then basic_ack."
            )


def _it_acknowledged(evening: _Evening) -> None:
    _it_handed_nothing_back(evening.trial)
    if not evening.trial.calls.named("basic_ack"):
        raise CheckFailedError(
            f"'{evening.tasted[0]}' was tasted and never acknowledged, so with a limit of one nothing more came. Call "
            f"ch.basic_ack(delivery_tag=method.delivery_tag)."
        )


def _it_handed_nothing_back(trial: Trial) -> None:
    if trial.calls.named("basic_nack") or trial.calls.named("basic_reject"):
        raise CheckFailedError(
            "An order was tasted and handed back or turned away. What was tasted is done: basic_ack."
        )


def _it_ended(evening: _Evening) -> None:
    tasted, wanted = list(map(str, evening.tasted)), list(_ORDERS)
    if _LATE in tasted:
        waits = " It still waits for more: ch.stop_consuming() leaves the loop." if evening.cut else ""
        raise CheckFailedError(f"consume went on after '{_LAST}' and tasted '{_LATE}' too.{waits}")
    if evening.cut:
        raise CheckFailedError(f"After {_orders(len(tasted))} nothing happened for {_QUIET_SECONDS:.0f} s.")
    if tasted != wanted:
        raise CheckFailedError(
            f"consume tasted {', '.join(tasted)} and came back. It is to taste each order once, and to end after "
            f"'{_LAST}'."
        )
    if evening.left_open:
        raise CheckFailedError("consume came back, and its connection is still open. Close it at the end.")
    left = _left(evening.trial)
    if _LAST in left:
        raise CheckFailedError(
            f"'{_LAST}' was tasted, and it is in the queue again: the connection was closed before anybody had "
            f"acknowledged it. First acknowledge, then leave the loop."
        )
    if left != [_LATE]:
        raise CheckFailedError(
            f"'{_LATE}' came after '{_LAST}' and should wait for the next consumer. In the queue is: "
            f"{', '.join(left) or 'nothing'}."
        )


def _as_a_program(trial: Trial, consume: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "consumer.py")
        name = name_of(consume, "consume")
        text = _PROGRAM.format(cell=definitions_beside(consume, name), name=name)
        file.write_text(text, encoding="utf-8")
        trial.send(_LATE, _LAST, queue=_QUEUE)
        program = trial.lesson.start_program(file)
        wait_until(lambda: not program.alive or f"tasted {_LAST}" in program.console.lines, _PROGRAM_SECONDS)
        try:
            program.wait(_ENDING_SECONDS)
        except WaitTimeoutError as error:
            program.kill()
            tasted = [line for line in program.console.lines if line.startswith("tasted ")]
            raise CheckFailedError(
                f"As a program of its own it had printed {', '.join(tasted) or 'nothing'}, and went on. Its evening "
                f"brings other orders than the one before, and ends after '{_LAST}', too."
            ) from error
    said = program.console.tail(1)
    if program.status:
        raise CheckFailedError(
            f"In this notebook it works. As a program of its own it ended with {said[0].rstrip('.') if said else ''}. "
            f"A program has nothing but its file: import and define what it needs in the cell of your function."
        )
    tasted = [line for line in program.console.lines if line.startswith("tasted ")]
    if tasted != [f"tasted {order}" for order in (_LATE, _LAST)]:
        raise CheckFailedError(f"As a program of its own it printed: {', '.join(tasted) or 'nothing'}.")


def _declared(trial: Trial) -> bool:
    return any(event.kind == "declared" and event.queue == _QUEUE for event in trial.lesson.log)


@contextlib.contextmanager
def _unseen(trial: Trial) -> Iterator[BlockingChannel]:
    """Open a channel of which the log hears nothing: what is asked here is no part of what the answer did."""
    lesson = trial.lesson
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as connection:
        yield connection.channel()


def _counted(trial: Trial) -> tuple[int, int]:
    """Return how many consumers the queue has, and how many ready orders."""
    with _unseen(trial) as channel:
        declared = channel.queue_declare(queue=_QUEUE, passive=True).method
        return declared.consumer_count, declared.message_count


def _left(trial: Trial) -> list[str]:
    """Return what is left in the queue, and empty it."""
    found: list[str] = []
    with _unseen(trial) as channel:
        while True:
            method, _, body = channel.basic_get(queue=_QUEUE, auto_ack=True)
            if method is None or body is None:
                return found
            found.append(body.decode())


def _orders(count: int) -> str:
    return f"{count} order{'' if count == 1 else 's'}"
