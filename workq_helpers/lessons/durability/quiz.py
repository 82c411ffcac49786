"""The quiz of the lesson "Durability"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "two settings",
        "RabbitMQ is restarted. What brings an order in a classic queue through it?",
        Choice(
            "The queue is durable, and the message is persistent.",
            "Both are needed: durable=True where the queue is declared, delivery_mode at every message.",
        ),
        (
            Choice(
                "The queue is durable.",
                "That brings the queue back, without its transient messages. Those need to be persistent too.",
            ),
            Choice(
                "The message is persistent.",
                "A message can't outlive its queue: in one that is not durable it is gone, persistent or not.",
            ),
        ),
        "Two times two",
    ),
    Question(
        "precondition failed",
        "You declare a queue with durable=True, and RabbitMQ answers 406, PRECONDITION_FAILED. Why?",
        Choice(
            "A queue of that name is there, and was declared otherwise.",
            "RabbitMQ never changes a queue that exists. Take another name, or delete the queue and what is in it.",
        ),
        (
            Choice(
                "The queue is not empty; only an empty one can be made durable.",
                "No queue can be made durable later, empty or not. Deleting it first would make room for a new one.",
            ),
            Choice(
                "A queue of that name is there, so it can't be declared again.",
                "Declaring it twice does no harm when both declarations say the same.",
            ),
        ),
        "The same name, declared otherwise",
    ),
    Question(
        "persistent alone",
        "What does RabbitMQ promise about a persistent message in a durable queue, before it has confirmed it?",
        Choice(
            "That it will write it to disk, but not when.",
            "What a crash finds in memory is gone. How much that is differs by version and by luck.",
        ),
        (
            Choice(
                "That it outlives any crash.",
                "A restart, yes. A crash may come before the message is written; it would be safe once RabbitMQ has "
                "confirmed it.",
            ),
            Choice(
                "That it is on disk when basic_publish returns.",
                "Without confirms basic_publish doesn't wait for RabbitMQ. With confirm_delivery() on the channel "
                "it does, each time.",
            ),
        ),
        "How much is that worth?",
    ),
    Question(
        "confirmed and gone",
        "RabbitMQ has confirmed a message, and no queue has it. Nobody has consumed it. How can that be?",
        Choice(
            "There was no queue for its routing key.",
            "RabbitMQ had done all there was to do: a message for no queue is dropped, and confirmed. "
            "mandatory=True sends it back instead.",
        ),
        (
            Choice(
                "A confirm says only that RabbitMQ has it in memory.",
                "For a persistent message in a durable queue RabbitMQ confirms once it is written. After the crash "
                "no confirmed order was missing.",
            ),
            Choice(
                "The queue was full.",
                "The queue that was full refused the order, and pika raised NackError: it had x-overflow set to "
                "reject-publish.",
            ),
        ),
        "RabbitMQ's word",
    ),
    Question(
        "quorum queue",
        "When would you choose a quorum queue?",
        Choice(
            "For what must not get lost, even if a machine does.",
            "In a cluster it keeps copies on several machines, and RabbitMQ recommends it for such data.",
        ),
        (
            Choice(
                "For what is quickly made again.",
                "That is what a classic queue is good for. A quorum queue does more, for what can't be made again.",
            ),
            Choice(
                "For transient messages, which are to vanish at a restart.",
                "A quorum queue keeps those too: it writes every message to disk. In a durable classic queue they "
                "vanish.",
            ),
        ),
        "The same crash, with confirms",
    ),
)
