"""The quiz of the lesson "Round robin"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "why a queue",
        "A web page has to convert a film. What does a work queue change?",
        Choice(
            "The page answers at once, and a worker converts the film afterwards.",
            "The page only writes down what is to be done. The work itself happens in the background.",
        ),
        (
            Choice(
                "The film is converted sooner.",
                "The work has not become less, and it may even have to wait for its turn. It would be done sooner "
                "with more workers.",
            ),
            Choice(
                "The film is converted by a worker, while the page waits for it.",
                "Then the visitor would wait as long as before. The point is that nobody waits: the page writes "
                "down a task and goes on.",
            ),
        ),
        "Why a work queue?",
    ),
    Question(
        "whose turn",
        "Two workers have no prefetch count. One is in the middle of a long task, the other has nothing to do, and "
        "got the last message. Who gets the next one?",
        Choice(
            "The busy one.",
            "It is its turn. RabbitMQ deals messages out one after another and doesn't look at who is busy; the "
            "message waits inside the worker.",
        ),
        (
            Choice(
                "The idle one.",
                "It would be so with prefetch_count=1, for then a worker that has something in hand is passed over. "
                "Without it, turns are all that counts.",
            ),
            Choice(
                "Nobody yet: it waits in the queue until one of them asks.",
                "Without a prefetch count a message is dispatched as soon as it comes in. It waits in the queue "
                "only while there is no worker at all.",
            ),
        ),
        "Two workers",
    ),
    Question(
        "late helper",
        "A worker is started late. Which messages can it help with?",
        Choice(
            "Those that still wait in the queue, and those that come later.",
            "A message that is ready may go to anybody. What has been delivered belongs to the worker that got it.",
        ),
        (
            Choice(
                "Also those that another worker has got and not begun.",
                "RabbitMQ doesn't know what a worker has begun, and takes nothing back from one that lives. With a "
                "small prefetch count fewer of them would be there.",
            ),
            Choice(
                "Only those that come later.",
                "So it was where the first worker had taken all orders at once. A backlog in the queue was shared "
                "from the first moment.",
            ),
        ),
        "A backlog that can be shared",
    ),
    Question(
        "ready",
        "Eight messages are in a queue, and no worker is there. What does RabbitMQ count?",
        Choice(
            "8 ready, 0 unacknowledged.",
            "Ready is what waits in the queue for somebody to come.",
        ),
        (
            Choice(
                "0 ready, 8 unacknowledged.",
                "Unacknowledged is what was delivered and not acknowledged yet. You see this with a worker that "
                "takes all eight at once.",
            ),
            Choice(
                "8 ready, 8 unacknowledged.",
                "A message is never both: ready while it waits in the queue, unacknowledged once it has been "
                "delivered.",
            ),
        ),
        "A backlog that can be shared",
    ),
)
