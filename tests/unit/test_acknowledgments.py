"""What is said of keys that no message carries."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from workq_helpers.lessons.acknowledgments.keys import Delivery, Plate, not_carried

pytestmark = pytest.mark.pinned  # of the course alone


class NamedByNothing:
    """An order of a learner's own, whose name is that of a message that has none."""

    def __repr__(self) -> str:
        return None  # type: ignore[return-value]


def plates(key: Callable[[Delivery], object]) -> list[Plate]:
    """Return the plates of two workers, who got the same four orders from the first delivery tag on."""
    served: list[Plate] = []
    for worker in ("worker-2", "worker-3"):
        for tag in (1, 2, 3, 4):
            method = SimpleNamespace(delivery_tag=tag, consumer_tag=worker, redelivered=worker == "worker-3")
            name = f"{tag}{tag}f5a1c0-4be3-4d0a-9c1e-0a1b2c3d4e5f"
            delivery = Delivery(object(), method, SimpleNamespace(message_id=name), b"Tea 17.")
            served.append(Plate(key(delivery), len(served), delivery))
    return served


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (lambda given: id(given.properties), "the identity of an object"),
        (lambda given: f"{given.body!r} {id(given.method):#x}", "the identity of an object"),
        (lambda given: given.ch, "the identity of an object"),
        (lambda given: (given.method.consumer_tag, given.method.delivery_tag), "the consumer tag"),
        (lambda given: (given.properties.message_id, given.method.delivery_tag), "the delivery tag"),
        (lambda given: str(given.method.redelivered), "the redelivered flag"),
        (lambda _: time.time_ns(), "the time"),
        (lambda _: round(time.perf_counter() * 1000), "the time"),
        (lambda _: uuid.uuid4().hex, "a new name"),
        (lambda given: given.properties.message_id, ""),
        (lambda given: (given.body, given.properties.message_id), ""),
        (lambda given: uuid.UUID(given.properties.message_id).hex, ""),
        (lambda given: given.body, ""),
        (lambda given: hashlib.md5(given.body, usedforsecurity=False).hexdigest(), ""),
        (lambda given: f"of {hashlib.sha256(given.body).hexdigest()}", ""),
        (lambda _: NamedByNothing(), ""),
    ],
)
def test_what_no_message_carries_is_named_and_what_it_carries_is_not(
    key: Callable[[Delivery], object], said: str
) -> None:
    told = not_carried(plates(key))
    assert told.startswith(said) if said else not told


def test_a_small_number_is_no_time_soon_after_the_machine_was_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    for clock in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: 600.0)
    assert not not_carried(plates(lambda given: len(given.body)))


def test_no_number_within_a_digest_is_a_count() -> None:
    counted = [plate._replace(key=f"a{plate.number}b") for plate in plates(lambda _: 0)]
    assert not not_carried(counted)


def test_a_count_is_told_from_a_delivery_tag() -> None:
    counted = [plate._replace(key=plate.number + 1) for plate in plates(lambda _: 0)]
    assert not_carried(counted) == "a count of what was served before"
