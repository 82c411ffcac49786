"""The lesson "Acknowledgments"."""

from __future__ import annotations

from workq_helpers.lessons.acknowledgments.checks import CHAPTER

__all__ = ["CHAPTER"]
