"""`Stage`: the live view of one lesson, from its log to the learner's screen and back."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from IPython import display

from workq_helpers.anonymity import anonymous
from workq_helpers.clients.console import Console
from workq_helpers.clients.pace import seconds_per_dot
from workq_helpers.clients.publisher import Publisher
from workq_helpers.clients.worker import Worker
from workq_helpers.errors import WorkqError
from workq_helpers.log.events import EventLog
from workq_helpers.stage.broker_counts import BrokerWatch
from workq_helpers.stage.calls import Call, Declaration, Saving, call_for
from workq_helpers.stage.cells import Cells
from workq_helpers.stage.composition import broker_bar, compose
from workq_helpers.stage.controls import up_to
from workq_helpers.stage.frame import CallLine, Frame, Moment, Notice
from workq_helpers.stage.frame_pace import FramePace
from workq_helpers.stage.lanes import Lanes
from workq_helpers.stage.marks import Marks
from workq_helpers.stage.playhead import Playhead, Position
from workq_helpers.stage.recorder import lines_by, moments_of, task_rows, without_address
from workq_helpers.stage.saved_run import SavedRun
from workq_helpers.stage.scene import Scene
from workq_helpers.stage.still import Still
from workq_helpers.stage.widget import StageWidget
from workq_helpers.text import Sentence, printable

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Stage"]

_logger = logging.getLogger(__name__)

#: A frame goes out at least this often, so that the browser knows a live view from a dead one.
HEARTBEAT_SECONDS = 2.0

#: How many of its last calls and notices the stage shows.
_KEPT_CALLS = 10
_KEPT_NOTICES = 5

#: How long a task may take that the stage sends itself before the next one is sent.
_SEND_SECONDS = 30.0

#: How long the threads have to end; what they wait for is bounded, and they are daemons.
_END_SECONDS = 5.0

_TOO_LATE = (
    "What you pressed waited until the cell that ran had ended, and another experiment has begun since. So it was not "
    "done. Press again if you want it now."
)

_PLAYBACK = ("pause", "play", "replay", "live", "seek", "step")


class Stage:
    """A live picture of the lesson's RabbitMQ, with controls; show it by naming it at the end of a cell.

    `Lesson.stage` makes it. Its views, in one page or in several, all show the same moment. It outlives its
    lesson: when a lesson of the same name is opened, what is on the screen goes on with that one.
    """

    _session: Session | None

    def __init__(self, lesson: Session) -> None:
        self._widget = StageWidget()
        self._widget.on_msg(self._on_message)
        self._still = Still()
        self._cells = Cells(lambda: self._log.poke())
        self._number = 0
        self._outbox: deque[dict[str, Any]] = deque()
        self._calls: deque[CallLine] = deque(maxlen=_KEPT_CALLS)
        self._notices: deque[Notice] = deque(maxlen=_KEPT_NOTICES)
        self._counter = 0
        self._controls: list[str] = []
        self._pressed = threading.Event()
        self._closed = ""
        self._open(lesson)

    # -- what a learner may call ----------------------------------------------------------------------

    def pause(self) -> None:
        """Hold the picture; RabbitMQ goes on."""
        self._move(self._playhead.pause)

    def play(self, speed: float = 1.0) -> None:
        """Replay what was recorded from where the picture is; from the beginning, if it is live.

        Args:
            speed: From 0.25 to 4.

        Raises:
            InvalidArgumentError: The speed is another.
        """
        self._move(lambda: self._playhead.play(speed))

    def replay(self, experiment: str, speed: float = 1.0) -> None:
        """Replay what happened from the question on an experiment to its comparison, and hold the picture there.

        Args:
            experiment: The name that `predict` and `compare` call it, for example "five orders".
            speed: From 0.25 to 4.

        Raises:
            InvalidArgumentError: It has not been compared yet, or the speed is another.
        """
        begin_seconds, end_seconds = self._lesson.experiments.span(experiment)
        self._move(lambda: self._playhead.replay(begin_seconds, end_seconds, speed))

    def live(self) -> None:
        """Show what happens now."""
        self._move(self._playhead.live)

    def seek(self, seconds: float) -> None:
        """Hold the picture at a moment, in seconds since the lesson opened."""
        self._move(lambda: self._playhead.seek(seconds))

    def at(self, seconds: float) -> Sentence:
        """Hold the picture at a moment, and return in a sentence what had happened last by then.

        Args:
            seconds: The moment, in seconds since the lesson opened; tables and the stage show such seconds.
        """
        self.seek(seconds)
        with self._building:
            position = self._playhead.position()
            self._wind_to(position.events)
            story = self._scene.narration.latest(position.seconds)
        said = f"{story[-1]['text']} at {story[-1]['seconds']:.2f} s" if story else "nothing had happened yet"
        return Sentence(f"The stage shows {position.seconds:.2f} s. The last event by then: {said}.")

    def step(self, events: int = 1) -> None:
        """Hold the picture so many events further on, or back where it is negative."""
        self._move(lambda: self._playhead.step(events))

    def saved_run(
        self, begin_seconds: float = 0.0, end_seconds: float | None = None, *, stretch_seconds: float = 0.0
    ) -> SavedRun:
        """Return what it has shown, to be kept and played anywhere.

        Args:
            begin_seconds: Where to begin, in seconds since the lesson opened.
            end_seconds: Where to end; now by default.
            stretch_seconds: Of each stretch of so many seconds only the last moment is kept; all by default.

        Raises:
            InvalidArgumentError: There is nothing in that stretch, or more than can be played.
        """
        lesson = self._lesson
        told = without_address(lesson.broker.endpoint)
        log = lesson.log.copy()  # of one moment, whatever goes on meanwhile
        moments = moments_of(
            log,
            self._broker.answers,
            lines_by({name: console.written for name, console in self._consoles()}),
            [seconds for worker in lesson.workers for seconds, _ in worker.console.written],
            self._broker.queues,
            self._broker.routes,
            seconds_per_dot(),
            begin_seconds,
            end_seconds,
            stretch_seconds,
        )
        return SavedRun.of(
            moments,
            lesson=told(self._name),
            recorded=datetime.now(UTC).date().isoformat(),
            rabbitmq=str(lesson.broker.version),
            marks=[
                mark
                for mark in self._marks.shown()
                if begin_seconds <= mark["seconds"] <= (math.inf if end_seconds is None else end_seconds)
            ],
            tasks=task_rows(log, begin_seconds, end_seconds),
            told=told,
        )

    def show(self, control: str = "") -> None:
        """Show the controls that the course has introduced by now; the others wait behind "All controls".

        Args:
            control: The one that was introduced last, such as ``"kill"`` or ``"prefetch"``; none for all controls.

        Raises:
            InvalidArgumentError: There is no control of that name; the message lists them.
        """
        self._controls = up_to(control) if control else []
        self._move(lambda: None)

    def _move(self, how: Callable[[], None]) -> None:
        with self._playing:
            how()
            self._moves += 1
        self._log.poke()

    def __repr__(self) -> str:
        return f"<Stage of the lesson {self._name!r}>"

    def _ipython_display_(self) -> None:
        if self._session is not None:
            self._session.is_shown = True
        # Each place of display has a picture of its own, for when no widget can live there.
        bundle = self._widget._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle or {}
        live = {"text/plain": f"The stage of the lesson {self._name!r}, live in JupyterLab."}
        live |= {kind: view for kind, view in data.items() if kind.startswith("application/vnd.jupyter.widget")}
        display.display(live, raw=True)
        self._still.display(self._widget.frame if self._session is None else self._frame())

    # -- its lesson -----------------------------------------------------------------------------------

    def follow(self, lesson: Session) -> None:
        """Show another lesson from now on: the one that was opened under the same name."""
        if lesson is not self._session:
            if not self._closed:
                self._end(_END_SECONDS)
            self._open(lesson)

    def leave(self, lesson: Session) -> None:
        """Say that the lesson is closed, and do nothing any more until there is another one to follow."""
        if lesson is self._session:
            self._closed = f"The lesson {self._name!r} is closed. Run the notebook's first cell again to open it anew."
            self._end(_END_SECONDS)
            self._let_go()

    def _let_go(self) -> None:
        """Keep nothing of a lesson that is closed, however long its last frame stays on the screen."""
        self._session = None
        self._log = EventLog()
        self._playhead = Playhead(self._log)
        self._scene = Scene(seconds_per_dot())
        self._marks = Marks()
        self._broker = BrokerWatch(dict, self._log, self._log.poke, lambda *_: True)

    def _open(self, lesson: Session) -> None:
        self._session = lesson
        self._name = lesson.name
        self._log = lesson.log
        self._generation = self._log.generation
        self._closed = ""
        self._queue = ""
        self._moves = 0
        self._playing = threading.Lock()
        self._building = threading.Lock()
        self._playhead = Playhead(self._log)
        self._scene = Scene(seconds_per_dot())
        self._marks = Marks()
        self._ending = threading.Event()
        self._lanes = Lanes()
        self._broker = BrokerWatch(
            lambda: lesson.broker.queue_counts(lesson.virtual_host),
            self._log,
            self._log.poke,
            lesson.compare_counts(),
            lambda: lesson.broker.routes(lesson.virtual_host),
        )
        self._thread = threading.Thread(target=self._run, args=(self._ending,), name="stage", daemon=True)
        self._broker.start()
        self._thread.start()

    @property
    def _lesson(self) -> Session:
        if self._session is None:
            raise WorkqError(self._closed)
        return self._session

    def _end(self, timeout: float) -> None:
        self._broker.stop()
        self._ending.set()
        self._pressed.set()
        self._log.poke()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        self._broker.join(timeout)
        self._lanes.drop(timeout)

    # -- frames, all of them sent by one thread -------------------------------------------------------

    def _run(self, ending: threading.Event) -> None:
        pace = FramePace()
        while not ending.is_set():
            began = time.monotonic()
            self._send_replies()
            version = self._version()
            self._send_frame()
            pace.sent(self._widget.frame, began)
            # The rest of the frame's time, unless something is pressed; then until something happens.
            if self._pressed.wait(pace.wait_seconds(time.monotonic())):
                self._pressed.clear()
                pace.pressed(time.monotonic())
            if not self._replaying() and not self._wait_for_change(version, ending):
                self._still.update(self._widget.frame)
        self._send_replies()
        self._send_frame()
        self._still.update(self._widget.frame)

    def _wait_for_change(self, version: object, ending: threading.Event) -> bool:
        def changed() -> bool:
            return ending.is_set() or bool(self._outbox) or self._version() != version

        return self._log.wait_for(changed, HEARTBEAT_SECONDS)

    def _replaying(self) -> bool:
        return self._playhead.position().mode == "replaying"

    def _version(self) -> tuple[object, ...]:
        """Return what a frame depends on, quickly: two equal versions make the same frame."""
        position = self._playhead.position()
        return (
            self._log.generation,
            self._cells.running,
            position.mode,
            position.events,
            position.end_events,
            self._moves,
            self._counter,
            id(self._broker.latest()),
            id(self._broker.routes),
            sum(console.writes for _, console in self._consoles()),
        )

    def _send_replies(self) -> None:
        while self._outbox:
            self._widget.send(self._outbox.popleft())

    def _send_frame(self) -> None:
        try:
            self._widget.frame = self._frame()
        except Exception:
            # The lesson must go on where its picture can't.
            _logger.exception("the stage could not draw a frame")

    def _frame(self) -> Frame:
        with self._building:
            self._number += 1
            if self._generation != self._log.generation:
                self._begin_again()
            position = self._playhead.position()
            self._wind_to(position.events)
            self._marks.note(self._scene.narration.notable())
            live = position.mode == "live"
            answer = self._broker.latest() if live else self._broker.at(position.seconds)
            moment = self._scene.picture(position.seconds, answer, self._console, running=position.mode != "paused")
            return self._composed(moment, position)

    def _wind_to(self, events: int) -> None:
        """Bring the scene to where it had seen so many events: forward, or anew from the beginning."""
        if events < self._scene.events:
            self._scene = Scene(seconds_per_dot())
        self._scene.update(self._log.rows(self._scene.events, events))

    def _begin_again(self) -> None:
        self._generation = self._log.generation
        self._scene = Scene(seconds_per_dot())
        self._marks = Marks()
        self._playhead.live()
        self._broker.forget()

    def _composed(self, moment: Moment, position: Position) -> Frame:
        broker = self._lesson.broker
        return compose(
            moment,
            position,
            broker_bar(
                str(broker.version),
                broker.where,
                moment["broker_state"],
                ours=broker.ours,
                by_hand=broker.by_hand.restart,
            ),
            number=self._number,
            lesson=self._name,
            speed=self._playhead.speed,
            closed=self._closed,
            during=self._experiment if self._cells.running else "",
            known_queues=self._broker.queues,
            routes=self._broker.routes,
            nodes_off=self._lesson.nodes.why_not if self._lesson.nodes else "",
            last_queue=self._queue,
            controls=self._controls,
            marks=self._marks.shown(),
            calls=self._calls,
            notices=self._notices,
        )

    def _consoles(self) -> list[tuple[str, Console]]:
        """Return what each program and each worker has printed, the latest last."""
        lesson = self._lesson
        programs = [(program.name, program.console) for program in lesson.programs]
        return programs + [(worker.name, worker.console) for worker in lesson.workers]

    def _console(self, name: str, count: int, until_seconds: float) -> list[str]:
        for known, console in reversed(self._consoles()):
            if known == name:
                return [printable(line) for line in console.tail(count, until_seconds)]
        return []

    # -- commands -------------------------------------------------------------------------------------

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        """Take a command: quickly, since a cell may run in this thread."""
        if not isinstance(content, dict):
            return
        number = content.get("id")
        explain = content.get("explain")
        command = explain if isinstance(explain, dict) else content
        try:
            self._check_open()
            self._check_in_time(content.get("during"))
            call = call_for(command, self._lesson)
        except WorkqError as error:
            self._refuse(number, str(error), told=explain is None)
            return
        if explain is not None:
            self._reply({"id": number, "ok": True, "code": call.code})
            return
        self._widget.send({"id": number, "taken": True})  # at once: the call itself may take its time
        if command["do"] in _PLAYBACK:
            self._perform(number, call)
        else:
            self._queue = str(command.get("queue") or self._queue)
            self._lanes.run(call.lane, lambda: self._perform(number, call))

    def _check_open(self) -> None:
        if self._closed:
            raise WorkqError(self._closed)

    @property
    def _experiment(self) -> str:
        return f"{self._cells.begun}.{self._log.generation}"

    def _check_in_time(self, during: object) -> None:
        """Refuse what was pressed in an earlier experiment and waited for its cell, in the thread that runs cells."""
        if during and during != self._experiment and threading.current_thread() is threading.main_thread():
            raise WorkqError(_TOO_LATE)

    def _perform(self, number: object, call: Call | Declaration | Saving) -> None:
        if isinstance(call, Saving):
            call = call.claimed()
        with self._playing:
            self._counter += 1
            self._calls.append({"number": self._counter, "code": call.code})
        self._pressed.set()
        self._log.poke()
        try:
            result: Any = call.run(self._lesson)
            if isinstance(result, Worker | Publisher):
                # What a lesson looks at is what its cells did; see `workq_helpers.teaching.experiment`.
                self._log.record("played", result.name, detail=call.code)
            if isinstance(call, Call) and call.in_full:
                result.wait(_SEND_SECONDS)
            if told := _told(call, result):
                self._notify("info", told)
        except WorkqError as error:
            self._refuse(number, str(error))
        except Exception as error:
            _logger.debug("a call from the stage failed", exc_info=True)
            self._refuse(number, f"{call.code} raised {type(error).__name__}: {error}")
        else:
            self._reply({"id": number, "ok": True})

    def _refuse(self, number: object, text: str, told: bool = True) -> None:
        if told:
            self._notify("error", text)
        self._reply({"id": number, "ok": False, "text": text})

    def _reply(self, answer: dict[str, Any]) -> None:
        if self._closed:  # the thread that sends has ended
            self._widget.send(answer)
            return
        self._outbox.append(answer)
        self._log.poke()

    def _notify(self, level: Literal["info", "error"], text: str) -> None:
        with self._playing:
            self._counter += 1
            if self._notices and self._notices[-1]["text"] == text:
                self._notices.pop()  # said again it is as new, and not more
            self._notices.append({"number": self._counter, "level": level, "text": text})
        self._log.poke()


def _told(call: Call | Declaration | Saving, result: Any) -> str:
    """Return what a call brought about, where the picture does not show it."""
    if isinstance(call, Call) and call.method == "purge":
        return f"{result} messages were taken out of {call.arguments[0]}."
    if isinstance(call, Saving):
        file = Path(result).absolute()
        return (
            f"The run is in the file {file.name}, in the folder {anonymous(str(file.parent))}. "
            "Any browser plays it, without Python and RabbitMQ."
        )
    return ""
