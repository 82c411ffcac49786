"""A hundred learners on one broker at once: `python benchmarks/class_of_100.py`.

Makes a class as `workq class create` does. Then each learner, by the own address alone, opens a lesson, waits until
everybody has theirs open, starts two workers, sends five tasks of a dot each and waits until all are done. It checks
that nothing fails, that each learner's tasks reach that learner's workers alone, and that nobody sees another's virtual
hosts or queues; and prints how long it took each beside one who is alone on the same broker.

A hundred learners need a broker that may open some 4,000 files; a container of Debian's packages opens 1,024, unless
RABBITMQ_MAX_OPEN_FILES says more. Name one with WORKQ_BROKER_URL, or take fewer with ``--learners 20``.

A kernel for each learner would measure how fast two processors switch between a hundred Pythons. Here the learners are
threads, ten to a process (``--in-one-process``), with the same connections, workers and requests as in a notebook.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from workq_helpers import Lesson, find_broker, print_work_and_ack
from workq_helpers.classroom.classroom import Classroom
from workq_helpers.classroom.limits import Limits
from workq_helpers.classroom.roster import Learner
from workq_helpers.classroom.teachers_file import Access, TeachersFile
from workq_helpers.rabbitmq.url import endpoint_from_url

SECONDS_PER_DOT = "0.2"
TASKS = 5
WORKERS = 2
#: How long all may wait for the slowest, in seconds.
PATIENCE_SECONDS = 300.0
#: So often one is measured alone.
ROUNDS_ALONE = 5

SPAWN = multiprocessing.get_context("spawn")


class Took(NamedTuple):
    """How long one learner waited, in seconds, and what went wrong."""

    opening: float = math.nan
    tasks: float = math.nan
    closing: float = math.nan
    trouble: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, default=100)
    parser.add_argument("--in-one-process", type=int, default=10, metavar="LEARNERS")
    options = parser.parse_args()
    os.environ["WORKQ_SECONDS_PER_DOT"] = SECONDS_PER_DOT
    with find_broker() as broker, tempfile.TemporaryDirectory() as folder:
        print(f"{broker.describe()}; {options.learners} learners, {WORKERS} workers and {TASKS} tasks each\n")
        file = TeachersFile(Path(folder) / "class-urls.csv")
        with Classroom(broker.endpoint, file) as classroom:
            try:
                started = time.monotonic()
                roster = [Learner(f"Learner {number:03}") for number in range(options.learners)]
                accesses = classroom.create(roster, Limits()).new
                print(f"making the class took {time.monotonic() - started:.1f} s")
                alone = [took for _ in range(ROUNDS_ALONE) for took in at_once(accesses[:1], 1)]
                together = at_once(accesses, options.in_one_process)
            finally:
                started = time.monotonic()
                classroom.remove()
                print(f"removing it took {time.monotonic() - started:.1f} s\n")
    return report(alone, together)


def at_once(accesses: Sequence[Access], in_one_process: int) -> list[Took]:
    """Let learners work at the same time, some to a process."""
    groups = [accesses[start : start + in_one_process] for start in range(0, len(accesses), in_one_process)]
    barrier = SPAWN.Barrier(len(accesses), timeout=PATIENCE_SECONDS)
    queue = SPAWN.Queue()
    processes = [SPAWN.Process(target=group_of, args=(group, barrier, queue)) for group in groups]
    for process in processes:
        process.start()
    found: list[Took] = [took for _ in processes for took in queue.get(timeout=2 * PATIENCE_SECONDS)]
    for process in processes:
        process.join()
    return found


def group_of(accesses: Sequence[Access], barrier: Barrier, queue: Any) -> None:
    """Be the learners of one process."""
    with ThreadPoolExecutor(len(accesses)) as pool:
        queue.put(list(pool.map(learner, accesses, [barrier] * len(accesses))))


def learner(access: Access, barrier: Barrier) -> Took:
    """Be one learner."""
    try:
        return course(access, barrier)
    except threading.BrokenBarrierError:
        return Took(trouble="others failed, or took too long")
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        barrier.abort()
        return Took(trouble=traceback.format_exc())


def course(access: Access, barrier: Barrier) -> Took:
    """Do what a notebook does, and return how long each part took."""
    environ = {"WORKQ_BROKER_URL": access.broker_url, "WORKQ_MANAGEMENT_URL": access.management_url}
    begun = time.monotonic()
    with find_broker(environ=environ) as broker, Lesson(f"class of {access.user}", broker) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare("hello", durable=True)
        opened = time.monotonic()
        barrier.wait()
        started = time.monotonic()
        lesson.start_workers(WORKERS, print_work_and_ack, "hello", prefetch_count=1)
        lesson.start_publisher([f"{access.user} {number}." for number in range(TASKS)], "hello")
        lesson.wait_until_idle(PATIENCE_SECONDS)
        done = time.monotonic()
        barrier.wait()  # everybody's queues are there now
        trouble = strangers(access, lesson, environ)
        barrier.wait()
        closing = time.monotonic()
    return Took(opened - begun, done - started, time.monotonic() - closing, trouble)


def strangers(access: Access, lesson: Lesson, environ: dict[str, str]) -> str:
    """Say what a learner saw that is not the learner's own; ``""`` if nothing."""
    tasks = sorted(message.task for message in lesson.ledger())
    if tasks != [f"{access.user} {number}." for number in range(TASKS)]:
        return f"{access.user} had the tasks {tasks}"
    if sum(worker.finished for worker in lesson.workers) != TASKS:
        return f"{access.user}'s workers did {[worker.finished for worker in lesson.workers]}"
    endpoint = endpoint_from_url(environ)
    login = (endpoint.username, endpoint.password)
    with httpx.Client(base_url=f"{endpoint.management_url}/api/", auth=login, trust_env=False, timeout=60.0) as api:
        queues = api.get("queues", params={"disable_stats": "true"}).raise_for_status().json()
        hosts = {row["vhost"] for row in queues} | {row["name"] for row in api.get("vhosts").raise_for_status().json()}
    others = sorted(host for host in hosts if host.partition(".")[0] != access.user)
    if others:
        return f"{access.user} saw {others}"
    names = sorted(row["name"] for row in queues)
    return "" if names == sorted(["hello", lesson.virtual_host]) else f"{access.user} saw the queues {names}"


def report(alone: list[Took], together: list[Took]) -> int:
    """Print the figures and return the exit status."""
    print(f"{'seconds':36} {'alone':>8} {'in class':>9} {'slowest':>8}")
    for part, what in (
        ("opening", "to open the lesson"),
        ("tasks", f"{TASKS} tasks by {WORKERS} workers, until idle"),
        ("closing", "to close it"),
    ):
        one = statistics.median(getattr(took, part) for took in alone)
        each = sorted(getattr(took, part) for took in together)
        print(f"{what:36} {one:8.2f} {statistics.median(each):9.2f} {each[-1]:8.2f}")
    troubles = [took.trouble for took in [*alone, *together] if took.trouble]
    print(f"\n{len(together) - len(troubles)} of {len(together)} without a failure, nobody's queue seen by another")
    for trouble in troubles[:3]:
        print(trouble)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
