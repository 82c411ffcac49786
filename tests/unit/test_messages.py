from __future__ import annotations

from typing import Any

import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.messages import TASK_TEXT_LENGTH, Marks, encode_body, task_text
from workq_helpers.log.unmarked import fingerprint


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"Hello...", "Hello..."),
        ("drei…".encode(), "drei…"),
        (b"\xff\x00", "\ufffd\u2400"),
        (b"x" * 1_000_000, "x" * (TASK_TEXT_LENGTH - 1) + "…"),
        ("😀".encode() * 100, "😀" * (TASK_TEXT_LENGTH - 1) + "…"),
        (b"<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_any_body_has_a_short_text(body: bytes, text: str) -> None:
    assert task_text(body) == text


def test_text_is_encoded_and_bytes_stay() -> None:
    assert encode_body("drei…") == "drei…".encode()
    assert encode_body(b"\xff") == b"\xff"


@pytest.mark.parametrize("task", [42, None, ["a"], {"a": 1}])
def test_a_body_that_is_no_text(task: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be text or bytes, not .*json\.dumps"):
        encode_body(task)


def test_ids_differ_within_and_between_lessons() -> None:
    first, second = Marks(), Marks()
    ids = [first.new() for _ in range(1_000)] + [second.new() for _ in range(1_000)]
    assert len(set(ids)) == 2_000


def test_a_stray_is_known_again_by_its_body_when_redelivered() -> None:
    strays = Marks().unmarked
    body = fingerprint(b"one", 3)
    one = strays.delivered("q", body, redelivered=False)
    other = strays.delivered("q", body, redelivered=False)
    assert one != other
    assert strays.delivered("other queue", body, redelivered=True) not in (one, other)
    assert {strays.delivered("q", body, redelivered=True) for _ in range(2)} == {one, other}
