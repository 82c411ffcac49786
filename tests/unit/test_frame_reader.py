"""`FrameReader`: however the bytes are cut, the same methods come out of them."""

from __future__ import annotations

import itertools
from typing import Any

import pika
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import frame, spec

from tests.properties import examples
from workq_helpers.clients.frame_reader import KEPT_BODY_BYTES, FrameReader, UnreadableError

pytestmark = pytest.mark.pinned  # of the course alone

GREETING = b"AMQP\x00\x00\x09\x01"
HEARTBEAT = frame.Heartbeat().marshal()


def message(channel: int, method: Any, body: bytes, piece: int = 100_000) -> bytes:
    """A method with a message, as frames, its body in pieces."""
    found = frame.Method(channel, method).marshal()
    found += frame.Header(channel, len(body), pika.BasicProperties(headers={"n": 1})).marshal()
    for at in range(0, len(body), piece):
        found += frame.Body(channel, body[at : at + piece]).marshal()
    return bytes(found)


def read(*pieces: bytes) -> list[tuple[int, str, bytes | None]]:
    reader = FrameReader()
    return [
        (channel, method.NAME, content and content.body)
        for piece in pieces
        for channel, method, content in reader.feed(piece)
    ]


STREAM = (
    GREETING
    + frame.Method(0, spec.Connection.TuneOk(2047, 131072, 60)).marshal()
    + message(1, spec.Basic.Publish(exchange="", routing_key="hello"), b"soup" * 10, piece=7)
    + HEARTBEAT
    + message(2, spec.Basic.Publish(exchange="", routing_key="hello"), b"")
    + frame.Method(1, spec.Basic.Ack(7, multiple=True)).marshal()
)
SEEN = [
    (0, "Connection.TuneOk", None),
    (1, "Basic.Publish", b"soup" * 10),
    (2, "Basic.Publish", b""),
    (1, "Basic.Ack", None),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
@settings(max_examples=examples(200))
def test_wherever_the_bytes_are_cut_the_methods_are_the_same(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[begin:end] for begin, end in itertools.pairwise(ends))) == SEEN


def test_byte_by_byte_they_are_the_same_too() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == SEEN


def test_messages_of_two_channels_may_come_frame_by_frame_in_turn() -> None:
    frames = [
        [
            frame.Method(channel, spec.Basic.Deliver("tag", channel, False, "", "hello")).marshal(),
            frame.Header(channel, 4, pika.BasicProperties()).marshal(),
            frame.Body(channel, body[:2]).marshal(),
            frame.Body(channel, body[2:]).marshal(),
        ]
        for channel, body in ((1, b"soup"), (2, b"tea!"))
    ]
    mixed = b"".join(part for pair in zip(*frames, strict=True) for part in pair)
    assert read(mixed) == [(1, "Basic.Deliver", b"soup"), (2, "Basic.Deliver", b"tea!")]


def test_of_a_large_body_the_beginning_is_kept_and_the_rest_counted() -> None:
    size = 20_000_000
    reader = FrameReader()
    method = spec.Basic.Publish(exchange="", routing_key="hello")
    (whole,) = reader.feed(message(1, method, b"x" * size))
    assert whole.content is not None
    assert (len(whole.content.body), whole.content.size) == (KEPT_BODY_BYTES, size)


def test_a_large_body_is_not_held_while_it_comes() -> None:
    reader = FrameReader()
    coming = message(1, spec.Basic.Publish(exchange="", routing_key="hello"), b"x" * 4_000_000, piece=4_000_000)
    held = []
    for at in range(0, len(coming), 50_000):
        list(reader.feed(coming[at : at + 50_000]))
        held.append(len(reader._rest) + sum(len(part.kept) for part in reader._coming.values()))
    assert max(held) <= KEPT_BODY_BYTES


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no frame of type 71"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "no frame of type 22"),
        (b"AMQP\x00\x01\x00\x00", "it begins with"),
        (frame.Method(0, spec.Basic.Ack(1)).marshal()[:-1] + b"x", "InvalidFrameError"),
        (frame.Body(1, b"soup").marshal()[:-1] + b"x", "does not end where it should"),
        (b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce", "KeyError"),
        (b"\x01\x00\x00\x00\x00\x00\x02\x00\x00\xce", "error"),
        (b"\x01\x00\x00\xff\xff\xff\xff", "4294967295 bytes long"),
    ],
)
def test_what_is_no_amqp_is_said_to_be_none(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        read(data)


@given(st.binary(max_size=200))
@settings(max_examples=examples(200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        read(GREETING + data)
    except UnreadableError:
        return
