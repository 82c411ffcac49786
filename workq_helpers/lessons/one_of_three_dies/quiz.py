"""The quiz of the lesson "One of three dies"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "quorum confirm",
        "A quorum queue has a member on each of three nodes. When does RabbitMQ confirm an order to it?",
        Choice(
            "When two of the three have it on disk.",
            "More than half of the members is enough: of those, one is left whichever single node dies.",
        ),
        (
            Choice(
                "When the leader has it on disk.",
                "Then the order would be gone with the leader's node. In a queue with one member that is all there is.",
            ),
            Choice(
                "When all three have it on disk.",
                "Then one dead node would stop everything. The third catches up when it can.",
            ),
        ),
        "Three nodes",
    ),
    Question(
        "minority",
        "One node of three is left. Why does a quorum queue confirm nothing there?",
        Choice(
            "The other two may be well and go on without it, and then there would be two truths.",
            "It can't tell dead nodes from nodes that it doesn't reach. Only a majority may decide, and there is one "
            "at most.",
        ),
        (
            Choice(
                "It has only a part of the orders.",
                "Every member has every order. It is not allowed to promise new ones.",
            ),
            Choice(
                "Its disk is too slow for the load of three.",
                "It would be fast enough; with a queue of one member it would confirm at once.",
            ),
        ),
        "Two of three die",
    ),
    Question(
        "address list",
        "pika was given a list of three addresses, and the node that it is connected to dies. What happens?",
        Choice(
            "The connection breaks; the program connects again, and pika tries the list.",
            "The list counts when a connection is made. To make another one is the program's business, and so is "
            "sending again what was not confirmed.",
        ),
        (
            Choice(
                "pika moves the connection to the next address by itself.",
                "It tries the list when a connection is made, and never for one that breaks.",
            ),
            Choice(
                "The cluster hands the connection to another node.",
                "A connection ends with its node. A queue may move, a connection can't.",
            ),
        ),
        "To which address?",
    ),
)
