from __future__ import annotations

import contextlib
import select

import pika
from pika.spec import Basic

from tests.chaos.wire import Wire, in_flight, listening
from workq_helpers import Broker, Lesson
from workq_helpers.clients import pika_private

A, B, C, D = (("q1", letter.encode()) for letter in "abcd")


def publishing(confirms: bool = True) -> Wire:
    wire = Wire()
    wire.confirms = confirms
    for sent in (A, B, C):
        wire.publishes(sent)
    return wire


def test_what_was_not_confirmed_was_in_flight() -> None:
    wire = publishing()
    wire.hears(Basic.Ack(2, multiple=True))
    assert in_flight([wire], lambda sent: True, crashed=True) == {C: 1}
    wire.hears(Basic.Nack(3))
    assert not in_flight([wire], lambda sent: False, crashed=True)


def test_without_confirms_all_is_in_flight_that_was_published_after_what_arrived_last() -> None:
    wire = publishing(confirms=False)
    assert list(in_flight([wire], lambda sent: sent == B, crashed=False)) == [C]
    assert list(in_flight([wire], lambda sent: sent == B, crashed=True)) == [A, B, C]
    wire.said_goodbye = True
    assert not in_flight([wire], lambda sent: False, crashed=False)
    assert list(in_flight([wire], lambda sent: sent == B, crashed=False, late_queues={"q1"})) == [C]


def test_an_answer_has_arrived_where_a_later_delivery_shows_it() -> None:
    wire = Wire()
    wire.prefetch_count = 2
    for tag, sent in enumerate((A, B, C), 1):
        wire.gets(tag, sent)
    wire.settles(2, multiple=True, for_good=True)
    assert wire.answers_in_flight() == [B]
    wire.gets(4, D)
    assert not wire.answers_in_flight()
    wire.settles(3, multiple=False, for_good=False)
    assert not wire.answers_in_flight()  # what was handed back comes again, or waits
    wire.prefetch_count = 0
    assert wire.answers_in_flight() == [A, B]
    wire.said_goodbye = True
    assert not wire.answers_in_flight()


def test_it_listens_at_pika_itself(broker: Broker) -> None:
    with Lesson("wire", broker) as lesson, listening() as wires, contextlib.suppress(pika.exceptions.AMQPError):
        connection = pika.BlockingConnection(broker.connection_parameters(lesson.virtual_host))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("q1", durable=True)
        channel.basic_qos(prefetch_count=1)
        for _, body in (A, B):
            channel.basic_publish("", "q1", body)
        for method, _, _ in channel.consume("q1"):
            channel.basic_ack(method.delivery_tag)
            if method.delivery_tag == 2:
                pika_private.cut(connection._impl)
    [wire] = [wire for wire in wires if A in wire.published]  # the broker's watch publishes on a channel of its own
    assert (wire.published, wire.unconfirmed, wire.said_goodbye) == ([A, B], {}, False)
    assert wire.answers_in_flight() == [B]


def test_what_pika_reads_after_a_cut_shows_nothing(broker: Broker) -> None:
    """The broker sent it because it knew of an ack; whoever is dead has not seen that."""
    with Lesson("wire", broker) as lesson, listening() as wires, contextlib.suppress(pika.exceptions.AMQPError):
        connection = pika.BlockingConnection(broker.connection_parameters(lesson.virtual_host))
        channel = connection.channel()
        channel.queue_declare("q1", durable=True)
        channel.basic_qos(prefetch_count=1)
        channel.confirm_delivery()
        for _, body in (A, B):
            channel.basic_publish("", "q1", body)
        got = []
        channel.basic_consume("q1", lambda *delivery: got.append(delivery[3]))
        while not got:
            connection.process_data_events(1)
        channel.basic_ack(1)
        assert select.select([connection._impl._transport._sock], [], [], 10)[0], "the second is there, and not read"
        pika_private.cut(connection._impl)
        while True:
            connection.process_data_events(1)
    [wire] = [wire for wire in wires if A in wire.published]  # the broker's watch publishes on a channel of its own
    assert wire.answers_in_flight() == [A]
