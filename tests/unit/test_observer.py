from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from pika.amqp_object import Method
from pika.spec import Basic, BasicProperties, Channel, Connection, Queue

from workq_helpers.log.book import Book
from workq_helpers.log.details import Counted
from workq_helpers.log.events import EventLog
from workq_helpers.log.ledger import Ledger
from workq_helpers.log.observer import Observer


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
    assert observer.deliveries.latest is None


def mark_for(task: str) -> str:
    """Return a mark as the log makes them."""
    return f"{zlib.crc32(task.encode()):08x}-1"


class Client:
    """A client with one consumer, and what the log says of its tasks."""

    def __init__(self, prefetch_count: int, global_qos: bool = False) -> None:
        self.log = EventLog()
        self.book = Book(self.log)
        self.observer = Observer("worker-1", self.book)
        self.observer.sent(1, Basic.Qos(prefetch_count=prefetch_count, global_qos=global_qos))
        self.observer.received(1, Basic.QosOk())
        self.observer.sent(1, Basic.Consume(queue="hello", consumer_tag="tag"))
        self.observer.received(1, Basic.ConsumeOk("tag"))
        self.tags = 0

    def gets(self, *tasks: str, headers: Mapping[str, Any] | None = None) -> None:
        for task in tasks:
            self.tags += 1
            delivery = Basic.Deliver("tag", self.tags, False, "", "hello")
            headers = {**(headers or {}), "x-workq-mark": mark_for(task)}
            self.observer.received_message(1, delivery, BasicProperties(headers=headers), task.encode())

    def sends(self, *methods: Method) -> None:
        for method in methods:
            self.observer.sent(1, method)

    def is_cut_off(self) -> str:
        self.observer.connection_closed("the connection was lost", answered=False)
        return self.fates()

    def fates(self) -> str:
        """The first letters of where its tasks are."""
        ledger = Ledger()
        ledger.catch_up(self.log)
        return "".join(message.place[0] for message in ledger)


def test_what_was_acknowledged_last_is_unknown_when_the_connection_is_lost() -> None:
    client = Client(prefetch_count=0)
    client.gets("a", "b", "c")
    client.sends(Basic.Ack(1), Basic.Ack(2))
    assert client.fates() == "ddi"
    assert client.is_cut_off() == "uuw"


@pytest.mark.parametrize(("prefetch_count", "fates"), [(1, "dddu"), (2, "dduu"), (3, "duuu"), (0, "uuuu")])
def test_a_delivery_over_the_limit_shows_that_the_acks_before_it_have_arrived(prefetch_count: int, fates: str) -> None:
    client = Client(prefetch_count)
    for number, task in enumerate("abcd", 1):
        client.gets(task)
        client.sends(Basic.Ack(number))
    assert client.is_cut_off() == fates


def test_an_ack_of_several_arrives_as_a_whole() -> None:
    client = Client(prefetch_count=3)
    client.gets("a", "b", "c")
    client.sends(Basic.Ack(3, multiple=True))
    client.gets("d")
    assert client.is_cut_off() == "dddw"


@pytest.mark.parametrize("deaths", [[{"queue": "hello", "reason": "rejected", "count": 1}], [{"queue": "hello"}]])
def test_whose_message_is_sent_with_the_properties_of_a_dead_letter_did_not_die_once_more(deaths: object) -> None:
    client = Client(prefetch_count=0)
    headers = {"x-death": deaths}
    publish = Basic.Publish(routing_key="hello")
    client.observer.published(1, publish, BasicProperties(headers=headers), b"again", mark_for("again"))
    client.gets("again", headers=headers)
    assert client.fates() == "i"
    client.sends(Basic.Reject(1, requeue=False))
    client.gets("again", headers={"x-death": [{"queue": "hello", "reason": "rejected", "count": 2}]})
    assert client.fates() == "di", "this time it did"


