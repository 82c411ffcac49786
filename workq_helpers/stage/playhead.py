"""`Playhead`: which moment of the log the stage shows: now, a moment that is held, or one of a replay."""

from __future__ import annotations

from typing import Literal, NamedTuple

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.events import EventLog

__all__ = ["FASTEST", "SLOWEST", "Mode", "Playhead", "Position"]

#: How many of the recording's seconds a replay may pass in one.
SLOWEST, FASTEST = 0.25, 4.0

Mode = Literal["live", "paused", "replaying"]


class Position(NamedTuple):
    """A moment of the log.

    Attributes:
        mode: How the moment moves on.
        seconds: The moment, on the log's clock.
        events: How many events had happened by then.
        end_seconds: When the last event happened, or the moment itself where that is later.
        end_events: How many events there are.
    """

    mode: Mode
    seconds: float
    events: int
    end_seconds: float
    end_events: int

    @property
    def caption(self) -> str:
        """Say in a sentence what is shown; nothing while it is live."""
        if self.mode == "paused":
            return f"Paused at {self.seconds:.2f} s, event {self.events} of {self.end_events}. RabbitMQ goes on."
        if self.mode == "replaying":
            return f"Replaying what happened at {self.seconds:.1f} s of {self.end_seconds:.1f} s. RabbitMQ goes on."
        return ""


class Playhead:
    """Moves over a log; the log itself goes on growing meanwhile."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._mode: Mode = "live"
        self._seconds = 0.0
        self._events = 0
        self._began_seconds = 0.0
        self._speed = 1.0
        self._until: float | None = None

    def position(self) -> Position:
        """Return where it is now; a replay that has reached its end holds there, or at the last event is live again."""
        log = self._log
        now, length = log.seconds(), len(log)
        end_seconds = log[length - 1].seconds if length else 0.0
        if self._mode == "replaying":
            seconds = self._seconds + (now - self._began_seconds) * self._speed
            if self._until is not None and seconds >= self._until:
                self._hold(self._until, log.count_until(self._until))
            elif seconds <= end_seconds:
                return Position("replaying", seconds, log.count_until(seconds), end_seconds, length)
            else:
                self._mode = "live"
        if self._mode == "paused":
            return Position("paused", self._seconds, self._events, max(end_seconds, self._seconds), length)
        return Position("live", now, length, max(end_seconds, now), length)

    @property
    def speed(self) -> float:
        """How many of the recording's seconds pass in one."""
        return self._speed if self._mode == "replaying" else 1.0

    def pause(self) -> None:
        """Hold the picture where it is."""
        here = self.position()
        if here.mode != "paused":
            self._hold(here.seconds, here.events)

    def play(self, speed: float = 1.0) -> None:
        """Replay from where the picture is; from the beginning, where that is the end already.

        Raises:
            InvalidArgumentError: The speed is not one from 0.25 to 4.
        """
        _check_speed(speed)
        here = self.position()
        if here.mode == "replaying":
            self._go_on(here.seconds, speed, self._until)
        else:
            from_start = here.mode == "live" or here.events >= here.end_events
            self._go_on(0.0 if from_start else here.seconds, speed)

    def replay(self, begin_seconds: float, end_seconds: float, speed: float = 1.0) -> None:
        """Replay what happened between two moments, and hold the picture at the second.

        Raises:
            InvalidArgumentError: The speed is not one from 0.25 to 4.
        """
        _check_speed(speed)
        now = self._log.seconds()
        self._go_on(min(max(0.0, begin_seconds), now), speed, min(max(0.0, end_seconds), now))

    def _go_on(self, seconds: float, speed: float, until: float | None = None) -> None:
        self._mode, self._seconds, self._began_seconds = "replaying", seconds, self._log.seconds()
        self._speed, self._until = speed, until

    def live(self) -> None:
        """Show what happens now."""
        self._mode = "live"

    def seek(self, seconds: float) -> None:
        """Hold the picture at a moment, in seconds since the lesson opened."""
        seconds = min(max(0.0, seconds), self._log.seconds())
        self._hold(seconds, self._log.count_until(seconds))

    def step(self, events: int) -> None:
        """Hold the picture so many events further on, or back where it is negative."""
        here = self.position()
        wanted = min(max(0, here.events + events), here.end_events)
        self._hold(self._log[wanted - 1].seconds if wanted else 0.0, wanted)

    def _hold(self, seconds: float, events: int) -> None:
        self._mode, self._seconds, self._events = "paused", seconds, events


def _check_speed(speed: object) -> None:
    good = isinstance(speed, int | float) and not isinstance(speed, bool)
    if not good or not SLOWEST <= float(speed) <= FASTEST:  # type: ignore[arg-type]
        raise InvalidArgumentError(f"The speed is {speed!r}. Give a number from {SLOWEST:g} to {FASTEST:g}.")
