"""`moments_of`: everything that a stage could show of its log, moment by moment; with `task_rows` a run to be kept."""

from __future__ import annotations

import bisect
import heapq
import math
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter

from workq_helpers import log as logs
from workq_helpers.anonymity import anonymous
from workq_helpers.errors import InvalidArgumentError
from workq_helpers.hidden import ENVIRON
from workq_helpers.log.events import EventLog
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.management import QueueCounts
from workq_helpers.rabbitmq.routes import Routes
from workq_helpers.stage.composition import amended, shown_routes
from workq_helpers.stage.frame import Moment, Recorded, Topology
from workq_helpers.stage.saved_run import MOST_MOMENTS, RunMoment, TaskRow
from workq_helpers.stage.scene import BrokerCounts, ConsoleTail, Scene
from workq_helpers.text import printable, without_login

__all__ = ["lines_by", "moments_of", "task_rows", "without_address"]

#: A file by its whole path, which tells more of a machine than the file's name.
_PATH = re.compile(r"(?<![\w.:/~-])(?:file://)?~?/(?:[^\s/\"'<>:]+/)+([^\s/\"'<>:]*)")
#: Variables that hold a secret, and how long one is at least; what is shorter may be a word.
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|API_?KEY|PRIVATE", re.IGNORECASE)
_LEAST_SECRET = 6


def moments_of(
    log: EventLog,
    answers: Iterable[BrokerCounts],
    console: ConsoleTail,
    written_seconds: Iterable[float],
    known_queues: Mapping[str, QueueCounts],
    routes: Routes,
    seconds_per_dot: float,
    begin_seconds: float = 0.0,
    end_seconds: float | None = None,
    stretch_seconds: float = 0.0,
) -> Iterator[RunMoment]:
    """Yield a moment for each event, each answer of the broker and each line that a worker printed, in order.

    Args:
        log: What happened.
        answers: What the broker said of its queues, and when.
        console: Returns the last lines of a worker's console.
        written_seconds: When workers printed something.
        known_queues: What the broker says of its queues, for those that the log has not seen declared.
        routes: What the broker says of its exchanges.
        seconds_per_dot: How long a dot of work takes.
        begin_seconds: Where to begin, in seconds since the lesson opened.
        end_seconds: Where to end; at the log's end by default.
        stretch_seconds: Of each stretch of so many seconds only the last moment is wanted; all by default.

    Raises:
        InvalidArgumentError: There is nothing between these, or more than a browser can hold.
    """
    rows = log.rows()
    now = log.seconds()
    begin_seconds = max(0.0, begin_seconds)
    end_seconds = now if end_seconds is None else min(end_seconds, now)
    told = list(answers)
    happened = (row[0] for row in rows)
    all_seconds = heapq.merge(happened, (answer.seconds for answer in told), sorted(written_seconds), [begin_seconds])
    wanted = [seconds for seconds in dict.fromkeys(all_seconds) if begin_seconds <= seconds <= end_seconds]
    if stretch_seconds:
        wanted = [*wanted[:1], *{seconds // stretch_seconds: seconds for seconds in wanted[1:]}.values()]
    _check_stretch(wanted, rows, begin_seconds, end_seconds)
    scene = Scene(seconds_per_dot)
    topology = shown_routes(routes)
    answer = 0
    for seconds in wanted:
        stop = scene.events
        while stop < len(rows) and rows[stop][0] <= seconds:
            stop += 1
        scene.update(rows[scene.events : stop])
        while answer + 1 < len(told) and told[answer + 1].seconds <= seconds:
            answer += 1
        shown = scene.picture(seconds, told[answer] if told else BrokerCounts(), console)
        yield RunMoment(seconds, scene.events, _recorded(shown, known_queues, topology))


def lines_by(written: Mapping[str, Sequence[tuple[float, str]]]) -> ConsoleTail:
    """Return what tells the last lines of a console by a moment, however many moments ask."""

    def tail(name: str, count: int, until_seconds: float) -> list[str]:
        lines = written.get(name, ())
        stop = bisect.bisect_right(lines, until_seconds, key=itemgetter(0))
        return [printable(line) for _, line in lines[max(0, stop - count) : stop]]

    return tail


def task_rows(log: EventLog, begin_seconds: float = 0.0, end_seconds: float | None = None) -> list[TaskRow]:
    """Return what became of each task to which something happened in a stretch."""
    stretch = log.copy(math.inf if end_seconds is None else end_seconds)
    tasks = logs.tables.tasks(stretch)
    if begin_seconds > 0:
        touched = {row[4] or "" for row in stretch.rows() if row[0] >= begin_seconds}
        tasks = tasks[tasks["mark"].isin(touched)]
    columns = tasks[list(TaskRow.__annotations__)]
    return [
        {"task": str(task), "queue": str(queue), "deliveries": int(count), "workers": str(workers), "fate": str(fate)}
        for task, queue, count, workers, fate in columns.itertuples(index=False)
    ]


def without_address(endpoint: Endpoint) -> Callable[[str], str]:
    """Return what takes out of a text whatever tells who recorded it, and where."""
    address = re.compile(rf"{re.escape(endpoint.host)}:{endpoint.port}\b|{_named(endpoint.host)}")
    host = re.compile(_named(socket.gethostname()))
    secrets = re.compile("|".join(map(re.escape, _secrets(endpoint.password))) or r"(?!)")

    def told(text: str) -> str:
        whole = text.encode("utf-8", "replace").decode()  # half of a character is no text
        shown = anonymous(secrets.sub("SECRET", address.sub("the broker", without_login(whole))))
        return _PATH.sub(r"…/\1", host.sub("HOST", shown))

    return cache(told)  # moments repeat one another


def _named(host: str) -> str:
    """Return a pattern of a host's name: anywhere, or where it may be a word too, behind what comes before a host."""
    if host in ("localhost", "127.0.0.1", "::1"):
        return "(?!)"  # every machine's
    before = r"(?<![\w.-])" if re.search(r"[\d.:-]", host) else "(?<=[@/])"
    return rf"{before}{re.escape(host)}(?![\w-])"


def _secrets(password: str) -> list[str]:
    """Return what nobody may read: the password, and variables that are called like one; longer ones first."""
    variables = [value for name, value in ENVIRON.items() if _SECRET_NAME.search(name)]
    return sorted({each for each in (password, *variables) if len(each) >= _LEAST_SECRET}, key=len, reverse=True)


def _recorded(shown: Moment, known_queues: Mapping[str, QueueCounts], topology: Topology) -> Recorded:
    queues = [amended(card, known_queues) for card in shown["queues"]]
    return {**shown, **topology, "queues": queues}


def _check_stretch(wanted: list[float], rows: Sequence[object], begin: float, end: float) -> None:
    if len(wanted) > MOST_MOMENTS:
        raise InvalidArgumentError(
            f"From {begin:.1f} s to {end:.1f} s there are {len(wanted):,} moments of {len(rows):,} events, and a saved "
            f"run holds {MOST_MOMENTS:,}. Choose a stretch: lesson.save_run(..., begin_seconds=..., end_seconds=...)."
        )
    if not rows or not wanted:
        raise InvalidArgumentError(
            f"There is nothing to save from {begin:.1f} s to {end:.1f} s: the log has {len(rows)} events. "
            "Send a task first, or choose another stretch."
        )
