"""`Plan`: what happens in one run of the campaign, a pure function of its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from packaging.version import Version

__all__ = [
    "Moment",
    "Plan",
    "ProgramPlan",
    "PublisherPlan",
    "QueuePlan",
    "Step",
    "WorkerPlan",
    "make_plan",
    "make_restarts_plan",
]

#: Where in a callback a fault can strike its worker.
POINTS = ("before work", "during work", "before ack", "after ack")

#: What a callback may do in place of acknowledging.
QUIRKS = ("ack twice", "ack another tag", "nack", "reject", "forget", "raise")

#: Deeds that cost seconds and need a broker of the course's own.
RESTARTS = ("restart the broker", "crash the broker")

#: What happens to the machine, and in which share of the runs.
MACHINE_FAULTS = {"set the clock": 0.2, "disk alarm": 0.06, "fill the disk": 0.06}
#: In which share the process that runs the lesson is killed.
_KERNEL_KILLS = 0.12
#: In which share of the others a program in a process of its own takes part, through the relay.
_PROGRAMS = 0.4
#: What may happen to it.
_PROGRAM_FAULTS = ("kill the program", "kill the program", "freeze the program")
#: By how much the clock is set.
_CLOCK_SECONDS = (-86_400.0, -3_600.0, -10.0, 10.0, 3_600.0, 86_400.0)


@dataclass(frozen=True)
class QueuePlan:
    """A queue, and how its messages are sent and taken.

    Attributes:
        type: "classic" or "quorum".
        heirs: Whether a worker that ended is followed by another.
    """

    name: str
    type: str
    durable: bool
    auto_ack: bool
    persistent: bool
    confirm: bool
    heirs: bool

    @property
    def keeps_messages(self) -> bool:
        """Whether its messages outlive a restart; a quorum queue keeps all."""
        return self.durable and (self.persistent or self.type == "quorum")

    @property
    def safe(self) -> bool:
        """Whether nothing confirmed may be lost, whatever breaks."""
        return self.keeps_messages and self.confirm and not self.auto_ack


@dataclass(frozen=True)
class WorkerPlan:
    """A worker; `quirks` says at which of its deliveries, from 1, its callback does something odd."""

    name: str
    queue: str
    prefetch_count: int
    proxied: bool
    ack_every: int
    quirks: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class PublisherPlan:
    """A publisher of `count` tasks of so many dots, padded to `size` bytes."""

    name: str
    queue: str
    count: int
    interval_seconds: float
    dots: int
    size: int
    proxied: bool


@dataclass(frozen=True)
class ProgramPlan:
    """A program that takes tasks from a queue, and sends `count` to it."""

    name: str
    queue: str
    prefetch_count: int
    ack_every: int
    count: int


@dataclass(frozen=True)
class Moment:
    """When a step is due: when the target's callback is at `point`, or the log has so many of `point`, a kind of event.

    Attributes:
        number: For the how-manieth time.
        held: Whether the callback waits there until the deed is done; else the two race.
    """

    point: str
    number: int
    held: bool = False


@dataclass(frozen=True)
class Step:
    """One deed, at its moment; `amount` is what the deed makes of it: seconds, or which connection."""

    deed: str
    target: str
    moment: Moment
    amount: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Everything that happens in one run.

    Attributes:
        kernel_kill: When the process that runs the lesson is killed, if it is: then it has a process of its own.
        program: The program that takes part, if one does.
    """

    seed: int
    queues: tuple[QueuePlan, ...]
    workers: tuple[WorkerPlan, ...]
    publishers: tuple[PublisherPlan, ...]
    steps: tuple[Step, ...]
    kernel_kill: Moment | None = None
    program: ProgramPlan | None = None

    @property
    def restarts(self) -> int:
        """How often the broker goes down."""
        return sum(step.deed in RESTARTS for step in self.steps)

    @property
    def crashes(self) -> bool:
        """Whether the broker crashes."""
        return any(step.deed == "crash the broker" for step in self.steps)

    @property
    def deadline_seconds(self) -> float:
        """How long the run may take in all; a machine with much else to do takes ten times as long as another."""
        return 180.0 + 30.0 * self.restarts

    def late_queues(self, version: Version) -> set[str]:
        """Return the queues of which RabbitMQ answers a goodbye, now and then, before they have all that was sent."""
        return {queue.name for queue in self.queues if queue.type == "quorum"} if version.major < 4 else set()

    def without_transient_queues(self) -> Plan:
        """Return the same plan for a broker that refuses queues that are not durable."""
        return replace(self, queues=tuple(replace(queue, durable=True) for queue in self.queues))

    def __str__(self) -> str:
        lines = [f"seed {self.seed}"]
        for part in (self.queues, self.workers, self.publishers, self.steps):
            lines += [f"  {member}" for member in part]
        if self.program:
            lines.append(f"  {self.program}")
        if self.kernel_kill:
            lines.append(f"  SIGKILL to the process that runs the lesson, at {self.kernel_kill}")
        return "\n".join(lines)


