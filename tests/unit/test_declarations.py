from __future__ import annotations

import pytest

from workq_helpers.log.declarations import queue_options_told
from workq_helpers.log.details import QueueOptions

TOLD = {"durable": True, "exclusive": False, "auto_delete": False, "type": "quorum", "arguments": {}}


def test_a_queue_is_what_its_declaration_and_its_policy_make_it() -> None:
    policy = {"max-length": 5, "message-ttl": 1_000, "dead-letter-exchange": "theirs", "overflow": "reject-publish"}
    arguments = {"x-max-length": 7, "x-message-ttl": 500, "x-dead-letter-exchange": "ours"}
    told = TOLD | {"arguments": arguments, "effective_policy_definition": policy}
    assert queue_options_told(told) == QueueOptions(
        durable=True,
        type="quorum",
        ttl_seconds=0.5,
        max_length=5,
        overflow="reject-publish",
        dead_letter_exchange="ours",
    )


@pytest.mark.parametrize(("declared", "by_policy", "counts"), [(5, 3, 3), (5, -1, 5), (-1, 5, 5), (-1, -1, -1)])
def test_a_negative_delivery_limit_is_none(declared: int, by_policy: int, counts: int) -> None:
    told = TOLD | {"arguments": {"x-delivery-limit": declared}}
    told |= {"effective_policy_definition": {"delivery-limit": by_policy}}
    assert queue_options_told(told).delivery_limit == counts


@pytest.mark.parametrize("nothing", [{}, {"effective_policy_definition": None}, {"effective_policy_definition": []}])
def test_a_queue_without_a_policy_is_what_it_was_declared(nothing: dict[str, object]) -> None:
    assert queue_options_told(TOLD | nothing) == QueueOptions(durable=True, type="quorum")
