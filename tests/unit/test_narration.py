"""The stage tells what happened in sentences that are true by the log, and sums up what nobody could read."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from workq_helpers.log.details import (
    BrokerChange,
    ConsumeOptions,
    Detail,
    Handback,
    Mistake,
    PublishOptions,
    QueueOptions,
)
from workq_helpers.log.events import KINDS, Row, Rows
from workq_helpers.stage.narration import MOST_LINES, NOTABLE_SECONDS, Narration
from workq_helpers.stage.scene import BrokerCounts, Scene

pytestmark = pytest.mark.pinned  # of the course alone

MANUAL = ConsumeOptions(prefetch_count=3)


class Story:
    """Rows with times of their own."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.seconds = 0.0

    def wait(self, seconds: float) -> Story:
        self.seconds += seconds
        return self

    def add(
        self, kind: str, actor: str = "worker-1", *tasks: str, redelivered: bool = False, detail: Detail = ""
    ) -> Story:
        for task in tasks or ("",):
            self.seconds += 0.001
            mark = f"id of {task}" if task else None
            self.rows.append((self.seconds, kind, actor, "hello", mark, task, None, redelivered, detail))
        return self

    def told(self, later_seconds: float = 0.0) -> list[str]:
        narration = Narration()
        narration.update(Rows.of(self.rows))
        return [line["text"] for line in narration.latest(self.seconds + later_seconds)]


def worker(name: str = "worker-1") -> Story:
    return Story().add("starting", name, detail=MANUAL).add("connected", name, detail=MANUAL).wait(1)


def test_a_kill_says_what_went_back_and_a_redelivery_to_whom() -> None:
    story = worker().add("published", "publisher-1", "Stew...", "Soup.", "Roast..").wait(1)
    story.add("delivered", "worker-1", "Stew...", "Soup.", "Roast..").wait(1)
    story.add("killed").add("requeued", "worker-1", "Stew...", "Soup.", "Roast..").wait(1)
    story.add("delivered", "worker-2", "Stew...", redelivered=True)
    assert story.told() == [
        "publisher-1 sent Stew, Soup and Roast to hello",
        "Stew, Soup and Roast → worker-1",
        "worker-1 was killed: Stew, Soup and Roast went back to hello",
        "Stew → worker-2, redelivered",
    ]


def test_tasks_of_one_name_are_named_once() -> None:
    story = worker().add("delivered", "worker-1", "Hello...", "Soup.", "Hello...").wait(1)
    story.add("killed").add("requeued", "worker-1", "Hello...", "Hello...")
    assert story.told()[-2:] == [
        "2 × Hello and Soup → worker-1",
        "worker-1 was killed: 2 × Hello went back to hello",
    ]


def test_a_kill_under_auto_ack_says_what_is_lost() -> None:
    story = worker().add("killed").add("lost", "worker-1", "Stew...")
    assert story.told()[-1] == "worker-1 was killed: Stew is lost"
    assert story.add("lost", "worker-1", "a", "b", "c").told()[-1] == "worker-1 was killed: 4 tasks are lost"


def test_of_a_killed_program_first_its_connection_is_seen_to_end() -> None:
    story = worker("worker.py 1").add("hung up", "worker.py 1", detail="its program hung up")
    story.add("requeued", "worker.py 1", "Stew").add("killed", "worker.py 1")
    assert story.told()[1:] == [
        "The connection of worker.py 1 ended (its program hung up): Stew went back to hello",
        "worker.py 1 was killed",
    ]


def test_nobody_says_that_a_broker_that_is_away_took_a_task_back() -> None:
    story = worker().add("broker", "lesson", detail=BrokerChange.CRASHING).wait(1)
    story.add("disconnected", "worker-1", detail="reset").add("requeued", "worker-1", "Stew").wait(1)
    story.add("broker", "lesson", detail=BrokerChange.UP).wait(1).add("connected", "worker-1", detail=MANUAL)
    assert story.told() == [
        "RabbitMQ was made to crash",
        "worker-1 lost its connection: Stew not acknowledged",
        "RabbitMQ is up again",
        "worker-1 is connected again",
    ]


