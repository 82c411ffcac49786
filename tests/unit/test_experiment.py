"""Checks look at an experiment alone, whatever a learner tried on the stage beside it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chapters import check
from tests.properties import examples
from tests.unit.test_check import SEEN, Story, two
from workq_helpers.errors import CheckFailedError
from workq_helpers.log.details import BrokerChange, ConsumeOptions, Detail
from workq_helpers.log.events import Event, EventLog
from workq_helpers.pictures.timeline import timeline
from workq_helpers.teaching.experiment import guests, only_played, own_events
from workq_helpers.teaching.observation import was_run

pytestmark = pytest.mark.pinned  # of the course alone

ROUND_ROBIN = two().give("worker-2", 2, 4).give("worker-1", 1, 3, 5)
TOLD = SEEN | {
    "round robin": (
        ROUND_ROBIN,
        "5 tasks went round worker-1 and worker-2 in turn, 3 and 2, and every one was done once.",
    )
}
AGAIN = "Run the cells again from the one that opens the lesson"

#: The kinds of what a stage's worker or publisher does, with who does it, to which message.
Deed = tuple[str, str, str | None, Detail]

COMES: list[Deed] = [
    ("connected", "worker-9", None, ConsumeOptions()),
    ("played", "worker-9", None, "lesson.start_worker(...)"),
]
SENDS: list[Deed] = [
    ("connected", "publisher-9", None, ""),
    ("published", "publisher-9", "of the stage", ""),
    ("played", "publisher-9", None, "lesson.start_publisher(...)"),
]


def takes(worker: str, mark: str = "of the stage") -> list[Deed]:
    return [(kind, worker, mark, "") for kind in ("delivered", "started", "acked", "finished")]


def log_with(story: Story, *plays: tuple[int, list[Deed]]) -> EventLog:
    """Return a story's log with what was played before its events at these positions."""
    log = EventLog()
    events = list(story.log)
    for position in range(len(events) + 1):
        for at, deeds in plays:
            for kind, actor, mark, detail in deeds if at == position else ():
                log.record(kind, actor, "hello", mark, "Play." if mark else "", 77 if mark else None, detail=detail)
        if position < len(events):
            log.record(*events[position][1:])
    return log


def test_an_answer_after_play_alone_comes_before_the_experiment() -> None:
    played = EventLog()
    for kind, actor, mark, detail in [*COMES, *SENDS, *takes("worker-9")]:
        played.record(kind, actor, "hello", mark, "Play.", detail=detail)
    assert only_played(played)
    lesson = SimpleNamespace(log=played)
    assert not was_run(lambda _: "all is done", lesson)  # type: ignore[arg-type]
    lesson.log = log_with(ROUND_ROBIN, (begins(ROUND_ROBIN), SENDS))
    assert was_run(lambda _: "all is done", lesson)  # type: ignore[arg-type]
    lesson.log = EventLog()
    assert was_run(lambda _: "none was sent", lesson)  # type: ignore[arg-type]


def begins(story: Story) -> int:
    return next(at for at, event in enumerate(story.log) if event.kind == "published")


stories = pytest.mark.parametrize(("name", "story", "saw"), [(name, *told) for name, told in TOLD.items()])


@stories
def test_what_was_played_before_and_done_is_left_out(name: str, story: Story, saw: str) -> None:
    assert check(log_with(story, (0, [*COMES, *SENDS, *takes("worker-9")])), name).saw == saw


@stories
def test_a_worker_of_the_stage_that_is_left_alive_and_gets_nothing_is_left_out(
    name: str, story: Story, saw: str
) -> None:
    assert check(log_with(story, (0, COMES)), name).saw == saw
    assert check(log_with(story, (begins(story) + 1, COMES)), name).saw == saw


@stories
def test_a_worker_of_the_stage_that_took_a_task_is_named(name: str, story: Story, saw: str) -> None:
    mark = next(event.mark for event in story.log if event.kind == "published")
    log = log_with(story, (0, COMES), (begins(story) + 1, takes("worker-9", str(mark))))
    with pytest.raises(CheckFailedError, match=rf"^worker-9, which was started from the stage, got .*{AGAIN}"):
        check(log, name)


