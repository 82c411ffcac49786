"""The quiz of the lesson "Start here"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "unacknowledged message",
        "You fetched a message with basic_get, and have not acknowledged it yet. What does RabbitMQ do with it?",
        Choice(
            "It keeps the message until your acknowledgment names it.",
            "Fetching hands you the message. Only basic_ack, with its delivery tag, allows RabbitMQ to forget it.",
        ),
        (
            Choice(
                "It has forgotten the message: you have it now.",
                "That is so only where you ask for it, with auto_ack=True. Without that, RabbitMQ remembers what it "
                "has delivered, in case you fail.",
            ),
            Choice(
                "It leaves the message in its place, where the next basic_get finds it.",
                "What has been delivered is not ready any more, and nobody else gets it. It would be there again "
                "had you closed the channel without an acknowledgment.",
            ),
        ),
        "Fetch it",
    ),
    Question(
        "default exchange",
        'You publish with exchange="" and routing_key="hello". Where does the message go?',
        Choice(
            "Into the queue named hello.",
            "The empty name is that of the default exchange, which reads the routing key as the name of a queue.",
        ),
        (
            Choice(
                "Into every queue.",
                "That takes an exchange of another type. The default one looks for the one queue that has the name "
                "in the routing key.",
            ),
            Choice(
                "Nowhere: a message needs an exchange.",
                "The empty name is an exchange, the default one, and it is always there. Nowhere would be right if "
                "no queue had that name.",
            ),
        ),
        "Three words",
    ),
    Question(
        "declared again",
        "The queue hello is there already, with messages in it. What does declaring it once more do, with the same "
        "arguments?",
        Choice(
            "It finds the queue, and leaves it as it is.",
            "Declaring creates a queue, or finds it if it is there. So whoever sends and whoever receives may both "
            "declare it, in any order.",
        ),
        (
            Choice(
                "It empties the queue.",
                "Nothing is removed: the answer even tells how many messages wait. To empty a queue takes a call of "
                "its own, queue_purge.",
            ),
            Choice(
                "It fails, for there can't be two queues of one name.",
                "No second one is made: it is the same queue. It would fail with other arguments than before, which "
                "a later lesson shows.",
            ),
        ),
        "Three words",
    ),
    Question(
        "body",
        'You send the text "Hello World!". What does basic_get give you as its body?',
        Choice(
            "Bytes.",
            "RabbitMQ carries bytes without asking what they mean. Whoever needs text decodes them.",
        ),
        (
            Choice(
                "The text.",
                "pika made bytes of your text when it sent them, and doesn't turn them back. body.decode() does.",
            ),
            Choice(
                "A message object with text and properties.",
                "basic_get gives you three things: how it was delivered, its properties, and its body, which is bytes.",
            ),
        ),
        "Fetch it",
    ),
)
