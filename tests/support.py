"""What tests share that is no fixture."""

from __future__ import annotations

import os

import pytest

__all__ = ["need"]


def need(condition: object, reason: str) -> None:
    """Skip the test on a laptop where a prerequisite is missing; fail it in CI, where none may be."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)
