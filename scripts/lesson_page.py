"""A lesson as a page for reading: its recording in place of what a kernel would show.

Each stage is the player of that experiment's real run. Questions are forms that the page itself takes an answer from;
what answers a question is there, but folded away: outputs after a prediction, hints and solutions.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
from quiz_page import quiz_page
from recording import Recording

from workq_helpers.lessons import CHAPTERS
from workq_helpers.stage.run_page import packed, run_line
from workq_helpers.stage.saved_run import SavedRun
from workq_helpers.teaching.comparison import PredictionComparison
from workq_helpers.teaching.drawing import Drawing
from workq_helpers.teaching.estimate import Counted, Estimate, EstimateComparison, Number
from workq_helpers.teaching.prediction import Answer, Prediction, Seen

__all__ = ["for_reading", "stage"]

_PREDICT = re.compile(r'^predict\(lesson, "([^"]+)"|\.predict\("([^"]+)"', re.MULTILINE)
_ESTIMATE = re.compile(r'^estimate\(lesson, "([^"]+)"', re.MULTILINE)
_DRAW = re.compile(r'^draw\(lesson, "([^"]+)"', re.MULTILINE)
_COMPARE = re.compile(r'^compare\(lesson, "([^"]+)"\)', re.MULTILINE)
_MEASURED = re.compile(r'^measured\(lesson, "([^"]+)"\)', re.MULTILINE)
_CHECK = re.compile(r'\bexercise\("([^"]+)"\)\.check\(')
_QUIZ = re.compile(r"^quiz\(\)$", re.MULTILINE)

#: Leads those who read elsewhere to the site.
_TO_THE_SITE = re.compile(r" \*\*Only reading\?\*\*.*")

_FOR_REAL = (
    "*To do it for real, [take the course](../index.md#take-the-course): in its notebook you change the cell above, "
    "and this check tries your code on a real RabbitMQ.*"
)


def for_reading(notebook: nbformat.NotebookNode, recording: Recording) -> nbformat.NotebookNode:
    """Return a lesson's notebook with everything that its page shows.

    Args:
        notebook: The lesson, with the outputs of its cells.
        recording: What was recorded when they were run.
    """
    folded = {cell.id for cell in _answering_cells(notebook)}
    stages = _stages(notebook, recording)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type != "code":
            cell.source = _TO_THE_SITE.sub("", cell.source)
            continue
        cell.outputs = [_as_page(output) for output in cell.outputs]
        asked, compared, tried = _PREDICT.search(cell.source), _COMPARE.search(cell.source), _CHECK.search(cell.source)
        if asked:
            cell.outputs = []
            cells.append(_text_after(cell, _form(_prediction(asked[1] or asked[2]), recording.seen)))
        elif estimated := _ESTIMATE.search(cell.source):
            cell.outputs = []
            cells.append(_text_after(cell, _number_form(_estimate(estimated[1]), recording.counted)))
        elif drawing := _DRAW.search(cell.source):
            cell.outputs = []
            cells.append(_text_after(cell, _to_draw(_drawing(drawing[1]))))
        elif _QUIZ.search(cell.source):
            cell.outputs = []
            cells.append(_text_after(cell, quiz_page(_title(notebook))))
        elif tried:
            _fold_output(cell, "What the check says before you do the exercise")
            cells.append(_text_after(cell, _help_with(tried[1])))
        elif cell.id in folded:
            _fold_output(cell, "What RabbitMQ did")
        if compared and (seen := recording.seen.get(compared[1])) and cell.outputs:
            cell.outputs[-1].data = {"text/html": _comparison(_prediction(compared[1]), seen)}
        measured = _MEASURED.search(cell.source)
        if measured and (counted := recording.counted.get(measured[1])) and cell.outputs:
            cell.outputs[-1].data = {"text/html": _number_comparison(_estimate(measured[1]), counted)}
        if cell.id in stages:
            cells.append(nbformat.v4.new_markdown_cell(stages[cell.id], id=f"{cell.id}-stage"))
    notebook.cells = cells
    return notebook


def stage(name: str, run: SavedRun, at_seconds: float = 0.0, *, more: str = "", up: str = "../") -> str:
    """Return the element of a page in which a run plays.

    Args:
        name: The experiment's name.
        run: Its run.
        at_seconds: Where it is opened.
        more: Further attributes.
        up: What leads from the page to the site's first one.
    """
    line = html.escape(run_line(run))
    return (
        f'<figure class="course-stage" id="{_place(name)}" aria-label="The run: {name.replace("_", " ")}"{more}>'
        f'<div class="course-player" data-at-seconds="{at_seconds:g}"></div>'
        f'<script type="application/gzip" data-workq-run>{packed(run)}</script>'
        f"<noscript><p>The player needs JavaScript.</p></noscript>"
        f'<figcaption>{line} <a href="{up}real.html">More about that.</a></figcaption></figure>'
    )


def _place(name: str) -> str:
    return f"stage-{name.replace('_', '-')}"


# -- where runs play ----------------------------------------------------------------------------------


def _stages(notebook: nbformat.NotebookNode, recording: Recording) -> dict[str, str]:
    """Return what is to stand below cells: the player of each experiment once, and links to its moments."""
    below: dict[str, str] = {}
    homes = _homes(notebook, recording)
    opened = False
    for cell in notebook.cells:
        facts = recording.cells.get(cell.id)
        if facts is None or facts.experiment not in recording.runs:
            continue
        home = homes.get(facts.experiment)
        if cell.id == home:
            opened = True
            run = recording.runs[facts.experiment]
            below[cell.id] = stage(facts.experiment, run, facts.begin_seconds)
        elif home is not None and opened and (facts.deed or facts.stage) and _is_after(notebook, cell.id, home):
            below[cell.id] = (
                f'<p class="course-moment"><a href="#{_place(facts.experiment)}" '
                f'data-play-from="{facts.begin_seconds:g}">See this on the stage, from {facts.begin_seconds:.1f} s on'
                "</a></p>"
            )
    return below


def _homes(notebook: nbformat.NotebookNode, recording: Recording) -> dict[str, str]:
    """Return the cell below which each experiment's player stands: its own stage, else the first that sends."""
    homes: dict[str, str] = {}
    for wanted in ("stage", "sent"):
        for cell in notebook.cells:
            facts = recording.cells.get(cell.id)
            if facts is not None and getattr(facts, wanted):
                homes.setdefault(facts.experiment, cell.id)
    return homes


