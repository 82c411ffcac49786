"""What follows from a broker's version and its list of deprecated features."""

from __future__ import annotations

import pytest
from packaging.version import Version

from workq_helpers.rabbitmq.features import Features


class Listing:
    """A management API that only has a list of deprecated features."""

    def __init__(self, **permitted: bool) -> None:
        self._permitted = permitted

    def deprecated_features(self) -> dict[str, bool]:
        return self._permitted


def test_the_broker_decides_about_transient_queues() -> None:
    version = Version("4.3.6")
    assert Features.ask(version, Listing(transient_nonexcl_queues=True)).transient_queues  # type: ignore[arg-type]
    assert not Features.ask(version, Listing(transient_nonexcl_queues=False)).transient_queues  # type: ignore[arg-type]
    assert Features.ask(version, Listing()).transient_queues  # type: ignore[arg-type]


def test_without_a_management_api_there_are_no_counts() -> None:
    features = Features.ask(Version("4.3.6"), None)
    assert (features.counts, features.transient_queues) == (False, True)
    assert "no, its management API can't be reached" in features.describe()


@pytest.mark.parametrize(
    ("version", "classic", "quorum_closes", "limit"),
    [
        ("3.10.8", True, True, None),
        ("3.13.7", True, True, None),
        ("4.0.5", True, True, 20),
        ("4.3.0", False, False, 20),
    ],
)
def test_what_follows_from_the_version(version: str, classic: bool, quorum_closes: bool, limit: int | None) -> None:
    features = Features(Version(version))
    assert features.classic_ack_timeout is classic
    assert features.quorum_ack_timeout_closes_channel is quorum_closes
    assert features.quorum_delivery_limit == limit


def test_describe_has_a_line_for_each_difference() -> None:
    assert Features(Version("4.3.6"), transient_queues=False).describe().splitlines() == [
        "queues that are not durable: denied",
        "the broker's own counts: yes",
        "unacknowledged for too long, classic queue: nothing happens",
        "unacknowledged for too long, quorum queue: consumer canceled",
        "quorum queue drops a message after: 20 returns by basic_reject, never by basic_nack",
        "quorum queue delays what is returned: if asked to",
    ]


@pytest.mark.parametrize(
    ("version", "line"),
    [("3.13.7", "never"), ("4.0.5", "20 returns by basic_reject or basic_nack")],
)
def test_who_counts_towards_the_delivery_limit_is_said_for_each_version(version: str, line: str) -> None:
    told = Features(Version(version)).describe().splitlines()
    assert f"quorum queue drops a message after: {line}" in told


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("3.10.8", (False, False, True, False, False)),
        ("3.12.0", (True, True, True, False, False)),
        ("4.2.1", (True, True, True, False, False)),
        ("4.3.0rc1", (True, True, False, True, True)),
    ],
)
def test_what_each_version_of_the_table_brings(version: str, found: tuple[bool, ...]) -> None:
    features = Features(Version(version))
    assert found == (
        features.ack_timeout_of_a_queue,
        features.transient_queues_can_be_denied,
        features.prefetch_count_of_a_channel,
        features.private_limits,
        features.delayed_retry,
    )
