from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from tests.chapters import PREDICTIONS
from workq_helpers.errors import BrokerUnreachableError, CheckFailedError, InvalidArgumentError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.log.details import ConsumeOptions, Mistake
from workq_helpers.log.events import EventLog
from workq_helpers.session import Session
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.evidence import names_of
from workq_helpers.teaching.form import Form
from workq_helpers.teaching.prediction import Answer, Choice, Prediction, Seen, position

pytestmark = pytest.mark.pinned  # of the course alone

EXPECTED = Path(__file__).parents[1] / "notebooks" / "expected"


class Experiment(SimpleNamespace):
    """A lesson in which something may have happened."""

    log = None
    happened: int | None = None
    run = False


def observe(lesson: Any) -> Seen:
    if not lesson.run:
        raise CheckFailedError("Run the experiment first.")
    return Seen(lesson.happened, "worker-1 did <it>.")


KITCHEN = Prediction(
    "kitchen",
    "Who cooks <this>?",
    (Choice("The first.", "He was free."), Choice("The second.", "She was busy."), Choice("Nobody.", "Cooks cook.")),
    observe,
)

#: The letters under which its choices are shown.
FIRST, SECOND, NOBODY = map(KITCHEN.letter, range(3))

CHAPTER = Chapter("Kitchen", "kitchen.ipynb", predictions=(KITCHEN,))
predict, compare = CHAPTER.predict, CHAPTER.compare


@pytest.fixture(autouse=True)
def asked() -> Iterator[None]:
    CHAPTER._answers.clear()
    yield
    ipywidgets.Widget.close_all()


def displayed(monkeypatch: pytest.MonkeyPatch, form: Form) -> list[Any]:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda what, **_: shown.append(what))
    form._ipython_display_()
    return shown


def buttons_of(form: Form) -> tuple[Any, Any, Any]:
    buttons, reason, noted, _style = form.widget().children
    return buttons, reason, noted


def test_the_answer_stands_beside_what_happened() -> None:
    lesson = Experiment()
    predict(lesson, "kitchen", answer=SECOND.lower(), why="she is quick")
    lesson.run, lesson.happened = True, 0
    told = compare(lesson, "kitchen")
    assert told.right is False
    assert told.rows() == [
        ("Your answer", f"{SECOND}. The second. Your reason: she is quick"),
        ("RabbitMQ", "worker-1 did <it>."),
        ("So", f"It came out differently. {FIRST}. The first. He was free."),
        (f"Not {SECOND}", "She was busy."),
        (f"Not {NOBODY}", "Cooks cook."),
    ]


def test_a_right_answer_is_told_so() -> None:
    lesson = Experiment()
    predict(lesson, "kitchen", answer=FIRST)
    lesson.run, lesson.happened = True, 0
    told = compare(lesson, "kitchen")
    assert told.right is True
    assert ("So", f"You predicted it. {FIRST}. The first. He was free.") in told.rows()


@pytest.mark.parametrize(("answer", "mark"), [(FIRST, "✔ You predicted it."), (SECOND, "✗ It came out differently.")])
def test_the_verdict_has_a_mark_a_word_and_a_color(answer: str, mark: str) -> None:
    lesson = Experiment()
    predict(lesson, "kitchen", answer=answer)
    lesson.run, lesson.happened = True, 0
    told = compare(lesson, "kitchen")
    assert f"So:          {mark} {FIRST}. The first." in repr(told)
    shown = told._repr_mimebundle_()["text/html"]
    sign, words = mark.split(" ", 1)
    assert re.search(rf'<strong style="color: #\w+; background: #\w+;[^"]*">{sign}</strong> {words}', shown)


@pytest.mark.parametrize("happened", range(3))
def test_every_wrong_choice_is_explained(happened: int) -> None:
    told = compare(Experiment(run=True, happened=happened), "kitchen")
    explained = [text for head, text in told.rows() if head.startswith("Not ")]
    assert explained == [choice.why for at in KITCHEN.order for choice in [KITCHEN.choices[at]] if at != happened]


def test_without_an_answer_it_goes_on() -> None:
    told = compare(Experiment(run=True, happened=1), "kitchen")
    assert told.right is None
    assert told.rows()[0] == ("Your answer", "None this time.")
    assert told.rows()[2] == ("So", f"{SECOND}. The second. She was busy.")


