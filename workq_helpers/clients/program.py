"""`Program`: a Python program as a process of its own, with its output in a console of its own.

The log can't see into another process. What is known of one is what it prints, how it ended, and what it and the broker
say to each other through the `relay`.
"""

from __future__ import annotations

import ast
import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from workq_helpers.clients import program_guard
from workq_helpers.clients.console import Console
from workq_helpers.clients.pace import seconds_per_dot
from workq_helpers.errors import InvalidArgumentError, WaitTimeoutError
from workq_helpers.forks import abandon_in_children
from workq_helpers.hidden import ENVIRON
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.url import BROKER_URL, address_of
from workq_helpers.text import Code

__all__ = ["Program", "source"]

#: A killed process is gone at once; this only bounds a fault of our own.
_END_SECONDS = 30.0

#: How many of the last lines an error shows.
_SHOWN_LINES = 5

#: However fast the course's clock is made to run, a dot of a program's work takes so long, in seconds: between two
#: processes some time passes, and what is to be killed at work must still be at work then.
_SHORTEST_DOT_SECONDS = 0.5


def source(path: str | Path, name: str = "") -> Code:
    """Return the text of a program, or of one of its functions, shown in a notebook as code.

    Args:
        path: The program's file.
        name: The function, for example "Worker.consume"; by default all of the file.

    Raises:
        InvalidArgumentError: There is no such file, or no such function in it.
    """
    text = _existing(path).read_text(encoding="utf-8").rstrip()
    found: ast.AST | None = ast.parse(text)
    for part in filter(None, name.split(".")):
        inside = getattr(found, "body", [])
        found = next((each for each in inside if getattr(each, "name", None) == part), None)
    if found is None:
        raise InvalidArgumentError(f"There is no function {name!r} in {str(path)!r}.")
    return Code(textwrap.dedent(ast.get_source_segment(text, found, padded=True) or "") if name else text)


class Program:
    """A Python program that runs in the background, for as long as its lesson at most.

    `Lesson.start_program` makes them.

    Args:
        name: Its name.
        path: Its file.
        arguments: Its command line.
        endpoint: The broker it is to use. The address is in its environment, never on its command line, which
            everybody on the machine could read.
        clock: Tells when a line was printed, in seconds.
        when_ended: Called with its exit status once it has ended.

    Raises:
        InvalidArgumentError: There is no such file, or an argument is not a text.
    """

    def __init__(
        self,
        name: str,
        path: str | Path,
        arguments: Sequence[str],
        endpoint: Endpoint,
        clock: Callable[[], float],
        when_ended: Callable[[int | None], None] | None = None,
    ) -> None:
        self.name = name
        self._when_ended = when_ended
        self.path = _existing(path)
        self.arguments = _checked(arguments)
        self._as_given = ", ".join(map(repr, [str(path), *self.arguments]))
        #: What it printed, errors included.
        self.console = Console(clock)
        #: Its exit status once it has ended; -9 after a SIGKILL.
        self.status: int | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._guard = subprocess.Popen(
            [sys.executable, "-IS", program_guard.__file__, sys.executable, str(self.path), *self.arguments],
            env=_environment(endpoint),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a signal that ends the kernel leaves the guard the time to do its duty
        )
        abandon_in_children(self)
        #: Its process id.
        self.pid = int(_pipe(self._guard.stderr).readline() or 0)
        self._reader = threading.Thread(target=self._read, name=f"program: {name}", daemon=True)
        self._reader.start()

    # -- what a learner sees

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return not self._ended

    @property
    def state(self) -> str:
        """One of running, killed, or "ended with status 0"."""
        if self.alive:
            return "running"
        return "killed" if self.status == -9 else f"ended with status {self.status}"

    def kill(self) -> None:
        """SIGKILL it: it has no time for anything."""
        self._command(program_guard.KILL)
        self._join(_END_SECONDS)

    def stop(self, timeout: float = 60.0) -> None:
        """SIGTERM it, and wait until it has ended.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            WaitTimeoutError: It has not ended by then.
        """
        self._command(program_guard.STOP)
        self.wait(timeout)

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until it has ended by itself.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            WaitTimeoutError: It still runs.
        """
        if not self._join(timeout):
            raise WaitTimeoutError(
                f"{self.name} still runs after {timeout} seconds. {self._said()} {self._next_step()}"
            )

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        """Wait until it has printed a line with some text in it.

        Args:
            text: The text.
            timeout: Seconds to wait at most.

        Raises:
            WaitTimeoutError: It has ended without such a line, or not printed one in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_said(text) or self._ended, timeout)
        if not self._has_said(text):
            seen = f"{self.name} is {self.state} and" if self._ended else f"After {timeout:g} seconds {self.name}"
            raise WaitTimeoutError(f"{seen} has not printed {text!r}. {self._said()} {self._next_step()}")

    def __repr__(self) -> str:
        return f"<Program {self.name}: {self.state}>"

    # -- for the lesson

    def end(self) -> None:
        """SIGKILL it if it still runs, and let go of what it needed; doing so again does nothing."""
        self.kill()

    def abandon(self) -> None:
        """Let go of it in a forked child, where it would live on when its kernel has died: its guard would not know."""
        # Below the buffer: another thread of the parent may have been using that.
        stdin = _pipe(self._guard.stdin)
        getattr(stdin, "raw", stdin).close()

    # -- behind the scenes

    def _command(self, command: bytes) -> None:
        # It may have ended by itself, and its guard with it.
        with contextlib.suppress(OSError, ValueError):
            stdin = _pipe(self._guard.stdin)
            stdin.write(command)
            stdin.flush()

    def _read(self) -> None:
        output = _pipe(self._guard.stdout)
        for line in output:
            self.console.write(line.decode(errors="replace"))
            with self._changed:
                self._changed.notify_all()
        status = _pipe(self._guard.stderr).readline().strip()
        self._guard.wait()
        for pipe in (self._guard.stdin, output, self._guard.stderr):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()
        self.status = int(status) if status.lstrip(b"-").isdigit() else None
        if self._when_ended is not None:
            self._when_ended(self.status)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _join(self, timeout: float) -> bool:
        self._reader.join(timeout)
        return not self._reader.is_alive()

    def _has_said(self, text: str) -> bool:
        return any(text in line for line in self.console.lines)

    def _said(self) -> str:
        lines = self.console.tail(_SHOWN_LINES)
        return f"Its last lines: {' / '.join(lines)}." if lines else "It has printed nothing."

    def _next_step(self) -> str:
        if self._ended:
            return f"Start it anew with lesson.start_program({self._as_given})."
        return "See what it still waits for, and wait again, or end it with stop()."


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - all three are asked for
    return pipe


def _existing(path: str | Path) -> Path:
    file = Path(path).resolve()
    if not file.is_file():
        raise InvalidArgumentError(f"There is no program {str(path)!r} in {Path.cwd()}. Pass the path of its file.")
    return file


def _checked(arguments: Sequence[str]) -> list[str]:
    for argument in arguments:
        if not isinstance(argument, str) or "\0" in argument:
            raise InvalidArgumentError(f"{argument!r} can't be an argument of a program. Pass texts.")
    return list(arguments)


def _environment(endpoint: Endpoint) -> Mapping[str, str]:
    return ENVIRON | {
        BROKER_URL: address_of(endpoint),
        "WORKQ_SECONDS_PER_DOT": str(max(seconds_per_dot(), _SHORTEST_DOT_SECONDS)),
        "PYTHONUNBUFFERED": "1",  # what it prints goes into a pipe, and is wanted as it is printed
    }
