"""The lesson "Putting it together"."""

from __future__ import annotations

from workq_helpers.lessons.putting_it_together.checks import CHAPTER

__all__ = ["CHAPTER"]
