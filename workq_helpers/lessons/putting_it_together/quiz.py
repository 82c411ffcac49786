"""The quiz of the lesson "Putting it together"."""

from __future__ import annotations

from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = (
    Question(
        "process killed",
        "A worker's process is ended by SIGKILL. How does RabbitMQ learn of it?",
        Choice(
            "Its operating system closes the connection.",
            "So RabbitMQ knows in the same moment, and what was unacknowledged goes to somebody else.",
        ),
        (
            Choice(
                "The worker says goodbye before it ends.",
                "No program can catch SIGKILL, and the console showed no last word. After SIGTERM or Ctrl-C the "
                "worker does finish its task first.",
            ),
            Choice(
                "By missed heartbeats, after a while.",
                "That is how it learns of a machine that lost its power. Here the machine is alive, and closes what "
                "the process had open.",
            ),
        ),
        "A real kill",
    ),
    Question(
        "at least once",
        "What makes it so that each task is done at least once, whoever is killed or restarted?",
        Choice(
            "A durable queue, persistent messages, confirms and manual acknowledgments.",
            "The first two outlive RabbitMQ's restart, a confirm tells the publisher what it need not send again, "
            "and the ack comes after the work.",
        ),
        (
            Choice(
                "A durable queue, persistent messages, confirms and automatic acknowledgments.",
                "A killed worker would take with it what it had got: RabbitMQ has forgotten that. With manual "
                "acknowledgments it comes again.",
            ),
            Choice(
                "A durable queue, persistent messages, manual acknowledgments and prefetch_count=1.",
                "A prefetch count makes the work fair, and saves nothing. Without confirms the publisher doesn't "
                "know what to send again after an outage.",
            ),
        ),
        "Everything at once",
    ),
    Question(
        "accepted",
        "A web endpoint takes a photo and leaves the thumbnails to a worker. What must be true before it may answer "
        "202?",
        Choice(
            "The photo is kept, and RabbitMQ has confirmed the task.",
            "Then somebody has promised to do the rest. mandatory=True makes sure that there is a queue for it.",
        ),
        (
            Choice(
                "The photo is kept, and basic_publish has been called.",
                "Without confirms that says only that the call returned. RabbitMQ may be gone, or have no queue of "
                "that name.",
            ),
            Choice(
                "The thumbnails are there.",
                "Then the visitor waits for the work, as in the first version, which answers 201.",
            ),
        ),
        "Real work",
    ),
    Question(
        "quiet hour",
        "A web site opens one BlockingConnection and keeps it for all uploads. What happens to the first one after "
        "a quiet hour?",
        Choice(
            "Publishing fails: RabbitMQ has closed the connection.",
            "pika answers heartbeats only while somebody is inside it. So each upload gets a connection of its own.",
        ),
        (
            Choice(
                "It works: an idle connection costs nothing.",
                "It would if somebody called into pika now and then. Left alone it sends no heartbeats, and "
                "RabbitMQ takes it for dead.",
            ),
            Choice(
                "It works: pika connects anew by itself.",
                "It raises an error instead. Your code may connect again, as worker.py does in a loop.",
            ),
        ),
        "Real work",
    ),
    Question(
        "by name",
        "Why does the message hold the picture's name, and not the picture?",
        Choice(
            "A message should be small; large things belong in a store that both sides reach.",
            "RabbitMQ keeps what waits. A name costs next to nothing, however long the queue gets.",
        ),
        (
            Choice(
                "RabbitMQ can't carry pictures.",
                "A body is bytes, and a picture is bytes too. It could, and every picture that waits would lie in "
                "RabbitMQ.",
            ),
            Choice(
                "So that a picture that comes twice does no harm.",
                "What makes that harmless is the work: the same thumbnail once more is the same file.",
            ),
        ),
        "Real work",
    ),
)
