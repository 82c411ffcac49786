"""The lesson "Start here"."""

from __future__ import annotations

from workq_helpers.lessons.start_here.checks import CHAPTER

__all__ = ["CHAPTER", "check", "finish", "quiz"]

check = CHAPTER.check
finish = CHAPTER.finish
quiz = CHAPTER.quiz
