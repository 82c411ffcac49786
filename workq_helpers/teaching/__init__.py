"""The machinery of lessons, of none in particular: predictions, checks, exercises and progress."""

from __future__ import annotations

__all__: list[str] = []
