from __future__ import annotations

from pika.spec import Basic, BasicProperties

from workq_helpers.log.events import EventLog
from workq_helpers.log.observer import Book, Observer


def test_what_comes_when_the_connection_has_ended_is_no_delivery() -> None:
    """RabbitMQ had it on its way; no channel of the client's is there to take it."""
    log = EventLog()
    observer = Observer("worker-1", Book(log))
    observer.sent(1, Basic.Consume(queue="hello", consumer_tag="tag"))
    observer.received(1, Basic.ConsumeOk("tag"))
    observer.received_message(1, Basic.Deliver("tag", 1, False, "", "hello"), BasicProperties(), b"First.")
    observer.connection_closed("the connection was lost")
    before = [event.kind for event in log]
    observer.received_message(1, Basic.Deliver("tag", 2, False, "", "hello"), BasicProperties(), b"Second.")
    assert [event.kind for event in log] == before
    assert before[-2:] == ["delivered", "requeued"]
    assert observer.latest is None
