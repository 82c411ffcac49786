"""Which lessons were seen, which exercises are done, and what quizzes were answered with, on the learner's machine.

A small JSON file in the user's data folder, or in the folder that ``WORKQ_DATA_DIR`` names. It is written under
a lock, and in one step, so that two notebooks never lose each other's entries. Whatever is wrong with it, no
lesson stops: it is told in a sentence.
"""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import filelock
import platformdirs

from workq_helpers.broker.folders import named_folder
from workq_helpers.broker.locking import lock_path
from workq_helpers.errors import BrokerStartError
from workq_helpers.hidden import ENVIRON
from workq_helpers.private_files import write_private
from workq_helpers.text import paragraph

__all__ = ["Answered", "CourseProgress", "Done", "Finish", "Listed", "Named", "data_folder"]

_FORMAT = "workq course progress"
_VERSION = 1
_LOCK_SECONDS = 5.0


class Named(Protocol):
    """An exercise, as far as a table of what is done needs one."""

    @property
    def name(self) -> str:
        """What it is called."""


class Listed(Protocol):
    """A `Chapter`, as far as a table of what is done needs one."""

    @property
    def title(self) -> str:
        """The lesson's title."""

    @property
    def notebook(self) -> str:
        """The notebook's file name."""

    @property
    def exercises(self) -> Sequence[Named]:
        """The exercises."""


class Answered(NamedTuple):
    """What a question of a quiz was answered with.

    Attributes:
        lesson: The title of the lesson in whose quiz it was asked.
        question: The question's name.
        answers: The texts of the choices that were tried, the latest last.
    """

    lesson: str
    question: str
    answers: tuple[str, ...]


class Done(NamedTuple):
    """What is done.

    Attributes:
        lessons: Names of lessons that were seen: those of their notebooks, without the numbers, which may change.
        exercises: Names of exercises.
        answered: The answers in quizzes, the latest last.
        shuffle_key: What the choices of quizzes are shuffled by; ``""`` before the first quiz.
    """

    lessons: frozenset[str] = frozenset()
    exercises: frozenset[str] = frozenset()
    answered: tuple[Answered, ...] = ()
    shuffle_key: str = ""


def data_folder(environ: Mapping[str, str] = ENVIRON) -> Path:
    """Return the folder that ``WORKQ_DATA_DIR`` names, or the user's data folder.

    Raises:
        InvalidArgumentError: The variable holds a relative path.
    """
    return named_folder(environ, "WORKQ_DATA_DIR") or platformdirs.user_data_path("workq", appauthor=False)


class CourseProgress:
    """What the learner has done so far.

    Args:
        folder: Where it is kept; by default `data_folder`.
        chapters: The lessons that its table names.
    """

    def __init__(self, folder: Path | None = None, chapters: Sequence[Listed] = ()) -> None:
        self._folder = folder
        self._chapters = chapters
        #: Why the last change could not be kept, or what was wrong with the file; ``""`` if nothing.
        self.trouble = ""

    @property
    def path(self) -> Path:
        """The file."""
        return (self._folder or data_folder()) / "progress.json"

    def done(self) -> Done:
        """Return what is done; nothing where the file is missing or not ours."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Done()
        except (OSError, ValueError) as error:
            self.trouble = f"{self.path} can't be read ({_reason(error)}), so nothing counts as done."
            return Done()
        found = _parsed(text)
        if found is None:
            self.trouble = f"{self.path} is not a record of this course, so nothing counts as done."
            return Done()
        return found

    def mark_lesson(self, notebook: str) -> bool:
        """Note that all of a lesson's checks have passed; return whether that could be kept."""
        return self._change(lambda done: done._replace(lessons=done.lessons | {_lesson_of(notebook)}))

    def mark_exercise(self, name: str) -> bool:
        """Note an exercise as done; return whether that could be kept."""
        return self._change(lambda done: done._replace(exercises=done.exercises | {name}))

    def mark_answer(self, lesson: str, question: str, answer: str) -> bool:
        """Note an answer in a quiz; return whether that could be kept."""
        return self._change(lambda done: done._replace(answered=_with_answer(done, lesson, question, answer)))

    def shuffle_key(self) -> str:
        """Return what this learner's choices are shuffled by, made when first asked for; ``""`` if it can't be kept."""
        if not self.done().shuffle_key:
            self._change(lambda done: done if done.shuffle_key else done._replace(shuffle_key=secrets.token_hex(8)))
        return self.done().shuffle_key

    def reset(self) -> CourseProgress:
        """Forget everything that is done; return this object, so that a notebook shows it."""
        self._change(lambda _: Done())
        return self

    def _change(self, change: Callable[[Done], Done]) -> bool:
        self.trouble = ""
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(lock_path(path.with_suffix(".lock")), timeout=_LOCK_SECONDS):
                before = self.done()
                if self.trouble:
                    # Somebody else's, or damaged: kept aside, not thrown away.
                    path.replace(path.with_suffix(".json.set-aside"))
                    self.trouble = ""
                after = change(before)
                if after != before or not path.exists():
                    _write(path, after)
        except (OSError, filelock.Timeout, BrokerStartError) as error:
            self.trouble = f"Progress could not be kept in {path} ({_reason(error)}); the lesson goes on without."
            return False
        return True

    def table(self) -> list[tuple[str, str, str]]:
        """Return a row for each lesson: its title, whether it was seen, and its exercises."""
        done = self.done()
        return [
            (
                chapter.title,
                "seen" if _lesson_of(chapter.notebook) in done.lessons else "",
                ", ".join(_marked(each.name, each.name in done.exercises) for each in chapter.exercises) or "none",
            )
            for chapter in self._chapters
        ]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        self.trouble = ""
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left"><a href="{html.escape(chapter.notebook)}">'
            f"{html.escape(title)}</a></th><td>{html.escape(lesson)}</td>"
            f'<td style="text-align: left">{html.escape(exercises)}</td></tr>'
            for chapter, (title, lesson, exercises) in zip(self._chapters, self.table(), strict=True)
        )
        trouble = f"<p>{html.escape(self.trouble)}</p>" if self.trouble else ""
        heads = (f'<th scope="col" style="text-align: left">{text}</th>' if text else "<td></td>" for text in _HEAD)
        return {
            "text/plain": repr(self),
            "text/html": f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{rows}</tbody></table>{trouble}",
        }

    def __repr__(self) -> str:
        self.trouble = ""
        rows = [_HEAD, *self.table()]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows]
        return "\n".join([*lines, self.trouble] if self.trouble else lines)


