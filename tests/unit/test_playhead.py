from __future__ import annotations

import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.events import EventLog
from workq_helpers.stage.playhead import Playhead


class Log(EventLog):
    """A log whose clock the test moves."""

    def __init__(self, *times: float) -> None:
        super().__init__()
        self.now = 0.0
        for seconds in times:
            self._cells += (seconds, "published", "p", "hello", None, "", None, False, "")

    def seconds(self) -> float:
        return self.now


@pytest.fixture
def log() -> Log:
    log = Log(1.0, 2.0, 3.0, 4.0)
    log.now = 5.0
    return log


def test_live_is_now_and_all_events(log: Log) -> None:
    position = Playhead(log).position()
    assert position == ("live", 5.0, 4, 5.0, 4)
    assert position.caption == ""


def test_an_empty_log_has_a_position_too() -> None:
    playhead = Playhead(Log())
    playhead.step(1)
    assert playhead.position() == ("paused", 0.0, 0, 0.0, 0)


def test_a_pause_holds_the_moment_while_the_log_grows(log: Log) -> None:
    playhead = Playhead(log)
    playhead.pause()
    log.record("published", "p")
    log.now = 9.0
    position = playhead.position()
    assert (position.mode, position.seconds, position.events, position.end_events) == ("paused", 5.0, 4, 5)
    assert position.caption == "Paused at 5.00 s, event 4 of 5. RabbitMQ goes on."
    playhead.live()
    assert playhead.position().mode == "live"


def test_seeking_holds_what_had_happened_by_then(log: Log) -> None:
    playhead = Playhead(log)
    playhead.seek(2.5)
    assert playhead.position()[:3] == ("paused", 2.5, 2)
    playhead.seek(-3)
    assert playhead.position()[:3] == ("paused", 0.0, 0)
    playhead.seek(1e9)
    assert playhead.position()[:3] == ("paused", 5.0, 4)


def test_stepping_goes_one_event_at_a_time_and_no_further_than_there_are(log: Log) -> None:
    playhead = Playhead(log)
    playhead.step(-1)
    assert playhead.position()[:3] == ("paused", 3.0, 3)
    playhead.step(-1)
    playhead.step(-1)
    playhead.step(-1)
    playhead.step(-1)
    assert playhead.position()[:3] == ("paused", 0.0, 0)
    playhead.step(1)
    assert playhead.position()[:3] == ("paused", 1.0, 1)
    playhead.step(99)
    assert playhead.position()[:3] == ("paused", 4.0, 4)


def test_a_replay_runs_from_where_the_picture_is_and_is_live_at_the_end(log: Log) -> None:
    playhead = Playhead(log)
    playhead.seek(1.5)
    playhead.play()
    assert playhead.position()[:3] == ("replaying", 1.5, 1)
    log.now += 1.0
    assert playhead.position()[:3] == ("replaying", 2.5, 2)
    assert "Replaying" in playhead.position().caption
    log.now += 2.0
    assert playhead.position().mode == "live"


def test_a_replay_from_the_end_begins_at_the_beginning(log: Log) -> None:
    playhead = Playhead(log)
    playhead.play()
    assert playhead.position()[:3] == ("replaying", 0.0, 0)
    playhead.play()
    log.now += 0.5
    assert playhead.position().seconds == 0.5
    playhead.pause()
    assert playhead.position()[:2] == ("paused", 0.5)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2, 4])
def test_a_replay_is_as_fast_as_it_is_asked_to_be_and_may_change_on_the_way(log: Log, speed: float) -> None:
    playhead = Playhead(log)
    playhead.play(speed)
    log.now = 5.0 + 1.0 / speed
    assert playhead.position()[:3] == ("replaying", pytest.approx(1.0), 1)
    assert playhead.speed == speed
    playhead.play(1)
    log.now += 1.5
    assert playhead.position()[:3] == ("replaying", pytest.approx(2.5), 2)


@pytest.mark.parametrize("speed", [0, 0.2, 5, -1, "fast", True, float("nan")])
def test_no_other_speed_is_taken(log: Log, speed: float) -> None:
    playhead = Playhead(log)
    with pytest.raises(InvalidArgumentError, match=r"Give a number from 0\.25 to 4"):
        playhead.play(speed)
    assert playhead.position().mode == "live"


def test_a_replay_of_a_stretch_holds_at_its_end(log: Log) -> None:
    playhead = Playhead(log)
    playhead.replay(1.5, 3.0, 2)
    log.now = 5.5
    assert playhead.position()[:3] == ("replaying", 2.5, 2)
    log.now = 8.0
    assert playhead.position()[:3] == ("paused", 3.0, 3)
    assert playhead.speed == 1.0
    playhead.play()
    log.now = 8.5
    assert playhead.position()[:3] == ("replaying", 3.5, 3)
