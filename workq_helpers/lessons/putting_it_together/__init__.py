"""The lesson "Putting it together"."""

from __future__ import annotations

from workq_helpers.lessons.putting_it_together.checks import CHAPTER
from workq_helpers.teaching.outage import restart

__all__ = ["CHAPTER", "check", "compare", "exercise", "finish", "predict", "quiz", "restart"]

check = CHAPTER.check
compare = CHAPTER.compare
exercise = CHAPTER.exercise
finish = CHAPTER.finish
predict = CHAPTER.predict
quiz = CHAPTER.quiz
