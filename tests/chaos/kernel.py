"""A run in a process of its own, as a notebook's kernel is, that is killed: what it logged is judged from outside.

`python -m tests.chaos.kernel` is that process. It tells its standard output of every event as it is recorded, so that
the journal is complete up to the moment of the kill, and its parent looks at the broker alone from then on.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pika
from pika.exceptions import AMQPError

from tests.chaos.plan import Moment, Plan, make_plan
from tests.chaos.verdict import DRAIN, Counts, Seen
from workq_helpers import Broker, WorkqError, find_broker
from workq_helpers import broker as brokers
from workq_helpers.clients.recording_connection import RecordingConnection
from workq_helpers.log.book import Book
from workq_helpers.log.details import BrokerChange, ConsumeOptions
from workq_helpers.log.events import EventLog, Row
from workq_helpers.log.ledger import Ledger
from workq_helpers.session import session
from workq_helpers.waiting import wait_until

__all__ = ["execute_in_a_kernel"]

#: How long what a dead process held may take to come back to the broker, and its own virtual host to go.
_SETTLE_SECONDS = 30.0
_LOOK_SECONDS = 0.05
#: The notebook of the process that is killed, which may have begun to fetch what was left.
_INSIDE = "the kernel's notebook"
#: What the supervisor's log says as it begins one.
_RESTART = re.compile(r"workq\.supervisor INFO (?:restart|crash)$", re.MULTILINE)


class Journal:
    """What the process told until it died."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.happened: Counter[str] = Counter()
        self.own_virtual_host = ""
        self.over = False
        self._ends: list[str] = []

    def read(self, process: subprocess.Popen[str]) -> None:
        """Read until the process has died."""
        assert process.stdout is not None
        for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # a line that the kill cut in two, or a callback's own words
            if "event" in told:
                kind, actor, *more = pickle.loads(base64.b64decode(told["event"]))  # noqa: S301 - from a process of our own
                self.log.record(kind, _INSIDE if actor == DRAIN else actor, *more)
            elif "happened" in told:
                self.happened[told["happened"]] += 1
            elif "virtual host" in told:
                self.own_virtual_host = told["virtual host"]
            elif "over" in told:
                self.over = True
            self.log.poke()
        self.over = True
        self.log.poke()

    def reached(self, moment: Moment) -> bool:
        """Whether it is time to kill it."""
        return self.over or sum(row[1] == moment.point for row in self.log.rows()) >= moment.number

    def tell_how_the_last_restart_ended(self, done: int) -> None:
        """Complete the log, should its process have died between asking for a restart and hearing of its end."""
        rows = self.log.rows()
        said = [row[8] for row in rows if isinstance(row[8], BrokerChange) and not row[8].is_alarm]
        if not said or said[-1] is BrokerChange.UP:
            return
        if done > said.count(BrokerChange.UP):
            self.log.record("broker", "lesson", detail=BrokerChange.UP)
            return
        last = max(number for number, row in enumerate(rows) if row[8] is said[-1])
        self.log.clear()
        for row in [*rows[:last], *rows[last + 1 :]]:
            self.log.record(*row[1:])


def execute_in_a_kernel(plan: Plan, broker: Broker) -> Seen:
    """Do what `plan` says in a process of its own, kill that, and return what was seen, inside and from outside."""
    assert plan.kernel_kill is not None
    host = broker.create_virtual_host(f"chaos-{plan.seed}")
    before = _restarts(broker)
    try:
        journal, troubles = _live_and_die(plan, host)
        # The supervisor takes things in order: once this is gone, it has done whatever else the dead asked of it.
        if journal.own_virtual_host and not _gone(broker, journal.own_virtual_host):
            troubles.append(f"virtual host {journal.own_virtual_host} outlived the process that opened it")
        journal.tell_how_the_last_restart_ended(_restarts(broker) - before)
        return _look_from_outside(plan, broker, host, journal, troubles)
    finally:
        broker.delete_virtual_host(host)


def _live_and_die(plan: Plan, host: str) -> tuple[Journal, list[str]]:
    assert plan.kernel_kill is not None
    journal, moment = Journal(), plan.kernel_kill
    command = [sys.executable, "-m", "tests.chaos.kernel", str(plan.seed), host]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip
        reader = threading.Thread(target=journal.read, args=(process,), name="journal")
        errors: list[str] = []
        complaints = threading.Thread(target=lambda: errors.append(process.stderr.read()), name="complaints")  # type: ignore[union-attr]
        reader.start()
        complaints.start()
        try:
            journal.log.wait_for(lambda: journal.reached(moment), plan.deadline_seconds)
            early = process.poll() is not None
        finally:
            process.kill()
            reader.join()
            complaints.join()
    journal.happened["kernel killed"] += 1
    troubles = [f"the process ended by itself: {''.join(errors)[-2000:]}"] if early else []
    if not len(journal.log):
        troubles.append("the process told nothing of what it did")
    return journal, troubles


