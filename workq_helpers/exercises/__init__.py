"""Exercises: one file each, a check on the real broker, hints in steps, and a solution for whoever asks.

A notebook needs no more than ``from workq_helpers.exercises import exercise``.
"""

from __future__ import annotations

from workq_helpers.exercises.exercise import Code, Exercise, Hint, OpenExercise, Verdict, exercise

__all__ = ["Code", "Exercise", "Hint", "OpenExercise", "Verdict", "exercise"]
