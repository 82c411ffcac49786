"""The quiz of the lesson "Mistakes, timeouts and long work"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "growing number",
        "A callback does its work and never acknowledges. How do you notice?",
        Choice(
            "The number of unacknowledged messages only grows.",
            "RabbitMQ keeps every message until it hears of it, so the number never falls while the worker lives.",
        ),
        (
            Choice(
                "pika raises an error in the worker.",
                "Nothing complains: for all that pika and RabbitMQ know, the work is still going on.",
            ),
            Choice(
                "The number of ready messages stays at what was sent.",
                "They have been delivered, so they are not ready. They would be again if the worker went away.",
            ),
        ),
        "The ack that was forgotten",
    ),
    Question(
        "acknowledged twice",
        "A callback acknowledges the same delivery twice. What comes of it?",
        Choice(
            "RabbitMQ closes the channel.",
            "After the first acknowledgment the tag is unknown. The complaint meets the next call on that channel, "
            "and a consumer on it ends.",
        ),
        (
            Choice(
                "Nothing: the second one is passed over.",
                "It looks so, for pika doesn't wait for an answer to an acknowledgment. RabbitMQ's complaint is on "
                "its way.",
            ),
            Choice(
                "The connection is closed, with all its channels.",
                "Only the channel with the mistake is closed. The connection and its other channels stay open.",
            ),
        ),
        "An ack on the wrong channel",
    ),
    Question(
        "never to be done",
        "This order is off the menu: it can't be done today or ever, here or anywhere. What should the callback call?",
        Choice(
            "basic_reject with requeue=False.",
            "It turns the message away: it is dropped, or goes to a dead-letter exchange where there is one.",
        ),
        (
            Choice(
                "basic_nack with requeue=True.",
                "It would be back at once, again and again. Hand back what may succeed later or elsewhere.",
            ),
            Choice(
                "Nothing: it returns.",
                "Then the order stays unacknowledged and takes a place in the prefetch count. Two of them, and a "
                "cook with prefetch_count=2 stands still.",
            ),
        ),
        "Handing back and turning away",
    ),
    Question(
        "long work",
        "A task takes five minutes, with a heartbeat of one minute and pika's BlockingConnection. How does the "
        "acknowledgment get through?",
        Choice(
            "Another thread works, and asks the thread that owns the connection to acknowledge.",
            "So the owner stays inside pika and answers heartbeats. add_callback_threadsafe is how the other one asks.",
        ),
        (
            Choice(
                "Another thread works, and calls basic_ack when it is done.",
                "The first half is right. But a channel may be used by the thread that owns its connection alone; "
                "add_callback_threadsafe asks that one.",
            ),
            Choice(
                "By itself: pika sends heartbeats while the callback works.",
                "pika sends them while your thread is inside pika. A callback that keeps the thread keeps it from "
                "that, and RabbitMQ takes the worker for dead.",
            ),
            Choice(
                "Heartbeats are turned off.",
                "Then nobody notices a connection that is dead, and what it held is not given to anybody else.",
            ),
        ),
        "Long work, and a connection that dies of it",
    ),
)