def test_before_the_experiment_nothing_is_given_away() -> None:
    predict(Experiment(), "kitchen", answer=FIRST)
    told = compare(Experiment(), "kitchen")
    assert told.right is None
    assert repr(told) == (
        f"Your answer: {FIRST}. The first.\nRabbitMQ:    Nothing to compare with yet. Run the experiment first."
    )
    assert not any(choice.why in str(told._repr_mimebundle_()) for choice in KITCHEN.choices)


def test_what_none_of_the_answers_describes_is_said() -> None:
    told = compare(Experiment(run=True, happened=None), "kitchen")
    assert told.rows()[-1][1].startswith("None of the answers describes that.")


def test_an_answer_after_the_experiment_is_marked_as_such() -> None:
    lesson = Experiment(run=True, happened=0)
    form = predict(lesson, "kitchen", answer=FIRST)
    assert buttons_of(form)[2].value.startswith(f"Noted: {FIRST.upper()}, after the experiment.")
    rows = compare(lesson, "kitchen").rows()
    assert "(given after the experiment)" in rows[0][1]
    assert rows[2][1].startswith(f"That is what happened. {FIRST}.")


def test_who_is_asked_after_the_experiment_is_told_so_before_answering() -> None:
    form = predict(Experiment(run=True, happened=0), "kitchen")
    assert buttons_of(form)[2].value.startswith("The experiment is over: an answer now comes after it.")


def test_a_reason_that_comes_later_changes_nothing_about_when_the_answer_was_given() -> None:
    before, after = Experiment(), Experiment(run=True, happened=0)
    predict(before, "kitchen", answer=FIRST)
    assert predict(after, "kitchen", answer=FIRST, why="so").answer == (0, "so", False)
    assert predict(after, "kitchen", answer=SECOND).answer == (1, "", True)
    assert predict(after, "kitchen", answer=SECOND, why="now I know").answer == (1, "now I know", True)


def test_what_came_too_late_is_asked_again_where_the_experiment_is_to_be_run_again() -> None:
    over, again = Experiment(run=True, happened=0), Experiment()
    predict(over, "kitchen", answer=FIRST)
    assert buttons_of(predict(over, "kitchen"))[0].value == 0
    buttons, _, noted = buttons_of(predict(again, "kitchen"))
    assert buttons.value is None
    assert noted.value == "Choose one before you run the experiment."
    predict(over, "kitchen", answer=FIRST)
    assert predict(again, "kitchen", answer=FIRST).answer == (0, "", False)


def test_the_form_takes_the_answer_down() -> None:
    form = predict(Experiment(), "kitchen")
    buttons, reason, noted = buttons_of(form)
    assert [label for label, _ in buttons.options] == KITCHEN.labels()
    assert buttons.value is None
    assert noted.value == "Choose one before you run the experiment."
    buttons.value = 2
    reason.value = " all asleep "
    assert form.answer == (2, "all asleep", False)
    assert noted.value.startswith(f"Noted: {NOBODY}.")


def test_a_reason_alone_is_no_answer() -> None:
    form = predict(Experiment(), "kitchen")
    buttons_of(form)[1].value = "hm"
    assert form.answer is None


def test_the_form_remembers_the_answer_when_its_cell_runs_again() -> None:
    predict(Experiment(), "kitchen", answer=NOBODY, why="asleep")
    buttons, reason, noted = buttons_of(predict(Experiment(), "kitchen"))
    assert (buttons.value, reason.value) == (2, "asleep")
    assert noted.value.startswith(f"Noted: {NOBODY}.")