@stories
def test_a_task_of_the_stage_that_got_in_between_is_named(name: str, story: Story, saw: str) -> None:
    for at in (0, begins(story) + 1):
        with pytest.raises(CheckFailedError, match=rf"^'Play.', which was sent from the stage, was among .*{AGAIN}"):
            check(log_with(story, (at, SENDS)), name)


@stories
def test_what_is_sent_when_the_experiment_is_over_is_left_out(name: str, story: Story, saw: str) -> None:
    over = len(story.log)
    assert check(log_with(story, (over, [*SENDS, *takes("worker-2")])), name).saw == saw


@pytest.mark.parametrize(
    ("kind", "detail", "told"),
    [
        ("purged", 3, "The queue 'hello' was emptied in the middle of this experiment"),
        ("broker", BrokerChange.RESTARTING, "RabbitMQ went down in the middle of this experiment"),
        ("broker", BrokerChange.CRASHING, "RabbitMQ went down in the middle of this experiment"),
    ],
)
def test_what_ends_an_experiment_in_its_middle_is_named(kind: str, detail: Detail, told: str) -> None:
    log = log_with(ROUND_ROBIN, (begins(ROUND_ROBIN) + 2, [(kind, "notebook", None, detail)]))
    with pytest.raises(CheckFailedError, match=rf"^{told}\. {AGAIN}"):
        check(log, "round robin")
    for before_or_after in (0, len(ROUND_ROBIN.log)):
        harmless = log_with(ROUND_ROBIN, (before_or_after, [(kind, "notebook", None, detail)]))
        assert check(harmless, "round robin").saw == TOLD["round robin"][1]
    assert len(own_events(list(log), outages=True)) == len(log) if kind == "broker" else True


def test_an_experiment_that_is_done_on_the_stage_alone_is_one_too() -> None:
    log = log_with(Story(), (0, [*COMES, *SENDS, *takes("worker-9")]))
    assert own_events(list(log)) == list(log)
    assert check(log, "one message").saw == "'Play.' went through the queue 'hello', was delivered once and is done."


def test_without_a_stage_nothing_is_left_out() -> None:
    events: list[Event] = list(ROUND_ROBIN.log)
    assert own_events(events) == events
    assert own_events([]) == []


PLAYS: dict[str, list[Deed]] = {
    "a worker comes": COMES,
    "a task comes": SENDS,
    "a task comes and the stage's worker does it": [*SENDS, *takes("worker-9")],
    "a task comes and worker-1 does it": [*SENDS, *takes("worker-1")],
    "the stage's worker takes one of the lesson's": takes("worker-9", "id-1"),
    "a restart": [("broker", "lesson", None, BrokerChange.RESTARTING), ("broker", "lesson", None, BrokerChange.UP)],
    "a purge": [("purged", "notebook", None, 1)],
}


@given(
    name=st.sampled_from(sorted(TOLD)),
    played=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(sorted(PLAYS))), max_size=5),
)
@settings(max_examples=examples(400), deadline=None)
def test_however_one_plays_a_check_is_right_or_names_what_was_played(name: str, played: list[tuple[int, str]]) -> None:
    story, saw = TOLD[name]
    plays = [(0, COMES)]
    for number, (at, play) in enumerate(played):
        deeds = [
            (kind, actor, f"play-{number}" if mark == "of the stage" else mark, detail)
            for kind, actor, mark, detail in PLAYS[play]
        ]
        plays.append((min(at, len(story.log)), deeds))
    try:
        told = check(log_with(story, *plays), name).saw
    except CheckFailedError as error:
        told = str(error)
    assert told == saw or AGAIN in told


def test_a_timeline_without_the_guests_shows_the_experiment_alone() -> None:
    played = log_with(ROUND_ROBIN, (begins(ROUND_ROBIN), COMES), (len(ROUND_ROBIN.log), [*SENDS, *takes("worker-9")]))
    apart = guests(played)
    assert apart == ({"worker-9"}, {"publisher-9"}, {"of the stage"})
    shown = timeline(played, without=apart.workers | apart.publishers)
    assert shown.alternative_text == timeline(ROUND_ROBIN.log).alternative_text
    assert "Play." in timeline(played).alternative_text


def test_where_all_was_played_a_timeline_shows_it() -> None:
    log = log_with(Story(), (0, [*COMES, *SENDS, *takes("worker-9")]))
    assert guests(log) == (set(), set(), set())
