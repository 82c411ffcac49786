"""The exercises of the lesson "Mistakes, timeouts and long work"."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pika.exceptions

from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.teaching.calls import Call
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.function import made_by_calling
from workq_helpers.teaching.patience import AnswerError, Interrupted
from workq_helpers.teaching.threads import begun_since, waits_for_a_job
from workq_helpers.teaching.trial import QUEUE, Trial
from workq_helpers.text import decoded, worded
from workq_helpers.waiting import wait_until

__all__ = ["EXERCISES"]

# -- mend the stalled cook

_GOOD = ("Soup..", "Tea.", "Juice.")
_BAD = ("Off the menu: Sushi", "Off the menu: Pizza")


def _mend_the_stalled_cook(trial: Trial, callback: Any) -> str:
    first = trial.start(callback, prefetch_count=2)
    trial.send(_GOOD[0], *_BAD, *_GOOD[1:])
    trial.settle()
    trial.nobody_died()
    _nothing_is_held(trial)
    _only_the_menu_is_cooked(trial)
    first.stop()
    _is_done_before_it_is_acknowledged(trial, callback)
    trial.worked_before_it_acknowledged(*_GOOD)
    trial.failed_work_is_not_done(callback)
    gone = sum(trial.message(order).place == "discarded" for order in _BAD)
    how = "rejected" if gone == len(_BAD) else "acknowledged" if not gone else "settled"
    return (
        f"{len(_GOOD)} orders were done, {len(_BAD)} {how}, and the broker waits for none. When a worker was killed "
        f"in the middle of 'Bread..', the next one did it."
    )


def _nothing_is_held(trial: Trial) -> None:
    held, waiting = trial.held(), trial.waiting()
    if held and waiting:
        raise CheckFailedError(
            f"{', '.join(waiting)} waited in the queue, and worker-1 took no more: it may hold 2 deliveries and held "
            f"{' and '.join(held)}, unacknowledged. Which way through the callback forgets them?"
        )
    if held:
        raise CheckFailedError(
            f"All was delivered, and {' and '.join(held)} never settled: the broker still counts "
            f"{trial.unacknowledged()} unacknowledged. Settle an order where the callback has finished with it."
        )
    if trial.unacknowledged():
        raise CheckFailedError(f"The broker still counts {trial.unacknowledged()} unacknowledged.")


def _only_the_menu_is_cooked(trial: Trial) -> None:
    for order in _GOOD:
        if trial.message(order).place != "done":
            raise CheckFailedError(
                f"'{order}' is on the menu, and it ended up {trial.message(order).place}. Only what is off the menu is "
                f"turned away, and everything else is done."
            )
    cooked = next((run.task for run in trial.runs if run.task in _BAD and run.began), None)
    if cooked is not None:
        raise CheckFailedError(
            f"'{cooked}' was cooked: the callback called work for it. What is off the menu is settled without work."
        )


def _is_done_before_it_is_acknowledged(trial: Trial, callback: Callable[..., object]) -> None:
    killed = trial.kill_at_work(callback, "Bread..")
    if not killed:
        raise CheckFailedError("'Bread..' was never worked on. Keep the line work(body) for what is on the menu.")
    trial.start(callback)
    trial.settle()
    if trial.message("Bread..").deliveries < 2:
        raise CheckFailedError(
            f"{killed} was killed in the middle of 'Bread..', and nobody did it: it had been acknowledged "
            f"before the work. Acknowledge what is done, not what is about to be done."
        )


# -- keep the line open

_LONG = ("Stew....", "Roast....")
#: What burns the first time that it is cooked.
_BURNS = "Rice...."

#: How long an order cooks while nobody comes back to pika, and how long an acknowledgment may take, in seconds.
_COOKING_SECONDS = 3.0
_ACK_SECONDS = 4.0
_PUMP_SECONDS = 0.05

_DEAF = "who waits for a thread, as join does, is as deaf as who works. Start it, and return."

#: How long the first order cooks on, for the second to be acknowledged before it, where both are cooked at a time.
_LONGER_SECONDS = 0.5


class _BurnedError(Exception):
    """What ends the cooking that is to fail."""


class _Settled(NamedTuple):
    """An acknowledgment, as the callback asked pika for it: of the order that it names, or of one before that, too."""

    order: str
    named: str
    how: str
    by_the_owner: bool
    cooked: bool
    requeued: bool


class _Line:
    """A plain connection with a consumer, and the thread that owns it: it must come back to pika while orders cook."""

    def __init__(self, trial: Trial, callback: Callable[..., object]) -> None:
        self._trial = trial
        self._callback = callback
        self._owner = 0
        self._over = False
        self._orders: dict[int, str] = {}
        #: Whether the callback failed, and so came back.
        self.failed = False
        #: How often the owner has been back in pika.
        self._turns = 0
        self.cooked: list[str] = []
        #: Orders that were cooked in the owner's thread, and those for which it waited.
        self.kept: list[str] = []
        #: Orders that were begun in another thread.
        self.beside: list[str] = []
        self.waited: list[str] = []
        self.settled: list[_Settled] = []
        #: What had ended threads when nothing had burned yet.
        self.raised: list[str] = []
        self.burned = False

    def serve(self) -> None:
        """Let the callback have what comes, until all is acknowledged or nothing more can be."""
        self._owner = threading.get_ident()
        before = threading.enumerate()
        with self._trial.connection() as connection:
            channel = connection.channel()
            self._trial.calls.listen(channel, self._hear)
            self._count_turns(connection)
            channel.basic_consume(queue=QUEUE, on_message_callback=self._call)

            def acknowledged() -> bool:
                connection.process_data_events(time_limit=_PUMP_SECONDS)
                return bool(self.kept or self.waited or self._trial.raised) or len(self.settled) >= len(_LONG)

            try:
                wait_until(acknowledged, _ACK_SECONDS, interval_seconds=0.0)
                connection.process_data_events(time_limit=_PUMP_SECONDS)
                channel.queue_declare(queue=QUEUE, passive=True)  # a complaint meets the next call
                self.raised = list(self._trial.raised)
                if not self.raised and all(self.is_done(order) for order in _LONG):
                    self._let_it_burn(connection, before)
            except CheckFailedError:
                raise
            except (WorkqError, pika.exceptions.AMQPError):
                return  # RabbitMQ ended it, and the log says why
            finally:
                self._over = True
                self._end_threads(before)

    def _let_it_burn(self, connection: Any, before: list[threading.Thread]) -> None:
        """Let the callback have an order whose cooking fails once, until it is acknowledged or nobody is at it."""
        self._trial.send(_BURNS)

        def is_over() -> bool:
            # Before pika has its turn: what a thread asked of the owner as it ended is heard in this one.
            ended = self.burned and all(waits_for_a_job(thread.ident) for thread in begun_since(before))
            connection.process_data_events(time_limit=_PUMP_SECONDS)
            told = self.of(_BURNS)
            return any(not each.requeued for each in told) or (ended and not told)

        try:
            wait_until(is_over, _ACK_SECONDS, interval_seconds=0.0)
        except (CheckFailedError, Interrupted):
            raise
        except Exception:  # noqa: BLE001 - it let the error out where it ends the program, and RabbitMQ has the order
            return

    def is_done(self, order: str) -> bool:
        """Whether an order was cooked, and then acknowledged by the thread that may."""
        return any(each.how == "basic_ack" and each.cooked and each.by_the_owner for each in self.of(order))

    def of(self, order: str) -> list[_Settled]:
        """Return what RabbitMQ was told of an order."""
        return [each for each in self.settled if each.order == order]

    def end(self) -> None:
        """Let the threads end that cook beside a callback which does not come back."""
        self._over = True

    def _count_turns(self, connection: Any) -> None:
        """Count whenever the owner comes back to pika, also from inside of the callback."""

        def counted(turn: Callable[..., object]) -> Callable[..., object]:
            def back(*arguments: Any, **named: Any) -> object:
                self._turns += threading.get_ident() == self._owner
                return turn(*arguments, **named)

            return back

        # An instance's own attribute hides the method.
        connection.process_data_events = counted(connection.process_data_events)
        connection.sleep = counted(connection.sleep)

    def _call(self, ch: Any, method: Any, properties: Any, body: bytes) -> None:
        order = self._orders[method.delivery_tag] = body.decode()
        try:
            result = self._callback(ch, method, properties, body, self.cook)
        except Interrupted:  # it does not come back
            raise
        except BaseException as error:
            if order == _BURNS and self.burned:
                raise  # and so its program ends
            self.failed = True
            raise CheckFailedError(f"At '{order}' the callback raised {worded(error)}.") from error
        if made := made_by_calling(result):
            raise CheckFailedError(f"For '{order}' the callback gave back {made}: nothing has run.")

    def cook(self, body: bytes | str) -> None:
        """Cook an order: it is ready when the owner of the connection has been back in pika, or does not come."""
        order = decoded(body)
        if order == _BURNS and not self.burned:
            self.burned = True
            raise _BurnedError("the pan burned")
        if threading.get_ident() == self._owner:
            self.kept.append(order)
        else:
            self.beside.append(order)
            before = self._turns

            def may_go_on() -> bool:
                return self._over or self._turns > before

            if self.waited or not wait_until(may_go_on, _COOKING_SECONDS, interval_seconds=0.01):
                self.waited.append(order)
            elif order == _LONG[0]:
                self._cook_on()
        self.cooked.append(order)

    def _cook_on(self) -> None:
        wait_until(lambda: self._over or any(each.order == _LONG[1] for each in self.settled), _LONGER_SECONDS)

    def _hear(self, call: Call) -> bool:
        """Say whether a call may be made: pika's connection might break of one from another thread."""
        if call.name not in ("basic_ack", "basic_nack", "basic_reject"):
            return True
        by_the_owner = threading.get_ident() == self._owner
        named = self._orders.get(call.arguments["delivery_tag"], "an order")
        requeued = bool(call.arguments.get("requeue"))
        before = self._held_before(named) if call.arguments.get("multiple") else []
        self.settled += [
            _Settled(order, named, call.name, by_the_owner, order in self.cooked, requeued)
            for order in (*before, named)
        ]
        return by_the_owner

    def _held_before(self, named: str) -> list[str]:
        settled = {each.order for each in self.settled}
        return [order for order in itertools.takewhile(named.__ne__, self._orders.values()) if order not in settled]

    def _end_threads(self, before: list[threading.Thread]) -> None:
        """Wait for the threads that the answer started: what ends them explains the rest."""
        wait_until(lambda: not begun_since(before), _LONGER_SECONDS)


