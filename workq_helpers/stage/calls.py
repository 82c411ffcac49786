"""`Call`: what a control of the stage does, as Python that can be run and be shown."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workq_helpers.clients.callbacks import print_and_work, print_work_and_ack
from workq_helpers.errors import InvalidArgumentError

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["FIVE_TASKS", "Call", "Declaration", "Saving", "call_for"]

#: The five tasks of lesson 01, with one to five dots of work.
FIVE_TASKS = ["First message.", "Second message..", "Third message...", "Fourth message....", "Fifth message....."]

#: More would fill the learner's memory before it teaches anything.
MOST_TASKS = 1_000_000
MOST_DOTS = 60

#: A lesson's name may be of any length, a file's may not.
_NAME_LENGTH = 60

#: What a control sends: the name of what to do under ``do``, and its arguments.
Command = Mapping[str, Any]


class _Shown(NamedTuple):
    """An argument that reads otherwise than its repr."""

    text: str
    value: Any


class Call(NamedTuple):
    """A method of the lesson with its arguments.

    Attributes:
        method: Its name, dotted: ``"start_worker"`` or ``"broker.restart"``.
        arguments: Positional arguments.
        keywords: Keyword arguments.
        before: A line that the code needs before it, such as an import.
        lane: Calls of one lane run one after another.
        in_full: Whether all of it must be sent before the next call of its lane.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = {}
    before: str = ""
    lane: str = ""
    in_full: bool = False

    @property
    def code(self) -> str:
        """The call as a learner would type it."""
        shown = [_text(value) for value in self.arguments]
        shown += [f"{name}={_text(value)}" for name, value in self.keywords.items()]
        call = f"lesson.{self.method}({', '.join(shown)})"
        return f"{self.before}\n{call}" if self.before else call

    def run(self, lesson: Session) -> Any:
        """Do it, and return what the method returns."""
        arguments = [_value(value) for value in self.arguments]
        keywords = {name: _value(value) for name, value in self.keywords.items()}
        return attrgetter(self.method)(lesson)(*arguments, **keywords)


class Declaration(NamedTuple):
    """A queue declared in plain pika, which is what the course teaches; otherwise as `Call`.

    Attributes:
        queue: The queue's name.
        durable: Whether it shall survive a restart of RabbitMQ.
        lane: As for `Call`.
    """

    queue: str
    durable: bool
    lane: str = "publish"

    @property
    def code(self) -> str:
        """The lines that a learner would type."""
        durable = ", durable=True" if self.durable else ""
        return (
            "with lesson.connect() as connection:\n"
            f"    connection.channel().queue_declare(queue={_text(self.queue)}{durable})"
        )

    def run(self, lesson: Session) -> None:
        """Do it."""
        with lesson.connect() as connection:
            connection.channel().queue_declare(queue=self.queue, durable=self.durable)


class Saving(NamedTuple):
    """A run saved to a file of its own beside the notebook; otherwise as `Call`.

    Attributes:
        lesson: The lesson's name.
        name: The file's name, once it is this one's alone.
        lane: As for `Call`.
    """

    lesson: str
    name: str = ""
    lane: str = "save"

    @property
    def code(self) -> str:
        """The call as a learner would type it."""
        name = self.name or next(name for name in _page_names(self.lesson) if not os.path.lexists(name))
        return f"lesson.save_run({_text(name)})"

    def claimed(self) -> Saving:
        """Return it with a file that was not there before, whoever else saves a run at this moment."""
        for name in _page_names(self.lesson):
            try:
                Path(name).touch(exist_ok=False)
            except FileExistsError:
                continue
            except OSError:
                return self._replace(name=name)  # it can't be written, which saving says
            return self._replace(name=name)
        raise AssertionError("there are names without end")

    def run(self, lesson: Session) -> Any:
        """Do it, and return the file."""
        name = self.name or self.claimed().name
        try:
            return attrgetter("save_run")(lesson)(name)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def call_for(command: Command, lesson: Session) -> Call | Declaration | Saving:
    """Return the call that does what a control asks for.

    Raises:
        InvalidArgumentError: It asks for something that there is not, or with nonsense for an argument.
    """
    make = _CALLS.get(str(command.get("do")))
    if make is None:
        raise InvalidArgumentError(
            f"The stage can't {command.get('do')!r}. Reload the page: its controls may be of another version."
        )
    return make(command, lesson)