def test_a_restart_says_what_was_lost_by_it() -> None:
    story = Story().add("declared", "lesson", detail=QueueOptions(durable=True))
    story.add("published", "p", "Kept", detail=PublishOptions(persistent=True)).add("published", "p", "Gone")
    story.rows[-1] = (*story.rows[-1][:8], PublishOptions())
    story.add("broker", "lesson", detail=BrokerChange.RESTARTING).wait(5)
    story.add("broker", "lesson", detail=BrokerChange.UP)
    scene = Scene(seconds_per_dot=1.0)
    scene.update(Rows.of(story.rows))
    told = scene.picture(story.seconds, BrokerCounts(), lambda *_: [])["story"]
    assert (told[-1]["text"], told[-1]["mark"]) == ("RabbitMQ is up again: Gone is lost", "loss")


@pytest.mark.parametrize(
    ("kind", "detail", "text"),
    [
        ("finished", "", "worker-1 finished Stew"),
        ("failed", "ValueError: no", "The callback of worker-1 raised at Stew (ValueError: no)"),
        ("nacked", Handback.REQUEUE, "worker-1 handed Stew back with basic.nack, to go back to hello"),
        ("rejected", Handback.DISCARD, "worker-1 handed Stew back with basic.reject, to be discarded"),
        ("returned", "312 NO_ROUTE", "RabbitMQ returned Stew to worker-1 (312 NO_ROUTE)"),
        ("requeued", "basic.recover asked for it", "Stew went back to hello (basic.recover asked for it)"),
    ],
)
def test_what_happens_to_a_task(kind: str, detail: Detail, text: str) -> None:
    assert Story().add(kind, "worker-1", "Stew..", detail=detail).told() == [text]


