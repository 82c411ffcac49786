"""The quiz of the lesson "Fair dispatch"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "all the roasts",
        "Two cooks without a prefetch count got four orders each, and one of them all the roasts. Why?",
        Choice(
            "They take turns, and every second order was a roast.",
            "RabbitMQ deals messages out as they come in. Equal numbers need not be equal shares of work.",
        ),
        (
            Choice(
                "That cook was the faster one.",
                "RabbitMQ keeps no record of who is fast. With prefetch_count=1 the faster one does get more, "
                "because it is free more often.",
            ),
            Choice(
                "RabbitMQ gives heavy tasks to the first consumer.",
                "It can't know which are heavy: the dots in a body mean nothing to it.",
            ),
        ),
        "A kitchen with a bad rhythm",
    ),
    Question(
        "what it limits",
        "A worker has prefetch_count=3. What is limited to three?",
        Choice(
            "The deliveries that it may hold unacknowledged.",
            "A worker that holds three is passed over until it acknowledges one.",
        ),
        (
            Choice(
                "The messages that may wait in the queue.",
                "That is what x-max-length limits. A prefetch count leaves messages in the queue, as many as there "
                "are.",
            ),
            Choice(
                "The messages that it gets in a second.",
                "No clock is in it. The sooner it acknowledges, the sooner the next one comes.",
            ),
        ),
        "One at a time",
    ),
    Question(
        "queue or worker",
        "No cook has time for the tea yet. Why does it matter whether the tea waits in the queue or inside a worker?",
        Choice(
            "In the queue it can still go to anybody, or expire; in a worker it can't.",
            "What is delivered stays with its worker, and no time to live and no length limit reaches it.",
        ),
        (
            Choice(
                "It doesn't: RabbitMQ takes it back when another worker is idle.",
                "RabbitMQ takes nothing back from a worker that lives. With prefetch_count=1 the tea would have "
                "stayed in the queue, for whoever is free.",
            ),
            Choice(
                "In a worker it can expire, for the worker is late.",
                "A time to live is about the time in the queue. Three teas behind a roast expired only when the "
                "cook had a prefetch count of 1.",
            ),
        ),
        "Orders that get stale",
    ),
    Question(
        "too small",
        "Tasks that take next to nothing, and a broker that is far away. What is wrong with prefetch_count=1?",
        Choice(
            "After every acknowledgment the worker waits until the next message has traveled.",
            "So it pauses after each message; with 100 it seldom does. RabbitMQ advises 100 to 300 for such work, "
            "and you can measure it.",
        ),
        (
            Choice(
                "Nothing: it is the fairest.",
                "It is fair, and it is right where a task takes seconds. Here the pauses are longer than the work.",
            ),
            Choice(
                "It should be no limit at all.",
                "Then a worker's memory holds whatever was in the queue, and nobody else can share it. A hundred "
                "has few pauses too.",
            ),
        ),
        "What fairness costs",
    ),
    Question(
        "sixth order",
        "A queue has x-max-length 5 and no other argument. It holds five orders, and a sixth comes in. What happens?",
        Choice(
            "The oldest one is dropped, and the publisher is not told.",
            "The usual overflow setting is drop-head. With a dead-letter exchange the order would be kept there.",
        ),
        (
            Choice(
                "The sixth is refused.",
                "It is with x-overflow set to reject-publish, and a publisher that asked for confirms hears of it.",
            ),
            Choice(
                "The publisher waits until there is room.",
                "Nobody waits here: the call returns at once. Back pressure needs confirms, and a publisher that "
                "slows down by itself.",
            ),
        ),
        "A rail that is full",
    ),
)
