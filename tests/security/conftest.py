"""What the tests of tests/broker work with."""

from __future__ import annotations

from tests.broker.conftest import lesson, restartable

__all__ = ["lesson", "restartable"]
