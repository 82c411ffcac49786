"""The lesson "When a task fails"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.when_a_task_fails.exercises import EXERCISES
from workq_helpers.lessons.when_a_task_fails.quiz import QUESTIONS
from workq_helpers.lessons.when_a_task_fails.retries import ORDER, PLATES, WAYS
from workq_helpers.log.details import PublishOptions, QueueOptions
from workq_helpers.log.events import Event
from workq_helpers.log.ledger import Message
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.evidence import Evidence, names_of, quoted, sent_to_workers
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

#: A message that was delivered so often goes round in a circle.
_MANY = 100

# -- checks -------------------------------------------------------------------------------------------


def _poison_loop(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    poison = max(messages, key=lambda message: message.deliveries)
    if poison.deliveries < _MANY:
        raise CheckFailedError(
            f"{quoted(poison)} was delivered {poison.deliveries} times. Let a cook hand it back with requeue=True, and "
            f"wait for some hundred deliveries."
        )
    others = [message for message in messages if message is not poison]
    if not others or any(message.deliveries for message in others):
        raise CheckFailedError("Send other orders behind it, to a classic queue, and start one cook who holds one.")
    return (
        f"{quoted(poison)} was delivered more than {_MANY} times and is not done. "
        f"{names_of([quoted(message) for message in others])} stood behind it and never came to the cook."
    )


def _parked(seen: Evidence) -> str:
    sent_to_workers(seen)
    deaths = [event for event in _deaths(seen) if event.detail == "rejected"]
    if not deaths:
        raise CheckFailedError(
            "No rejected order was seen in another queue. Give the queue a dead-letter exchange, reject an order "
            "without requeue, and fetch it from where it went."
        )
    dead = deaths[0]
    later = [event for event in seen.events if event.kind == "acked" and event.task == dead.task]
    if not any(event.queue == dead.queue for event in later):
        raise CheckFailedError(
            f"'{dead.task}' was rejected and parked. Now put it back into {dead.queue!r}, for a cook who can cook it."
        )
    return (
        f"'{dead.task}' was rejected in {dead.queue!r} and lay in the parking queue with that reason. Somebody put it "
        f"back, and it is done."
    )


def _delivery_limit(seen: Evidence) -> str:
    sent_to_workers(seen)
    limits = {
        event.queue: event.detail.delivery_limit
        for event in seen.events
        if event.kind == "declared" and isinstance(event.detail, QueueOptions) and event.detail.delivery_limit
    }
    over = next((event for event in _deaths(seen) if event.detail == "delivery_limit"), None)
    if over is None:
        raise CheckFailedError(
            "No order was seen that came back too often. Give a quorum queue x-delivery-limit and a dead-letter "
            "exchange, let a cook call basic_reject with requeue=True, and fetch the order from where it went."
        )
    times = sum(
        event.kind == "delivered" and event.task == over.task and event.queue == over.queue for event in seen.events
    )
    return (
        f"With x-delivery-limit {limits.get(over.queue)} '{over.task}' was delivered {times} times; then it was "
        f"dead-lettered, with the reason delivery_limit."
    )


def _retries(seen: Evidence) -> str:
    deliveries, plates = _retried(seen)
    if "at once" not in deliveries or len(deliveries) < len(WAYS) - 1:
        raise CheckFailedError("Not every way was tried. Run the cell with compare_retries(lesson).")
    later = {way: deliveries[way] for way in deliveries if way != "at once"}
    if max(later.values()) * 3 > deliveries["at once"]:
        raise CheckFailedError(
            f"At once took {deliveries['at once']} deliveries, and {max(later, key=later.__getitem__)!r} "
            f"{max(later.values())}. That is no great difference: run the cells again from the one that opens the "
            f"lesson."
        )
    lost = [way for way in deliveries if not plates[way]]
    twice = [way for way in deliveries if plates[way] > 1]
    if lost:
        raise CheckFailedError(f"By {names_of(lost)} nothing was cooked. Run the cell again.")
    return (
        f"Each way got its order cooked, though a cook died in it; at once took more than three times the deliveries "
        f"of any other. Cooked twice: {names_of(twice) if twice else 'none'}."
    )


def _head_of_line(seen: Evidence) -> str:
    slow, quick = _two_with_ttl(seen)
    order = _delivered_elsewhere(seen)
    if order != [slow, quick]:
        came = names_of(order) or "nothing"
        raise CheckFailedError(f"From the other queue came, in this order: {came}. Wait until both have expired.")
    return f"'{quick}' might wait for the shorter time, and expired only when '{slow}' in front of it had."


def _kept_dead_letters(seen: Evidence) -> str:
    rejected = [event for event in seen.events if event.kind == "rejected"]
    kept = {event.task for event in _deaths(seen)}
    if len(rejected) < 2:
        raise CheckFailedError("Let a cook reject an order of each queue, while nobody is bound to the exchange.")
    gone = [event for event in rejected if event.task not in kept]
    if not kept or not gone:
        raise CheckFailedError(
            f"Of {len(rejected)} rejected orders {len(kept)} came to the parking queue. Bind it only when both are "
            f"rejected, and fetch what comes."
        )
    return (
        f"{names_of([f'{event.task!r}' for event in gone])} had nowhere to go and is lost. "
        f"{names_of([f'{task!r}' for task in sorted(kept)])} was kept until there was a queue for it."
    )


def _served_once(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    again = [message for message in messages if message.deliveries > 1]
    if not again:
        raise CheckFailedError("No order was delivered twice. Let a cook die between the commit and the ack.")
    undone = [message for message in messages if message.place != "done"]
    if undone:
        raise CheckFailedError(f"{quoted(undone[0])} is {undone[0].place}. Start another cook, and wait until idle.")
    return f"{quoted(again[0])} was delivered {again[0].deliveries} times and acknowledged once."


def _outbox(seen: Evidence) -> str:
    programs = {event.actor for event in seen.events if event.actor.startswith("order_desk.py")}
    if len(programs) < 2:
        raise CheckFailedError("Run the order desk, kill it where it halts, and run it again.")
    sent = Counter(event.task for event in seen.events if event.kind == "published" and event.actor in programs)
    twice = [task for task, times in sent.items() if times > 1]
    if not twice:
        raise CheckFailedError("No order was sent twice. Kill the desk after the publish, and run it once more.")
    return f"'{twice[0]}' was sent {sent[twice[0]]} times, by two runs of the order desk. It was not lost."


def _priorities(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    orders = [[each.message.task for each in seen.deliveries if each.worker == name] for name in seen.consumers]
    sent = [message.task for message in messages]
    if len(orders) < 1 or not orders[-1] or orders[-1] == sent[-len(orders[-1]) :]:
        raise CheckFailedError("Every cook got the orders as they came. Start one with prefetch_count=1, and send.")
    return f"The cook got {names_of([f'{task!r}' for task in orders[-1]])}, in this order."


def _one_active_consumer(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    by = [each.worker for each in seen.deliveries]
    turns = [name for number, name in enumerate(by) if not number or by[number - 1] != name]
    if len(set(by)) < 2 or len(turns) != len(set(by)):
        raise CheckFailedError("Send orders to two cooks of such a queue, kill the one who gets them, and send more.")
    return f"{turns[0]} got every order until it was killed, {turns[1]} every order after that: {len(messages)} in all."


def _deaths(seen: Evidence) -> list[Event]:
    return [event for event in seen.events if event.kind == "dead-lettered"]


def _retried(seen: Evidence) -> tuple[dict[str, int], Counter[str]]:
    """Return deliveries by way, and how many plates came of each."""
    deliveries = Counter(event.queue for event in seen.events if event.kind == "delivered" and event.queue in WAYS)
    made = (event.task for event in seen.events if event.kind == "published" and event.queue == PLATES)
    return dict(deliveries), Counter(task.removeprefix(f"{ORDER}, ") for task in made)


def _two_with_ttl(seen: Evidence) -> tuple[str, str]:
    found = [(event.task, ttl) for event, ttl in _with_ttl(seen)]
    if len(found) != 2 or found[0][1] <= found[1][1]:
        raise CheckFailedError("Send two orders with an expiration each, the one that may wait longer first.")
    return found[0][0], found[1][0]


def _with_ttl(seen: Evidence) -> Iterator[tuple[Event, float]]:
    for event in seen.events:
        if event.kind == "published" and isinstance(event.detail, PublishOptions):
            ttl = event.detail.ttl_seconds
            if ttl is not None:
                yield event, ttl


def _delivered_elsewhere(seen: Evidence) -> list[str]:
    sent = {event.mark: event.queue for event, _ in _with_ttl(seen)}
    return [
        event.task
        for event in seen.events
        if event.kind == "delivered" and sent.get(event.mark, event.queue) != event.queue
    ]


# -- predictions --------------------------------------------------------------------------------------


def _observe_poison(lesson: Session) -> Seen:
    messages = sent_to_workers(observed(lesson))
    poison = max(messages, key=lambda message: message.deliveries)
    others = [message for message in messages if message is not poison]
    if poison.deliveries < 2 or not others:
        raise CheckFailedError("Send the three orders, and let the cook hand the first one back for a while.")
    done = sum(message.place == "done" for message in others)
    saw = (
        f"{quoted(poison)} was delivered again and again, {'more than' if poison.deliveries > _MANY else 'less than'} "
        f"{_MANY} times; of the {len(others)} others {done or 'none'} was cooked."
    )
    if not done:
        return Seen(1, saw)
    return Seen(2 if poison.place in ("discarded", "dead-lettered", "unknown") else 0, saw)


def _observe_turned_away(lesson: Session) -> Seen:
    seen = observed(lesson)
    away = [event for event in seen.events if event.kind == "rejected"]
    messages = {message.task: message for message in sent_to_workers(seen)}
    if not away or any(message.place in ("waiting", "in hand") for message in messages.values()):
        raise CheckFailedError("Let a cook reject an order, and wait until the others are cooked.")
    poison = messages[away[0].task]
    choice = {"discarded": 0, "dead-lettered": 1}.get(poison.place, 2)
    return Seen(choice, f"{quoted(poison)} is {poison.place}.")


def _observe_three_returns(lesson: Session) -> Seen:
    poison = _most_delivered(sent_to_workers(observed(lesson)))
    if not poison.deliveries or poison.place in ("waiting", "in hand"):
        raise CheckFailedError("Send the order, and wait until it lies in the parking queue.")
    choice = {2: 0, 3: 1}.get(poison.deliveries, 2)
    return Seen(choice, f"{quoted(poison)} was delivered {poison.deliveries} times.")


def _most_delivered(messages: list[Message]) -> Message:
    return max(messages, key=lambda message: message.deliveries)


def _observe_killed_between(lesson: Session) -> Seen:
    _, plates = _retried(observed(lesson))
    if not plates:
        raise CheckFailedError("Run the cell with compare_retries(lesson).")
    made = plates["steps"]
    return Seen(min(made, 2), f"Of one order came {made} plate{'' if made == 1 else 's'}.")


def _observe_head_of_line(lesson: Session) -> Seen:
    seen = observed(lesson)
    slow, quick = _two_with_ttl(seen)
    order = _delivered_elsewhere(seen)
    if set(order) != {slow, quick}:
        raise CheckFailedError("Wait until both have come to the parking queue, and fetch them.")
    saw = f"'{order[0]}' came first, and '{order[1]}' after it."
    return Seen(0 if order[0] == quick else 1, saw)


def _observe_nothing_bound(lesson: Session) -> Seen:
    seen = observed(lesson)
    rejected = {event.task for event in seen.events if event.kind == "rejected"}
    kept = {event.task for event in _deaths(seen)}
    if len(rejected) < 2 or not kept:
        raise CheckFailedError("Let a cook reject an order of each queue, bind the parking queue, and look into it.")
    came = names_of([f"{task!r}" for task in sorted(kept)])
    return Seen(1 if len(kept) < len(rejected) else 2, f"To the parking queue came {came}.")


def _observe_killed_desk(lesson: Session) -> Seen:
    seen = observed(lesson)
    programs = {event.actor for event in seen.events if event.actor.startswith("order_desk.py")}
    if len(programs) < 2:
        raise CheckFailedError("Run the order desk until it halts, kill it, and run it again.")
    sent = sum(event.kind == "published" and event.actor in programs for event in seen.events)
    return Seen(min(sent, 2), f"{sent or 'No'} message{'' if sent == 1 else 's'} of that order came to the queue.")


PREDICTIONS = (
    Prediction(
        "poison",
        "A dragon is ordered, which nobody can cook, and behind it come a soup and a tea. The one cook holds one order "
        "at a time, and hands the dragon back to the queue whenever it comes. What becomes of soup and tea?",
        (
            Choice(
                "They are cooked: what is handed back goes to the end of the queue.",
                "A classic queue puts it back to where it was, in front of both.",
            ),
            Choice(
                "Neither is cooked, as long as the dragon comes back.",
                "What is handed back goes to its old place in a classic queue, which is the head. So it is the next to "
                "be delivered, every time.",
            ),
            Choice(
                "They are cooked once RabbitMQ has given the dragon up.",
                "A classic queue never gives up: it does not even count.",
            ),
        ),
        _observe_poison,
        section="An order that nobody can cook",
    ),
    Prediction(
        "turned away",
        "A cook rejects the dragon without requeue. Nothing was said about dead letters when the queue was declared, "
        "and beside it there is a queue of the name parked. Where is the dragon afterwards?",
        (
            Choice(
                "Nowhere: RabbitMQ has thrown it away.",
                "Without requeue it does not come back, and without a dead-letter exchange it goes nowhere else.",
            ),
            Choice("In the queue parked.", "Nobody told RabbitMQ of it. A queue's name means nothing by itself."),
            Choice("In its queue, behind the other two.", "That is a matter of requeue, and the cook said no."),
        ),
        _observe_turned_away,
        section="Parked, with a reason",
    ),
    Prediction(
        "a limit of two",
        "A quorum queue has x-delivery-limit 2. A cook rejects the dragon with requeue=True whenever it comes. How "
        "often is it delivered?",
        (
            Choice("Twice.", "The limit counts how often it came back, and the first delivery is no return."),
            Choice(
                "Three times.",
                "Once as it came, and twice because it came back. The third return is one too many.",
            ),
            Choice("More often.", "It would be without a limit. With one, the queue counts, and stops."),
        ),
        _observe_three_returns,
        section="A limit on coming back",
    ),
    Prediction(
        "killed between two calls",
        "A cook whose order fails publishes a copy of it to a queue where it waits, and then acknowledges the order. "
        "He is killed between the two calls. Later the oven works again. How many plates are there in the end?",
        (
            Choice("None: the order was lost with the cook.", "It would be, had he acknowledged first."),
            Choice("One.", "The copy was published, and the order was not acknowledged. So there are two of them now."),
            Choice(
                "Two: the order and its copy are both cooked.",
                "An order that was not acknowledged comes back, and nobody tells RabbitMQ that the copy is the same. "
                "Two calls can always be cut in two; choose what you prefer to happen, and here it is twice.",
            ),
        ),
        _observe_killed_between,
        section="Later is better than at once",
    ),
    Prediction(
        "two times to live",
        "Two orders wait in a queue, each with an expiration of its own: in front one that may wait for four seconds, "
        "behind it one that may wait for one. Which of them leaves first?",
        (
            Choice(
                "The second one, after a second.",
                "It has expired by then, but nobody looks: the queue looks at its head.",
            ),
            Choice(
                "The first one, after four seconds, and the other right behind it.",
                "What expires leaves at the head of the queue. Whoever stands behind somebody more patient waits too.",
            ),
        ),
        _observe_head_of_line,
        section="A clock for each message",
    ),
    Prediction(
        "nothing bound",
        "Two quorum queues send their dead letters to an exchange to which nothing is bound; one of them has the "
        "strategy at-least-once. A dragon is rejected in each. Only then a parking queue is bound to the exchange. "
        "What comes to it?",
        (
            Choice(
                "Neither of them: both were dead before.",
                "One of them was published once and gone. The other queue publishes again until somebody confirms.",
            ),
            Choice(
                "The dragon of the queue with at-least-once.",
                "That queue keeps a dead letter until another queue has confirmed it, and tries again.",
            ),
            Choice(
                "Both: an exchange keeps what it can't route.",
                "An exchange keeps nothing. What it can't route is gone, if its publisher does not keep it.",
            ),
        ),
        _observe_nothing_bound,
        section="Dead letters that must not get lost",
    ),
    Prediction(
        "killed after the publish",
        "The desk with the outbox is killed when RabbitMQ has confirmed the order, and before the outbox has forgotten "
        "it. Then the desk is started again. How many messages of that order come to the queue?",
        (
            Choice("None.", "It had been sent and confirmed before anybody was killed."),
            Choice("One: it was confirmed.", "That it was confirmed stood nowhere yet. The outbox still had it."),
            Choice(
                "Two, with the same message_id.",
                "The outbox is emptied again from where it was. It sends too often rather than too seldom, and whoever "
                "gets the order can know it again.",
            ),
        ),
        _observe_killed_desk,
        section="Two places to write to",
    ),
)

CHAPTER = Chapter(
    "When a task fails",
    "07_when_a_task_fails.ipynb",
    checks={
        "poison loop": _poison_loop,
        "parked": _parked,
        "delivery limit": _delivery_limit,
        "retries": _retries,
        "head of line": _head_of_line,
        "kept dead letters": _kept_dead_letters,
        "served once": _served_once,
        "outbox": _outbox,
        "priorities": _priorities,
        "one active consumer": _one_active_consumer,
    },
    sections={
        "poison loop": "An order that nobody can cook",
        "parked": "Parked, with a reason",
        "delivery limit": "A limit on coming back",
        "retries": "Later is better than at once",
        "head of line": "A clock for each message",
        "kept dead letters": "Dead letters that must not get lost",
        "served once": "The same order twice",
        "outbox": "Two places to write to",
    },
    optional=frozenset({"priorities", "one active consumer"}),
    predictions=PREDICTIONS,
    exercises=EXERCISES,
    questions=QUESTIONS,
)
