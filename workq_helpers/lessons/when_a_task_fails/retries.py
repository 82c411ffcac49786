"""`compare_retries`: an order that fails for a while, tried again in several ways, each with a cook who dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from workq_helpers.clients.pace import pause, seconds_per_dot
from workq_helpers.errors import WaitTimeoutError
from workq_helpers.lessons.when_a_task_fails.accidents import Accident
from workq_helpers.lessons.when_a_task_fails.parking import read_death
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.log.events import Event
    from workq_helpers.session import Session

__all__ = ["ORDER", "PLATES", "STEPS", "WAYS", "Way", "compare_retries", "retry_table"]

#: What is ordered, and the queue for what was cooked.
ORDER, PLATES = "Fish", "plates"

#: How many units each step of "steps" waits.
STEPS = (1, 2, 4)

#: The shortest unit of waiting, in seconds: RabbitMQ takes some milliseconds for each step itself.
_SHORTEST_UNIT_SECONDS = 0.1
#: How many units the oven is broken, and how many attempts a unit has where nothing waits.
_BROKEN_UNITS = 5
_ATTEMPTS_A_UNIT = 20
#: So often "at once" is tried at least, however slow the machine: the others have longer units then.
_FEWEST_ATTEMPTS = 50
_TIMEOUT_SECONDS = 60.0


class Way(NamedTuple):
    """A way to try again.

    Attributes:
        queues: The queues that it takes, by name, with their arguments; the first is the cook's.
        hand_back: Gives a delivery back, with the accident in its worst moment.
        told_by: Says how many attempts a delivery's headers tell of, and which header that is.
    """

    queues: Mapping[str, dict[str, Any]]
    hand_back: Callable[[Any, Any, Any, bytes, Callable[[], None]], None]
    told_by: Callable[[Mapping[str, Any]], str]


def _dead_letters_to(queue: str) -> dict[str, Any]:
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}


# -- the ways -----------------------------------------------------------------------------------------


def _requeue(ch: Any, method: Any, _properties: Any, _body: bytes, accident: Callable[[], None]) -> None:
    accident()
    ch.basic_nack(delivery_tag=method.delivery_tag, requeue=True)


def _dead_letter(ch: Any, method: Any, _properties: Any, _body: bytes, accident: Callable[[], None]) -> None:
    accident()
    ch.basic_reject(delivery_tag=method.delivery_tag, requeue=False)


def _copy(ch: Any, method: Any, properties: Any, body: bytes, accident: Callable[[], None]) -> None:
    attempt = (properties.headers or {}).get("attempt", 0) + 1
    step = STEPS[min(attempt, len(STEPS)) - 1]
    properties.headers = (properties.headers or {}) | {"attempt": attempt}
    ch.confirm_delivery()
    ch.basic_publish(exchange="", routing_key=f"steps {step}", body=body, properties=properties, mandatory=True)
    accident()
    ch.basic_ack(delivery_tag=method.delivery_tag)


def _return(ch: Any, method: Any, _properties: Any, _body: bytes, accident: Callable[[], None]) -> None:
    accident()
    ch.basic_reject(delivery_tag=method.delivery_tag, requeue=True)


def _told_by_nobody(_headers: Mapping[str, Any]) -> str:
    return "nobody"


def _told_by_death(headers: Mapping[str, Any]) -> str:
    return f"x-death: {read_death(dict(headers))[2]}"


def _told_by_header(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda headers: f"{name}: {int(headers.get(name, 0))}"


def _ways(unit_ms: int) -> dict[str, Way]:
    waits = {f"steps {step}": {"x-message-ttl": step * unit_ms} | _dead_letters_to("steps") for step in STEPS}
    cycle_wait = {"x-message-ttl": unit_ms} | _dead_letters_to("cycle")
    delay = {
        "x-queue-type": "quorum",
        "x-delayed-retry-type": "all",
        "x-delayed-retry-min": unit_ms,
        "x-delayed-retry-max": max(STEPS) * unit_ms,
    }
    return {
        "at once": Way({"at once": {}}, _requeue, _told_by_nobody),
        "cycle": Way({"cycle": _dead_letters_to("cycle wait"), "cycle wait": cycle_wait}, _dead_letter, _told_by_death),
        "steps": Way({"steps": {}} | waits, _copy, _told_by_header("attempt")),
        "delayed": Way({"delayed": delay}, _return, _told_by_header("x-delivery-count")),
    }


#: Their names, which are those of their queues.
WAYS = tuple(_ways(1))


# -- the experiment -----------------------------------------------------------------------------------


class _Oven:
    """Broken from the first look at it on, for some time and for some looks."""

    def __init__(self, broken_seconds: float, looks: int) -> None:
        self._broken_seconds = broken_seconds
        self._looks = looks
        self._first_look = 0.0
        #: How long it had been broken when it was looked at last.
        self.seconds = 0.0

    def works(self) -> bool:
        """Whether it works again."""
        now = time.monotonic()
        self._first_look = self._first_look or now
        self._looks -= 1
        self.seconds = now - self._first_look
        return self.seconds >= self._broken_seconds and self._looks < 0


def compare_retries(lesson: Session) -> pd.DataFrame:
    """Cook one order in every way that this RabbitMQ has, with an oven that is broken at first.

    In each way the first cook dies in the worst moment of its first attempt, and another one goes on.

    Args:
        lesson: Where to do it; it gets the queues of every way.

    Returns:
        As `retry_table`, with the header that tells of the attempts, and what the last delivery's said.

    Raises:
        WaitTimeoutError: An order was not cooked within a minute.
    """
    unit = max(seconds_per_dot(), _SHORTEST_UNIT_SECONDS)
    begin = len(lesson.log)
    told = {}
    for name in WAYS:
        if name != "delayed" or lesson.broker.features.delayed_retry:
            oven = _Oven(_BROKEN_UNITS * unit, _FEWEST_ATTEMPTS if name == "at once" else 0)
            told[name] = _try(lesson, name, oven, unit)
            if name == "at once":
                unit = oven.seconds / _BROKEN_UNITS
    table = retry_table(lesson.log[begin:])
    return table.assign(told=pd.Series(told)).rename(columns={"told": "attempts told by"})


def _try(lesson: Session, name: str, oven: _Oven, unit_seconds: float) -> str:
    begin, way = len(lesson.log), _ways(round(1000 * unit_seconds))[name]
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.queue_declare(queue=PLATES, durable=True)
        for queue, arguments in way.queues.items():
            channel.queue_declare(queue=queue, durable=True, arguments=arguments)
        channel.basic_publish(exchange="", routing_key=name, body=ORDER.encode())
    accident, told = Accident(lesson), [""]

    def die_after_the_copy() -> None:
        if not accident.happened and name == "steps":
            wait_until(lambda: _copies_waiting(lesson, way), _TIMEOUT_SECONDS)
        accident()

    def cook(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        told[0] = way.told_by(properties.headers or {})
        if accident.happened:
            pause(unit_seconds / _ATTEMPTS_A_UNIT)
        if accident.happened and oven.works():
            ch.basic_publish(exchange="", routing_key=PLATES, body=f"{ORDER}, {name}".encode())
            ch.basic_ack(delivery_tag=method.delivery_tag)
        else:
            way.hand_back(ch, method, properties, body, die_after_the_copy)

    lesson.start_worker(cook, name, prefetch_count=1)
    wanted = 1 + _copies_made(lesson, accident.strike())
    second = lesson.start_worker(cook, name, prefetch_count=1)
    made = wait_until(
        lambda: _plates(lesson.log[begin:], name), _TIMEOUT_SECONDS, accept=lambda plates: plates >= wanted
    )
    if made < wanted:
        raise WaitTimeoutError(f"The order of {name!r} was not cooked within {_TIMEOUT_SECONDS:.0f} seconds.")
    second.stop()
    return told[0]


def _copies_waiting(lesson: Session, way: Way) -> int:
    counts = lesson.queue_counts()
    return sum(counts[queue].ready for queue in way.queues if queue in counts)


def _copies_made(lesson: Session, worker: str) -> int:
    return sum(event.kind == "published" and event.actor == worker for event in lesson.log)


def _plates(events: Iterable[Event], way: str) -> int:
    made = f"{ORDER}, {way}"
    return sum(event.kind == "published" and event.task == made for event in events)


def retry_table(events: Sequence[Event]) -> pd.DataFrame:
    """Count what the log saw of each way.

    Args:
        events: Those of one run of `compare_retries`.

    Returns:
        By ``way``: ``deliveries`` to cooks, ``plates``, ``lost`` and ``twice`` (orders without a plate, and plates too
        many).
    """
    rows = {}
    for way in WAYS:
        deliveries = sum(event.kind == "delivered" and event.queue == way for event in events)
        plates = _plates(events, way)
        if deliveries:
            rows[way] = (deliveries, plates, max(0, 1 - plates), max(0, plates - 1))
    columns = ["deliveries", "plates", "lost", "twice"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("way")
