"""The lesson "Putting it together"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.putting_it_together.exercises import EXERCISES
from workq_helpers.lessons.putting_it_together.program_reports import read_program_reports
from workq_helpers.lessons.putting_it_together.quiz import QUESTIONS
from workq_helpers.lessons.putting_it_together.task_stories import TaskStory, read_task_stories
from workq_helpers.log.details import BrokerChange
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.evidence import NO_WORKER, Evidence, names_of, tasks
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.clients.program import Program
    from workq_helpers.rabbitmq.management import QueueCounts
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

_QUEUE = "task_queue"
#: Which answer came true, by how many of the tasks a restart was crossed by.
_CROSSING = {3: 0, 2: 1, 1: 2}

# -- checks -------------------------------------------------------------------------------------------


def _real_kill(seen: Evidence) -> str:
    killed, task = _killed_at_work(seen.programs)
    told = read_program_reports(seen.programs)
    done = list(dict.fromkeys(each.program.name for each in told if (each.deed, each.task) == ("Done", task)))
    if not done:
        raise CheckFailedError(f"Nobody has done '{task}' since {killed.name} was killed. Does another worker.py run?")
    left = _left(seen.counts, _QUEUE)
    if left is not None and any(left):
        raise CheckFailedError(f"RabbitMQ counts {left[0]} ready and {left[1]} unacknowledged. Wait for the workers.")
    counted = "" if left is None else " RabbitMQ counts nothing ready and nothing unacknowledged."
    return f"{killed.name} was killed with '{task}' in hand, and {names_of(done)} did it.{counted}"


def _nothing_lost(seen: Evidence) -> str:
    told = read_task_stories(seen.events)
    if not told:
        raise CheckFailedError("No task was sent. Did you run the cell that publishes them?")
    if not seen.consumers:
        raise CheckFailedError(NO_WORKER)
    unconfirmed = [each.task for each in told if not each.confirmed]
    if len(unconfirmed) == len(told):
        raise CheckFailedError("RabbitMQ confirmed no task. Publish with confirm=True, and wait for the publisher.")
    auto_ack = next((worker for worker in seen.consumers.values() if worker.auto_ack), None)
    if auto_ack is not None:
        raise CheckFailedError(f"{auto_ack.name} has auto_ack=True, so what it holds dies with it. Leave that out.")
    killed = sorted(name for name, (_, how) in seen.gone.items() if how == "killed")
    if not killed:
        raise CheckFailedError("No worker was killed. Call kill() on some of them while they work.")
    if not _was_restarted(seen):
        raise CheckFailedError("RabbitMQ was not restarted in the middle. Restart it while orders come in.")
    undone = [each.task for each in told if each.confirmed and not each.acknowledged]
    if undone:
        raise CheckFailedError(
            f"{tasks(len(undone))} of {len(told)} confirmed and not done, {_quoted(undone[:1])} for one. Wait with "
            f"lesson.wait_until_idle()."
        )
    left = _left(seen.counts, *{worker.queue for worker in seen.consumers.values()})
    if left is not None and any(left):
        raise CheckFailedError(f"RabbitMQ counts {left[0]} ready and {left[1]} unacknowledged. Wait for the workers.")
    return _summary(told, len(killed), left is not None)


def _summary(told: Sequence[TaskStory], killed: int, counted: bool) -> str:
    confirmed = sum(each.confirmed for each in told)
    twice = [each.task for each in told if each.done > 1]
    again = sum(len(each.attempts) > 1 for each in told)
    workers = f"{killed} worker{' was' if killed == 1 else 's were'} killed and RabbitMQ restarted"
    came = f"{again} of them {'was' if again == 1 else 'were'} delivered more than once"
    more = f"{_quoted(twice)} {'was' if len(twice) == 1 else 'were'}" if twice else "none"
    return (
        f"{workers}. All {tasks(confirmed)} that RabbitMQ had confirmed are done: {came}, and {more} done more than "
        f"once.{' RabbitMQ has nothing left.' if counted else ''}"
    )


def _answer_first(seen: Evidence) -> str:
    told = read_task_stories(seen.events)
    if not told:
        raise CheckFailedError("No picture was published. Send some to the endpoint that leaves them for later.")
    if not all(each.confirmed for each in told):
        raise CheckFailedError("Not every picture was confirmed. Call channel.confirm_delivery() before publishing.")
    if not seen.consumers:
        raise CheckFailedError(NO_WORKER)
    undone = [each.task for each in told if not each.acknowledged]
    if undone:
        raise CheckFailedError(
            f"{_quoted(undone[:1])} is not done yet, and {len(undone) - 1} more. Wait with lesson.wait_until_idle()."
        )
    last = max(position for position, event in enumerate(seen.events) if event.kind == "confirmed")
    later = {event.task for event in seen.events[last:] if event.kind == "acked"}
    by = sorted({attempt.worker for each in told for attempt in each.attempts if attempt.acknowledged})
    return (
        f"{len(told)} pictures were confirmed. When the last of them was, {len(later)} still waited for their "
        f"thumbnails; {names_of(by)} made them all."
    )


def _killed_at_work(programs: Sequence[Program]) -> tuple[Program, str]:
    """Return the program that was killed with a task in hand, and the task."""
    if not programs:
        raise CheckFailedError('No program was started. Use lesson.start_program("programs/worker.py").')
    killed = [program for program in programs if program.state == "killed"]
    if not killed:
        raise CheckFailedError("No program was killed. Call kill() on one while it works.")
    for program in killed:
        told = read_program_reports([program])
        if told and told[-1].deed == "Received":
            return program, told[-1].task
    raise CheckFailedError(f"{killed[0].name} was killed with nothing in hand. Send it a long task, and kill it then.")


def _left(counts: Callable[[], Mapping[str, QueueCounts]] | None, *queues: str) -> tuple[int, int] | None:
    """Return how many messages are ready and unacknowledged, as the broker counts them."""
    if counts is None:
        return None
    known = counts()
    found = [known[queue] for queue in queues if queue in known]
    return sum(each.ready for each in found), sum(each.unacknowledged for each in found)


def _was_restarted(seen: Evidence) -> bool:
    """Whether the broker went and came back with tasks sent before and done after it."""
    what = [event.detail if isinstance(event.detail, BrokerChange) else event.kind for event in seen.events]
    outages = [at for at, each in enumerate(what) if isinstance(each, BrokerChange) and each.is_outage]
    return any("published" in what[:at] and "acked" in what[at:] and BrokerChange.UP in what[at:] for at in outages)


def _quoted(names: Sequence[str]) -> str:
    return names_of([f"'{name}'" for name in names])


# -- predictions --------------------------------------------------------------------------------------


def _observe_real_kill(lesson: Session) -> Seen:
    observed(lesson, outages=True)  # for who took part from the stage; of the rest the programs tell themselves
    killed, task = _killed_at_work(lesson.programs)
    others = [report for report in read_program_reports(lesson.programs) if report.program is not killed]
    received = next((report for report in others if report.deed == "Received" and report.task == task), None)
    if received is None:
        left = _left(lesson.queue_counts, _QUEUE)
        if left is not None and left[1]:
            return Seen(2, f"RabbitMQ still counts '{task}' as unacknowledged.")
        raise CheckFailedError(f"Start another worker.py, and wait until it has '{task}'.")
    if not any((report.deed, report.task) == ("Done", task) for report in others):
        raise CheckFailedError(f"{received.program.name} is still at it. Wait until it is done.")
    saw = (
        f"{received.program.name} received '{task}', marked as redelivered, and did it from its first dot to its last."
    )
    return Seen(1, saw)


def _observe_asked_to_leave(lesson: Session) -> Seen:
    observed(lesson, outages=True)
    left = [each for each in lesson.programs if each.state == "ended with status 0"]
    asked = next((each for each in read_program_reports(reversed(left)) if each.deed == "Received"), None)
    if asked is None or asked.again:
        raise CheckFailedError("Ask a worker.py to leave while it works on a task that is new.")
    told = read_program_reports(lesson.programs)
    by = [each.program for each in told if (each.deed, each.task) == ("Done", asked.task)]
    if asked.program in by:
        return Seen(0, f"{asked.program.name} did '{asked.task}' to its end, and left.")
    return Seen(1 if by else 2, f"{asked.program.name} left with '{asked.task}' in hand, and did not do it.")


def _observe_crossed(lesson: Session) -> Seen:
    told = [each for each in read_program_reports(lesson.programs) if each.deed == "Done"]
    # What was done when RabbitMQ went away, and could not be acknowledged, is done again.
    done = list(dict.fromkeys(each.task for each in told if each.program is told[-1].program))
    restarted = _was_restarted(observed(lesson, outages=True))
    if not restarted and (len(done) < len(_CROSSING) or lesson.broker.restartable):
        raise CheckFailedError(
            "RabbitMQ was not restarted while a worker.py had a task in hand. Call restart(lesson) then."
        )
    left = _left(lesson.queue_counts, _QUEUE)
    if left is None or any(left):
        raise CheckFailedError("There is something left in the queue. Wait until the worker has done the last task.")
    saw = f"{told[-1].program.name} did {_quoted(done)}." if done else "No worker.py has done anything."
    return Seen(_CROSSING.get(len(done), 2), saw)


def _observe_everything_at_once(lesson: Session) -> Seen:
    seen = observed(lesson, outages=True)
    told = [each for each in read_task_stories(seen.events) if each.confirmed]
    if not told or not (_was_restarted(seen) or not lesson.broker.restartable) or not seen.consumers:
        raise CheckFailedError("Publish with confirm=True, kill workers, restart RabbitMQ, and wait until all is done.")
    left = _left(lesson.queue_counts, *{worker.queue for worker in seen.consumers.values()})
    if left is None or any(left) or any(publisher.alive for publisher in lesson.publishers):
        raise CheckFailedError("The storm is not over. Wait with lesson.wait_until_idle().")
    lost = sum(not each.acknowledged for each in told)
    again = sum(len(each.attempts) > 1 for each in told)
    came = f"{again} {'was' if again == 1 else 'were'} delivered more than once"
    saw = f"Of {len(told)} confirmed orders {lost or 'none'} got lost, and {came}."
    return Seen(2 if lost else 1 if again else 0, saw)


PREDICTIONS = (
    Prediction(
        "real kill",
        "The only worker.py has eight seconds of work in hand and is killed after a moment. Then another one is "
        "started. What becomes of the task?",
        (
            Choice(
                "The other one does what is left of it.",
                "How far somebody had come was known in the dead process alone. RabbitMQ has the message, and the "
                "message says eight.",
            ),
            Choice(
                "The other one gets it at once and does all of it.",
                "The operating system closes the sockets of a dead process, RabbitMQ notices that in the same moment "
                "and puts back what was unacknowledged.",
            ),
            Choice(
                "It stays unacknowledged until RabbitMQ misses the heartbeats, a minute or more.",
                "Heartbeats are for the case in which nothing is heard at all, as when a machine loses its power. "
                "Here the connection was closed, though not by the program.",
            ),
        ),
        _observe_real_kill,
        section="A real kill",
    ),
    Prediction(
        "asked to leave",
        "A worker.py has just begun a task of three seconds when it is asked to leave, with SIGTERM. Is the task done, "
        "and by whom?",
        (
            Choice(
                "It does the task to its end, and leaves then.",
                "A program may catch this signal. This one only takes down that it is to leave, and looks at that "
                "between two tasks.",
            ),
            Choice(
                "It leaves at once, and the next worker does the task.",
                "So it would be after SIGKILL, which no program can catch, or in a program that catches nothing.",
            ),
            Choice(
                "It leaves at once, and the task is lost.",
                "What was not acknowledged is not lost, however its worker ends.",
            ),
        ),
        _observe_asked_to_leave,
        section="Asked to leave",
    ),
    Prediction(
        "crossed",
        "A worker.py has one task in hand, and two more wait in the queue: one with words, and one that was sent "
        "without any. Now RabbitMQ is restarted. How many of the three does the worker do after that?",
        (
            Choice(
                "All three.",
                "Queue and messages were on disk, the one in hand too, for nobody had acknowledged it. And the worker "
                "connects again, until it is let in.",
            ),
            Choice(
                "The two that waited: the one in hand is lost with the connection.",
                "It was unacknowledged, so it goes back to the queue, and comes to the worker a second time.",
            ),
            Choice(
                "None, until somebody starts a new worker.",
                "That is what a program does that catches no error of its connection. This one begins its loop anew.",
            ),
        ),
        _observe_crossed,
        section="Asked to leave",
    ),
    Prediction(
        "everything at once",
        "Orders are published with confirms, one after another, while workers are killed at random moments and "
        "RabbitMQ is restarted. What do you expect of the orders that were confirmed?",
        (
            Choice(
                "Each is done exactly once.",
                "Whoever loses a connection can't know whether its last word got through. So somebody has to say it "
                "again, and something happens twice.",
            ),
            Choice(
                "None is lost, and some are delivered more than once.",
                "Durable queue, persistent messages, confirms and manual acknowledgments add up to this: at least "
                "once. What comes twice is for idempotent work to bear.",
            ),
            Choice(
                "A few are lost: those under way in the very moment of the restart.",
                "What is under way is unacknowledged on one side and unconfirmed on the other, and both sides keep "
                "it until they hear better.",
            ),
        ),
        _observe_everything_at_once,
        section="Everything at once",
    ),
)

CHAPTER = Chapter(
    "Putting it together",
    "06_putting_it_together.ipynb",
    outages=True,
    after_an_outage=frozenset({"nothing lost"}),
    checks={"real kill": _real_kill, "nothing lost": _nothing_lost, "answer first": _answer_first},
    sections={"real kill": "A real kill", "nothing lost": "Everything at once", "answer first": "Real work"},
    predictions=PREDICTIONS,
    exercises=EXERCISES,
    questions=QUESTIONS,
)