def _look_from_outside(plan: Plan, broker: Broker, host: str, journal: Journal, troubles: list[str]) -> Seen:
    ledger = Ledger()
    ledger.catch_up(journal.log)
    _tell_of_the_death(journal.log, ledger)
    troubles += _wait_for_the_broker(broker, host)
    quiet = len(journal.log)
    counts = _counts(broker, host)
    parameters = broker.connection_parameters(host, heartbeat=0)
    with RecordingConnection(parameters, endpoint=broker.endpoint, book=Book(journal.log)) as connection:
        channel = connection.channel()
        for name in counts:
            while (method := channel.basic_get(name)[0]) is not None:
                channel.basic_ack(method.delivery_tag)
    # The last acks may still be on their way.
    _until(lambda: not any(map(sum, _counts(broker, host).values())), 5.0)
    rows = journal.log.rows()
    workers = {row[2]: "killed" for row in rows if row[1] == "connected" and isinstance(row[8], ConsumeOptions)}
    return Seen(
        rows=rows,
        quiet=quiet,
        counts=counts,
        left=_counts(broker, host),
        workers=workers,
        troubles=troubles,
        happened=journal.happened,
    )


def _tell_of_the_death(log: EventLog, ledger: Ledger) -> None:
    """Add to the log what the death of its process means: nobody was left to write it down."""
    rows = log.rows()
    queues = {row[2]: row[3] for row in rows if row[1] in ("connected", "starting")}
    ended = {row[2] for row in rows if row[1] in ("killed", "stopped", "crashed")}
    for actor, queue in queues.items():
        if actor not in ended:
            log.record("killed", actor, queue, detail="with its process")
    for queue in sorted({row[3] for row in rows if row[1:3] == ("delivered", _INSIDE)}):
        log.record("killed", _INSIDE, queue, detail="with its process")
    for worker in ledger.workers():
        for slot in ledger.slots(worker, sys.maxsize):
            message = slot.message
            kind = "lost" if slot.auto_ack else "requeued"
            log.record(
                kind, worker, message.queue, message.mark, message.task, message.delivery_tag,
                message.redelivered, "with its process",
            )  # fmt: skip


def _wait_for_the_broker(broker: Broker, host: str) -> list[str]:
    """Wait until the broker is up and has taken back what the dead held."""

    def settled() -> bool:
        counts = broker.queue_counts(host)
        if any(known.unacknowledged for known in counts.values()):
            return False
        with contextlib.closing(pika.BlockingConnection(broker.connection_parameters(host))) as connection:
            channel = connection.channel()
            declared = {name: channel.queue_declare(name, passive=True).method for name in counts}
        # A quorum queue's counts come late; its own answer comes at once.
        return all(
            (known.consumer_count, known.message_count) == (0, counts[name].ready) for name, known in declared.items()
        )

    if _until(settled, _SETTLE_SECONDS):
        return []
    return [f"the broker has not taken back what the dead process held: {broker.queue_counts(host)}"]


def _restarts(broker: Broker) -> int:
    """Return how many restarts the supervisor has written down."""
    return len(_RESTART.findall(brokers.logs())) if broker.ours else 0


def _counts(broker: Broker, host: str) -> dict[str, Counts]:
    return {name: Counts(*known[:2]) for name, known in broker.queue_counts(host).items()}


def _gone(broker: Broker, virtual_host: str) -> bool:
    return _until(lambda: virtual_host not in broker.virtual_hosts(), _SETTLE_SECONDS)


def _until(condition: Callable[[], object], seconds: float) -> bool:
    def holds() -> object:
        with contextlib.suppress(WorkqError, AMQPError, OSError):
            return condition()
        return False

    return bool(wait_until(holds, seconds, interval_seconds=_LOOK_SECONDS))


# -- inside


class _Told(EventLog):
    """A log that tells of each event before whoever records it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._order = threading.Lock()

    def record(self, *row: Any, **more: Any) -> None:
        with self._order:
            super().record(*row, **more)
            self._tell_of(len(self) - 1)

    def record_after(self, events: int, rows: Iterable[Row]) -> bool:
        with self._order:
            recorded = super().record_after(events, rows)
            if recorded:
                self._tell_of(events)
            return recorded

    def _tell_of(self, start: int) -> None:
        for row in self.rows(start):
            _tell({"event": base64.b64encode(pickle.dumps(row[1:])).decode()})


def _tell(told: dict[str, object]) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


def main(seed: int, host: str) -> None:
    """Do what the plan of `seed` says in the virtual host that the parent made, and wait to be killed."""
    from tests.chaos.run import execute

    session.EventLog = _Told  # type: ignore[misc]
    plan = make_plan(seed)
    with find_broker(lambda _: None) as broker:
        if not broker.features.transient_queues:
            plan = plan.without_transient_queues()
        # Of its own, to see that it goes with the process; the lesson's is looked into when the process is dead.
        _tell({"virtual host": broker.create_virtual_host("chaos-kernel")})
        own = broker.create_virtual_host
        delete = broker.delete_virtual_host
        broker.create_virtual_host = lambda label: own(label) if label.endswith("-beside") else host  # type: ignore[method-assign]
        broker.delete_virtual_host = lambda name: None if name == host else delete(name)  # type: ignore[method-assign]
        try:
            execute(plan, broker, lambda fault: _tell({"happened": fault}))
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            _tell({"over": True})
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