# -- what there is to do ------------------------------------------------------------------------------


def _send(command: Command, _: Session) -> Call:
    return _publish(command, str(command.get("task", "")), {})


def _five(command: Command, _: Session) -> Call:
    return _publish(command, list(FIVE_TASKS), {})


def _many(command: Command, _: Session) -> Call:
    count = _whole(command, "count", 1, MOST_TASKS, "how many tasks to send")
    dots = "." * _whole(command, "dots", 0, MOST_DOTS, "how many dots of work each task has")
    rate = _number(command, "rate", "how many tasks to send a second, or 0 for as fast as it goes")
    tasks = _Shown(
        f'(f"Task {{n}}{dots}" for n in range(1, {count + 1}))',
        _Fresh(lambda: (f"Task {n}{dots}" for n in range(1, count + 1))),
    )
    return _publish(command, tasks, {"rate": rate} if rate else {}, in_full=False)


def _publish(command: Command, tasks: Any, keywords: dict[str, Any], in_full: bool = True) -> Call:
    keywords = {"queue": _queue(command), **keywords}
    keywords |= {option: True for option in ("persistent", "confirm") if command.get(option)}
    return Call("start_publisher", (tasks,), keywords, lane="publish", in_full=in_full)


def _declare(command: Command, _: Session) -> Declaration:
    return Declaration(_queue(command), bool(command.get("durable")))


def _purge(command: Command, _: Session) -> Call:
    return Call("purge", (_queue(command),), lane="publish")


def _add_worker(command: Command, lesson: Session) -> Call:
    queue, auto_ack = _queue(command), bool(command.get("auto_ack"))
    prefetch_count = _whole(command, "prefetch_count", 0, 65_535, "how many unacknowledged tasks it may hold")
    keywords: dict[str, Any] = {"queue": queue}
    keywords |= {"auto_ack": True} if auto_ack else {}
    keywords |= {"prefetch_count": prefetch_count} if prefetch_count and not auto_ack else {}
    callback, before = _callback(lesson, queue, auto_ack)
    return Call("start_worker", (_Shown(callback.__name__, callback),), keywords, before, lane="workers")


def _callback(lesson: Session, queue: str, auto_ack: bool) -> tuple[Any, str]:
    """Return the callback of the latest worker like that, else the course's own, with its import."""
    for worker in reversed(lesson.workers):
        name = getattr(worker.callback, "__name__", "")
        if worker.queue == queue and worker.auto_ack == auto_ack and name.isidentifier():
            return worker.callback, _import_of(worker.callback)
    callback = print_and_work if auto_ack else print_work_and_ack
    return callback, _import_of(callback)


def _import_of(callback: Any) -> str:
    ours = callback in (print_and_work, print_work_and_ack)
    return f"from workq_helpers import {callback.__name__}" if ours else ""


def _worker_call(command: Command, lesson: Session) -> Call:
    name, do = str(command.get("worker", "")), str(command["do"])
    if do not in ("stop", "kill") or not any(program.name == name for program in lesson.programs):
        lesson.worker(name)  # raises for one that there is not
    return Call(do, (name,), lane=f"{do} {name}")


def _node_call(command: Command, lesson: Session) -> Call:
    if lesson.nodes is None:
        raise InvalidArgumentError("The lesson has no nodes. Run the cell that opens them.")
    name = str(command.get("node", ""))
    return Call(f"nodes.{str(command['do']).removesuffix('_node')}", (name,), lane=f"node {name}")


