"""The lesson "One of three dies"."""

from __future__ import annotations

from workq_helpers.lessons.one_of_three_dies.checks import CHAPTER
from workq_helpers.lessons.one_of_three_dies.opened_nodes import open_nodes

__all__ = ["CHAPTER", "check", "compare", "exercise", "finish", "open_nodes", "predict", "quiz"]

check = CHAPTER.check
compare = CHAPTER.compare
exercise = CHAPTER.exercise
finish = CHAPTER.finish
predict = CHAPTER.predict
quiz = CHAPTER.quiz
