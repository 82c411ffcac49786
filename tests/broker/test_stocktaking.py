"""At rest the log counts what the broker counts, and says of what is gone that it does not know, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest

from workq_helpers import Broker, Lesson
from workq_helpers.errors import WaitTimeoutError
from workq_helpers.log.fates import ELSEWHERE
from workq_helpers.waiting import wait_until


@pytest.fixture
def channel(lesson: Lesson) -> Iterator[Any]:
    with lesson.connect() as connection:
        yield connection.channel()


@pytest.fixture
def unseen(lesson: Lesson) -> Iterator[Any]:
    """A channel that the log knows nothing of."""
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as connection:
        yield connection.channel()


def fates(lesson: Lesson, queue: str = "hello") -> Counter[str]:
    """What the log says that became of a queue's messages, once the broker's counts are still."""
    assert lesson.take_stock()
    return Counter(message.place for message in lesson.ledger() if message.queue == queue)


def become(lesson: Lesson, queue: str, wanted: dict[str, int]) -> bool:
    """Whether that is what became of them: what expires does so after a moment, and the counts lag a little too."""
    if not wait_until(lambda: fates(lesson, queue) == wanted, 30.0):
        pytest.fail(f"{fates(lesson, queue)} in {queue!r}:\n{lesson.events().to_string()}")
    return True


def reason(lesson: Lesson, place: str = "unknown") -> str:
    (told,) = {message.reason for message in lesson.ledger() if message.place == place}
    return told


def send(channel: Any, *tasks: str, queue: str = "hello", **properties: Any) -> None:
    for task in tasks:
        channel.basic_publish("", queue, task.encode(), pika.BasicProperties(**properties))
    channel.queue_declare("hello", passive=True)  # once this is answered, all is there


def ready(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


# -- fates without a witness


def test_what_agrees_leaves_no_trace(lesson: Lesson, channel: Any) -> None:
    send(channel, "a", "b")
    channel.basic_get("hello")
    events = len(lesson.log)
    assert fates(lesson) == {"in hand": 1, "waiting": 1}
    assert len(lesson.log) == events


def test_a_misspelled_queue_is_named(lesson: Lesson, channel: Any) -> None:
    send(channel, "a", queue="helo")
    assert fates(lesson, "helo") == {"unknown": 1}
    assert reason(lesson) == "there is no queue 'helo'; did you mean 'hello'?"
    send(channel, "b", queue="helo")
    assert fates(lesson, "helo")["waiting"] == 0


@pytest.mark.parametrize(
    ("arguments", "properties", "why"),
    [
        ({"x-message-ttl": 1}, {}, "expired: it may wait for 0.001 s"),
        ({}, {"expiration": "1"}, "expired: it may wait for 0.001 s"),
        ({"x-max-length": 1}, {}, "over its queue's limit of 1 messages"),
    ],
)
def test_why_a_message_is_gone_follows_from_its_queue(
    lesson: Lesson, channel: Any, arguments: Any, properties: Any, why: str
) -> None:
    channel.queue_declare("narrow", arguments=arguments)
    send(channel, "a", "b", queue="narrow", **properties)
    left = arguments.get("x-max-length", 0)
    assert become(lesson, "narrow", Counter({"unknown": 2 - left, "waiting": left}))
    assert reason(lesson) == why
    if left:
        assert [message.task for message in lesson.ledger().missing("narrow", 9)] == ["a"], "its head goes first"


@pytest.mark.parametrize("more", [{}, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "hello"}])
def test_a_limit_that_was_never_reached_is_no_reason(lesson: Lesson, channel: Any, unseen: Any, more: Any) -> None:
    for queue, limit in (("taken", 3), ("held", 2)):
        channel.queue_declare(queue, arguments={"x-max-length": limit, **more})
        send(channel, "a", "b", queue=queue)
    assert fates(lesson, "taken") == fates(lesson, "held") == {"waiting": 2}
    unseen.basic_get("taken", auto_ack=True)
    tag = unseen.basic_get("held")[0].delivery_tag
    assert become(lesson, "taken", {"unknown": 1, "waiting": 1})
    assert become(lesson, "held", {"unknown": 1, "waiting": 1})
    told = {message.queue: message.reason for message in lesson.ledger() if message.place == "unknown"}
    assert "taken or purged by others" in told["taken"]
    assert told["held"] == ELSEWHERE
    unseen.basic_nack(tag)
    assert become(lesson, "held", {"waiting": 2})
    assert fates(lesson) == {}


def test_what_others_hold_of_a_full_queue_is_not_said_to_be_too_much(lesson: Lesson, channel: Any, unseen: Any) -> None:
    channel.queue_declare("narrow", arguments={"x-max-length": 1})
    send(channel, "a", "b", queue="narrow")
    tag = unseen.basic_get("narrow")[0].delivery_tag
    assert become(lesson, "narrow", {"unknown": 2})
    assert reason(lesson) == f"over its queue's limit of 1 messages, or {ELSEWHERE}", "nobody saw which is which"
    unseen.basic_nack(tag)
    assert wait_until(lambda: lesson.take_stock() and lesson.ledger().unseen("narrow") == 1, 10.0)
    assert fates(lesson, "narrow") == {"unknown": 2}
    assert channel.basic_get("narrow")[2] == b"b"
    assert fates(lesson, "narrow") == {"unknown": 1, "in hand": 1}


def test_a_limit_may_be_the_reason_though_the_queue_is_not_full_any_more(
    lesson: Lesson, channel: Any, unseen: Any
) -> None:
    channel.queue_declare("narrow", arguments={"x-max-length": 2})
    send(channel, "a", "b", "c", queue="narrow")
    channel.basic_get("narrow", auto_ack=True)
    assert become(lesson, "narrow", {"unknown": 1, "done": 1, "waiting": 1})
    assert reason(lesson).startswith("over its queue's limit of 2 messages, or RabbitMQ has it no more: taken")


def test_a_queue_that_others_declared_has_its_reasons_too(lesson: Lesson, channel: Any, unseen: Any) -> None:
    unseen.queue_declare("narrow", arguments={"x-max-length": 1})
    send(channel, "a", "b", queue="narrow")
    assert become(lesson, "narrow", {"unknown": 1, "waiting": 1})
    assert reason(lesson) == "over its queue's limit of 1 messages"


def test_what_others_take_has_the_highest_priority(lesson: Lesson, channel: Any, unseen: Any) -> None:
    channel.queue_declare("ranked", arguments={"x-max-priority": 3})
    for task, priority in (("low", 1), ("none", None), ("high", 3), ("too high", 9)):
        send(channel, task, queue="ranked", priority=priority)
    assert fates(lesson, "ranked") == {"waiting": 4}
    for _ in range(2):
        unseen.basic_get("ranked", auto_ack=True)
    assert become(lesson, "ranked", {"unknown": 2, "waiting": 2})
    assert {message.task for message in lesson.ledger().missing("ranked", 9)} == {"high", "too high"}


def test_what_overtakes_others_may_have_come_when_those_were_taken(lesson: Lesson, channel: Any, unseen: Any) -> None:
    channel.queue_declare("ranked", arguments={"x-max-priority": 3})
    send(channel, "low", "none", queue="ranked", priority=1)
    assert fates(lesson, "ranked") == {"waiting": 2}
    assert unseen.basic_get("ranked", auto_ack=True)[2] == b"low"
    send(channel, "high", queue="ranked", priority=3)
    assert become(lesson, "ranked", {"unknown": 2, "waiting": 1})
    assert [message.task for message in lesson.ledger().waiting("ranked", 9)] == ["none"]
    assert {unseen.basic_get("ranked", auto_ack=True)[2] for _ in range(2)} == {b"high", b"none"}


def test_what_others_take_from_a_quorum_queue_goes_by_its_version(lesson: Lesson, channel: Any, unseen: Any) -> None:
    channel.queue_declare("quorum", durable=True, arguments={"x-queue-type": "quorum"})
    for task, priority in (("low", 0), ("high", 9)):
        send(channel, task, queue="quorum", priority=priority)
    assert become(lesson, "quorum", {"waiting": 2})
    taken = unseen.basic_get("quorum", auto_ack=True)[2].decode()
    if lesson.broker.features.quorum_priorities_take_turns:
        assert become(lesson, "quorum", {"unknown": 2})  # high and normal take turns, and nobody here saw whose it was
        return
    assert become(lesson, "quorum", {"unknown": 1, "waiting": 1})
    assert [message.task for message in lesson.ledger().missing("quorum", 9)] == [taken]


@pytest.mark.parametrize(
    ("arguments", "properties", "theirs", "why"),
    [
        ({}, {"expiration": "1"}, 1, "expired: it may wait for 0.001 s"),
        ({"x-max-length": 2}, {}, 2, "its queue is full, and others publish to it too"),
        ({"x-max-length": 1}, {}, 1, "its queue is full, and others publish to it too"),  # as many as before
    ],
)
def test_what_cannot_be_told_from_the_messages_of_others_is_unknown(
    lesson: Lesson, channel: Any, unseen: Any, arguments: Any, properties: Any, theirs: int, why: str
) -> None:
    channel.queue_declare("mixed", arguments=arguments)
    send(channel, "ours", queue="mixed", **properties)
    send(unseen, *["theirs"] * theirs, queue="mixed")
    assert become(lesson, "mixed", {"unknown": 1})
    assert why in reason(lesson)
    assert lesson.ledger().unseen("mixed") == ready(unseen, "mixed") == theirs


def test_what_others_put_in_its_place_is_not_taken_for_ours(lesson: Lesson, channel: Any, unseen: Any) -> None:
    """RabbitMQ's statistics tell of it, some seconds later."""
    lesson.start_over()
    channel.queue_declare("refusing", arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
    channel.queue_declare("stream", durable=True, arguments={"x-queue-type": "stream"})
    for queue in ("purged", "taken", "ours"):
        channel.queue_declare(queue)
        send(channel, "a", "b", queue=queue)
    assert fates(lesson, "purged") == fates(lesson, "taken") == {"waiting": 2}
    unseen.queue_purge("purged")
    send(unseen, "x", "y", queue="purged")
    unseen.basic_get("taken", auto_ack=True)
    send(unseen, "x", queue="taken")
    channel.queue_purge("ours")
    send(channel, "c", "d", queue="ours")
    for queue in ("refusing", "stream"):
        send(channel, "e", "f", queue=queue)
        send(unseen, "x", queue=queue)
    told = {"ours": 4, "refusing": 3, "stream": 3}
    assert wait_until(lambda: told.items() <= lesson.broker.published(lesson.virtual_host).items(), 20.0)
    assert become(lesson, "purged", {"unknown": 2})
    assert become(lesson, "taken", {"unknown": 1, "waiting": 1})
    assert fates(lesson, "ours") == {"discarded": 2, "waiting": 2}
    assert fates(lesson, "refusing") == fates(lesson, "stream") == {"waiting": 2}
    assert "more was published to its queue" in reason(lesson)
    for queue, left in (("purged", ["x", "y"]), ("taken", ["b", "x"]), ("ours", ["c", "d"])):
        waiting = [message.task for message in lesson.ledger().waiting(queue, 9)]
        assert [unseen.basic_get(queue, auto_ack=True)[2].decode() for _ in left] == left
        assert set(waiting) <= set(left)
        assert len(waiting) + lesson.ledger().unseen(queue) == len(left)
    lesson.start_over()
    assert "stream" not in lesson.ledger().declarations()  # nobody can empty it
    send(channel, "e", queue="ours")
    assert wait_until(lambda: lesson.broker.published(lesson.virtual_host).get("ours") == 5, 20.0)
    assert fates(lesson, "ours") == {"waiting": 1}


def test_an_ack_after_others_deleted_the_queue_settles_nothing(lesson: Lesson, channel: Any, unseen: Any) -> None:
    send(channel, "a", "b", "c")
    tags = [channel.basic_get("hello")[0].delivery_tag for _ in range(3)]
    channel.basic_ack(tags[0])
    assert become(lesson, "hello", {"done": 1, "in hand": 2})
    unseen.queue_delete("hello")
    channel.basic_ack(tags[1])
    channel.queue_declare("other")  # RabbitMQ took the ack, and told nothing
    assert fates(lesson) == {"done": 1, "unknown": 2}
    assert {message.task: message.reason for message in lesson.ledger() if message.place == "unknown"} == {
        "b": "acknowledged, before or after the queue 'hello' was gone",
        "c": "the queue 'hello' is gone, and it with it: no answer settles it any more",
    }
    channel.basic_ack(tags[2])
    channel.queue_declare("other")
    assert fates(lesson) == {"done": 1, "unknown": 2}
    channel.queue_declare("hello")
    assert ready(unseen, "hello") == 0, "nobody gets those again"


def test_what_others_publish_does_not_bring_back_what_they_took(lesson: Lesson, channel: Any, unseen: Any) -> None:
    send(channel, "ours")
    unseen.basic_get("hello", auto_ack=True)
    assert become(lesson, "hello", {"unknown": 1})
    send(unseen, "theirs")
    assert wait_until(lambda: lesson.take_stock() and lesson.ledger().unseen("hello") == 1, 10.0)
    assert fates(lesson) == {"unknown": 1}


def test_what_comes_back_has_no_reason_to_be_gone(lesson: Lesson, channel: Any, unseen: Any) -> None:
    send(channel, "a")
    tag = unseen.basic_get("hello")[0].delivery_tag
    assert become(lesson, "hello", {"unknown": 1})
    assert reason(lesson)
    unseen.basic_nack(tag)
    assert become(lesson, "hello", {"waiting": 1})
    assert reason(lesson, "waiting") == ""


def test_a_full_queue_that_refuses_keeps_what_it_has(lesson: Lesson, channel: Any, unseen: Any) -> None:
    channel.queue_declare("narrow", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    send(channel, "a", "b", "c", queue="narrow")
    assert become(lesson, "narrow", Counter({"unknown": 2, "waiting": 1}))
    assert reason(lesson) == "over its queue's limit of 1 messages"
    assert [message.task for message in lesson.ledger().waiting("narrow", 9)] == ["a"]
    assert unseen.basic_get("narrow", auto_ack=True)[2] == b"a"


def test_a_full_queue_that_refuses_may_hand_on_what_it_did_not_take(lesson: Lesson, channel: Any, unseen: Any) -> None:
    channel.queue_declare("graveyard")
    to = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graveyard"}
    channel.queue_declare("narrow", arguments={"x-max-length": 1, "x-overflow": "reject-publish-dlx", **to})
    send(channel, "a", "b", queue="narrow")
    assert become(lesson, "narrow", Counter({"dead-lettered": 1, "waiting": 1}))
    assert become(lesson, "graveyard", {"waiting": 1})
    assert lesson.ledger().unseen("graveyard") == 0
    assert unseen.basic_get("graveyard", auto_ack=True)[2] == b"b"


def test_what_expires_goes_to_the_dead_letter_queue(lesson: Lesson, channel: Any) -> None:
    channel.queue_declare("graveyard")
    to = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graveyard", "x-message-ttl": 1}
    channel.queue_declare("sickbed", arguments=to)
    send(channel, "a", "b", queue="sickbed")
    assert become(lesson, "sickbed", {"dead-lettered": 2})
    assert become(lesson, "graveyard", {"waiting": 2})
    assert lesson.ledger().unseen("graveyard") == 0


def test_a_dead_letter_that_nothing_gets_is_gone(lesson: Lesson, channel: Any, unseen: Any) -> None:
    """RabbitMQ drops it without a word; what others may have bound, the broker's routes tell."""
    for name in ("deaf", "former", "secret"):
        channel.exchange_declare(name, "fanout")
    channel.exchange_delete("former")
    unseen.queue_declare("theirs")
    unseen.queue_bind("theirs", "secret")
    for queue, exchange in (("a", "missing"), ("b", "deaf"), ("c", "former"), ("d", ""), ("e", "secret")):
        to = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "nobody"}
        channel.queue_declare(queue, arguments=to)
        send(channel, f"Task {queue}", queue=queue)
        channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=False)
    assert become(lesson, "theirs", {"waiting": 1})
    told = {message.queue: (message.place, message.reason) for message in lesson.ledger() if message.queue != "theirs"}
    assert {queue: place for queue, (place, _) in told.items()} == dict.fromkeys("abde", "unknown") | {"c": "discarded"}
    for queue, why in zip("abcd", ("'missing'", "no binding", "'former' was gone", "'nobody'"), strict=True):
        assert why in told[queue][1]
    assert ready(unseen, "theirs") == 1
    assert channel.basic_get("theirs")[2] == b"Task e"
    assert fates(lesson, "e") == {"dead-lettered": 1}


