"""`Stage`: the live view of one lesson, from its log to the learner's screen and back."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython import display

from workq_helpers.clients.pace import seconds_per_dot
from workq_helpers.errors import WorkqError
from workq_helpers.log.events import EventLog
from workq_helpers.stage.broker_counts import BrokerWatch
from workq_helpers.stage.calls import Call, Declaration, call_for
from workq_helpers.stage.lanes import Lanes
from workq_helpers.stage.playhead import Playhead, Position
from workq_helpers.stage.scene import Picture, Scene
from workq_helpers.stage.still import Still
from workq_helpers.stage.widget import StageWidget
from workq_helpers.text import printable

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Stage", "frame_seconds"]

_logger = logging.getLogger(__name__)

#: At most ten frames a second: more would run into Jupyter's limit on messages, and no eye needs them.
FRAME_SECONDS = 0.1

#: Jupyter drops what comes faster than a million bytes a second; the rest is for what else a notebook says.
FRAME_BYTES_A_SECOND = 800_000

#: A frame goes out at least this often, so that the browser knows a live view from a dead one.
HEARTBEAT_SECONDS = 2.0

#: How many of its last calls and notices the stage shows.
_KEPT_CALLS = 10
_KEPT_NOTICES = 5

#: How long a task may take that the stage sends itself before the next one is sent.
_SEND_SECONDS = 30.0

#: How long the threads have to end; what they wait for is bounded, and they are daemons.
_END_SECONDS = 5.0

_PLAYBACK = ("pause", "play", "live", "seek", "step")

_NO_QUEUE = "There is no queue yet. Declare one here, or run the cell that does."


class Stage:
    """A live picture of the lesson's RabbitMQ, with controls; show it by naming it at the end of a cell.

    `Lesson.stage` makes it. Its views, in one page or in several, all show the same moment. It outlives its
    lesson: when a lesson of the same name is opened, what is on the screen goes on with that one.

    Args:
        lesson: The lesson to show.
    """

    _session: Session | None

    def __init__(self, lesson: Session) -> None:
        self._widget = StageWidget()
        self._widget.on_msg(self._on_message)
        self._still = Still()
        self._number = 0
        self._outbox: deque[dict[str, Any]] = deque()
        self._calls: deque[dict[str, Any]] = deque(maxlen=_KEPT_CALLS)
        self._notices: deque[dict[str, Any]] = deque(maxlen=_KEPT_NOTICES)
        self._counter = 0
        self._closed = ""
        self._open(lesson)

    # -- what a learner may call ----------------------------------------------------------------------

    def pause(self) -> None:
        """Hold the picture; RabbitMQ goes on."""
        self._move(self._playhead.pause)

    def play(self) -> None:
        """Replay what was recorded from where the picture is; from the beginning, if it is live."""
        self._move(self._playhead.play)

    def live(self) -> None:
        """Show what happens now."""
        self._move(self._playhead.live)

    def seek(self, seconds: float) -> None:
        """Hold the picture at a moment, in seconds since the lesson opened."""
        self._move(lambda: self._playhead.seek(seconds))

    def step(self, events: int = 1) -> None:
        """Hold the picture so many events further on, or back where it is negative."""
        self._move(lambda: self._playhead.step(events))

    def _move(self, how: Callable[[], None]) -> None:
        with self._playing:
            how()
            self._moves += 1
        self._log.poke()

    def __repr__(self) -> str:
        return f"<Stage of the lesson {self._name!r}>"

    def _ipython_display_(self) -> None:
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
        self._broker = BrokerWatch(dict, self._log, self._log.poke)

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
        self._ending = threading.Event()
        self._lanes = Lanes()
        self._broker = BrokerWatch(lambda: lesson.broker.queue_counts(lesson.virtual_host), self._log, self._log.poke)
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
        self._log.poke()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        self._broker.join(timeout)
        self._lanes.drop(timeout)

    # -- frames, all of them sent by one thread -------------------------------------------------------

    def _run(self, ending: threading.Event) -> None:
        while not ending.is_set():
            began = time.monotonic()
            self._send_replies()
            version = self._version()
            self._send_frame()
            # The rest of the frame's time, whatever happens; then until something does.
            ending.wait(max(0.0, began + frame_seconds(self._widget.frame) - time.monotonic()))
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
            position.mode,
            position.events,
            position.end_events,
            self._moves,
            self._counter,
            id(self._broker.latest()),
            sum(worker.console.writes for worker in self._lesson.workers),
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

    def _frame(self) -> Picture:
        with self._building:
            self._number += 1
            if self._generation != self._log.generation:
                self._begin_again()
            position = self._playhead.position()
            self._wind_to(position.events)
            live = position.mode == "live"
            sighting = self._broker.latest() if live else self._broker.at(position.seconds)
            picture = self._scene.picture(position.seconds, sighting, self._console, running=position.mode != "paused")
            return self._dressed(picture, position)

    def _wind_to(self, events: int) -> None:
        """Bring the scene to where it had seen so many events: forward, or anew from the beginning."""
        if events < self._scene.events:
            self._scene = Scene(seconds_per_dot())
        self._scene.update(self._log.rows(self._scene.events, events))

    def _begin_again(self) -> None:
        self._generation = self._log.generation
        self._scene = Scene(seconds_per_dot())
        self._playhead.live()
        self._broker.forget()

    def _dressed(self, picture: Picture, position: Position) -> Picture:
        """Return a whole frame: the picture, and what surrounds it."""
        broker = self._lesson.broker
        self._amend_queues(picture)
        return {
            "number": self._number,
            "lesson": self._name,
            "closed": self._closed,
            "playback": {
                "mode": position.mode,
                "seconds": round(position.seconds, 3),
                "end_seconds": round(position.end_seconds, 3),
                "event": position.events,
                "events": position.end_events,
                "caption": position.caption,
            },
            "broker": {
                "name": f"RabbitMQ {broker.version}",
                "found": broker.where,
                "state": picture.pop("broker_state"),
                "steerable": broker.ours,
                "why_not": "" if broker.ours else _not_ours(broker.where, broker.by_hand.restart),
            },
            **picture,
            "actions": self._actions(picture),
            "queue": self._default_queue(picture),
            "python": list(self._calls),
            "notices": list(self._notices),
        }

    def _amend_queues(self, picture: Picture) -> None:
        """Let the broker say how a queue is made that the log has not seen declared."""
        for shown in picture["queues"]:
            known = self._broker.queues.get(shown["name"])
            if known is not None and not shown["durability"]:
                shown["durability"] = "durable" if known.durable else "transient"
                shown["type"] = known.type

    def _default_queue(self, picture: Picture) -> str:
        present = [shown["name"] for shown in picture["queues"] if shown["name"] and not shown["gone"]]
        return self._queue if self._queue in present else next(iter(present), "")

    def _actions(self, picture: Picture) -> dict[str, dict[str, Any]]:
        """Return what can't be done at this moment, and why."""
        off: dict[str, str] = {}
        if not any(shown["name"] and not shown["gone"] for shown in picture["queues"]):
            off |= dict.fromkeys(("send", "five", "many", "add_worker", "purge"), _NO_QUEUE)
        return {do: {"enabled": False, "why": why} for do, why in off.items()}

    def _console(self, name: str, count: int, until_seconds: float) -> list[str]:
        for worker in reversed(self._lesson.workers):
            if worker.name == name:
                return [printable(line) for line in worker.console.tail(count, until_seconds)]
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
            call = call_for(command, self._lesson)
        except WorkqError as error:
            self._refuse(number, str(error), told=explain is None)
            return
        if explain is not None:
            self._reply({"id": number, "ok": True, "code": call.code})
        elif command["do"] in _PLAYBACK:
            self._perform(number, call)
        else:
            self._queue = str(command.get("queue") or self._queue)
            self._reply({"id": number, "taken": True})  # the call itself may take its time
            self._lanes.run(call.lane, lambda: self._perform(number, call))

    def _check_open(self) -> None:
        if self._closed:
            raise WorkqError(self._closed)

    def _perform(self, number: object, call: Call | Declaration) -> None:
        self._remember(self._calls, {"code": call.code})
        try:
            result: Any = call.run(self._lesson)
            if isinstance(call, Call) and call.in_full:
                result.wait(_SEND_SECONDS)
            if isinstance(call, Call) and call.method == "purge":
                self._notify("info", f"{result} messages were taken out of {call.arguments[0]}.")
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

    def _notify(self, level: str, text: str) -> None:
        self._remember(self._notices, {"level": level, "text": text})

    def _remember(self, where: deque[dict[str, Any]], what: dict[str, Any]) -> None:
        with self._playing:
            self._counter += 1
            where.append({"number": self._counter, **what})
        self._log.poke()


def frame_seconds(frame: Picture) -> float:
    """Return how long after the beginning of `frame` the next one may begin."""
    size = len(json.dumps(frame, ensure_ascii=False).encode())
    return max(FRAME_SECONDS, size / FRAME_BYTES_A_SECOND)


def _not_ours(where: str, by_hand: str) -> str:
    how = f"with {by_hand} in a terminal" if by_hand else "where it runs"
    return (
        f"The course did not start the RabbitMQ at {where}, so it does not restart or crash it. Restart it {how}; "
        "lesson.broker.wait_for_restart() in a cell waits for it. Or unset WORKQ_BROKER_URL for one of the "
        "course's own."
    )
