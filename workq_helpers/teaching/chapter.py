"""`Chapter`: one lesson of the course, as far as it is not in its notebook."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from workq_helpers.errors import CheckFailedError, InvalidArgumentError
from workq_helpers.session import Session
from workq_helpers.teaching.answer_form import ExperimentQuestion
from workq_helpers.teaching.asked import well_asked
from workq_helpers.teaching.check import CheckResult, HasLog, NotChecked, observed
from workq_helpers.teaching.comparison import PredictionComparison
from workq_helpers.teaching.drawing import Drawing, DrawingComparison, DrawingForm
from workq_helpers.teaching.estimate import Estimate, EstimateComparison, EstimateForm
from workq_helpers.teaching.exercise import Exercise, OpenExercise
from workq_helpers.teaching.form import Form
from workq_helpers.teaching.observation import observe
from workq_helpers.teaching.prediction import Prediction, position
from workq_helpers.teaching.progress import CourseProgress, Finish
from workq_helpers.teaching.question import Question
from workq_helpers.teaching.quiz import Asked, Quiz, coming_back
from workq_helpers.teaching.quiz_form import QuizForm
from workq_helpers.teaching.reason import Reason
from workq_helpers.text import shown

if TYPE_CHECKING:
    from workq_helpers.log.events import EventLog
    from workq_helpers.teaching.evidence import Evidence

__all__ = ["Chapter"]

T = TypeVar("T")
N = TypeVar("N", Prediction, Estimate, Drawing, Exercise)


@dataclass(frozen=True, eq=False)
class Chapter:
    """What a notebook asks the package for; the package of each lesson hands its methods out.

    What a learner has answered and shown is kept for as long as the process lives, past a lesson that is opened again.

    Attributes:
        title: The lesson's title, as its notebook has it.
        notebook: The notebook's file name.
        checks: The claims that can be checked, by name: each says what was seen, or raises CheckFailedError.
        sections: The title of the notebook's section that asks for each check.
        optional: Names of checks and predictions that a lesson is seen without: not every broker can show them, or
            their section begins with "Optional".
        outages: Whether RabbitMQ goes down in its experiments; elsewhere an outage disturbs one.
        after_an_outage: Names of checks that can't be asked for where the broker is not the course's to restart.
        predictions: The questions asked before an experiment.
        estimates: Those whose answer is a number.
        drawings: Those whose answer is a picture of who does what.
        order: Their names in the notebook's order, where it takes turns between the three.
        exercises: The exercises.
        questions: Those of the quiz at its end.
    """

    #: All lessons in their order, for the quiz asks again what earlier ones asked; `workq_helpers.lessons` gives them.
    course: ClassVar[Sequence[Chapter]] = ()

    title: str
    notebook: str
    checks: Mapping[str, Callable[[Evidence], str]] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    outages: bool = False
    after_an_outage: frozenset[str] = frozenset()
    predictions: tuple[Prediction, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    order: tuple[str, ...] = ()
    exercises: tuple[Exercise, ...] = ()
    questions: tuple[Question, ...] = ()
    _passed: set[str] = field(default_factory=set, init=False, repr=False)
    #: To all questions; no two of a lesson have one name.
    _answers: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _open: dict[str, OpenExercise] = field(default_factory=dict, init=False, repr=False)

    # -- predict, run, compare

    @well_asked
    def predict(self, lesson: Session, name: str, answer: str | None = None, why: str = "") -> Form:
        """Ask a question; a notebook shows it as a form.

        Args:
            lesson: The lesson in which the experiment will be run.
            name: Which question, for example "five orders".
            answer: The letter of an answer, for whom typing is easier than the form: "a", "b", ...
            why: The reason for it.

        Raises:
            InvalidArgumentError: There is no such question, or no such answer to it.
        """
        form = Form(self._prediction(name), lesson, self._answers)
        _begin(lesson, name)
        if answer is not None:
            form.choose(position(form.asked, answer), why)
        return form

    @well_asked
    def compare(self, lesson: Session, name: str) -> PredictionComparison:
        """Put the learner's answer beside what RabbitMQ did.

        Args:
            lesson: The lesson in which the experiment was run.
            name: Which question.

        Returns:
            Both, shown in a notebook as a table; without an answer, or before the experiment, it says so.

        Raises:
            InvalidArgumentError: There is no such question.
        """
        prediction = self._prediction(name)
        return PredictionComparison(prediction, self._answers.get(name), *_seen(prediction, lesson))

    def _prediction(self, name: str) -> Prediction:
        return self._named(name, _by_name(self.predictions), "prediction")

    # -- the same with a number

    @well_asked
    def estimate(self, lesson: Session, name: str, answer: float | None = None) -> EstimateForm:
        """Ask how much or how many; a notebook shows it as a form.

        Args:
            lesson: The lesson in which the experiment will be run.
            name: Which question, for example "once more".
            answer: The number, for whom typing is easier than the form.

        Raises:
            InvalidArgumentError: There is no such question, or the answer is no number.
        """
        form = EstimateForm(self._estimate(name), lesson, self._answers)
        _begin(lesson, name)
        if answer is not None:
            form.take(answer)
        return form

    @well_asked
    def measured(self, lesson: Session, name: str) -> EstimateComparison:
        """Put the learner's number beside what was observed.

        Args:
            lesson: The lesson in which the experiment was run.
            name: Which question.

        Raises:
            InvalidArgumentError: There is no such question.
        """
        estimate = self._estimate(name)
        return EstimateComparison(estimate, self._answers.get(name), *_seen(estimate, lesson))

    def _estimate(self, name: str) -> Estimate:
        return self._named(name, _by_name(self.estimates), "estimate")

    # -- the same with a picture

    @well_asked
    def draw(self, lesson: Session, name: str, answer: str | None = None) -> DrawingForm:
        """Ask who does which task; a notebook shows it as a form.

        Args:
            lesson: The lesson in which the experiment will be run.
            name: Which question, for example "feast".
            answer: A digit for each task, the number of its worker, for whom typing is easier than the form.

        Raises:
            InvalidArgumentError: There is no such question, or the answer is no such text.
        """
        form = DrawingForm(self._drawing(name), lesson, self._answers)
        if answer is not None:
            form.take(form.asked.read(answer))
        return form

    @well_asked
    def drawn(self, lesson: Session, name: str) -> DrawingComparison:
        """Put the learner's drawing beside who did what.

        Args:
            lesson: The lesson in which the experiment was run.
            name: Which question.

        Raises:
            InvalidArgumentError: There is no such question.
        """
        drawing = self._drawing(name)
        seen, missing = observe(drawing.observe, lesson)
        return DrawingComparison(drawing, self._answers.get(name), seen, missing)

    def _drawing(self, name: str) -> Drawing:
        return self._named(name, _by_name(self.drawings), "drawing")

    # -- checks

    @well_asked
    def check(self, lesson: HasLog | EventLog, name: str) -> CheckResult | NotChecked:
        """Say whether a claim was observed; where it takes an outage and none can be had, say what is missing.

        Args:
            lesson: The lesson, or its log; with a log alone, the broker's counts are not looked at.
            name: Which claim, for example "round robin".

        Returns:
            What was seen; shown in a notebook as a sentence.

        Raises:
            CheckFailedError: It was not observed; the message says what is missing and what to do.
            InvalidArgumentError: There is no check of that name.
        """
        try:
            return self.require(lesson, name)
        except CheckFailedError as error:
            broker = getattr(lesson, "broker", None)
            if name not in self.after_an_outage or broker is None or broker.ours:
                raise
            return NotChecked(name, str(error))

    def require(self, lesson: HasLog | EventLog, name: str) -> CheckResult:
        """Say what was observed, as `check`; an outage that can't be had is no excuse.

        Raises:
            CheckFailedError: It was not observed.
            InvalidArgumentError: There is no check of that name.
        """
        claim = self._named(name, self.checks, "check")
        try:
            result = CheckResult(name, claim(observed(lesson, outages=self.outages)))
        except CheckFailedError as error:
            if isinstance(lesson, Session):
                error.show_why = Reason(lesson.log, lesson.experiments.last_began_seconds()).show
            raise
        self._passed.add(name)
        return result

    @property
    def passed(self) -> frozenset[str]:
        """The names of the checks that have passed in this process."""
        return frozenset(self._passed)

    # -- exercises

    @well_asked
    def exercise(self, name: str) -> OpenExercise:
        """Return an exercise to work on; its hints go on where they were.

        Args:
            name: Which, for example "mend the counter".

        Raises:
            InvalidArgumentError: There is no exercise of that name.
        """
        known = self._named(name, _by_name(self.exercises), "exercise")
        return self._open.setdefault(name, OpenExercise(known))

    # -- the end

    def quiz(self, *answers: str, progress: CourseProgress | None = None) -> QuizForm:
        """Ask about what the lesson has shown, and again some of what earlier lessons asked.

        Args:
            *answers: The letters of answers in the order of the questions, for whom typing is easier than the form.
            progress: Where answers are kept; by default the learner's own progress.

        Returns:
            The questions with what is said of each answer; a notebook shows them as a form.

        Raises:
            InvalidArgumentError: There is no such question, or no such answer to it.
        """
        progress = progress or CourseProgress()
        before = itertools.takewhile(lambda each: each is not self, self.course)
        earlier = [Asked(question, each.title) for each in before for question in each.questions]
        asked = [
            *(Asked(question, self.title) for question in self.questions),
            *coming_back(earlier, progress.done().answered, self.title),
        ]
        quiz = Quiz(self.title, asked, progress)
        quiz.answer_all(answers)
        return QuizForm(quiz)

    def finish(self, progress: CourseProgress | None = None, passed: Iterable[str] | None = None) -> Finish:
        """Note the lesson as seen if its checks have passed in this notebook.

        Args:
            progress: Where to note it; by default the learner's own.
            passed: Names of the checks that have passed; by default those of this process.

        Returns:
            What is done and what is left, shown in a notebook as a sentence.
        """
        progress = progress or CourseProgress()
        seen = self._passed if passed is None else set(passed)
        missing = tuple(name for name in self.checks if name not in seen and name not in self.optional)
        if not missing:
            progress.mark_lesson(self.notebook)
        trouble, done = progress.trouble, progress.done()
        left = tuple(each.name for each in self.exercises if each.name not in done.exercises)
        sections = tuple(dict.fromkeys(self.sections[name] for name in missing if name in self.sections))
        asked = [each for each in self.asked if each.name not in self.optional]
        return Finish(
            self.title,
            missing,
            left,
            trouble,
            sections,
            checks=len(self.checks.keys() - self.optional),
            predictions=len(asked),
            not_predicted=tuple(each.section or each.name for each in asked if not self._was_predicted(each.name)),
            exercises=len(self.exercises),
        )

    @property
    def asked(self) -> list[Prediction | Estimate | Drawing]:
        """What is asked before an experiment, in the notebook's order."""
        questions: list[Prediction | Estimate | Drawing] = [*self.predictions, *self.estimates, *self.drawings]
        return sorted(questions, key=lambda each: self.order.index(each.name)) if self.order else questions

    def _was_predicted(self, name: str) -> bool:
        answer = self._answers.get(name)
        return answer is not None and not answer.late

    def _named(self, name: str, known: Mapping[str, T], kind: str) -> T:
        if isinstance(name, str) and name in known:
            return known[name]
        names = f"The {kind}s are: {', '.join(map(repr, known))}" if known else f"It has no {kind}s"
        raise InvalidArgumentError(f"There is no {kind} named {shown(name)} in the lesson {self.title!r}. {names}.")


def _begin(lesson: Session, name: str) -> None:
    experiments = getattr(lesson, "experiments", None)  # what stands in for a lesson may have no recording
    if experiments is not None:
        experiments.begin(name)


def _seen(asked: ExperimentQuestion, lesson: Session) -> tuple[Any, str, str]:
    """Return what happened, what has to be run first, and the name of the lesson whose stage can replay it."""
    seen, missing = observe(asked.observe, lesson)
    experiments = getattr(lesson, "experiments", None)
    if experiments is not None and seen is not None:
        experiments.end(asked.name)
    return seen, missing, "" if experiments is None else lesson.name


def _by_name(all_of_them: Iterable[N]) -> dict[str, N]:
    return {each.name: each for each in all_of_them}