def test_a_notebook_shows_the_question_without_the_widget_too(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, widget = displayed(monkeypatch, predict(Experiment(), "kitchen"))
    assert list(widget) == ["application/vnd.jupyter.widget-view+json"]
    assert plain["text/plain"] == "\n  ".join(["Predict: Who cooks <this>?", *KITCHEN.labels()])
    assert "Who cooks &lt;this&gt;?" in plain["text/html"]
    assert "No buttons below? Then run this cell" in plain["text/html"]
    assert "<br>".join(KITCHEN.labels()) in plain["text/html"]
    assert not any(choice.why in str(plain) for choice in KITCHEN.choices)


def test_what_to_do_without_buttons_is_hidden_beside_the_buttons() -> None:
    form = predict(Experiment(), "kitchen")
    assert "workq-form" in form.widget()._dom_classes
    shown = form._as_html()
    for output in (".jp-OutputArea-child", ".output_area"):  # JupyterLab's, and nbclassic's
        assert f"{output}:has(+ {output} .workq-form)" in shown
    assert '<details class="workq-without-buttons"><summary>No buttons below?' in shown


def test_choices_are_mixed_and_stay_where_they_are() -> None:
    assert sorted(KITCHEN.order) == [0, 1, 2]
    assert KITCHEN.order == replace(KITCHEN).order
    other = replace(KITCHEN, choices=KITCHEN.choices[::-1])
    assert other.labels() == KITCHEN.labels(), "the order in which they are written does not matter"
    for choice in range(3):
        assert position(KITCHEN, KITCHEN.letter(choice)) == choice


def test_no_letter_is_right_more_often_than_the_others_together() -> None:
    right: Counter[str] = Counter()
    for chapter in CHAPTERS[1:]:
        path = EXPECTED / f"{Path(chapter.notebook).stem}.json"
        text = " ".join(json.dumps(output) for output in json.loads(path.read_text(encoding="utf-8")).values())
        here = Counter(re.findall(r"\\nSo: +([A-H])\. ", text))
        assert here, chapter.title
        right += here
    assert max(right.values()) <= right.total() / 2
    assert set(right) >= {"A", "B", "C"}


def test_a_table_holds_text_not_html() -> None:
    table = compare(Experiment(run=True, happened=0), "kitchen")._repr_mimebundle_()["text/html"]
    assert "worker-1 did &lt;it&gt;." in table
    assert "<it>" not in table
    assert '<th scope="row"' in table


@pytest.mark.parametrize("answer", ["d", "", "ab", 1, ["a"], pytest.param(10**5000, id="huge"), "a" * 5000])
def test_an_answer_that_there_is_not_is_refused(answer: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Pass one of the letters a, b, c"):
        predict(Experiment(), "kitchen", answer=answer)


@pytest.mark.parametrize("why", [None, 5, ""])
def test_any_reason_is_taken(why: Any) -> None:
    answer = predict(Experiment(), "kitchen", answer="a", why=why).answer
    assert answer is not None
    assert answer.why == ("5" if why else "")


def test_an_answer_is_kept_though_its_lesson_is_closed_or_its_broker_down() -> None:
    def unreachable(_: Any) -> Seen:
        raise BrokerUnreachableError("Nothing answers.")

    form = Form(replace(KITCHEN, observe=unreachable), Experiment(), CHAPTER._answers)  # type: ignore[arg-type]
    form.widget().children[0].value = 1
    assert form.answer == Answer(1)


@pytest.mark.parametrize("method", ["predict", "compare", "estimate", "measured", "draw", "drawn", "check"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "missing a required argument: 'lesson'"),
        (("kitchen",), r"missing a required argument: 'name'\)\. Call \w+\(lesson, name\)"),
        (("kitchen", "kitchen"), "was given 'kitchen' in the place of the lesson"),
        ((None, "kitchen"), "was given None in the place of the lesson"),
        ((Session, "kitchen"), "in the place of the lesson"),
        ((Experiment(), "kitchen", 1, 2, 3), "too many positional arguments"),
    ],
)
def test_what_is_called_wrongly_says_how_it_is_called(method: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        getattr(CHAPTER, method)(*arguments)


@pytest.mark.parametrize("name", ["cellar", None])
def test_an_unknown_question_is_answered_with_the_known_ones(name: Any) -> None:
    for call in (predict, compare):
        with pytest.raises(InvalidArgumentError, match="'kitchen'"):
            call(Experiment(), name)


def _before_anything() -> Any:
    return SimpleNamespace(log=EventLog(), workers=[], programs=[], queue_counts=dict, is_shown=False)


@pytest.mark.parametrize("prediction", PREDICTIONS.values(), ids=list(PREDICTIONS))
def test_each_question_of_the_course_is_complete(prediction: Prediction) -> None:
    assert 2 <= len(prediction.choices) <= 5
    assert len({choice.text for choice in prediction.choices}) == len(prediction.choices)
    for text in (prediction.question, *(text for choice in prediction.choices for text in choice)):
        assert text.endswith((".", "?")), text
    with pytest.raises(CheckFailedError):
        prediction.observe(_before_anything())


class Kitchen:
    """Writes the log of two workers and what they did."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.workers: list[Any] = []

    def workers_come(self, *names: str) -> Kitchen:
        for name in names:
            self.log.record("connected", name, "hello", detail=ConsumeOptions())
        return self

    def send(self, *tasks: str) -> Kitchen:
        for task in tasks:
            self.log.record("published", "notebook", "hello", task, task)
        return self

    def do(self, worker: str, *tasks: str) -> Kitchen:
        for task in tasks:
            tag = sum(event.kind == "delivered" and event.actor == worker for event in self.log) + 1
            for kind in ("delivered", "started", "acked", "finished"):
                self.log.record(kind, worker, "hello", task, task, tag)
        return self


FIVE = ("Roast....", "Tea.", "Toast..", "Juice.", "Soup...")


@pytest.mark.parametrize(
    ("first", "choice"),
    [
        (("Roast....", "Toast..", "Soup..."), 0),
        (("Roast....", "Tea.", "Toast.."), 1),
        (("Roast....", "Juice."), 2),
        (("Roast....", "Soup..."), 3),
        (("Soup...",), None),
    ],
)
def test_five_orders_are_recognized_as_they_were_shared(first: tuple[str, ...], choice: int | None) -> None:
    second = tuple(task for task in FIVE if task not in first)
    told = Kitchen().workers_come("worker-1", "worker-2").send(*FIVE).do("worker-1", *first).do("worker-2", *second)
    seen = PREDICTIONS["five orders"].observe(told)  # type: ignore[arg-type]
    assert seen.choice == choice
    one, two = (names_of([f"'{task}'" for task in done]) for done in (first, second))
    assert seen.saw == f"worker-1 did {one}; worker-2 did {two}."


@pytest.mark.parametrize(("early", "choice"), [((), 2), (("2", "4"), 0), (("2", "3", "4"), 1)])
def test_a_late_worker_is_recognized_by_what_it_took(early: tuple[str, ...], choice: int) -> None:
    told = Kitchen().workers_come("worker-1").send("1", "2", "3", "4").workers_come("worker-2").send("5", "6")
    told.do("worker-2", *early, "6").do("worker-1", *(task for task in "1234" if task not in early), "5")
    seen = PREDICTIONS["late worker"].observe(told)  # type: ignore[arg-type]
    assert seen.choice == choice


@pytest.mark.parametrize(("second", "choice"), [("258", 0), ("456", 1), ("147", 2), ("", 2)])
def test_nine_orders_are_recognized_by_what_the_second_worker_got(second: str, choice: int) -> None:
    told = Kitchen().workers_come("worker-1", "worker-2", "worker-3").send(*"123456789")
    told.do("worker-2", *second).do("worker-3", *(task for task in "123456789" if task not in second))
    assert PREDICTIONS["nine orders"].observe(told).choice == choice  # type: ignore[arg-type]


def test_nine_orders_take_three_workers() -> None:
    told = Kitchen().workers_come("worker-1", "worker-2").send(*"123456789").do("worker-1", *"123456789")
    with pytest.raises(CheckFailedError, match="Start three workers"):
        PREDICTIONS["nine orders"].observe(told)  # type: ignore[arg-type]


def test_what_waits_for_nobody_is_told_though_workers_came_later() -> None:
    told = Kitchen().send("1", "2")
    for _ in range(2):
        seen = PREDICTIONS["nobody there"].observe(told)  # type: ignore[arg-type]
        assert seen == (0, "2 tasks had been sent, and none delivered, as long as no worker was there.")
        told.workers_come("worker-1").do("worker-1", "1", "2")


def test_orders_that_were_sent_to_a_worker_do_not_show_what_waits_for_nobody() -> None:
    told = Kitchen().workers_come("worker-1").send("1").do("worker-1", "1")
    with pytest.raises(CheckFailedError, match="while nobody was there"):
        PREDICTIONS["nobody there"].observe(told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kinds", "choice"),
    [(("channel closed",), 1), (("channel closed", "channel closed"), None), (("disconnected",), 2)],
)
def test_what_a_wrong_acknowledgment_closes_is_counted_until_the_next_one(kinds: tuple[str, ...], choice: int) -> None:
    told = Kitchen().send("1")
    told.log.record("acked", "notebook", detail=Mistake.UNKNOWN_DELIVERY_TAG)
    for kind in kinds:
        told.log.record(kind, "notebook")
    told.log.record("acked", "notebook", "hello", "1", "1", 1)
    told.log.record("channel closed", "notebook")
    assert PREDICTIONS["wrong channel"].observe(told).choice == choice  # type: ignore[arg-type]


def test_a_wrong_acknowledgment_without_an_answer_is_not_judged() -> None:
    told = Kitchen().send("1")
    told.log.record("acked", "notebook", detail=Mistake.UNKNOWN_DELIVERY_TAG)
    with pytest.raises(CheckFailedError, match="closed nothing yet"):
        PREDICTIONS["wrong channel"].observe(told)  # type: ignore[arg-type]


class Accident(Kitchen):
    """Writes the log of an accident, and what the workers printed."""

    def come(self, name: str, *printed: str, auto_ack: bool = False) -> Accident:
        self.log.record(
            "connected", name, "hello", detail=ConsumeOptions(auto_ack=True) if auto_ack else ConsumeOptions()
        )
        self.workers.append(SimpleNamespace(name=name, console=SimpleNamespace(lines=list(printed))))
        return self

    def tell(self, worker: str, task: str, tag: int, *kinds: str) -> Accident:
        for kind in kinds:
            self.log.record(kind, worker, "hello" if task else "", task or None, task, tag if task else None)
        return self


def auto_killed(*lost: str, done: Sequence[str] = ()) -> Accident:
    told = Accident().come("worker-1", auto_ack=True).come("worker-2", auto_ack=True)
    told.send("1", "2", "3")
    for tag, task in enumerate((*lost, *done), start=1):
        told.tell("worker-1", task, tag, "delivered", "started")
        if task in done:
            told.tell("worker-1", task, tag, "finished")
    told.do("worker-2", *(task for task in "123" if task not in (*lost, *done)))
    for tag, task in enumerate(lost, start=1):
        told.tell("worker-1", task, tag, "lost")
    return told.tell("worker-1", "", 0, "killed")


@pytest.mark.parametrize(
    ("told", "choice"),
    [(auto_killed("1", "3"), 2), (auto_killed("3", done=["1"]), 1), (auto_killed("1", "3", done=["2"]), None)],
)
def test_what_auto_ack_lost_is_recognized(told: Any, choice: int | None) -> None:
    assert PREDICTIONS["auto ack"].observe(told).choice == choice


def killed(*then: str) -> Accident:
    told = Accident().come("worker-1", " [x] Served Soup..").come("worker-2", " [x] Served Soup..")
    told.send("Soup..").tell("worker-1", "Soup..", 1, "delivered", "started", "requeued")
    return told.tell("worker-1", "", 0, "killed").tell("worker-2", "Soup..", 1, "delivered", "started", *then)


def test_what_manual_ack_saved_is_recognized() -> None:
    seen = PREDICTIONS["manual ack"].observe(killed("acked", "finished"))  # type: ignore[arg-type]
    assert seen.choice == 0
    with pytest.raises(CheckFailedError, match="still in hand"):
        PREDICTIONS["manual ack"].observe(killed())  # type: ignore[arg-type]


@pytest.mark.parametrize(("silent", "choice"), [(0, 2), (1, 1), (2, 0)])
def test_how_often_soup_was_served_is_counted(silent: int, choice: int) -> None:
    told = killed("acked", "finished")
    for worker in told.workers[:silent]:
        worker.console.lines = [" [*] Waiting for messages."]
    seen = PREDICTIONS["served twice"].observe(told)  # type: ignore[arg-type]
    assert seen.choice == choice
    assert f"served {2 - silent} times" in seen.saw


@pytest.mark.parametrize(("kinds", "choice"), [((), 1), (("acked",), 0), (("requeued",), 2)])
def test_a_forgotten_ack_is_recognized(kinds: tuple[str, ...], choice: int) -> None:
    told = Accident().come("worker-1")
    told.send("Tea.").tell("worker-1", "Tea.", 1, "delivered", "started", "finished", *kinds)
    assert PREDICTIONS["forgotten ack"].observe(told).choice == choice  # type: ignore[arg-type]
