"""`user_name` and `random_user_name`: names for learners' users of RabbitMQ."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Container

from slugify import slugify

__all__ = ["random_user_name", "user_name"]

_LONGEST = 40

#: Brokers have, or once had, a user of this name.
_NEVER = frozenset({"guest"})


def user_name(name: str, taken: Container[str]) -> str:
    """Return a short name in plain letters that nobody has yet: ``"ada-lovelace"``, or ``"ada-lovelace-2"``.

    It has no dot in it, so that the virtual hosts for lessons, which have one, never meet those of another learner.
    """
    plain = slugify(name, max_length=_LONGEST, word_boundary=True) or "learner"
    numbered = (f"{plain}-{number}" for number in itertools.count(2))
    return next(found for found in itertools.chain([plain], numbered) if found not in _NEVER and found not in taken)


def random_user_name(taken: Container[str]) -> str:
    """Return a name that nobody has yet and that says nothing about who has it: ``"learner-3f09a1c7"``."""
    names = (f"learner-{secrets.token_hex(4)}" for _ in itertools.count())
    return next(name for name in names if name not in taken)