def test_a_dead_letter_that_would_go_round_in_a_circle_is_gone(lesson: Lesson, channel: Any) -> None:
    for queue, to in (("there", "back"), ("back", "there")):
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": to, "x-message-ttl": 1}
        channel.queue_declare(queue, arguments=arguments)
    send(channel, "a", queue="there")
    assert become(lesson, "back", {"discarded": 1})
    assert fates(lesson, "there") == {"dead-lettered": 1}


def test_a_delivery_limit_ends_what_comes_back_too_often(lesson: Lesson, channel: Any) -> None:
    channel.queue_declare("quorum", durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 1})
    send(channel, "a", queue="quorum")
    for _ in range(2):
        with lesson.connect() as connection:
            next(connection.channel().consume("quorum"))
    assert become(lesson, "quorum", {"unknown": 1})
    assert "more often than its queue allows" in reason(lesson)


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        (lambda other: other.queue_purge("hello"), "taken or purged by others"),
        (lambda other: [other.basic_get("hello", auto_ack=True) for _ in range(2)], "taken or purged by others"),
        (lambda other: [other.basic_get("hello") for _ in range(2)], "to a client that has not read it"),
        (lambda other: other.queue_delete("hello"), "the queue 'hello' is gone, and nobody here saw who deleted it"),
    ],
)
def test_what_others_do_is_unknown(
    lesson: Lesson, channel: Any, unseen: Any, deed: Callable[[Any], object], why: str
) -> None:
    send(channel, "a", "b")
    deed(unseen)
    assert become(lesson, "hello", {"unknown": 2})
    assert why in reason(lesson)
    assert lesson.tasks()["fate"].eq("unknown").all()