def _keep_the_line_open(trial: Trial, callback: Any) -> str:
    line = _Line(trial, callback)
    trial.send(*_LONG)
    try:
        trial.call(line.serve, name="callback", function=callback)
    except CheckFailedError as error:
        if line.failed or not line.beside:
            raise
        raise CheckFailedError(f"{error} Meanwhile '{line.beside[-1]}' is cooked in another thread: {_DEAF}") from error
    except AnswerError as raised:
        raise CheckFailedError(
            f"What the owner of the connection was asked to call failed: {raised}. "
            f"add_callback_threadsafe takes a function, and nobody calls it before the owner does."
        ) from raised.error
    finally:
        line.end()
    _the_thread_was_free(line)
    _each_was_acknowledged_by_itself(line)
    trial.no_channel_was_closed()
    _what_burned_is_not_done(line)
    _the_owner_acknowledged(line)
    if line.raised:
        settled = len({each.order for each in line.settled})
        raise CheckFailedError(
            f"Of {len(_LONG)} orders {settled} were cooked and settled, and a thread ended in an error."
        )
    missing = [order for order in _LONG if order not in line.cooked]
    if missing:
        raise CheckFailedError(f"'{missing[0]}' was never cooked: nobody called cook(body) for it.")
    _each_is_done(trial, line)
    return (
        f"{len(_LONG)} orders were cooked beside the thread that owns the connection, which was back in pika "
        f"meanwhile, and acknowledged them when they were ready."
    )


