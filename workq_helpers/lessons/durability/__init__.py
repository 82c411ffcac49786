"""The lesson "Durability"."""

from __future__ import annotations

from workq_helpers.lessons.durability.checks import CHAPTER
from workq_helpers.teaching.outage import crash, restart

__all__ = ["CHAPTER", "check", "compare", "crash", "exercise", "finish", "predict", "quiz", "restart"]

check = CHAPTER.check
compare = CHAPTER.compare
exercise = CHAPTER.exercise
finish = CHAPTER.finish
predict = CHAPTER.predict
quiz = CHAPTER.quiz
