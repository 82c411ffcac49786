"""`SharedChannel`: one channel of pika's, used by the threads of a worker's callback and by the connection's owner.

What a thread asks for is sent at once and in that order by the owner of the connection, and what pika would raise is
raised in that thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sized
from typing import Any, Protocol, TypeVar

import pika.exceptions
from pika.adapters.blocking_connection import ReturnedMessage
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.pace import WorkerKilled
from workq_helpers.clients.worker_end import WorkerEnd
from workq_helpers.log.observer import Observer

__all__ = ["Runner", "SharedChannel"]

T = TypeVar("T")


class Runner(Protocol):
    """The worker whose callback uses the channel, as far as its threads are concerned."""

    name: str

    def in_callback_alone(self) -> bool:
        """Whether the caller is the callback, and nobody polls meanwhile."""

    def hold(self) -> None:
        """Hold the callback while the worker is frozen, and unwind it once it is killed."""

    def run(self, function: Callable[[], T]) -> T:
        """Call `function` as the owner of the connection, and return what it returns."""

    def poll_until(self, condition: Callable[[], bool]) -> None:
        """Keep I/O going until `condition` holds or all is over; called by the owner of the connection."""

    def request_stop(self) -> None:
        """Begin to stop."""


class SharedChannel:
    """One channel, from when it is open; another one takes its place after an outage.

    Args:
        raw: pika's channel; only the owner of the connection touches it.
        runner: The worker.
        observer: What knows the deliveries on it.
        waiting: The deliveries that wait for the worker's callback.
        end: How the worker ends.
        dropped: Told of an acknowledgment that came to nothing: its delivery tag, and why.
    """

    def __init__(
        self,
        raw: Channel,
        runner: Runner,
        observer: Observer,
        *,
        waiting: Sized,
        end: WorkerEnd,
        dropped: Callable[[int | None, str], None],
    ) -> None:
        self._raw = raw
        self._runner = runner
        self._observer = observer
        self._waiting = waiting
        self._end = end
        self._dropped = dropped
        self._acks: dict[int, None] = {}
        self._fetched: list[tuple[Any, Any, Any]] = []
        self._confirming = False
        self._confirms: list[bool] = []
        self._returned: list[ReturnedMessage] = []
        self.number = int(raw.channel_number)
        #: Whether the callback has closed it.
        self.was_closed = False
        #: By what its connection was lost.
        self.lost_by: BaseException | None = None
        observer.publications.on_confirm = self._on_confirm
        raw.add_on_return_callback(self._on_returned)
        raw.add_callback(lambda _frame: self._fetched.append((None, None, None)), [Basic.GetEmpty], one_shot=False)

    # -- for the callback, from any thread ------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return bool(self._raw.is_open) and self.is_connected

    @property
    def is_connected(self) -> bool:
        """Whether its connection can be used."""
        return bool(self._raw.connection.is_open) and not (self._end.gone or self._end.is_cut)

    def close(self, *reply: Any) -> None:
        """Close it and wait for the answer; then take leave, as a program whose start_consuming returns."""
        self._runner.hold()

        def send() -> None:
            self._ready().close(*reply)
            self.was_closed = True
            self._send_now()

        self._runner.run(send)
        self._runner.run(lambda: self._runner.poll_until(lambda: self._raw.is_closed))
        self._runner.request_stop()

    def ack(self, tag: int, multiple: bool) -> None:
        """Send basic.ack; while more deliveries wait for the callback it may go with theirs, in one frame.

        A frame for each would cost a tenth of the throughput at a high prefetch count.
        """
        if not multiple and type(tag) is int and self._waiting and self._runner.in_callback_alone():
            self._runner.hold()
            with self._observer.lock:
                if self._raw.is_open and tag not in self._acks and self._observer.knows(self.number, tag):
                    self._acks[tag] = None
                    return
        self.settle("basic_ack", tag, multiple)

    def settle(self, name: str, tag: int, *arguments: Any) -> None:
        """Send basic.ack, basic.nack or basic.reject; on a channel that was lost it comes too late.

        Raises:
            ChannelWrongStateError: It was closed, by the callback itself or for what that had done.
        """
        self._runner.hold()

        def send() -> None:
            if not (self.was_closed or self.is_open):
                self._dropped(tag if isinstance(tag, int) else None, "its channel is gone")
                if self._end.state != "crashed":
                    return
            getattr(self._ready(), name)(tag, *arguments)
            self._send_now()

        self._runner.run(send)

    def publish(self, *arguments: Any) -> None:
        """Publish, and with publisher confirms wait for the answer."""
        self._runner.hold()

        def send() -> bool:
            raw = self._ready()
            self._confirms.clear()
            self._returned.clear()
            raw.basic_publish(*arguments)
            self._send_now()
            return self._confirming

        if self._runner.run(send):
            self._wait(self._confirms)
            if not self._confirms[0]:
                raise pika.exceptions.NackError(self._returned)
            if self._returned:
                raise pika.exceptions.UnroutableError(self._returned)

    def request(self, name: str, arguments: dict[str, Any]) -> Any:
        """Send what the broker answers, and return the answer."""
        self._runner.hold()
        answers: list[Any] = []

        def send() -> None:
            getattr(self._ready(), name)(**arguments, callback=answers.append)
            self._send_now()

        self._runner.run(send)
        self._wait(answers)
        return answers[0]

    def get(self, queue: str, auto_ack: bool) -> tuple[Any, Any, Any]:
        """Fetch one message."""
        self._runner.hold()

        def send() -> None:
            raw = self._ready()
            self._fetched.clear()
            raw.basic_get(queue, lambda _channel, *message: self._fetched.append(message), auto_ack)
            self._send_now()

        self._runner.run(send)
        self._wait(self._fetched)
        return self._fetched[0]

    def turn_confirms_on(self) -> None:
        """Have `publish` wait for the broker's answer from now on."""
        if not self._confirming:
            self.request("confirm_delivery", {"ack_nack_callback": _nothing})
            self._confirming = True

    def stop_consuming(self, consumer_tag: str | None) -> None:
        """Take no more deliveries, as a program does that ends after this."""
        self._runner.hold()
        if consumer_tag in (None, self._runner.name):
            self._runner.request_stop()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have the owner of the connection call `function` at its next turn."""
        self._raw.connection.ioloop.add_callback_threadsafe(lambda: _call(function))

    def _wait(self, answers: Sized) -> None:
        """Keep I/O going until the broker has answered.

        Raises:
            AMQPError: It closed the channel instead, or is gone.
        """
        self._runner.run(lambda: self._runner.poll_until(lambda: bool(answers) or not self.is_open))
        if not answers:
            raise self._end.error or self.lost_by or pika.exceptions.ChannelWrongStateError("Channel is closed.")

    # -- for the owner of the connection --------------------------------------------------------------

    @property
    def has_unsent(self) -> bool:
        """Whether acknowledgments wait to be sent; any thread may ask."""
        return bool(self._acks)

    def send_acks(self) -> None:
        """Send the acknowledgments that wait."""
        if self._acks:
            self._flush()
            self._send_now()

    def drop_acks(self) -> None:
        """Give up the acknowledgments that wait: nobody is there to get them. Under the observer's lock."""
        acks, self._acks = self._acks, {}
        for tag in acks:
            self._dropped(tag, "the connection was lost before it was sent")

    def _ready(self) -> Channel:
        """Return pika's channel, with all sent that was asked for before.

        Raises:
            ChannelWrongStateError: It is closed.
        """
        if not self.is_open:
            raise pika.exceptions.ChannelWrongStateError("Channel is closed.")
        self._flush()
        return self._raw

    def _flush(self) -> None:
        """Give pika the acknowledgments that wait, in one frame those of the oldest deliveries."""
        with self._observer.lock:
            if not self.is_open:
                self.drop_acks()
            acks, self._acks = self._acks, {}
        if not acks:
            return
        oldest = []
        for tag in self._observer.unsettled(self.number):
            if tag not in acks:
                break
            oldest.append(tag)
        if oldest:
            self._raw.basic_ack(oldest[-1], multiple=len(oldest) > 1)
        for tag in acks.keys() - oldest:
            self._raw.basic_ack(tag)

    def _send_now(self) -> None:
        # A turn of the loop for a few bytes would cost a tenth of the throughput at prefetch count 1.
        pika_private.send_now(self._raw.connection)

    def _on_returned(self, _raw: Channel, method: Basic.Return, properties: BasicProperties, body: bytes) -> None:
        self._returned.append(ReturnedMessage(method, properties, body))

    def _on_confirm(self, _mark: str, confirmed: bool) -> None:
        self._confirms.append(confirmed)


def _call(function: Callable[[], object]) -> None:
    with contextlib.suppress(WorkerKilled):  # outside of a callback there is nothing to unwind
        function()


def _nothing(_frame: Any) -> None:
    """Do nothing: the observer has seen it."""
