"""How many examples property tests try: few in the gate, many at night; ``HYPOTHESIS_PROFILE`` says which."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__ = ["examples", "load_profile"]

#: What hypothesis tries where a test does not say how many.
_USUAL = 100
#: A gate repeats itself: what it finds is there for whoever runs it next. The night looks where nobody has looked.
_PROFILES = {
    "usual": settings(max_examples=_USUAL),
    "gate": settings(max_examples=_USUAL // 4, derandomize=True, database=None),
    "nightly": settings(max_examples=_USUAL * 10, print_blob=True),
}


def load_profile() -> None:
    """Let hypothesis try as many examples as the environment asks for."""
    name = os.environ.get("HYPOTHESIS_PROFILE") or "usual"
    if name not in _PROFILES:
        raise ValueError(f"HYPOTHESIS_PROFILE={name} is none of {', '.join(_PROFILES)}; set one of them, or none")
    # How fast a busy machine makes examples up is nothing to fail for.
    patient = settings(_PROFILES[name], deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(name, patient)
    settings.load_profile(name)


def examples(count: int) -> int:
    """Return how many examples a test tries that usually tries so many."""
    return max(1, count * settings().max_examples // _USUAL)
