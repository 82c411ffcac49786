"""The quiz of the lesson "When a task fails"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "at the head",
        "A cook hands an order that can't be cooked back to a classic queue, each time it comes. What is the harm?",
        Choice(
            "It is delivered again at once, and whoever stands behind it waits.",
            "It goes back to the head of the queue, and round and round, as fast as the machine can.",
        ),
        (
            Choice(
                "None: RabbitMQ drops it after some attempts.",
                "A classic queue counts no attempts. A quorum queue may, up to its delivery limit.",
            ),
            Choice(
                "It is lost: what was handed back is gone.",
                "With requeue=True it is kept. Gone is what is handed back without requeue and has no dead-letter "
                "exchange.",
            ),
        ),
        "An order that nobody can cook",
    ),
    Question(
        "why it died",
        "An order lies in the parking queue. Where does it stand why it came there?",
        Choice(
            "In its header x-death.",
            "RabbitMQ writes reason, queue and count into it, the latest death first.",
        ),
        (
            Choice(
                "In its body.",
                "RabbitMQ never touches a body.",
            ),
            Choice(
                "In the arguments of the parking queue.",
                "They are the same for all messages in it. Each dead letter has its own reason.",
            ),
        ),
        "Parked, with a reason",
    ),
    Question(
        "chances",
        "A quorum queue has x-delivery-limit 4. How often is an order delivered that is always rejected with requeue?",
        Choice(
            "Five times.",
            "The limit counts how often it came back; the first delivery is none of these.",
        ),
        (
            Choice("Four times.", "The first delivery is no return, so there is one more."),
            Choice("For ever.", "That is what a classic queue does, which knows no limit."),
        ),
        "A limit on coming back",
    ),
    Question(
        "behind somebody patient",
        "A message may live for one second, and stands in a queue behind one that may live for an hour. When does it "
        "leave, if nobody consumes?",
        Choice(
            "After an hour, with the one in front of it.",
            "Expired messages leave at the head of the queue.",
        ),
        (
            Choice("After a second.", "It has expired then, but stands where nobody looks."),
            Choice(
                "Never.",
                "It leaves as soon as it is at the head.",
            ),
        ),
        "A clock for each message",
    ),
    Question(
        "one place",
        "Why does a program write what it has to send into a table of its database first?",
        Choice(
            "So that it is committed together with the order, or not at all.",
            "A commit and a publish can be cut in two by a crash; two tables in one transaction can't.",
        ),
        (
            Choice(
                "So that nothing is sent twice.",
                "It may be sent twice: after a crash between the publish and the delete. A key tells the receiver.",
            ),
            Choice(
                "So that RabbitMQ has less to store.",
                "It gets the same messages, a moment later.",
            ),
        ),
        "Two places to write to",
    ),
)
