"""What the lesson "One of three dies" checks, predicts and shows, on outages made by hand and on the kept run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chapters import PREDICTIONS, check
from workq_helpers.broker.cluster import QueueMembers
from workq_helpers.errors import BrokerError, CheckFailedError
from workq_helpers.lessons.one_of_three_dies import CHAPTER
from workq_helpers.lessons.one_of_three_dies import nodes as nodes_module
from workq_helpers.lessons.one_of_three_dies.diary import Diary
from workq_helpers.lessons.one_of_three_dies.nodes import KINDS, KeptNodes, LiveNodes, kept_run
from workq_helpers.lessons.one_of_three_dies.outages import Count, Outage
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture
from workq_helpers.lessons.one_of_three_dies.strip import ClusterStrip
from workq_helpers.log.details import ClusterSeen, NodeSeen, QueueCopy
from workq_helpers.log.events import EventLog

pytestmark = pytest.mark.pinned  # of the course alone


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptNodes]:
    lesson: Any = SimpleNamespace()
    kept = KeptNodes(lesson, "there is too little memory.", kept_run())
    monkeypatch.setattr(nodes_module, "_opened", [kept])
    return kept


def seen(name: str) -> Any:
    return PREDICTIONS[name].observe(SimpleNamespace())  # type: ignore[arg-type]


def test_the_kept_run_tells_what_the_lesson_says(kept: KeptNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckFailedError, match="watch"):  # an answer before that is no answer after the experiment
        seen("members")
    monkeypatch.setattr("workq_helpers.lessons.one_of_three_dies.strip._shown", [SimpleNamespace()])
    assert seen("members").choice == 1
    kept.cut_off_leader("orders").count()
    kept.bring_back()
    for queue, deed in (("orders", kept.kill_leader), ("classic_orders", kept.kill_leader), ("orders", kept.kill_two)):
        deed(queue).count()
        kept.bring_back()
    kept.kill("node-1")
    kept.node_of(SimpleNamespace())  # type: ignore[arg-type]
    assert "went on confirming" in check(EventLog(), "one of three").saw
    assert "confirmed nothing" in check(EventLog(), "two of three").saw
    assert [seen(name).choice for name in ("pause", "lost", "only copy", "two", "cut", "address")] == [0, 0, 1, 1, 1, 1]


def test_the_kept_run_says_that_it_is_one(kept: KeptNodes) -> None:
    assert "can't be had here: there is too little memory" in repr(kept)
    assert "RabbitMQ 4" in repr(kept)
    assert kept.kill_leader("orders").nodes == (kept_run()["outages"]["leader"]["nodes"][0],)
    assert "down" in kept.picture().states.values()
    kept.bring_back()
    assert set(kept.picture().states.values()) == {"up"}
    assert set(kept_run()["outages"]) == set(KINDS)


def test_before_anything_was_done_a_check_says_what_to_run(kept: KeptNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckFailedError, match="No leader's node was killed yet"):
        check(EventLog(), "one of three")
    kept.kill_leader("orders")
    with pytest.raises(CheckFailedError, match="have not been counted yet"):
        check(EventLog(), "one of three")
    monkeypatch.setattr(nodes_module, "_opened", [])
    with pytest.raises(CheckFailedError, match="There are no nodes yet"):
        check(EventLog(), "two of three")


NONE = Count(0, 0, 0, 0)


def outage(after: int, count: Count) -> Outage:
    pause = 0.5 if after else None
    return Outage("killed", "orders", ("node-1", "node-2"), 100, pause, 8.0, after, 20, 0, 0, 1, counted=count)


def test_an_outage_tells_what_the_publisher_got() -> None:
    seen = replace(outage(0, NONE), refused=12, connections=2)
    assert [what for what, _ in outage(5, NONE).rows()][-2:] == ["longest pause", "connections made"]
    assert seen.rows()[-2:] == (("refused with a nack", "12 times"), ("connections made", "2"))
    assert ("handed back", "3 times") in replace(seen, handed_back=3).rows()


def test_what_was_confirmed_of_the_kept_run_adds_up(kept: KeptNodes) -> None:
    for queue, deed in (("orders", kept.kill_leader), ("classic_orders", kept.kill_leader), ("orders", kept.kill_two)):
        seen = deed(queue)
        total = seen.confirmed_before + seen.confirmed_meanwhile + seen.confirmed_after
        assert seen.count().count.confirmed == total


def test_what_did_not_come_true_is_told(kept: KeptNodes) -> None:
    kept.outages["leader"] = outage(0, Count(100, 100, 0, 0))
    with pytest.raises(CheckFailedError, match="No order was confirmed after"):
        check(EventLog(), "one of three")
    assert seen("pause").choice == 2
    kept.outages["leader"] = outage(9, Count(100, 97, 3, 0))
    with pytest.raises(CheckFailedError, match="3 are missing"):
        check(EventLog(), "one of three")
    assert seen("lost").choice == 1
    kept.outages["two"] = outage(4, Count(100, 100, 0, 0))
    with pytest.raises(CheckFailedError, match="4 orders were confirmed"):
        check(EventLog(), "two of three")
    assert seen("two").choice == 0


def test_a_picture_names_leader_and_followers_and_escapes_what_it_shows() -> None:
    queues = (
        QueueMembers("a<b", "quorum", "node-1", ("node-2", "node-3")),
        QueueMembers("c", "classic", "node-2", ()),
    )
    picture = ClusterPicture({"node-1": "up", "node-2": "down", "node-3": "cut off"}, queues)
    assert repr(picture).splitlines() == [
        "node-1 is up; ● a<b, leader",
        "node-2 is down; ○ a<b, follower; ● c, the only copy",
        "node-3 is cut off; ○ a<b, follower",
    ]
    assert "a&lt;b" in picture._repr_html_()
    assert ClusterPicture.from_json(picture.to_json()) == picture


def cluster_with(down: tuple[str, ...]) -> Any:
    """A cluster of which some nodes are down."""
    states = {name: "down" if name in down else "up" for name in ("node-1", "node-2", "node-3")}
    return SimpleNamespace(
        nodes=lambda: [SimpleNamespace(name=name, state=state) for name, state in states.items()],
        queues=lambda: [QueueMembers("orders", "quorum", "node-1", ("node-2", "node-3"))],
        leader=lambda _: "node-1",
        kill=None,
        cut_off=None,
    )


@pytest.mark.parametrize("deed", [LiveNodes.kill_leader, LiveNodes.kill_two, LiveNodes.cut_off_leader])
def test_a_cell_that_kills_says_when_run_twice_what_is_down(deed: Any) -> None:
    with pytest.raises(CheckFailedError, match=r"node-1 is down and node-3 is down\. Call bring_back\(\) first"):
        deed(LiveNodes(cluster_with(("node-1", "node-3"))), "orders")


@pytest.mark.parametrize(
    ("down", "leader"),
    [((), "node-1"), (("node-3",), "node-1"), (("node-1",), ""), (("node-2", "node-3"), "")],
)
def test_nothing_leads_that_is_down_or_alone(
    monkeypatch: pytest.MonkeyPatch, down: tuple[str, ...], leader: str
) -> None:
    monkeypatch.setattr(nodes_module, "_ELECTION_SECONDS", 0.0)
    (queue,) = LiveNodes(cluster_with(down)).picture().queues
    assert queue.leader == leader
    assert sorted({queue.leader, *queue.followers} - {""}) == ["node-1", "node-2", "node-3"]


def test_a_diary_has_what_was_done_and_how_the_nodes_were_whenever_that_changed() -> None:
    log = EventLog()
    diary = Diary(log)
    before = QueueMembers("orders", "quorum", "node-1", ("node-2", "node-3"))
    afterwards = QueueMembers("orders", "quorum", "node-2", ("node-1", "node-3"))
    up = dict.fromkeys(("node-1", "node-2", "node-3"), "up")
    diary.look(lambda: ClusterPicture(up, (before,)))
    diary.look(lambda: ClusterPicture(up, (before,)))
    with diary.doing("node killed", ["node-1"], "killed the leader's node"):
        pass
    diary.look(lambda: ClusterPicture(up | {"node-1": "down"}, (afterwards,)))
    told = [(event.kind, event.actor, event.queue) for event in log]
    assert told == [
        ("cluster", "lesson", ""),
        ("node killed", "node-1", ""),
        ("leader elected", "node-2", "orders"),
        ("cluster", "lesson", ""),
    ]
    seen = log[3].detail
    assert isinstance(seen, ClusterSeen)
    assert seen.deed == "killed the leader's node"
    assert seen.nodes[0] == NodeSeen("node-1", "down", (QueueCopy("orders", "follower"),))
    assert seen.nodes[1].copies == (QueueCopy("orders", "leader"),)


def test_a_look_that_began_before_a_deed_or_a_newer_look_is_not_written_down() -> None:
    log = EventLog()
    diary = Diary(log)
    up, down = ClusterPicture({"node-1": "up"}, ()), ClusterPicture({"node-1": "down"}, ())

    def interrupted_by_a_deed() -> ClusterPicture:
        with diary.doing("node killed", ["node-1"], "killed node-1"):
            pass
        return up

    def overtaken() -> ClusterPicture:
        diary.look(lambda: down)
        return up

    assert diary.look(interrupted_by_a_deed) is up
    assert diary.look(overtaken) is up
    seen = [event.detail for event in log if isinstance(event.detail, ClusterSeen)]
    assert [(event.kind, event.actor) for event in log] == [("node killed", "node-1"), ("cluster", "lesson")]
    assert seen[0].nodes[0].state == "down"


def test_a_diary_has_what_was_confirmed_while_a_publisher_sent(poll_for: Any) -> None:
    log, confirmed = EventLog(), iter(range(1000))
    diary = Diary(log)
    picture = ClusterPicture({"node-1": "up"}, ())
    with diary.watching(lambda: picture, lambda: next(confirmed)):
        poll_for(lambda: len(log) >= 2)
    counts = [event.detail.confirmed for event in log if isinstance(event.detail, ClusterSeen)]
    assert counts == list(range(len(counts)))


class Three:
    """Three nodes that do at once what they are told."""

    live = True

    def __init__(self) -> None:
        self.states = {"node-1": "up", "node-2": "down", "node-3": "up"}

    def picture(self) -> ClusterPicture:
        return ClusterPicture(dict(self.states), ())

    def kill(self, name: str) -> None:
        if name == "node-3":
            raise BrokerError("node-3 is the only node that runs.")
        self.states[name] = "down"

    def start(self, name: str) -> None:
        self.states[name] = "up"


def test_a_strip_kills_what_is_up_and_starts_what_is_down(poll_for: Any) -> None:
    three: Any = Three()
    strip = ClusterStrip(lambda: three)
    assert [button.description for button in strip.buttons.values()] == ["Kill node-1", "Start node-2", "Kill node-3"]
    for button in strip.buttons.values():
        button.click()
    poll_for(lambda: three.states == {"node-1": "down", "node-2": "up", "node-3": "up"})
    poll_for(lambda: "the only node that runs" in strip.said.value)


def test_the_picture_of_a_moment_is_hidden_beside_the_strip_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    three: Any = Three()
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    strip = ClusterStrip(lambda: three)
    strip.hold()
    strip.show()
    assert "workq-form" in strip.widget()._dom_classes
    assert '<div class="workq-without-buttons">' in shown[0]["text/html"]


def test_kept_nodes_have_no_buttons(kept: KeptNodes) -> None:
    strip = ClusterStrip(lambda: kept)
    assert strip.buttons == {}
    assert "node-2" in strip.picture.value


def test_no_replay_is_offered_of_what_the_stage_has_not_seen() -> None:
    assert not any(prediction.on_stage for prediction in CHAPTER.predictions)