_HEAD = ("Lesson", "", "Exercises")


class Finish(NamedTuple):
    """How far a lesson is done: what was seen, what was predicted before it was seen, and what was exercised.

    Attributes:
        title: The lesson.
        missing: Names of the checks that have not passed yet.
        exercises_left: Names of the exercises that are not done.
        trouble: Why that could not be kept, or ``""``.
        sections: The titles of the sections in which the missing checks are asked, in their order.
        checks: How many checks it takes.
        predictions: How many questions are asked before an experiment, optional ones left out.
        not_predicted: Where those stand that were not answered before it, in the order of the lesson.
        exercises: How many exercises there are.
    """

    title: str
    missing: tuple[str, ...]
    exercises_left: tuple[str, ...]
    trouble: str = ""
    sections: tuple[str, ...] = ()
    checks: int = 0
    predictions: int = 0
    not_predicted: tuple[str, ...] = ()
    exercises: int = 0

    def __repr__(self) -> str:
        if self.missing:
            where = " and ".join(map(repr, self.sections))
            step = f"Run the cells of {where}, from the first on." if where else "Run the cells above, from the top."
            seen = f" Seen: {self.checks - len(self.missing)} of {self.checks}." if self.checks else ""
            return f"Not yet: {_listed(self.missing)} not passed. {step}{seen}{''.join(self._left())}"
        predicted, exercised = self._left()
        ways = ["seen"]
        ways += ["predicted"] * bool(self.predictions and not predicted)
        ways += ["exercised"] * bool(self.exercises and not exercised)
        all_ways = " and ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
        trouble = f" {self.trouble}" if self.trouble else ""
        return f"✔ {self.title}: {all_ways}.{predicted}{exercised}{trouble}"

    def _left(self) -> tuple[str, str]:
        """Say what was not predicted, and what not exercised, and where it stands; nothing where nothing is left."""
        predicted = _counted("Predicted", self.predictions, tuple(map(repr, self.not_predicted)), "not in")
        return predicted, _counted("Exercised", self.exercises, self.exercises_left, "left:")

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


def _counted(what: str, of: int, left: tuple[str, ...], where: str) -> str:
    return f" {what}: {of - len(left)} of {of}, {where} {', '.join(dict.fromkeys(left))}." if left else ""


def _marked(name: str, done: bool) -> str:
    return f"{name} ✔" if done else name


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"the check {names[0]!r} has"
    return f"the checks {', '.join(repr(name) for name in names)} have"


def _with_answer(done: Done, lesson: str, question: str, answer: str) -> tuple[Answered, ...]:
    """Return the answers with one more; what was given already, as when a cell runs again, changes nothing."""
    known = next((each for each in done.answered if each[:2] == (lesson, question)), None)
    if known is None:
        return (*done.answered, Answered(lesson, question, (answer,)))
    if known.answers[-1] == answer:
        return done.answered
    others = (each for each in done.answered if each is not known)
    return (*others, known._replace(answers=(*known.answers, answer)))


def _parsed(text: str) -> Done | None:
    """Return what a progress file says, or ``None`` if it is none of ours."""
    try:
        data: Any = json.loads(text)
        if data["format"] != _FORMAT or data["version"] != _VERSION:
            return None
        lessons, exercises = data["lessons"], data["exercises"]
        key = data.get("shuffle_key", "")
        # Files of before there were quizzes have none.
        answered = [(each["lesson"], each["question"], each["answers"]) for each in data.get("answered", [])]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not (_are_names(lessons) and _are_names(exercises) and isinstance(key, str)):
        return None
    if not all(
        _are_names([lesson, question]) and _are_names(answers) and answers for lesson, question, answers in answered
    ):
        return None
    quizzes = tuple(Answered(lesson, question, tuple(answers)) for lesson, question, answers in answered)
    return Done(frozenset(map(_lesson_of, lessons)), frozenset(exercises), quizzes, key)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _lesson_of(notebook: str) -> str:
    """Return the name of a notebook's lesson, whatever number it has or had."""
    return re.sub(r"^\d+_|\.ipynb$", "", notebook)


def _write(path: Path, done: Done) -> None:
    data = {
        "format": _FORMAT,
        "version": _VERSION,
        "lessons": sorted(done.lessons),
        "exercises": sorted(done.exercises),
        "answered": [each._asdict() for each in done.answered],
        "shuffle_key": done.shuffle_key,
    }
    write_private(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
