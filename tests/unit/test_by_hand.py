"""How the user of a broker restarts it, as the environment says."""

from __future__ import annotations

import pytest

from workq_helpers.broker.by_hand import ByHand


@pytest.mark.parametrize(
    ("environ", "by_hand"),
    [
        ({}, ByHand()),
        ({"WORKQ_RESTART_BY_HAND": "  "}, ByHand()),
        ({"WORKQ_RESTART_BY_HAND": "systemctl restart rabbitmq-server"}, ByHand("systemctl restart rabbitmq-server")),
        ({"WORKQ_RESTART_BY_HAND": "a\nb", "WORKQ_CRASH_BY_HAND": " c "}, ByHand("a b", "c")),
    ],
)
def test_it_is_read_from_the_environment(environ: dict[str, str], by_hand: ByHand) -> None:
    assert ByHand.from_environ(environ) == by_hand