def test_an_acknowledgment_of_nothing_says_so() -> None:
    story = Story().add("acked", "w", "Stew")
    for kind in ("acked", "nacked"):  # of no queue that the log could know
        story.rows.append((story.seconds, kind, "w", "", None, "", 9, False, Mistake.UNKNOWN_DELIVERY_TAG))
    assert story.told() == [
        "w acknowledged Stew",
        "w acknowledged what it does not hold",
        "w handed back what it does not hold with basic.nack",
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_event_has_a_sentence_or_needs_none(kind: str) -> None:
    detail: Detail = BrokerChange.DOWN if kind == "broker" else ""
    told = worker().wait(1).add(kind, "worker-1", "Stew", detail=detail).told()
    untold = {"confirmed", "started", "starting", "stopping", "reconnecting", "played", "cluster"}
    assert (len(told) == 1) == (kind in untold)
    assert not told[-1].endswith(f": {kind}"), "it has no sentence in stage/sentences.py"


def test_acknowledged_says_finished_too() -> None:
    assert Story().add("acked", "w", "Stew").add("finished", "w", "Stew").told() == ["w acknowledged Stew"]


def flood(messages: int = 5_000, workers: int = 3) -> Story:
    story = worker()
    for number in range(messages):
        name, task = f"worker-{number % workers + 1}", f"Task {number}"
        for kind, actor in (("published", "p"), ("delivered", name), ("started", name), ("acked", name)):
            story.rows.append((story.seconds, kind, actor, "hello", f"id {number}", task, number, False, ""))
        story.seconds += 0.0002
    return story


def test_nothing_is_told_before_what_it_follows_from() -> None:
    told = worker("worker.py 4").add("delivered", "worker.py 4", "Juice").wait(1)
    told.add("acked", "worker.py 4", "Juice").add("delivered", "worker.py 4", "Tea").add("acked", "worker.py 4", "Tea")
    assert told.told()[-2:] == ["Tea → worker.py 4", "worker.py 4 acknowledged Juice and Tea"]
    sent = worker().add("published", "publisher-1", "Soup").wait(1)
    sent.add("delivered", "worker-1", "Soup").add("rejected", "worker-1", "Soup", detail=Handback.DISCARD)
    sent.add("published", "publisher-1", "Stew").add("delivered", "worker-1", "Stew")
    sent.add("rejected", "worker-1", "Stew", detail=Handback.DISCARD)
    assert sent.told()[-3:] == [
        "publisher-1 sent Stew to hello",
        "Soup and Stew → worker-1",
        "worker-1 handed Soup and Stew back with basic.reject, to be discarded",
    ]


def test_what_happened_one_after_the_other_is_told_so() -> None:
    story = worker().add("delivered", "worker-1", "Juice").wait(1)
    story.add("acked", "worker-1", "Juice").add("delivered", "worker-1", "Tea")
    assert story.told()[-2:] == ["worker-1 acknowledged Juice", "Tea → worker-1"]


def test_one_task_that_comes_again_and_again_is_not_many_and_never_finished() -> None:
    story = worker().add("published", "publisher-1", "Dragon").wait(1)
    for _ in range(30):
        story.add("delivered", "worker-1", "Dragon", redelivered=True)
        story.add("nacked", "worker-1", "Dragon", detail=Handback.REQUEUE)
        story.add("requeued", "worker-1", "Dragon", detail="handed back").add("finished", "worker-1", "Dragon")
    assert story.told() == [
        "publisher-1 sent Dragon to hello",
        "30 deliveries → worker-1, redelivered",
        "worker-1 handed 30 deliveries back with basic.nack, to go back to hello",
        "30 deliveries went back to hello (handed back)",
    ]


def test_a_flood_makes_a_handful_of_sentences() -> None:
    story = flood()
    assert story.told()[-3:] == [
        "p sent 5,000 tasks to hello",
        "5,000 tasks → 3 workers",
        "3 workers acknowledged 5,000 tasks",
    ]


def test_a_kill_stays_in_view_in_a_flood_for_as_long_as_it_takes_to_read_it() -> None:
    story = flood(2_000).add("killed", "worker-2").add("requeued", "worker-2", "Stew")
    more = flood(40_000)
    story.rows += [(row[0] + story.seconds, *row[1:]) for row in more.rows]
    story.seconds += more.seconds
    assert "worker-2 was killed: Stew went back to hello" in story.told()
    assert len(story.told()) == MOST_LINES
    assert "worker-2 was killed: Stew went back to hello" not in story.told(NOTABLE_SECONDS)


def test_of_workers_one_after_another_the_last_word_is_what_happened_last() -> None:
    story = Story()
    for worker in ("w14", "w15"):
        story.add("starting", worker, detail=MANUAL).add("connected", worker, detail=MANUAL).add("stopped", worker)
    takes = [f"{worker} takes tasks from hello" for worker in ("w14", "w15")]
    assert story.told() == [takes[0], "w14 stopped", takes[1], "w15 stopped"]


def test_fifty_workers_that_start_are_one_sentence() -> None:
    story = Story()
    for number in range(50):
        story.add("starting", f"w{number}", detail=MANUAL).add("connected", f"w{number}", detail=MANUAL)
    assert story.told() == ["50 workers take tasks from hello"]


def test_a_task_that_is_long_by_its_dots_alone_has_a_short_name() -> None:
    assert Story().add("acked", "w", "Stew" + 60 * "." + "…").told() == ["w acknowledged Stew"]


def test_a_text_can_do_no_harm() -> None:
    told = Story().add("published", "p", "\u202eevil\x1b[31m" + "x" * 100).told()
    assert told[0].isprintable()
    assert len(told[0]) < 80


rows = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)),
        st.sampled_from(["worker-1", "worker-2"]),
        st.sampled_from(["Stew", "Soup"]),
        st.sampled_from([0.0, 0.001, 0.05, 0.3]),
        st.integers(1, 30),
    ),
    max_size=30,
)


@given(happened=rows, portions=st.lists(st.integers(1, 40)))
def test_equal_rows_make_equal_sentences_in_whatever_portions_they_come(
    happened: list[tuple[str, str, str, float, int]], portions: list[int]
) -> None:
    story = worker()
    for kind, actor, task, pause, times in happened:
        detail: Detail = BrokerChange.DOWN if kind == "broker" else ""
        story.wait(pause).add(kind, actor, *[task] * times, detail=detail)
    narration = Narration()
    at = 0
    for portion in [*portions, len(story.rows)]:
        narration.update(Rows.of(story.rows[at : at + portion]))
        at += portion
    assert [line["text"] for line in narration.latest(story.seconds)] == story.told()


def test_a_name_from_the_right_turns_no_arrow_around() -> None:
    told = Story().add("connected", "טבח-1", detail=MANUAL).add("delivered", "טבח-1", "سلطة 2..").told()
    isolate, end = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
    assert told[-1] == f"{isolate}سلطة 2{end} → {isolate}טבח-1{end}"