def _broker_call(command: Command, _: Session) -> Call:
    return Call(f"broker.{command['do']}", lane="broker")


def _start_over(_: Command, __: Session) -> Call:
    return Call("start_over", lane="publish")


def _save_run(_: Command, lesson: Session) -> Saving:
    return Saving(lesson.name)


def _page_names(lesson: str) -> Iterator[str]:
    """Yield names of files for pages of a lesson's runs: an earlier one is kept."""
    name = re.sub(r"\W+", "-", lesson)[:_NAME_LENGTH].strip("-") or "lesson"
    yield f"{name}-run.html"
    for number in itertools.count(2):
        yield f"{name}-run-{number}.html"


def _playback(command: Command, _: Session) -> Call:
    return Call(f"stage.{command['do']}")


def _play(command: Command, _: Session) -> Call:
    speed = _number(command, "speed", "how many seconds of the recording pass in one") if "speed" in command else 1
    return Call("stage.play", (), {"speed": speed} if speed != 1 else {})


def _replay(command: Command, _: Session) -> Call:
    return Call("stage.replay", (str(command.get("experiment", "")),))


def _seek(command: Command, _: Session) -> Call:
    seconds = _number(command, "seconds", "a moment in seconds since the lesson opened")
    return Call("stage.seek", (round(float(seconds), 3),))


def _step(command: Command, _: Session) -> Call:
    by = command.get("by")
    if by not in (1, -1):
        raise InvalidArgumentError(f"The stage was asked to step by {by!r}. It steps by 1 or -1.")
    return Call("stage.step", (by,))


_CALLS: dict[str, Callable[[Command, Any], Call | Declaration | Saving]] = {
    "send": _send,
    "five": _five,
    "many": _many,
    "declare": _declare,
    "purge": _purge,
    "add_worker": _add_worker,
    "stop": _worker_call,
    "kill": _worker_call,
    "freeze": _worker_call,
    "thaw": _worker_call,
    "kill_node": _node_call,
    "start_node": _node_call,
    "restart": _broker_call,
    "crash": _broker_call,
    "start_over": _start_over,
    "save_run": _save_run,
    "pause": _playback,
    "play": _play,
    "replay": _replay,
    "live": _playback,
    "seek": _seek,
    "step": _step,
}


# -- arguments ----------------------------------------------------------------------------------------


class _Fresh(NamedTuple):
    """A value that is made anew for each run: a generator can be used only once."""

    make: Callable[[], Any]


def _value(argument: Any) -> Any:
    value = argument.value if isinstance(argument, _Shown) else argument
    return value.make() if isinstance(value, _Fresh) else value


def _text(argument: Any) -> str:
    if isinstance(argument, _Shown):
        return argument.text
    if isinstance(argument, list):
        return f"[{', '.join(map(_text, argument))}]"
    return _quoted(argument) if isinstance(argument, str) else repr(argument)


def _quoted(text: str) -> str:
    """Return a string literal in double quotes, as the course writes them."""
    literal = repr(text)
    if literal.startswith('"') or '"' in text:
        return literal
    return '"' + literal[1:-1].replace("\\'", "'") + '"'


def _queue(command: Command) -> str:
    queue = command.get("queue")
    if not isinstance(queue, str) or not queue.strip():
        raise InvalidArgumentError(f'The queue is {queue!r}. Give it a name, such as "hello".')
    return queue.strip()


def _whole(command: Command, name: str, least: int, most: int, what: str) -> int:
    value = command.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidArgumentError(f"{name} is {value!r}. Give a whole number from {least} to {most:,}: {what}.")
    return value


def _number(command: Command, name: str, what: str) -> float:
    value = command.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not 0 <= float(value) < float("inf"):  # type: ignore[arg-type]
        raise InvalidArgumentError(f"{name} is {value!r}. Give a number, 0 or more: {what}.")
    return value  # type: ignore[return-value]
