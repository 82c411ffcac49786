"""The lesson "Durability"."""

from __future__ import annotations

from workq_helpers.lessons.durability.checks import CHAPTER

__all__ = ["CHAPTER"]
