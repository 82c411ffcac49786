"""What the lesson "One of three dies" checks, predicts and shows, on outages made by hand and on the kept run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pika.exceptions import AMQPError

from tests.chapters import PREDICTIONS, check
from workq_helpers.broker.cluster import QueueMembers
from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.one_of_three_dies import live_nodes, opened_nodes
from workq_helpers.lessons.one_of_three_dies.diary import Diary
from workq_helpers.lessons.one_of_three_dies.kept_nodes import KeptNodes, kept_run
from workq_helpers.lessons.one_of_three_dies.live_nodes import LiveNodes
from workq_helpers.lessons.one_of_three_dies.nodes import KINDS
from workq_helpers.lessons.one_of_three_dies.outages import Count, Outage
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture
from workq_helpers.log.details import ClusterSeen, NodeSeen, QueueCopy
from workq_helpers.log.events import EventLog

pytestmark = pytest.mark.pinned  # of the course alone


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptNodes]:
    lesson: Any = SimpleNamespace(log=EventLog())
    kept = KeptNodes(lesson, "there is too little memory.", kept_run())
    monkeypatch.setattr(opened_nodes, "_opened", [kept])
    return kept


def seen(name: str, *, shown: bool = True) -> Any:
    return PREDICTIONS[name].observe(SimpleNamespace(is_shown=shown))  # type: ignore[arg-type]


def test_the_kept_run_tells_what_the_lesson_says(kept: KeptNodes) -> None:
    with pytest.raises(CheckFailedError, match="Show the nodes"):  # an answer before that is in time
        seen("members", shown=False)
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
    monkeypatch.setattr(opened_nodes, "_opened", [])
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


def test_nothing_is_missing_that_nobody_could_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_nodes, "_SETTLE_SECONDS", 0.0)
    load: Any = SimpleNamespace(name="load", confirmed={1, 2})
    nodes, copies = LiveNodes(cluster_with(())), dict[str, int]()
    answers: list[Any] = [AMQPError("541"), {"load-1": 1}, AMQPError("541"), {"load-2": 2}]

    def fetch(_queue: str) -> dict[str, int]:
        answer = answers.pop(0)
        if isinstance(answer, AMQPError):
            raise answer
        return answer  # type: ignore[no-any-return]

    nodes._fetch = fetch  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(CheckFailedError, match=r"give out what is in orders yet.*541.*run this cell again"):
            nodes._count("orders", load, copies)
        told = nodes._count("orders", load, copies)
    assert (told.confirmed, told.found, told.missing) == (2, 2, 0), "what an earlier cell fetched counts too"


def test_an_experiment_into_which_a_node_was_started_by_hand_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_with(())
    cluster.kill = cluster.start = lambda _: None
    nodes = LiveNodes(cluster)
    nodes.addresses = lambda _first=None: []  # type: ignore[method-assign]

    def wait_for(confirms: int, _timeout: float) -> bool:
        if confirms > 100 and meddling:
            nodes.start("node-1")
        return True

    load = SimpleNamespace(wait_for=wait_for, confirms=[None] * 100, sent=100, stop=lambda: None)
    load.outage = lambda *_, **__: outage(9, NONE)
    monkeypatch.setattr(live_nodes, "Load", lambda *_: load)
    meddling = True
    told = nodes.kill_two("orders")
    assert ("meanwhile", "node-1 was started") in told.rows()
    with pytest.raises(CheckFailedError, match="node-1 was started in the middle of this experiment"):
        nodes.outage("two")
    meddling = False
    nodes.start("node-1")  # beside it
    assert nodes.kill_two("orders").besides == ""
    assert nodes.outage("two").confirmed_after == 9


@pytest.mark.parametrize(
    ("down", "leader"),
    [((), "node-1"), (("node-3",), "node-1"), (("node-1",), ""), (("node-2", "node-3"), "")],
)
def test_nothing_leads_that_is_down_or_alone(
    monkeypatch: pytest.MonkeyPatch, down: tuple[str, ...], leader: str
) -> None:
    monkeypatch.setattr(live_nodes, "_ELECTION_SECONDS", 0.0)
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
        ("cluster", "lesson", ""),  # the moment of the kill shows it
        ("node killed", "node-1", ""),
        ("leader elected", "node-2", "orders"),
        ("cluster", "lesson", ""),
    ]
    without = (QueueCopy("orders", "follower"),)
    at_once = (NodeSeen(name, "up" if name != "node-1" else "down", without) for name in up)
    assert log[1].detail == ClusterSeen(tuple(at_once), "killed the leader's node")
    seen = log[4].detail
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
    diary.sum_up(1234)  # the last confirms came when nobody looked any more
    assert log[-1].detail == ClusterSeen((NodeSeen("node-1", "up"),), confirmed=1234)
    with diary.doing("node killed", ["node-1"], "killed node-1"):
        pass
    assert log[-2].detail == ClusterSeen((NodeSeen("node-1", "down"),), "killed node-1")  # no order is of this deed


def test_the_log_hears_of_live_nodes_until_they_are_closed(poll_for: Any) -> None:
    down: list[str] = []
    cluster, log = cluster_with(()), EventLog()
    cluster.nodes = lambda: [
        SimpleNamespace(name=name, state="down" if name in down else "up") for name in ("node-1", "node-2", "node-3")
    ]
    cluster.close = lambda: None
    nodes = LiveNodes(cluster, log)
    nodes.keep_looking()
    try:
        poll_for(lambda: states_in(log) == {"node-1": "up", "node-2": "up", "node-3": "up"})
        down.append("node-3")  # by whomever
        poll_for(lambda: states_in(log).get("node-3") == "down")
        log.clear()  # as "Start over" does
        poll_for(lambda: states_in(log).get("node-3") == "down")
        assert nodes.why_not == ""
    finally:
        nodes.close()
    assert "put away" in nodes.why_not
    nodes.picture()  # as one does that was under way
    assert states_in(log) == {}
    poll_for(lambda: not any(thread.name == "workq nodes" for thread in threading.enumerate()))


def states_in(log: EventLog) -> dict[str, str]:
    """Return how the nodes were when the log heard of them last."""
    looks = [event.detail for event in log if isinstance(event.detail, ClusterSeen)]
    return {node.name: node.state for node in looks[-1].nodes} if looks else {}


def test_while_a_node_starts_the_log_says_so() -> None:
    log = EventLog()
    diary = Diary(log)
    diary.look(lambda: ClusterPicture({"node-1": "down"}, ()))
    with diary.doing("node started", ["node-1"], "started node-1", "starting node-1"):
        assert log[-1].detail == ClusterSeen((NodeSeen("node-1", "down"),), "starting node-1")


def test_a_stage_that_shows_kept_nodes_says_when_they_ran(kept: KeptNodes) -> None:
    log, day = kept._lesson.log, kept_run()["recorded"]
    kept.kill_leader("orders")
    told = log[-1].detail
    assert isinstance(told, ClusterSeen)
    assert told.deed == f"killed the leader's node, as on {day}"
    assert told.confirmed == kept.outages["leader"].count().count.confirmed
    assert "down" in states_in(log).values()
    assert {event.kind for event in log} == {"cluster"}  # nobody killed a node now
    assert day in kept.why_not
    log.clear()
    kept.picture()
    assert log[-1].detail == told