def _is_after(notebook: nbformat.NotebookNode, cell: str, other: str) -> bool:
    order = [each.id for each in notebook.cells]
    return order.index(cell) > order.index(other)


# -- what answers a question --------------------------------------------------------------------------


def _answering_cells(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield the code cells whose outputs answer a question.

    They are those from a call of `predict` to the end of its section, and those tagged "hide-output".
    """
    predicted = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            predicted = False
        if cell.cell_type == "code":
            if predicted or "hide-output" in cell.metadata.get("tags", ()):
                yield cell
            predicted = predicted or any(asks.search(cell.source) for asks in (_PREDICT, _ESTIMATE, _DRAW))


def _title(notebook: nbformat.NotebookNode) -> str:
    return str(notebook.cells[0].source.splitlines()[0]).removeprefix("# ")


def _prediction(name: str) -> Prediction:
    return next(each for chapter in CHAPTERS for each in chapter.predictions if each.name == name)


def _estimate(name: str) -> Estimate:
    return next(each for chapter in CHAPTERS for each in chapter.estimates if each.name == name)


def _drawing(name: str) -> Drawing:
    return next(each for chapter in CHAPTERS for each in chapter.drawings if each.name == name)


def _to_draw(drawing: Drawing) -> str:
    """Return a question that a notebook has a picture drawn for; a page can be answered on paper."""
    return (
        f"**Draw:** {_plain(drawing.question)}\n\n{_plain(', '.join(drawing.tasks))}\n\n"
        f"*Draw it on paper before you unfold the rest. In the notebook, for whoever [takes the "
        f"course](../index.md#take-the-course), there are buttons to do so.*"
    )


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _form(prediction: Prediction, seen: Mapping[str, Seen]) -> str:
    """Return a prediction's question with its choices, as a form that the page takes an answer from."""
    name = _slug(prediction.name)
    answers = "".join(
        f'<label><input type="radio" name="{name}" value="{prediction.letter(choice)}"> '
        f"<span>{html.escape(label)}</span></label>"
        for label, choice in zip(prediction.labels(), prediction.order, strict=True)
    )
    hint = "Choose one before you play the run."
    return _question(name, prediction.question, answers, hint, compared=prediction.name in seen)


def _number_form(estimate: Estimate, counted: Mapping[str, Counted]) -> str:
    """Return a question whose answer is a number, as a form that the page takes it from."""
    field = '<label>Number <input type="number" step="any" required></label>'
    hint = f"Write a number before you play the run: {estimate.accuracy()}."
    return _question(_slug(estimate.name), estimate.question, field, hint, compared=estimate.name in counted)


def _question(name: str, question: str, answers: str, hint: str, *, compared: bool) -> str:
    compare = f'<a href="#compare-{name}">Compare your answer with what RabbitMQ did</a>'
    return (
        f'<form class="course-prediction" data-prediction="{name}"><fieldset>'
        f"<legend><strong>Predict:</strong> {html.escape(question)}</legend>{answers}</fieldset>"
        f'<p role="status">{hint}</p>{compare if compared else ""}</form>'
    )


def _comparison(prediction: Prediction, seen: Seen) -> str:
    """Return what the notebook would show beside each answer, the one without an answer in the open."""

    def table(answer: Answer | None) -> str:
        return PredictionComparison(prediction, answer, seen, "")._repr_mimebundle_()["text/html"]

    templates = {prediction.letter(at): table(Answer(at)) for at in range(len(prediction.choices))}
    return _compared(prediction.name, table(None), templates)


def _number_comparison(estimate: Estimate, counted: Counted) -> str:
    """Return what the notebook would show beside a number that is near enough, and beside one that is not."""

    def table(answer: Number | None) -> str:
        return EstimateComparison(estimate, answer, counted, "")._repr_mimebundle_()["text/html"]

    near, far = counted.number, counted.number + estimate.tolerance + 1
    templates = {"near": table(Number(near)), "far": table(Number(far))}
    return _compared(
        estimate.name, table(None), templates, f' data-number="{near:g}" data-tolerance="{estimate.tolerance:g}"'
    )


def _compared(name: str, unanswered: str, by_answer: Mapping[str, str], more: str = "") -> str:
    templates = "".join(f'<template data-answer="{answer}">{table}</template>' for answer, table in by_answer.items())
    return (
        f'<div class="course-comparison" id="compare-{_slug(name)}"{more}>'
        f'<div class="course-compared">{unanswered}</div>{templates}</div>'
    )


def _help_with(name: str) -> str:
    """Return an exercise's hints and its solution, each folded away, as Markdown."""
    exercise = next(each for chapter in CHAPTERS for each in chapter.exercises if each.name == name)
    count = len(exercise.hints)
    hints = [_fold(f"Hint {number} of {count}", _plain(hint)) for number, hint in enumerate(exercise.hints, start=1)]
    return "\n\n".join([_FOR_REAL, *hints, _fold("A solution", f"```python\n{exercise.read().solution}\n```")])


# -- cells --------------------------------------------------------------------------------------------


def _as_page(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an output whose links lead to pages, and with words where a picture has no pixels."""
    if "text/html" in output.get("data", {}):
        text = re.sub(r'href="(\w+)\.ipynb"', lambda link: f'href="{_page_of(link[1])}"', output.data["text/html"])
        text = text.replace("<th></th>", "<td></td>")  # pandas heads its index with nothing
        output.data["text/html"] = re.sub(r'<img alt="([^"]*)"[^>]*src="PNG"[^>]*>', r"<p><em>\1</em></p>", text)
    return output


def _page_of(notebook: str) -> str:
    """Return the page of a notebook, whose number may have changed since it was recorded."""
    name = notebook.partition("_")[2]
    stems = (Path(chapter.notebook).stem for chapter in CHAPTERS)
    return next((f"{stem}.html" for stem in stems if stem.partition("_")[2] == name), f"{notebook}.html")


def _fold_output(cell: nbformat.NotebookNode, summary: str) -> None:
    """Show the cell's output to whoever unfolds it."""
    cell.metadata = nbformat.from_dict(
        {"tags": ["hide-output"], "mystnb": {"code_prompt_show": summary, "code_prompt_hide": summary}}
    )


def _text_after(cell: nbformat.NotebookNode, text: str) -> nbformat.NotebookNode:
    """Return a cell of text that belongs below another one."""
    return nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-text")


def _fold(summary: str, text: str) -> str:
    """Return Markdown that shows a text to whoever unfolds it."""
    return f'<details class="fold">\n<summary>{summary}</summary>\n\n{text}\n\n</details>'


def _plain(text: str) -> str:
    """Return a sentence as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)
