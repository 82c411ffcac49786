"""The lesson "Fair dispatch"."""

from __future__ import annotations

from workq_helpers.lessons.fair_dispatch.checks import CHAPTER

__all__ = ["CHAPTER"]
