"""Runs in a lesson's kernel beside its cells: keeps the run of each experiment, and which cell did what when.

`scripts/recording.py` has the kernel call `begin` before the first cell and `finish` after the last one. An experiment
goes from a `Lesson` that is opened to the next one; nothing is kept of one in which nothing was sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython

from workq_helpers import Lesson
from workq_helpers.stage import Stage
from workq_helpers.stage.calls import call_for
from workq_helpers.teaching.comparison import PredictionComparison
from workq_helpers.teaching.estimate import EstimateComparison

#: What a cell did, or had done, is worth looking at on the stage.
NODE_DEEDS = frozenset({"node killed", "node cut off", "node started"})
DEEDS = frozenset(
    {"published", "starting", "stopping", "killed", "frozen", "thawed", "purged", "deleted", "broker"} | NODE_DEEDS
)

#: Where the lesson is about nodes, it is what is done to them that counts.
SENT = frozenset({"published"} | NODE_DEEDS)

#: Of a run with more events than these, one moment is kept of each stretch of so many seconds: nobody sees more of it,
#: and to draw all of them takes longer than a cell may.
MANY_EVENTS = 3_000
STRETCH_SECONDS = 0.02

#: How long a learner's play may take, in seconds.
PLAY_SECONDS = 60.0


def begin(folder: str) -> None:
    """Keep what happens from the next cell on in a folder."""
    global _recorder
    _recorder = recorder = _Recorder(Path(folder))
    recorder.watch_lessons()
    events = get_ipython().events
    events.register("pre_run_cell", recorder.before_cell)
    events.register("post_run_cell", recorder.after_cell)


def finish() -> None:
    """Keep the last experiment, too, and write down what the cells did."""
    if _recorder is not None:
        _recorder.finish()


class _Recorder:
    """Watches the lessons and the cells of one notebook."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cells: list[dict[str, Any]] = []
        self._seen: dict[str, dict[str, Any]] = {}
        self._counted: dict[str, dict[str, Any]] = {}
        self._lesson: Lesson | None = None
        self._experiment = -1
        self._stage_shown = False
        self._began: tuple[int, float, int] | None = None
        self._finished = False

    def watch_lessons(self) -> None:
        opened, close = Lesson.__init__, Lesson.close
        recorder = self

        def open_lesson(lesson: Lesson, *arguments: Any, **keywords: Any) -> None:
            opened(lesson, *arguments, **keywords)
            recorder._opened(lesson)

        def close_lesson(lesson: Lesson) -> None:
            recorder._ends(lesson)
            close(lesson)

        Lesson.__init__ = open_lesson  # type: ignore[method-assign]
        Lesson.close = close_lesson  # type: ignore[method-assign]

    def before_cell(self, _info: object) -> None:
        lesson = self._lesson
        now = (0.0, 0) if lesson is None else (lesson.log.seconds(), len(lesson.log))
        self._began = (self._experiment, *now)

    def after_cell(self, result: Any) -> None:
        if self._began is None or self._finished:
            return
        experiment, seconds, events = self._began
        lesson = self._lesson
        if experiment != self._experiment:  # it was opened in this cell
            seconds, events = 0.0, 0
        did = [] if lesson is None else [event.kind for event in list(lesson.log)[events:]]
        is_stage = isinstance(result.result, Stage)
        self._cells.append(
            {
                "experiment": self._experiment,
                "begin_seconds": round(seconds, 3),
                "end_seconds": 0.0 if lesson is None else round(lesson.log.seconds(), 3),
                "deed": not DEEDS.isdisjoint(did),
                "sent": not SENT.isdisjoint(did),
                "stage": is_stage,
            }
        )
        if isinstance(result.result, PredictionComparison) and result.result.seen is not None:
            self._seen[result.result.asked.name] = result.result.seen._asdict()
        if isinstance(result.result, EstimateComparison) and result.result.seen is not None:
            self._counted[result.result.asked.name] = result.result.seen._asdict()
        if is_stage and lesson is not None:
            self._stage_shown = True
            if lesson.name == "start-here":
                _play_and_kill(lesson)

    def finish(self) -> None:
        self._finished = True
        if self._lesson is not None:
            self._lesson.close()
        about = {"cells": self._cells, "seen": self._seen, "counted": self._counted}
        (self._folder / "cells.json").write_text(json.dumps(about), encoding="utf-8")

    def _opened(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._experiment += 1
        self._stage_shown = False
        _ = lesson.stage  # it listens to the broker from now on

    def _ends(self, lesson: Lesson) -> None:
        if lesson is not self._lesson:
            return
        self._lesson = None
        if self._stage_shown and not _has_sent(lesson):
            _play(lesson)
        if _has_sent(lesson):
            stretch_seconds = STRETCH_SECONDS if len(lesson.log) > MANY_EVENTS else 0.0
            run = lesson.stage.saved_run(stretch_seconds=stretch_seconds)
            (self._folder / f"{self._experiment}.json").write_text(run.text, encoding="utf-8")


_recorder: _Recorder | None = None


def _has_sent(lesson: Lesson) -> bool:
    return any(event.kind in ("published", "cluster") for event in lesson.log)


def _play(lesson: Lesson) -> None:
    """Do on the stage what a learner may try there, who is invited to and has not been told of anything else."""
    for task in ("Soup..", "Toast.", "Tea."):
        _press(lesson, "send", task=task)
    _press(lesson, "add_worker", prefetch_count=0)
    lesson.wait_until_idle(timeout=PLAY_SECONDS)


def _play_and_kill(lesson: Lesson) -> None:
    """Do on the stage what the lesson's text says: send, add a worker, kill it at work, and add another one."""
    for task in ("Soup..", "Toast.", "Tea."):
        _press(lesson, "send", task=task)
    _press(lesson, "add_worker", prefetch_count=0)
    worker = lesson.workers[-1]
    lesson.log.wait_for(lambda: any(event.kind == "started" for event in lesson.log), PLAY_SECONDS)
    worker.kill()
    lesson.log.wait_for(lambda: not worker.alive, PLAY_SECONDS)
    _press(lesson, "add_worker", prefetch_count=0)
    lesson.wait_until_idle(timeout=PLAY_SECONDS)


def _press(lesson: Lesson, control: str, **arguments: Any) -> None:
    """Do what a control of the stage does, and say in the log that it came from there."""
    call = call_for({"do": control, "queue": next(iter(lesson.queue_counts())), **arguments}, lesson)
    started = call.run(lesson)
    lesson.log.record("played", started.name, detail=call.code)
    if control == "send":
        started.wait(PLAY_SECONDS)