def make_plan(seed: int) -> Plan:
    """Return the plan of `seed`; always the same."""
    # A string seeds it in the same way in every version of Python.
    rng = random.Random(f"chaos {seed}")  # noqa: S311 - it is to be repeatable, not secret
    queues = tuple(_queue(rng, number) for number in range(1, rng.choice((2, 2, 3))))
    workers = tuple(
        _worker(rng, f"{queue.name}-worker-{number}", queue)
        for queue in queues
        for number in range(1, rng.randint(1, 4) + 1)
    )
    publishers = tuple(
        _publisher(rng, f"{queue.name}-publisher-{number}", queue)
        for queue in queues
        for number in range(1, rng.randint(1, 2) + 1)
    )
    steps = tuple(_step(rng, workers, publishers) for _ in range(rng.randint(2, 7)))
    if rng.random() < 0.15:
        deed = rng.choice(RESTARTS)
        place = rng.randint(0, len(steps))
        steps = (*steps[:place], Step(deed, "", _progress(rng)), *steps[place:])
    return _with_a_program(_with_the_machine_s_faults(Plan(seed, queues, workers, publishers, steps)))


def _with_the_machine_s_faults(plan: Plan) -> Plan:
    """Add what happens to the machine around the lesson; drawn apart, so that older seeds keep their other steps."""
    rng = random.Random(f"machine {plan.seed}")  # noqa: S311 - it is to be repeatable, not secret
    steps = list(plan.steps)
    for deed, share in MACHINE_FAULTS.items():
        if rng.random() < share:
            steps.insert(rng.randint(0, len(steps)), Step(deed, "", _progress(rng), rng.choice(_CLOCK_SECONDS)))
    kill = _progress(rng) if rng.random() < _KERNEL_KILLS else None
    return replace(plan, steps=tuple(steps), kernel_kill=kill)


def _with_a_program(plan: Plan) -> Plan:
    """Add a program that works through the relay; drawn apart, as the machine's faults are."""
    rng = random.Random(f"program {plan.seed}")  # noqa: S311 - it is to be repeatable, not secret
    if plan.kernel_kill or rng.random() >= _PROGRAMS:
        return plan
    queue, prefetch_count = rng.choice(plan.queues), rng.choice((1, 2, 10, 100))
    count = rng.choice((0, 5, 30, 100))
    ack_every = rng.choice((1, 5)) if prefetch_count >= 10 else 1
    steps = list(plan.steps)
    for deed in rng.sample(_PROGRAM_FAULTS, rng.choice((0, 1, 1))):
        steps.insert(rng.randint(0, len(steps)), Step(deed, "", _progress(rng)))
    program = ProgramPlan("elsewhere", queue.name, prefetch_count, ack_every, count)
    return replace(plan, steps=tuple(steps), program=program)