def _the_thread_was_free(line: _Line) -> None:
    if line.kept:
        raise CheckFailedError(
            f"'{line.kept[0]}' was cooked in the thread that owns the connection. As long as that lasts nobody sends "
            f"heartbeats: with longer work RabbitMQ closes the connection. Cook in a thread of its own."
        )
    if line.waited:
        raise CheckFailedError(
            f"'{line.waited[0]}' was cooked in another thread, and the callback did not come back meanwhile: {_DEAF}"
        )


def _each_was_acknowledged_by_itself(line: _Line) -> None:
    for each in line.settled:
        if not each.cooked and each.order != each.named:
            raise CheckFailedError(
                f"'{each.order}' was not cooked yet when '{each.named}' was acknowledged with multiple=True, which is "
                f"for all deliveries before it, too. Leave that out."
            )


def _the_owner_acknowledged(line: _Line) -> None:
    for each in line.settled:
        if not each.cooked and each.order != _BURNS:
            raise CheckFailedError(
                f"'{each.order}' was acknowledged before it was cooked. If this program dies in between, nobody cooks "
                f"it. The acknowledgment belongs behind the cooking."
            )
        if not each.by_the_owner:
            raise CheckFailedError(
                f"'{each.order}' was acknowledged from another thread than the one that owns the connection, which "
                f"pika does not allow. Ask the owner: ch.connection.add_callback_threadsafe(...) takes a function "
                f"that it calls there."
            )


