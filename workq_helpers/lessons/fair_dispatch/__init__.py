"""The lesson "Fair dispatch"."""

from __future__ import annotations

from workq_helpers.lessons.fair_dispatch.checks import CHAPTER

__all__ = [
    "CHAPTER",
    "check",
    "compare",
    "draw",
    "drawn",
    "estimate",
    "exercise",
    "finish",
    "measured",
    "predict",
    "quiz",
]

check = CHAPTER.check
compare = CHAPTER.compare
draw = CHAPTER.draw
drawn = CHAPTER.drawn
estimate = CHAPTER.estimate
exercise = CHAPTER.exercise
finish = CHAPTER.finish
measured = CHAPTER.measured
predict = CHAPTER.predict
quiz = CHAPTER.quiz
