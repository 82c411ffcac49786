"""The lesson "Mistakes, timeouts and long work"."""

from __future__ import annotations

from workq_helpers.lessons.mistakes_and_long_work.checks import CHAPTER

__all__ = ["CHAPTER", "check", "compare", "exercise", "finish", "predict", "quiz"]

check = CHAPTER.check
compare = CHAPTER.compare
exercise = CHAPTER.exercise
finish = CHAPTER.finish
predict = CHAPTER.predict
quiz = CHAPTER.quiz
