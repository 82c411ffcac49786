"""`Worker`: one consumer in the background, running a learner's callback."""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pika
from pika.adapters.select_connection import IOLoop

from workq_helpers.clients.console import Console
from workq_helpers.clients.consumer import Consumer, ConsumerOptions, IncomingMessage
from workq_helpers.clients.pace import Pace, WorkerKilled
from workq_helpers.clients.pump import Pump
from workq_helpers.errors import (
    CallbackSignatureError,
    InvalidArgumentError,
    WaitTimeoutError,
    WorkerStartError,
    WorkqError,
)
from workq_helpers.log.book import Book
from workq_helpers.text import worded

__all__ = ["Callback", "Worker"]

#: pika's callback: channel, method, properties, body.
Callback = Callable[[Any, Any, Any, bytes], object]

T = TypeVar("T")

#: AMQP carries the prefetch count in 16 bits.
_LARGEST_PREFETCH_COUNT = 65_535

#: How long a killed worker may take to send what its callback had asked for before; it takes milliseconds.
_LAST_WORDS_SECONDS = 2.0


class Worker:
    """One consumer in the background: its own connection, its own thread, its own console.

    `Lesson.start_worker` makes them.

    Args:
        name: Its name in the log, and its consumer tag.
        callback: Called with pika's channel, method, properties and body for each delivery.
        options: The queue, and how to consume from it.
        parameters: Where to connect.
        book: Where events go.
        explain: Turns pika's exception into one of ours, for a worker that can't start.

    Raises:
        CallbackSignatureError: The callback does not take four arguments.
        InvalidArgumentError: The prefetch count or the queue's name makes no sense.
    """

    def __init__(
        self,
        name: str,
        callback: Callback,
        options: ConsumerOptions,
        *,
        parameters: pika.ConnectionParameters,
        book: Book,
        explain: Callable[[BaseException], WorkqError],
    ) -> None:
        _check_callback(callback)
        _check_options(options)
        self.name = name
        self.queue = options.queue
        self.auto_ack = options.auto_ack
        self.prefetch_count = options.prefetch_count
        self.console = Console(book.log.seconds)
        #: Deliveries whose callback returned, acknowledged or not: the log has "finished" for each.
        self.finished = 0
        #: What it calls for each delivery.
        self.callback = callback
        self._options = options
        self._log = book.log
        self._explain = explain
        self._pace = Pace()
        self._consumer = Consumer(self, options, parameters, book)
        self._pump = Pump(name, self)
        self._changed = threading.Condition()
        self._phase = "starting"
        self._error: BaseException | None = None
        self._prepared = False
        self._current: IncomingMessage | None = None
        self._working = False
        self._leaving = False
        self._interruptible = threading.Lock()
        self._in_callback = False

    # -- what a learner sees --------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """One of starting, idle, busy, frozen, reconnecting, stopped, killed, crashed."""
        if self._phase != "consuming":
            return self._phase
        if self._pace.frozen:
            return "frozen"
        return "busy" if self._current is not None else "idle"

    @property
    def alive(self) -> bool:
        """Whether it consumes, or will again."""
        return self._phase in ("starting", "consuming", "reconnecting")

    @property
    def leaving(self) -> bool:
        """Whether it was asked to end, or ends by itself, and has not ended yet."""
        return self._leaving and self.alive

    @property
    def in_hand(self) -> int:
        """How many deliveries wait for its callback, or are in it, or are settled by it and that is not sent yet."""
        return len(self._consumer.waiting) + (self._current is not None) + self._consumer.has_unsent

    @property
    def current_task(self) -> str | None:
        """The text of the task in its callback, or ``None``."""
        current = self._current
        return None if current is None else current.held.task

    def stop(self, timeout: float | None = 60.0) -> None:
        """Finish the task in hand, take no more, close the connection properly.

        Args:
            timeout: Seconds to wait at most for the task in hand; ``None`` for as long as it takes.

        Raises:
            WaitTimeoutError: It is frozen, or the task takes longer. It still stops when it gets to it.
        """
        if not self.alive:
            return
        if self._pace.frozen:
            raise WaitTimeoutError(
                f"{self.name} is frozen, and what hangs can't stop politely. "
                f"Let it go on with thaw(), or end it with kill()."
            )
        self.request_stop()
        if not self._wait_until(lambda: not self.alive, timeout):
            raise WaitTimeoutError(
                f"{self.name} still works on {self.current_task!r} after {timeout} seconds and stops when that "
                f"is done. Wait longer with stop(timeout=None), or end it with kill()."
            )
        self._pump.join(timeout)

    def kill(self) -> None:
        """Cut its TCP connection, as if its process had crashed: nothing is finished, nothing is said."""
        if not self.alive:
            return
        self.request_kill()
        if not self._wait_until(lambda: not self.alive, _LAST_WORDS_SECONDS):
            # Whoever looks after its connection does not: it is dead all the same.
            self._consumer.give_up("killed")
            self._consumer.ended()
        if not self._pump.in_main_thread() and self._current is None:
            self._pump.join(_LAST_WORDS_SECONDS)

    def freeze(self) -> None:
        """Make it hang without dying: its connection lives, but it starts, finishes and acks nothing."""
        if self.alive and not self._pace.frozen:
            self._pace.freeze()
            self._log.record("frozen", self.name, self.queue)

    def thaw(self) -> None:
        """Let a frozen worker go on where it hung."""
        if self._pace.frozen:
            self._log.record("thawed", self.name, self.queue)
            self._pace.thaw()

    def __repr__(self) -> str:
        told = f"{self.state}, {self.finished} finished, queue {self.queue!r}, {self._options.logged}"
        return f"<Worker {self.name}: {told}>"

    # -- for the lesson -------------------------------------------------------------------------------

    def launch(self) -> None:
        """Begin to connect."""
        self._log.record("starting", self.name, self.queue, detail=self._options.logged)
        self._pump.start()

    def wait_until_prepared(self, timeout: float) -> None:
        """Wait until nothing but ``basic_consume`` is missing.

        Raises:
            WorkqError: It could not get there; the error says why.
        """
        self._wait_for_start(lambda: self._prepared, timeout)

    def consume(self) -> None:
        """Send ``basic_consume``."""
        self._pump.call(self._consumer.consume)

    def wait_until_consuming(self, timeout: float) -> None:
        """Wait for the broker's answer to `consume`.

        Raises:
            WorkqError: The broker refused; the error says why.
        """
        self._wait_for_start(lambda: self._phase == "consuming" or self.finished > 0, timeout)

    def request_stop(self) -> None:
        """Ask it to stop and do not wait."""
        if self.alive and not self._leaving:
            self._leaving = True
            self._log.record("stopping", self.name, self.queue)
            self._pump.call(self._consumer.stop)

    def request_kill(self) -> None:
        """Kill it and do not wait."""
        self._leaving = True
        # First, so that the callback can't finish what the cut is going to give back.
        self._pace.kill()
        self._cut("killed")
        self._interrupt_callback()

    def join(self, timeout: float) -> bool:
        """Wait for its threads; return whether they ended."""
        return self._pump.join(timeout)

    def _wait_for_start(self, condition: Callable[[], bool], timeout: float) -> None:
        ready = self._wait_until(lambda: condition() or not self.alive, timeout)
        if ready and (condition() or self._error is None):
            return
        self.request_kill()
        if self._error is not None:
            raise self._explain(self._error) from self._error
        raise WorkerStartError(
            f"{self.name} was not consuming from {self.queue!r} after {timeout} seconds. "
            f"Is the broker still up? lesson.broker.describe() tells."
        )

    def _wait_until(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def _set_phase(self, phase: str) -> None:
        with self._changed:
            self._phase = phase
            self._changed.notify_all()
        self._log.poke()

    def _interrupt_callback(self) -> None:
        """Make a killed worker's callback raise at its next bytecode, should it be busy in Python code.

        `work` is interrupted at once by the pace; a callback blocked in C code (`time.sleep`, a socket) is
        not, and its end is simply not noticed anymore.
        """
        with self._interruptible:
            if self._in_callback:
                thread = ctypes.c_ulong(self._pump.main_thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(WorkerKilled))

    @contextlib.contextmanager
    def _not_to_be_interrupted(self) -> Iterator[None]:
        """Keep an interrupt out of this block: it must not come while locks are held."""
        with self._interruptible:
            self._in_callback = False
        _checkpoint()
        try:
            yield
        finally:
            with self._interruptible:
                self._in_callback = True
            self._pace.check()

    # -- Host: called by the consumer -----------------------------------------------------------------

    def is_working(self) -> bool:
        """Whether a callback runs at this moment."""
        return self._working

    def in_callback_alone(self) -> bool:
        """Whether the caller is the callback, and nobody polls meanwhile."""
        return self._pump.in_main_thread() and not self._pump.is_polled

    def hold(self) -> None:
        """Hold the callback while the worker is frozen, and unwind it once it is killed."""
        if self._pump.in_main_thread():
            self._pace.check()

    def run(self, function: Callable[[], T]) -> T:
        """Call `function` as the owner of the connection, and return what it returns."""
        if not (self._in_callback and self._pump.in_main_thread()):
            return self._pump.run(function)
        with self._not_to_be_interrupted():
            return self._pump.run(function)

    def poll_until(self, condition: Callable[[], bool]) -> None:
        """Keep I/O going until `condition` holds or all is over."""
        self._pump.poll_until(condition)

    def prepared(self) -> None:
        """Learn that everything up to ``basic_consume`` is done."""
        with self._changed:
            self._prepared = True
            self._changed.notify_all()

    def consuming(self) -> None:
        """Learn that deliveries may come."""
        self.console.write(" [*] Waiting for messages.\n")
        self._set_phase("consuming")

    def interrupted(self, reason: str) -> None:
        """Learn that the connection was lost and is being opened again."""
        self.console.write(f" [!] Connection lost ({reason}). Reconnecting...\n")
        self._set_phase("reconnecting")

    def ended(self, state: str, error: BaseException | None) -> None:
        """Learn that this was all."""
        self._leaving = True
        if state == "crashed" and error is not None and self._prepared:
            self.console.write(f" [!] This worker ended: {self._explain(error)}\n")
        self._error = error
        self._set_phase(state)

    # -- Job: called by the pump ----------------------------------------------------------------------

    def connect(self, loop: IOLoop) -> None:
        """Begin to connect."""
        self._consumer.connect(loop, self._pump.finish)

    def after_poll(self) -> None:
        """See to what other threads asked for."""
        self._consumer.after_poll()

    def has_work(self) -> bool:
        """Whether a delivery waits for the callback."""
        return bool(self._consumer.waiting) and not self._leaving

    def failed(self, error: BaseException) -> None:
        """Learn that something raised that must not."""
        self._consumer.failed(error)

    def over(self) -> None:
        """Learn that nobody looks after the connection any more."""
        self._consumer.ended()

    def do_work(self) -> None:
        """Run the callback for every delivery that waits."""
        self._working = True
        self._pace.enter()
        try:
            with self.console.capture():
                while not self._leaving and self._consumer.waiting:
                    self._pace.check()
                    self._work_on_next()
        except WorkerKilled:
            # Its process would be gone by now; the consumer sees to what it held.
            return
        finally:
            self._current = None
            self._working = False
            self._log.poke()

    def _work_on_next(self) -> None:
        delivery = self._begin()
        if delivery is None:
            return
        try:
            self._call_back(delivery)
            self._pace.check()
        except WorkerKilled:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a program raises ends the program
            self._crash(delivery, error)
            return
        with self._consumer.lock:
            if self._pace.killed:
                raise WorkerKilled
            self._consumer.record("finished", delivery)
            self._consumer.done_with(delivery)
        self.finished += 1
        self._current = None
        self._log.poke()

    def _call_back(self, delivery: IncomingMessage) -> None:
        self._in_callback = True
        try:
            self.callback(delivery.channel, delivery.method, delivery.properties, delivery.body)
        finally:
            with self._interruptible:
                self._in_callback = False
            # An interrupt that was set just before comes out at a call, and must do so here, not in a thread
            # that has left the callback behind.
            _checkpoint()

    def _begin(self) -> IncomingMessage | None:
        """Take the next delivery, unless the connection was lost meanwhile and with it the delivery."""
        consumer = self._consumer
        with consumer.lock:
            if consumer.gone or not consumer.waiting:
                return None
            delivery = consumer.waiting.popleft()
            self._current = delivery
            self._consumer.record("started", delivery)
        return delivery

    def _crash(self, delivery: IncomingMessage, error: BaseException) -> None:
        """Show the traceback and end, as a program would; the message stays unacknowledged.

        Raises:
            WorkerKilled: It was killed before: then its process would have been gone by now.
        """
        # The first two frames are ours; the learner's callback begins at the third.
        shown = error.__traceback__
        for _ in range(2):
            shown = shown.tb_next if shown else None
        with self._consumer.lock:
            if self._pace.killed:
                raise WorkerKilled
            self._leaving = True
            self.console.write("".join(traceback.format_exception(type(error), error, shown)))
            self._consumer.record("failed", delivery, worded(error))
        self._cut("crashed")

    def _cut(self, state: str) -> None:
        """Cut the connection from this thread, whoever owns it; its owner may be waiting for something else."""
        consumer = self._consumer
        # Cut or not, the owner is called: to see the end of it, or to send what waits and then cut.
        done = consumer.cut_at_once(state)
        self._pump.call(lambda: None if done else consumer.cut(state))


def _checkpoint() -> None:
    """Let a pending interrupt out: Python looks for one at every call."""


def _check_callback(callback: object) -> None:
    if not callable(callback):
        raise CallbackSignatureError(
            f"The callback is {callback!r}, which can't be called. "
            f"Pass a function: def callback(ch, method, properties, body): ..."
        )
    if inspect.iscoroutinefunction(callback):
        raise CallbackSignatureError(
            f"The callback {_name_of(callback)} is an async function, which pika never awaits. "
            f"Define it with plain def: def callback(ch, method, properties, body): ..."
        )
    try:
        signature = inspect.signature(callback, follow_wrapped=False)
    except (TypeError, ValueError):
        # Some callables of C code have no signature; calling them will show.
        return
    try:
        signature.bind(None, None, None, None)
    except TypeError as error:
        raise CallbackSignatureError(
            f"The callback {_name_of(callback)}{signature} can't be called with pika's four arguments "
            f"({error}). Define it as def callback(ch, method, properties, body): ..."
        ) from error


def _name_of(callback: object) -> str:
    return getattr(callback, "__name__", type(callback).__name__)


def _check_options(options: ConsumerOptions) -> None:
    if not isinstance(options.queue, str) or not options.queue:
        raise InvalidArgumentError(
            f'The queue is {options.queue!r}, which is no name. Pass the name you declared, for example queue="hello".'
        )
    count = options.prefetch_count
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _LARGEST_PREFETCH_COUNT:
        raise InvalidArgumentError(
            f"prefetch_count is {count!r}. Pass a whole number from 1 to {_LARGEST_PREFETCH_COUNT}, or 0 for no limit."
        )
