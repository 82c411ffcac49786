"""What the lessons' notebooks ask for, a folder a lesson: checks, predictions, exercises and tools."""

from __future__ import annotations

from workq_helpers.lesson import Lesson
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.course import Course
from workq_helpers.teaching.progress import CourseProgress

__all__ = ["CHAPTERS", "Lesson", "course_progress"]

#: The lessons, in the order in which they are taken.
CHAPTERS = Course(
    __name__,
    "start_here",
    "round_robin",
    "acknowledgments",
    "mistakes_and_long_work",
    "durability",
    "fair_dispatch",
    "putting_it_together",
    "one_of_three_dies",
)

Lesson.chapters = CHAPTERS
Chapter.course = CHAPTERS


def course_progress() -> CourseProgress:
    """Return the learner's progress, which a notebook shows as a table."""
    return CourseProgress(chapters=CHAPTERS)
