"""The lesson "Round robin"."""

from __future__ import annotations

from workq_helpers.lessons.round_robin.checks import CHAPTER

__all__ = ["CHAPTER"]
