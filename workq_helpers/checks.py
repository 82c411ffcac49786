"""What each lesson must show, decided from the log and never from the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from workq_helpers.errors import CheckFailedError, InvalidArgumentError
from workq_helpers.events import Event, EventLog
from workq_helpers.ledger import Ledger, Message

__all__ = ["CHECKS", "CheckResult", "HasLog", "check"]

_NO_WORKER = "No worker consumes yet. Start one with lesson.start_worker(callback, queue=...)."

_GONE = ("stopped", "killed", "crashed")


class HasLog(Protocol):
    """A `Lesson`, as far as a check needs one."""

    log: EventLog


class CheckResult(NamedTuple):
    """A claim that was observed.

    Attributes:
        name: The check's name.
        saw: A sentence that says what was seen.
    """

    name: str
    saw: str

    def __repr__(self) -> str:
        return f"✔ {self.name}: {self.saw}"


def check(lesson: HasLog | EventLog, name: str) -> CheckResult:
    """Say whether a claim was observed.

    Args:
        lesson: The lesson, or its log.
        name: Which claim: one of `CHECKS`.

    Returns:
        What was seen; shown in a notebook as a sentence.

    Raises:
        CheckFailedError: It was not observed; the message says what is missing and what to do.
        InvalidArgumentError: There is no check of that name.
    """
    claim = CHECKS.get(name) if isinstance(name, str) else None
    if claim is None:
        known = ", ".join(repr(each) for each in CHECKS)
        raise InvalidArgumentError(f"There is no check named {name!r}. The checks are: {known}.")
    return CheckResult(name, claim(_Observed(lesson if isinstance(lesson, EventLog) else lesson.log)))


class _Consumer(NamedTuple):
    """A worker that consumes, from its first connecting on."""

    name: str
    queue: str
    position: int
    prefetch_count: int


class _Delivered(NamedTuple):
    """A delivery, with its message."""

    worker: str
    message: Message


class _Observed:
    """A log, read once for every check: messages in order of publishing, with who got them first."""

    def __init__(self, log: EventLog) -> None:
        self.events = list(log)
        self.ledger = Ledger()
        self.published: dict[int, int] = {}
        self.consumers: dict[str, _Consumer] = {}
        self.gone: dict[str, tuple[int, str]] = {}
        self.deliveries: list[_Delivered] = []
        for position, event in enumerate(self.events):
            self.ledger.update([event])
            self._read(position, event)
        self.messages = list(self.ledger)

    def _read(self, position: int, event: Event) -> None:
        if event.kind == "published":
            self.published[id(self.ledger.last_new)] = position
        elif event.kind == "delivered":
            self.deliveries.append(_Delivered(event.actor, self.ledger.last_delivered))
        elif event.kind == "connected" and event.detail.startswith(("auto_ack", "manual ack")):
            _, _, prefetch = event.detail.partition("prefetch ")
            count = int(prefetch) if prefetch.isdecimal() else 0
            consumer = _Consumer(event.actor, event.queue, position, count)
            self.consumers.setdefault(event.actor, consumer)
        elif event.kind in _GONE:
            self.gone[event.actor] = (position, event.kind)

    def sent(self) -> list[Message]:
        """Return the messages the log saw being published, in that order."""
        return sorted(
            (message for message in self.messages if id(message) in self.published),
            key=lambda message: self.published[id(message)],
        )

    def first_worker(self, message: Message) -> str | None:
        """Return who got the message first."""
        return next((each.worker for each in self.deliveries if each.message is message), None)


def _one_message(seen: _Observed) -> str:
    messages = seen.sent()
    if not messages:
        raise CheckFailedError(
            "No message was published. Did you run the cell with basic_publish, on a channel of lesson.connect()?"
        )
    message = messages[-1]
    what = _quoted(message)
    if message.place == "waiting":
        raise CheckFailedError(
            f"{what} still waits in the queue {message.queue!r}. Fetch it with basic_get, or start a worker."
        )
    if message.place == "in hand":
        raise CheckFailedError(
            f"{what} was delivered to {message.worker} and is not acknowledged. "
            f"Did you call basic_ack with its delivery tag, on the channel that got it?"
        )
    if message.place != "done":
        raise CheckFailedError(f"{what} was {message.place}. Publish it again, to a queue that you declared.")
    times = "once" if message.deliveries == 1 else f"{message.deliveries} times"
    return f"{what} went through the queue {message.queue!r}, was delivered {times} and is done."


def _round_robin(seen: _Observed) -> str:
    messages = _sent_to_workers(seen)
    queue = messages[-1].queue
    messages = [message for message in messages if message.queue == queue]
    workers = _present(seen, queue, seen.published[id(messages[0])])
    if len(messages) < len(workers):
        raise CheckFailedError(
            f"{_tasks(len(messages))} can't go round {len(workers)} workers. Send {len(workers)} or more."
        )
    for worker in workers:
        gone = seen.gone.get(worker.name)
        if gone is not None and gone[0] < seen.published[id(messages[-1])]:
            raise CheckFailedError(
                f"{worker.name} was {gone[1]} before all tasks were sent. Keep every worker until the last one."
            )
    _all_done_once(messages)
    first = [seen.first_worker(message) for message in messages]
    names = [worker.name for worker in workers]
    _alternates(messages, first, workers)
    shares = [first.count(name) for name in names]
    share = f"{shares[0]} each" if len(set(shares)) == 1 else " and ".join(map(str, shares))
    return f"{_tasks(len(messages))} went round {_names(names)} in turn, {share}, and every one was done once."


def _alternates(messages: Sequence[Message], first: Sequence[str | None], workers: Sequence[_Consumer]) -> None:
    names = [worker.name for worker in workers]
    others = [name for name in first if name not in names]
    if others:
        raise CheckFailedError(
            f"{others[0]} got a task too, and was not there when the first one was sent. "
            f"Start every worker before sending, then send again."
        )
    turn = names.index(first[0] or "")
    for number, (message, name) in enumerate(zip(messages, first, strict=True)):
        expected = names[(turn + number) % len(names)]
        if name == expected:
            continue
        limited = [worker for worker in workers if worker.prefetch_count]
        why = (
            f"{limited[0].name} has prefetch_count={limited[0].prefetch_count}, so RabbitMQ passes it over "
            f"while it is busy. Start the workers without prefetch_count for this."
            if limited
            else "Send all tasks from one publisher, to workers that are all there before, and look again."
        )
        raise CheckFailedError(f"{_quoted(message)} went to {name}, though it was {expected}'s turn. {why}")


def _backlog(seen: _Observed) -> str:
    messages = _sent_to_workers(seen)
    newcomer = _newcomer(seen)
    of_others = [each for each in seen.deliveries if each.worker == newcomer.name]
    taken = next((each.message for each in of_others if seen.first_worker(each.message) != newcomer.name), None)
    if taken is not None:
        raise CheckFailedError(
            f"{newcomer.name} got {_quoted(taken)}, which had been dispatched to {seen.first_worker(taken)} "
            f"and came back. Keep every worker alive and let it acknowledge, then look again."
        )
    if not of_others:
        raise CheckFailedError(
            f"{newcomer.name} got nothing: all tasks had been dispatched when it came. "
            f"Send some more, and see who gets those."
        )
    _all_done_once(messages)
    # Who had what at the moment it came is the broker's to know: a worker may report a delivery later.
    earlier = [message for message in messages if seen.published[id(message)] < newcomer.position]
    old = _names(sorted({each.worker for each in seen.deliveries if each.worker != newcomer.name}))
    helped = sum(message.worker == newcomer.name for message in earlier)
    if helped:
        return (
            f"{_tasks(len(earlier))} had been sent before {newcomer.name} came; it did {helped} that still "
            f"waited in the queue, and none that had been dispatched to {old}."
        )
    later = len(messages) - len(earlier)
    return (
        f"{_tasks(len(earlier))} had been sent before {newcomer.name} came, and were dispatched to {old}: "
        f"it got none of them. Of the {later} sent later it did {len(of_others)}."
    )


def _newcomer(seen: _Observed) -> _Consumer:
    """Return the worker that came last, to work that was already there."""
    if not seen.consumers:
        raise CheckFailedError(_NO_WORKER)
    last = max(seen.consumers.values(), key=lambda worker: worker.position)
    if len(seen.consumers) < 2:
        raise CheckFailedError(
            f"Only {last.name} was started. Start another worker while there is work left, and look who gets what."
        )
    if all(position > last.position for position in seen.published.values()):
        raise CheckFailedError(
            f"No task had been sent when {last.name} came. Send the tasks first, then start {last.name}."
        )
    return last


def _sent_to_workers(seen: _Observed) -> list[Message]:
    messages = seen.sent()
    if not messages:
        raise CheckFailedError("No task was sent. Did you run the cell that publishes them?")
    if not seen.consumers:
        raise CheckFailedError(_NO_WORKER)
    return messages


def _present(seen: _Observed, queue: str, position: int) -> list[_Consumer]:
    """Return the queue's workers that were there at that position of the log, in order of connecting."""
    consumers = sorted(
        (worker for worker in seen.consumers.values() if worker.queue == queue),
        key=lambda worker: worker.position,
    )
    present = [worker for worker in consumers if worker.position < position]
    if len(present) >= 2:
        return present
    if len(consumers) >= 2:
        raise CheckFailedError(
            f"{consumers[1].name} came after the first task was sent. "
            f"Did you start the second worker before sending? Start all of them, then send."
        )
    names = _names([worker.name for worker in consumers])
    raise CheckFailedError(
        f"The queue {queue!r} had {names or 'no worker'}{' alone' if names else ''}. "
        f"Did you start the second worker before sending?"
    )


def _all_done_once(messages: Sequence[Message]) -> None:
    twice = next((message for message in messages if message.deliveries > 1), None)
    if twice is not None:
        raise CheckFailedError(
            f"{_quoted(twice)} was delivered {twice.deliveries} times. Was a worker killed or stopped meanwhile?"
        )
    undone = [message for message in messages if message.place != "done"]
    if not undone:
        return
    if undone[0].place == "in hand":
        advice = "Wait with lesson.wait_until_idle(); does the callback end with ch.basic_ack?"
    elif undone[0].place == "waiting":
        advice = "Wait with lesson.wait_until_idle(); does a worker consume from that queue?"
    else:
        advice = "Send the tasks again."
    raise CheckFailedError(
        f"{_tasks(len(undone))} of {len(messages)} not done; {_quoted(undone[0])} is {undone[0].place}. {advice}"
    )


def _quoted(message: Message) -> str:
    return f"'{message.task}'"


def _tasks(number: int) -> str:
    return f"{number} task{'' if number == 1 else 's'}"


def _names(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


#: The claims that can be checked.
CHECKS: dict[str, Callable[[_Observed], str]] = {
    "one message": _one_message,
    "round robin": _round_robin,
    "backlog": _backlog,
}