def test_an_answer_by_direct_reply_to_is_known_again_though_there_is_no_queue() -> None:
    log = EventLog()
    book = Book(log)
    asking, answering = Observer("asking", book), Observer("answering", book)
    asking.sent(1, Basic.Consume(queue="amq.rabbitmq.reply-to", consumer_tag="tag", no_ack=True))
    publish = Basic.Publish(routing_key="amq.rabbitmq.reply-to.g1h2")
    for task in ("heard", "unheard"):
        answering.published(1, publish, BasicProperties(), task.encode(), mark_for(task))
    headers = {"x-workq-mark": mark_for("heard")}
    asking.received_message(1, Basic.Deliver("tag", 1, False, "", ""), BasicProperties(headers=headers), b"heard")
    held = asking.came_to(1, 1)
    assert held is not None
    asking.deliveries.record("finished", held)
    ledger = Ledger()
    ledger.catch_up(log)
    assert [(message.task, message.place) for message in ledger] == [("heard", "done"), ("unheard", "unknown")]
    assert ledger.queues() == {}


def test_a_limit_that_consumers_share_shows_nothing() -> None:
    client = Client(prefetch_count=1, global_qos=True)
    client.gets("a")
    client.sends(Basic.Ack(1))
    client.gets("b")
    assert client.is_cut_off() == "uw"


def test_what_was_recovered_is_not_taken_for_acknowledged() -> None:
    client = Client(prefetch_count=2)
    client.gets("a", "b")
    client.sends(Basic.Recover(True))
    client.observer.received(1, Basic.RecoverOk())
    client.gets("a", "b")
    client.sends(Basic.Ack(3))
    assert client.is_cut_off() == "uw"


@pytest.mark.parametrize("answered", [True, False])
def test_an_ack_after_recover_settles_nothing(answered: bool) -> None:
    """RabbitMQ closes the channel for it, before or after it has answered."""
    client = Client(prefetch_count=0)
    client.gets("a", "b")
    client.sends(Basic.Recover(True))
    client.gets("c")
    client.sends(Basic.Ack(2, multiple=True), Basic.Ack(3))
    if answered:
        client.observer.received(1, Basic.RecoverOk())
    client.observer.received(1, Channel.Close(406, "PRECONDITION_FAILED - unknown delivery tag 2", 60, 80))
    assert client.fates() == "www"


def test_a_task_that_bears_no_mark_is_the_same_while_its_first_worker_has_begun_with_it() -> None:
    log = EventLog()
    book = Book(log)
    for name, redelivered in (("first", False), ("second", True)):
        worker = Observer(name, book)
        worker.sent(1, Basic.Consume(queue="hello", consumer_tag="tag"))
        delivery = Basic.Deliver("tag", 1, redelivered, "", "hello")
        worker.received_message(1, delivery, BasicProperties(), b"Stew.")
        assert worker.deliveries.latest is not None
        for kind in ("started", "finished"):
            worker.deliveries.record(kind, worker.deliveries.latest)
    assert len({event.mark for event in log}) == 1


@pytest.mark.parametrize("answer", [Basic.Ack(1), Basic.Nack(1, requeue=False)])
@pytest.mark.parametrize("heard_first", ["redelivery", "end"])
def test_a_task_that_bears_no_mark_is_the_same_when_it_was_answered_in_vain(answer: Method, heard_first: str) -> None:
    """RabbitMQ had closed the channel before the answer came, and had given the task to another worker."""
    book = Book(EventLog())
    workers = [Observer(name, book) for name in ("first", "second")]
    for worker in workers:
        worker.sent(1, Basic.Consume(queue="hello", consumer_tag="tag"))
    first, second = workers
    first.received_message(1, Basic.Deliver("tag", 1, False, "", "hello"), BasicProperties(), b"Stew.")
    for method in (Basic.Ack(7), answer):
        first.sent(1, method)
    steps = [
        lambda: second.received_message(1, Basic.Deliver("tag", 1, True, "", "hello"), BasicProperties(), b"Stew."),
        lambda: first.received(1, Channel.Close(406, "PRECONDITION_FAILED - unknown delivery tag 7", 60, 80)),
    ]
    for step in steps if heard_first == "redelivery" else reversed(steps):
        step()
    ledger = Ledger()
    ledger.catch_up(book.log)
    assert [(message.place, message.worker) for message in ledger] == [("in hand", "second")]
    assert ledger.workers()["first"].done == 0
    second.sent(1, Basic.Ack(1))
    second.connection_closed("goodbye")
    assert book.marks.unmarked._alike == {}


