"""`Drawing`: who does which task, as a learner draws it before the experiment, held against who did."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.pictures.palette import BLUE, DRAWN, INK
from workq_helpers.teaching import widgets
from workq_helpers.teaching.answer_form import AnswerForm
from workq_helpers.teaching.observation import note_of
from workq_helpers.text import marked, shown

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Drawing", "DrawingComparison", "DrawingForm", "Drawn"]

#: A style for the rows of a drawing: the workers stand side by side, as the columns of a table.
_SIDE_BY_SIDE = ".workq-drawing .widget-radio-box { display: flex; flex-direction: row; gap: 1.5em; }"

_DOT_EMS = 3.0


class Drawn(NamedTuple):
    """What a learner drew.

    Attributes:
        workers: Who does each task, by its text; those that were not drawn are missing.
        late: Whether the experiment had been run already.
    """

    workers: Mapping[str, str]
    late: bool = False


@dataclass(frozen=True)
class Drawing:
    """A question about an experiment that is answered by a picture of who does what.

    Attributes:
        name: What `draw` and `drawn` call it.
        question: The question, in a sentence or two.
        tasks: The tasks in the order of sending, no two alike.
        workers: Who may do them.
        why: Why it is what happens; shown afterwards.
        observe: Says who did each task in a lesson; raises CheckFailedError while the experiment has not been run.
        section: The title of the notebook's section that asks it.
    """

    name: str
    question: str
    tasks: tuple[str, ...]
    workers: tuple[str, ...]
    why: str
    observe: Callable[[Session], Mapping[str, str]]
    section: str = ""

    def read(self, answer: str) -> dict[str, str]:
        """Return who does what, of an answer with a digit for each task, such as "1221".

        Raises:
            InvalidArgumentError: There is not a digit for each task, or no such worker.
        """
        digits = [str(number) for number in range(1, len(self.workers) + 1)]
        if not isinstance(answer, str) or len(answer) != len(self.tasks) or not set(answer) <= set(digits):
            raise InvalidArgumentError(
                f"The answer is {shown(answer)}. Pass a text of {len(self.tasks)} digits, one for each task in their "
                f"order: {' or '.join(digits)}, the number of the worker that does it."
            )
        return {task: self.workers[int(digit) - 1] for task, digit in zip(self.tasks, answer, strict=True)}


class DrawingForm(AnswerForm[Drawing, Drawn]):
    """A drawing to be made in a notebook: a row for each task, a column for each worker, and what that looks like."""

    _deed = "Draw"

    def take(self, workers: Mapping[str, str]) -> None:
        """Take a drawing down."""
        late = self._is_late(unchanged=self.answer is not None and self.answer.workers == workers)
        self._answers[self.asked.name] = Drawn(dict(workers), late)

    def _noted(self) -> str:
        left = len(self.asked.tasks) - len(self.answer.workers if self.answer else ())
        if self.answer is None or left:
            return self._wanted(f"Give each task to a worker before you run the experiment; {left} to go.")
        return note_of("", late=self.answer.late)

    def widget(self) -> Any:
        """Return the form as an ipywidget: radio buttons for each task, the picture, and what has been noted."""
        given = self.answer.workers if self.answer else {}
        rows = [
            ipywidgets.RadioButtons(options=self.asked.workers, value=given.get(task), description=task)
            for task in self.asked.tasks
        ]
        picture = ipywidgets.HTML(_lanes(self.asked, given))
        noted = ipywidgets.Label(self._noted())

        def take(_change: object) -> None:
            drawn = zip(self.asked.tasks, (row.value for row in rows), strict=True)
            self.take({task: worker for task, worker in drawn if worker is not None})
            picture.value = _lanes(self.asked, self.answer.workers if self.answer else {})
            noted.value = self._noted()

        for row in rows:
            row.observe(take, names="value")
        style = ipywidgets.HTML(f"<style>{_SIDE_BY_SIDE}</style>", layout=ipywidgets.Layout(display="none"))
        made = widgets.form([*rows, picture, noted, style])
        made.add_class("workq-drawing")
        return made

    def _without_buttons(self) -> str:
        return f"<p>{html.escape(self._digits())}</p>"

    def _digits(self) -> str:
        example = "1" * len(self.asked.tasks)
        tasks = ", ".join(self.asked.tasks)
        return (
            f"Without buttons, write a digit for each task into the cell, the number of its worker, and run it: "
            f'draw(lesson, "{self.asked.name}", answer="{example}") gives all of them to {self.asked.workers[0]}. '
            f"The tasks are: {tasks}"
        )

    def __repr__(self) -> str:
        return f"Draw: {self.asked.question}\n  {self._digits()}"


class DrawingComparison:
    """A learner's drawing beside who did what.

    Attributes:
        drawing: The question.
        answer: The learner's drawing, or ``None``.
        seen: Who did each task, or ``None`` while the experiment has not been run.
        missing: What has to be run first; ``""`` if nothing.
    """

    def __init__(self, drawing: Drawing, answer: Drawn | None, seen: Mapping[str, str] | None, missing: str) -> None:
        self.drawing = drawing
        self.answer = answer
        self.seen = seen
        self.missing = missing

    @property
    def right(self) -> int | None:
        """How many tasks were drawn as they came; ``None`` if nothing was drawn, or there is nothing to compare."""
        if self.answer is None or self.seen is None:
            return None
        return sum(self.answer.workers.get(task) == self.seen[task] for task in self.drawing.tasks)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return a row for each task: the task, the worker that was drawn, the one that did it, and a mark."""
        drawn, seen = self.answer.workers if self.answer else {}, self.seen or {}
        return [
            (
                task,
                drawn.get(task, "-"),
                seen.get(task, "-"),
                "" if task not in drawn or task not in seen else "✔" if drawn[task] == seen[task] else "✗",
            )
            for task in self.drawing.tasks
        ]

    def verdict(self) -> str:
        """Say how the drawing came out, in a sentence or two."""
        if self.seen is None:
            return f"Nothing to compare with yet. {self.missing}"
        late = " (drawn after the experiment)" if self.answer and self.answer.late else ""
        count = "" if self.right is None else f"{self.right} of {len(self.drawing.tasks)} came as you drew them{late}. "
        return f"{count}{self.drawing.why}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        drawn = _lanes(self.drawing, self.answer.workers if self.answer else {})
        pictures = f"<p>You drew:</p>{drawn}" if self.answer else ""
        pictures += f"<p>RabbitMQ gave:</p>{_lanes(self.drawing, self.seen)}" if self.seen else ""
        heads = "".join(f'<th scope="col" style="text-align: left">{head}</th>' for head in _HEADS)
        body = "".join(
            f'<tr><th scope="row" style="text-align: left">{html.escape(task)}</th>'
            f"{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
            for task, *cells in self.rows()
        )
        caption = html.escape(self.drawing.question)
        table = (
            f'<table><caption style="text-align: left">{caption}</caption><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )
        return {"text/plain": repr(self), "text/html": f"{table}{pictures}<p>{marked(self.verdict())}</p>"}

    def __repr__(self) -> str:
        rows: Sequence[tuple[str, ...]] = [_HEADS, *self.rows()]
        widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(_HEADS))]
        lines = ["".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, self.verdict()])


_HEADS = ("task", "you drew", "RabbitMQ gave", "right?")


_IN_A_LANE = "display: inline-block; vertical-align: middle"
_BAR = (
    f"{_IN_A_LANE}; box-sizing: border-box; overflow: hidden; white-space: nowrap; padding: 0 0.2em; "
    f"background: {BLUE.face}; color: {INK}; border: 1px solid {BLUE.edge}"
)


def _lanes(drawing: Drawing, workers: Mapping[str, str]) -> str:
    """Return a picture as HTML: a lane for each worker, with its tasks one after another, as long as their work."""
    lanes = []
    for worker in drawing.workers:
        mine = [task for task in drawing.tasks if workers.get(task) == worker]
        bars = "".join(
            f'<span class="{DRAWN}" style="{_BAR}; width: {_DOT_EMS * task.count(".")}em">'
            f"{html.escape(task.rstrip('.'))}</span>"
            for task in mine
        )
        name = f'<span style="{_IN_A_LANE}; width: 6em">{html.escape(worker)}</span>'
        lanes.append(f'<div style="margin: 0.2em 0">{name}{bars}</div>')
    return "".join(lanes)