def make_restarts_plan(seed: int, restarts: int) -> Plan:
    """Return a plan in which the broker goes down so many times while work goes on, and nothing may be lost."""
    rng = random.Random(f"restarts {seed}")  # noqa: S311 - it is to be repeatable, not secret
    queues = tuple(
        QueuePlan(f"q-{kind}", kind, durable=True, auto_ack=False, persistent=True, confirm=True, heirs=True)
        for kind in ("classic", "quorum")
    )
    workers = tuple(
        WorkerPlan(f"{queue.name}-worker-{number}", queue.name, rng.choice((1, 10)), False, 1, ())
        for queue in queues
        for number in (1, 2)
    )
    publishers = tuple(
        PublisherPlan(f"{queue.name}-publisher", queue.name, 20 * (restarts + 1), 0.01, 1, 0, proxied=False)
        for queue in queues
    )
    steps = tuple(
        Step(rng.choice(RESTARTS), "", Moment("published", 40 * number + rng.randint(1, 30)))
        for number in range(restarts)
    )
    return Plan(seed, queues, workers, publishers, steps)


def _queue(rng: random.Random, number: int) -> QueuePlan:
    kind = rng.choice(("classic", "classic", "quorum"))
    safe = rng.random() < 0.4
    return QueuePlan(
        f"q{number}",
        kind,
        durable=safe or kind == "quorum" or rng.random() < 0.7,
        auto_ack=not safe and rng.random() < 0.4,
        persistent=safe or rng.random() < 0.5,
        confirm=safe or rng.random() < 0.5,
        heirs=rng.random() < 0.8,
    )


def _worker(rng: random.Random, name: str, queue: QueuePlan) -> WorkerPlan:
    quirks = [(rng.randint(1, 30), rng.choice(QUIRKS)) for _ in range(rng.choice((0, 0, 1, 2)))]
    prefetch_count = rng.choice((0, 1, 1, 2, 10, 100))
    # Whoever waits for more deliveries than it may hold waits for ever.
    ack_every = rng.choice((1, 1, 1, 5)) if prefetch_count in (10, 100) else 1
    proxied = rng.random() < 0.4
    return WorkerPlan(name, queue.name, prefetch_count, proxied, ack_every, tuple(sorted(quirks)))


def _publisher(rng: random.Random, name: str, queue: QueuePlan) -> PublisherPlan:
    return PublisherPlan(
        name,
        queue.name,
        count=rng.choice((5, 30, 100, 300, 1000)),
        interval_seconds=rng.choice((0.0, 0.0, 0.001, 0.005)),
        dots=rng.choice((0, 0, 1, 2)),
        size=rng.choice((0, 0, 0, 1_000, 20_000)),
        proxied=rng.random() < 0.4,
    )


def _step(rng: random.Random, workers: tuple[WorkerPlan, ...], publishers: tuple[PublisherPlan, ...]) -> Step:
    worker = rng.choice(workers)
    proxied = [member.name for member in (*workers, *publishers) if member.proxied]
    deeds = ["kill"] * 4 + ["freeze", "thaw", "stop", "close a connection", "close all connections"]
    if proxied:
        deeds += ["cut"] * 2 + ["delay", "half-open to the client", "half-open to the broker"]
    if rng.random() < 0.1:
        deeds = ["memory alarm"]
    deed = rng.choice(deeds)
    if deed in ("kill", "freeze", "stop"):
        moment = Moment(rng.choice(POINTS), rng.choice((1, 2, 5, 20)), held=rng.random() < 0.5)
        return Step(deed, worker.name, moment if rng.random() < 0.8 else _progress(rng))
    if deed == "thaw":
        return Step(deed, worker.name, _progress(rng))
    if deed in ("cut", "delay", "half-open to the client", "half-open to the broker"):
        return Step(deed, rng.choice(proxied), _progress(rng), amount=rng.choice((0.01, 0.1, 0.5)))
    return Step(deed, "", _progress(rng), amount=float(rng.randint(0, 9)))


def _progress(rng: random.Random) -> Moment:
    return Moment(rng.choice(("published", "delivered", "acked", "confirmed")), rng.choice((1, 5, 20, 100, 300)))