def test_what_others_held_is_found_again_when_it_comes_back(lesson: Lesson, channel: Any, unseen: Any) -> None:
    send(channel, "a", "b")
    tag = unseen.basic_get("hello")[0].delivery_tag
    assert become(lesson, "hello", {"unknown": 1, "waiting": 1})
    unseen.basic_get("hello")
    assert become(lesson, "hello", {"unknown": 2})
    unseen.basic_nack(tag)
    assert wait_until(lambda: lesson.take_stock() and lesson.ledger().unseen("hello") == 1, 10.0)
    assert "some of those were handed back or taken since" in reason(lesson), "which, the counts don't tell"
    unseen.connection.close()
    assert become(lesson, "hello", {"waiting": 2})


def test_what_others_swapped_between_two_looks_is_not_said_to_be_with_them(
    lesson: Lesson, channel: Any, unseen: Any
) -> None:
    send(channel, "a", "b")
    tag = unseen.basic_get("hello")[0].delivery_tag
    assert become(lesson, "hello", {"unknown": 1, "waiting": 1})
    assert unseen.basic_get("hello")[2] == b"b"
    unseen.basic_nack(tag)
    assert wait_until(lambda: ready(unseen, "hello") == 1, 10.0)
    assert become(lesson, "hello", {"unknown": 1, "waiting": 1})
    assert "it, or another one in its place since" in reason(lesson), "the counts are the same"


