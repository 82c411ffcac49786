"""What the tests of tests/broker work with."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.broker.conftest import lesson, restartable

# How fast a busy machine makes examples up is nothing to fail for.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

__all__ = ["lesson", "restartable"]
