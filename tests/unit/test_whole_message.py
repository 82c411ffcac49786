"""`whole_message` reads what pika would, and an `ObservedConnection` the same however the bytes are cut."""

from __future__ import annotations

import itertools
from typing import Any

import pika
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import callback, frame, spec

from tests.properties import examples
from workq_helpers.clients.observed_connection import ObservedConnection
from workq_helpers.clients.whole_message import whole_message
from workq_helpers.log.book import Book
from workq_helpers.log.events import EventLog
from workq_helpers.log.observer import Observer

short = st.text(max_size=20)
some_properties = st.builds(
    pika.BasicProperties,
    content_type=st.none() | short,
    headers=st.none() | st.dictionaries(short, st.integers(0, 9) | short, max_size=3),
    delivery_mode=st.none() | st.integers(1, 2),
    message_id=st.none() | short,
)
some_deliveries = st.builds(
    spec.Basic.Deliver, short, st.integers(0, 2**64 - 1), st.booleans(), exchange=short, routing_key=short
)


def frames_of(channel: int, method: Any, properties: pika.BasicProperties, *pieces: bytes) -> list[bytes]:
    header = frame.Header(channel, sum(map(len, pieces)), properties)
    bodies = [frame.Body(channel, piece).marshal() for piece in pieces]
    return [frame.Method(channel, method).marshal(), header.marshal(), *bodies]


@given(st.integers(1, 65_535), some_deliveries, some_properties, st.binary(min_size=1, max_size=50), st.binary())
@settings(max_examples=examples(100))
def test_it_is_what_pika_reads(
    channel: int, method: Any, properties: pika.BasicProperties, body: bytes, rest: bytes
) -> None:
    buffer = b"".join(frames_of(channel, method, properties, body))
    found = whole_message(b"before" + buffer + rest, 6)
    assert found is not None
    assert (found[0], vars(found[1]), vars(found[2]), found[3:]) == (
        *(channel, vars(method), vars(properties)),
        (body, 6 + len(buffer)),
    )
    assert all(whole_message(buffer[:cut], 0) is None for cut in range(len(buffer)))


DELIVERY, OTHERS = spec.Basic.Deliver("tag", 1, False, "", "hello"), pika.BasicProperties(headers={"n": 1})


@pytest.mark.parametrize(
    "frames",
    [
        frames_of(1, DELIVERY, OTHERS),  # without a body
        frames_of(1, DELIVERY, OTHERS, b"so", b"up"),
        frames_of(1, spec.Basic.Return(312, "NO_ROUTE", "", "hello"), OTHERS, b"soup"),
        [*frames_of(1, DELIVERY, OTHERS, b"soup")[:1], *frames_of(2, DELIVERY, OTHERS, b"soup")[1:]],
        [*frames_of(1, DELIVERY, OTHERS, b"soup")[:2], *frames_of(2, DELIVERY, OTHERS, b"soup")[2:]],
        [part[:-1] + b"x" for part in frames_of(1, DELIVERY, OTHERS, b"soup")],
        [frame.Method(1, spec.Basic.Ack(7)).marshal(), frame.Heartbeat().marshal()],
    ],
)
def test_all_else_is_read_frame_by_frame(frames: list[bytes]) -> None:
    assert whole_message(b"".join(frames), 0) is None


class Fed(ObservedConnection):
    """A connection that gets its bytes from a test."""

    def __init__(self) -> None:
        self._incoming, self._outgoing, self._channels = {}, None, {}
        self._frame_buffer, self.bytes_received, self.frames_received = b"", 0, 0
        self.callbacks = callback.CallbackManager()
        self.observer.sent(1, spec.Basic.Consume(queue="hello", consumer_tag="tag", no_ack=True))


STREAM = b"".join(
    [
        *frames_of(1, DELIVERY, OTHERS, b"soup"),
        frame.Method(0, spec.Connection.Unblocked()).marshal(),
        *frames_of(1, DELIVERY, OTHERS, b"t", b"ea"),
        *frames_of(1, DELIVERY, OTHERS),
        *frames_of(1, DELIVERY, OTHERS, b"pie"),
    ]
)
SEEN = [("delivered", "soup"), ("unblocked", ""), ("delivered", "tea"), ("delivered", ""), ("delivered", "pie")]


def fed(log: EventLog) -> Fed:
    log.clear()
    return type("Fed", (Fed,), {"observer": Observer("client", Book(log))})()


def seen(log: EventLog) -> list[tuple[str, str]]:
    return [(event.kind, event.task) for event in log]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
@settings(max_examples=examples(100))
def test_wherever_the_bytes_are_cut_the_same_is_observed(cuts: list[int]) -> None:
    log = EventLog()
    connection = fed(log)
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(STREAM)]):
        connection._on_data_available(STREAM[begin:end])
    assert seen(log) == SEEN
    assert (connection.bytes_received, connection._frame_buffer) == (len(STREAM), b"")


def test_what_an_interrupt_comes_out_of_is_not_read_again() -> None:
    log = EventLog()
    connection = fed(log)
    tell = connection._tell_and_pass_on

    def interrupted(*message: Any) -> None:
        connection._tell_and_pass_on = tell  # type: ignore[method-assign]
        tell(*message)
        raise KeyboardInterrupt

    connection._tell_and_pass_on = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        connection._on_data_available(STREAM)
    connection._on_data_available(b"")
    assert seen(log) == SEEN