def test_an_exclusive_queue_goes_with_its_connection(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("mine", exclusive=True)
        send(channel, "a", queue="mine")
        assert fates(lesson, "mine") == {"waiting": 1}
    assert become(lesson, "mine", {"unknown": 1})
    assert "exclusive" in reason(lesson)


def test_what_nobody_here_has_seen_is_counted_and_not_invented(lesson: Lesson, channel: Any, unseen: Any) -> None:
    send(unseen, "x", "y")
    assert wait_until(lambda: lesson.take_stock() and lesson.ledger().unseen("hello") == 2, 10.0)
    assert fates(lesson) == {}
    channel.basic_get("hello")
    assert lesson.ledger().unseen("hello") == 1
    assert fates(lesson) == {"in hand": 1}


def test_the_brokers_bindings_place_what_an_exchange_took(lesson: Lesson, channel: Any, unseen: Any) -> None:
    unseen.exchange_declare("secret", "fanout")
    unseen.queue_bind("hello", "secret")
    channel.exchange_declare("secret", "fanout")
    channel.basic_publish("secret", "", b"a")
    assert [message.place for message in lesson.ledger()] == ["unknown"]
    assert become(lesson, "hello", {"waiting": 1})
    assert lesson.ledger().unseen("hello") == 0


@pytest.mark.once
def test_what_was_in_flight_when_the_broker_crashed_is_not_said_to_wait(restartable: Broker, lesson: Lesson) -> None:
    channel = lesson.connect().channel()
    for number in range(5_000):
        channel.basic_publish("", "hello", str(number).encode(), pika.BasicProperties(delivery_mode=2))
    restartable.crash()
    places = fates(lesson)
    with lesson.connect() as connection:  # declared again: RabbitMQ writes late that there is such a queue
        declared = connection.channel().queue_declare("hello", durable=True)
    assert places["waiting"] == declared.method.message_count
    assert places["waiting"] + places["unknown"] == 5_000
    if places["unknown"]:
        assert "never confirmed" in reason(lesson)


# -- idle


def test_idle_says_what_goes_round_in_a_circle(lesson: Lesson, channel: Any) -> None:
    lesson.start_worker(lambda ch, method, properties, body: ch.basic_nack(method.delivery_tag), "hello")
    send(channel, "a")
    with pytest.raises(WaitTimeoutError, match=r"'a' was delivered .* times and always came back"):
        lesson.wait_until_idle(1.0)


def test_idle_is_when_log_and_broker_agree(lesson: Lesson, channel: Any, unseen: Any) -> None:
    send(channel, "a", "b", "c")
    unseen.queue_purge("hello")
    send(unseen, "x")
    lesson.wait_until_idle(10)
    assert lesson.ledger().pending("hello") + lesson.ledger().unseen("hello") == 1
