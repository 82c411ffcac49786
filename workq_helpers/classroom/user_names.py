"""`user_name`: a name for a learner's user of RabbitMQ, from the name of a person."""

from __future__ import annotations

import itertools
from collections.abc import Container

__all__ = ["user_name"]

_LONGEST = 40

#: Brokers have, or once had, a user of this name.
_NEVER = frozenset({"guest"})


def user_name(name: str, taken: Container[str]) -> str:
    """Return a short name in plain letters that nobody has yet: ``"ada-lovelace"``, or ``"ada-lovelace-2"``.

    It has no dot in it, so that the virtual hosts for lessons, which have one, never meet those of another learner.

    Args:
        name: The learner's name, in any script.
        taken: The names of users and virtual hosts that there are.
    """
    from slugify import slugify  # takes a while to import, and only this needs it

    plain = slugify(name, max_length=_LONGEST, word_boundary=True) or "learner"
    numbered = (f"{plain}-{number}" for number in itertools.count(2))
    return next(found for found in itertools.chain([plain], numbered) if found not in _NEVER and found not in taken)