def test_a_task_that_bears_no_mark_is_settled_when_an_ack_that_an_alarm_held_up_has_arrived() -> None:
    book = Book(EventLog())
    worker = Observer("worker", book)
    worker.sent(1, Basic.Consume(queue="hello", consumer_tag="tag"))
    worker.received_message(1, Basic.Deliver("tag", 1, False, "", "hello"), BasicProperties(), b"Stew.")
    worker.received(0, Connection.Blocked("memory"))
    worker.sent(1, Basic.Ack(1))
    worker.received(0, Connection.Unblocked())
    book.agreed(len(book.log))
    assert book.marks.unmarked._alike == {}


def test_an_answer_shows_that_what_was_sent_before_has_arrived() -> None:
    client = Client(prefetch_count=0)
    client.gets("a", "b")
    client.sends(Basic.Ack(1), Queue.Declare(queue="hello", passive=True), Basic.Ack(2))
    client.observer.received(1, Queue.DeclareOk("hello", 0, 1))
    assert client.is_cut_off() == "du"


def test_counts_that_agree_show_that_what_was_sent_before_they_were_asked_for_has_arrived() -> None:
    client = Client(prefetch_count=0)
    client.gets("a", "b")
    client.sends(Basic.Ack(1))
    client.book.agreed(len(client.log))
    events = len(client.log)
    client.sends(Basic.Ack(2))
    client.book.agreed(events)
    assert client.is_cut_off() == "du"


def test_counts_that_agreed_with_a_log_that_was_cleared_meanwhile_show_nothing() -> None:
    client = Client(prefetch_count=0)
    client.gets("a")
    events = len(client.log)
    client.log.clear()
    client.book.agreed(events)
    assert client.book.agreed_seconds == 0.0


def test_while_the_broker_reads_nothing_no_counts_show_that_it_knows() -> None:
    client = Client(prefetch_count=0)
    client.gets("a", "b", "c")
    client.sends(Basic.Ack(1))
    client.book.agreed(len(client.log))
    client.sends(Basic.Ack(2))  # behind a message, as a worker sends it
    client.observer.received(0, Connection.Blocked("low on memory"))
    client.sends(Basic.Ack(3))
    assert client.fates() == "duu"
    client.book.agreed(len(client.log))
    client.observer.received(0, Connection.Unblocked())
    assert client.fates() == "ddd"
    assert client.is_cut_off() == "duu"


def test_what_was_turned_away_last_is_unknown_too_and_what_was_handed_back_waits() -> None:
    client = Client(prefetch_count=0)
    client.gets("a", "b", "c")
    client.sends(Basic.Reject(1, requeue=False), Basic.Nack(2, requeue=False), Basic.Nack(3, requeue=True))
    assert client.is_cut_off() == "uuw"


@pytest.mark.parametrize("count", [1, 5_002])
def test_a_lost_connection_puts_in_doubt_what_was_under_way_on_it_alone(count: int) -> None:
    log = EventLog()
    book = Book(log)
    lost, other = Observer("notebook", book), Observer("notebook", book)

    def publish(observer: Observer, task: str) -> None:
        observer.published(1, Basic.Publish(routing_key="hello"), BasicProperties(), task.encode(), task)

    publish(lost, "known")
    lost.sent(1, Queue.Declare(queue="hello", passive=True))
    lost.received(1, Queue.DeclareOk("hello", 1, 0))
    for number in range(count):
        publish(lost, f"under way {number}")
    publish(other, "another's")
    lost.connection_closed("the connection was lost", answered=False)
    log.record("disconnected", "notebook")
    log.record("counted", "broker", "hello", detail=Counted(ready=2))
    ledger = Ledger()
    ledger.catch_up(log)
    assert [message.task for message in ledger if message.place == "waiting"] == ["known", "another's"]
    assert {message.reason.partition(":")[0] for message in ledger if message.place == "unknown"} == {"never confirmed"}


def test_a_client_that_says_goodbye_is_believed() -> None:
    client = Client(prefetch_count=0)
    client.gets("a")
    client.sends(Basic.Ack(1))
    client.observer.connection_closed("the connection was closed")
    assert client.fates() == "d"


def test_what_was_acknowledged_on_a_channel_that_the_broker_closed_of_itself_is_unknown() -> None:
    """An overdue ack closes the channel, and no method is to blame."""
    client = Client(prefetch_count=0)
    client.gets("a", "b")
    client.sends(Basic.Ack(1))
    client.observer.received(1, Channel.Close(406, "delivery acknowledgement on channel 1 timed out", 0, 0))
    assert client.fates() == "uw"
