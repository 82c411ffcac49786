"""The quiz of the lesson "Acknowledgments"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "forgotten when",
        "A worker consumes with auto_ack=True. When does RabbitMQ forget a message?",
        Choice(
            "When it has sent it.",
            "Automatic acknowledgment counts a message as done when it is sent. What waits in the worker exists "
            "nowhere else.",
        ),
        (
            Choice(
                "When the callback returns.",
                "RabbitMQ sees no callback return, in either mode. It would learn of the end if the callback sent "
                "basic_ack there.",
            ),
            Choice(
                "When the worker closes its connection.",
                "With manual acknowledgments that moment matters: what is unacknowledged goes back to the queue. "
                "With auto_ack=True nothing is left to go back.",
            ),
        ),
        "Done when sent",
    ),
    Question(
        "killed with three",
        "A worker with manual acknowledgments got five orders, has acknowledged two, and is killed in the middle of "
        "the third. What is delivered again?",
        Choice(
            "Three: all that it had not acknowledged.",
            "They go back to the queue when its connection is gone, and come with the redelivered flag set.",
        ),
        (
            Choice(
                "One: the order that it was working on.",
                "The two that it had not begun were unacknowledged too, and that is all that RabbitMQ knows. Begun "
                "or not makes no difference.",
            ),
            Choice(
                "All five.",
                "Two were acknowledged, and what is acknowledged is forgotten. All five would come again if it had "
                "acknowledged none.",
            ),
        ),
        "Done when done",
    ),
    Question(
        "done twice",
        "All callbacks acknowledge when the work is done. Why may a task be done twice all the same?",
        Choice(
            "A worker may die between the work and the acknowledgment.",
            "To RabbitMQ that looks as if nothing had been done, so it delivers the message again: at least once.",
        ),
        (
            Choice(
                "RabbitMQ gives each message to two workers, to be safe.",
                "A message goes to one consumer at a time. Somebody else gets it only when the first has died or "
                "handed it back.",
            ),
            Choice(
                "They acknowledge too late: before the work it would be safe.",
                "Then the same accident loses the task, for it is acknowledged and not done. What helps is work "
                "that does no harm when it is repeated.",
            ),
        ),
        "Between serving and saying so",
    ),
    Question(
        "known again",
        "An order may come a second time. By what does a cook know it again?",
        Choice(
            "By the message_id that the publisher has given it.",
            "It is made once, with the order, and stays the same however often it is delivered. Neither pika nor "
            "RabbitMQ sets one by itself.",
        ),
        (
            Choice(
                "By the redelivered flag.",
                "It says that the message was delivered before, to somebody. How far that somebody got, nobody "
                "knows: perhaps nothing has been done.",
            ),
            Choice(
                "By the delivery tag.",
                "A tag counts the deliveries of one channel. The same message has another tag on the next worker's "
                "channel.",
            ),
            Choice(
                "By its text.",
                "Two guests may order the same. It would do if no two orders could ever be alike.",
            ),
        ),
        "Between serving and saying so",
    ),
)