def _what_burned_is_not_done(line: _Line) -> None:
    for each in line.of(_BURNS):
        if each.how == "basic_ack" and not each.cooked:
            raise CheckFailedError(
                f"{len(_LONG)} orders were cooked beside the owner's thread and acknowledged. Then the cooking of "
                f"'{_BURNS}' raised an error in its thread, and it was acknowledged all the same: its guest gets "
                f"nothing. A thread that ended may have failed. Acknowledge what was cooked; basic_nack hands back "
                f"what was not."
            )
        if each.how != "basic_ack" and not each.requeued:
            raise CheckFailedError(
                f"The cooking of '{_BURNS}' raised an error in its thread, and the order was turned away: its guest "
                f"gets nothing. What failed once may go well the next time. Hand it back with basic_nack."
            )


def _each_is_done(trial: Trial, line: _Line) -> None:
    back = next((each.order for each in line.settled if each.order in _LONG and each.requeued), "")
    for order in _LONG:
        message = trial.message(order)
        if message.place == "discarded":
            raise CheckFailedError(f"'{order}' was cooked and turned away. Acknowledge what is done.")
        if back:
            raise CheckFailedError(f"'{back}' was cooked and handed back. Acknowledge what is done.")
        if message.place != "done":
            raise CheckFailedError(
                f"'{order}' was cooked, and no acknowledgment of it came within {_ACK_SECONDS:.0f} s: who asks the "
                f"owner of the connection for it?"
            )


EXERCISES = (
    Exercise(
        "mend the stalled cook",
        "mistakes_and_long_work/mend_the_stalled_cook",
        "callback",
        (
            "What does RabbitMQ still wait for? Start a worker with this callback and prefetch_count=2, send some "
            "orders, and look at lesson.tasks().",
            "The callback has two ways out. What does the broker hear on each of them?",
            "On the way out for orders that are off the menu nothing is said. Reject them there without requeue, or "
            "acknowledge them.",
        ),
        _mend_the_stalled_cook,
        "ch, method, properties, body",
    ),
    Exercise(
        "keep the line open",
        "mistakes_and_long_work/keep_the_line_open",
        "callback",
        (
            "Two things keep the callback's thread from pika: the cooking, and waiting for somebody who cooks.",
            "Start a threading.Thread whose target cooks, and return. It must not touch the channel: who may?",
            "When it is cooked, the thread passes a function to ch.connection.add_callback_threadsafe. That function "
            "calls ch.basic_ack, and pika calls it in the right thread.",
        ),
        _keep_the_line_open,
        "ch, method, properties, body, cook",
    ),
)
