from __future__ import annotations

import random

from packaging.version import Version

from tests.chaos.plan import MACHINE_FAULTS, POINTS, QUIRKS, RESTARTS, make_plan, make_restarts_plan

PLANS = [make_plan(seed) for seed in range(400)]


def test_a_plan_is_a_function_of_its_seed_alone() -> None:
    random.seed(1)
    first = make_plan(7)
    random.seed(2)
    assert make_plan(7) == first
    assert make_plan(8) != first
    # Seeds are kept in seeds.txt: a change that makes them mean something else is to be a choice.
    assert [step.deed for step in make_plan(13).steps] == ["stop", "memory alarm", "freeze", "freeze"]


def test_the_plans_hold_everything_that_can_happen() -> None:
    deeds = {step.deed for plan in PLANS for step in plan.steps}
    assert deeds >= {
        "kill", "freeze", "thaw", "stop", "close a connection", "close all connections", "cut", "delay",
        "half-open to the client", "half-open to the broker", "memory alarm", "kill the program",
        "freeze the program", *RESTARTS, *MACHINE_FAULTS,
    }  # fmt: skip
    kills = {step.moment.point for plan in PLANS for step in plan.steps if step.deed == "kill"}
    assert kills >= set(POINTS)
    assert {quirk for plan in PLANS for worker in plan.workers for _, quirk in worker.quirks} == set(QUIRKS)
    queues = {(queue.type, queue.durable, queue.auto_ack, queue.confirm) for plan in PLANS for queue in plan.queues}
    assert {kind for kind, *_ in queues} == {"classic", "quorum"}
    assert ("quorum", False, False, False) not in queues  # RabbitMQ has none
    assert 0.05 < sum(plan.kernel_kill is not None for plan in PLANS) / len(PLANS) < 0.25
    programs = [plan for plan in PLANS if plan.program]
    assert 0.2 < len(programs) / len(PLANS) < 0.5
    assert any(queue.safe for plan in PLANS for queue in plan.queues)


def test_only_some_plans_cost_a_restart() -> None:
    share = sum(plan.restarts > 0 for plan in PLANS) / len(PLANS)
    assert 0.05 < share < 0.3


def test_no_worker_waits_for_more_deliveries_than_it_may_hold() -> None:
    for plan in PLANS:
        for worker in plan.workers:
            assert worker.prefetch_count == 0 or worker.ack_every <= worker.prefetch_count


def test_restarts_in_a_row_are_as_many_as_wanted_and_all_queues_safe() -> None:
    plan = make_restarts_plan(1, 25)
    assert plan == make_restarts_plan(1, 25)
    assert plan.restarts == len(plan.steps) == 25
    assert {step.deed for step in plan.steps} == set(RESTARTS)
    assert all(queue.safe for queue in plan.queues)


def test_rabbitmq_is_excused_for_an_early_goodbye_where_it_was_seen_alone() -> None:
    late = [(queue.type, queue.name in plan.late_queues(Version("3.10.8"))) for plan in PLANS for queue in plan.queues]
    assert set(late) == {("quorum", True), ("classic", False)}
    assert not any(plan.late_queues(Version("4.3.6")) for plan in PLANS)
