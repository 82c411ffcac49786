"""What the lessons' notebooks ask for, a folder a lesson: checks, predictions, exercises and tools."""

from __future__ import annotations

from workq_helpers.lessons import (
    acknowledgments,
    durability,
    fair_dispatch,
    putting_it_together,
    round_robin,
    start_here,
)

__all__ = ["CHAPTERS", "CHECKS", "EXERCISES", "PREDICTIONS"]

#: The lessons, in the order in which they are taken.
CHAPTERS = (
    start_here.CHAPTER,
    round_robin.CHAPTER,
    acknowledgments.CHAPTER,
    durability.CHAPTER,
    fair_dispatch.CHAPTER,
    putting_it_together.CHAPTER,
)

#: Every claim that can be checked, by name.
CHECKS = {name: claim for chapter in CHAPTERS for name, claim in chapter.checks.items()}

#: Every question, by name.
PREDICTIONS = {each.name: each for chapter in CHAPTERS for each in chapter.predictions}

#: Every exercise, by name.
EXERCISES = {each.name: each for chapter in CHAPTERS for each in chapter.exercises}
