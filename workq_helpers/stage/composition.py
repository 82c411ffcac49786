"""`compose`: a whole frame from a moment of the log and from what surrounds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workq_helpers.rabbitmq.management import QueueCounts
from workq_helpers.rabbitmq.routes import Exchange, Routes
from workq_helpers.stage.frame import (
    Action,
    BrokerBar,
    BrokerState,
    CallLine,
    ExchangeCard,
    Frame,
    Moment,
    Notice,
    QueueCard,
    StoryLine,
    Topology,
)
from workq_helpers.stage.playhead import Position

__all__ = ["amended", "broker_bar", "compose", "shown_routes"]

#: What a frame shows of each; the rest is counted.
MOST_EXCHANGES = 6
MOST_BINDINGS = 8
MOST_ROUTES = 12

_NO_QUEUE = "Declare a queue first: here, or by running the cell that does."


def compose(
    moment: Moment,
    position: Position,
    broker: BrokerBar,
    *,
    number: int,
    lesson: str,
    speed: float = 1.0,
    closed: str = "",
    during: str = "",
    known_queues: Mapping[str, QueueCounts] | None = None,
    routes: Routes | None = None,
    nodes_off: str = "",
    last_queue: str = "",
    controls: Iterable[str] = (),
    marks: Iterable[StoryLine] = (),
    calls: Iterable[CallLine] = (),
    notices: Iterable[Notice] = (),
) -> Frame:
    """Return a whole frame.

    Args:
        moment: What the scene shows of the moment.
        position: Which moment that is.
        broker: What is told of the broker.
        number: The frame's.
        lesson: The lesson's name.
        speed: How many seconds of the recording pass in one.
        closed: Why nothing goes on any more; ``""`` while the lesson is open.
        during: Names the experiment of the cell that runs.
        known_queues: What the broker says of its queues, for those that the log has not seen declared.
        routes: What the broker says of its exchanges.
        nodes_off: Why no node of the cluster can be killed and started; ``""`` where each can.
        last_queue: The queue that the stage acted on last.
        controls: The controls that the lesson has introduced; none for all.
        marks: The kills, crashes and losses of the recording.
        calls: The last calls that were made from the stage.
        notices: The last notices.
    """
    shown = shown_routes(routes or Routes())
    queues = [amended(card, known_queues or {}) for card in moment["queues"]]
    return {
        "number": number,
        "lesson": lesson,
        "closed": closed,
        "during": during,
        "playback": {
            "mode": position.mode,
            "speed": speed,
            "seconds": round(position.seconds, 3),
            "end_seconds": round(position.end_seconds, 3),
            "event": position.events,
            "events": position.end_events,
            "caption": position.caption,
            "marks": list(marks),
        },
        "broker": broker,
        "exchanges": shown["exchanges"],
        "more_exchanges": shown["more_exchanges"],
        "dead_letters": shown["dead_letters"],
        "publishers": moment["publishers"],
        "queues": queues,
        "resting": moment["resting"],
        "more_queues": moment["more_queues"],
        "workers": moment["workers"],
        "more_workers": moment["more_workers"],
        "ends": moment["ends"],
        "cluster": moment["cluster"],
        "story": moment["story"],
        "summary": moment["summary"],
        "controls": list(controls),
        "actions": _actions(queues, nodes_off),
        "queue": _default_queue(queues, moment["resting"], last_queue),
        "python": list(calls),
        "notices": list(notices),
    }


def shown_routes(routes: Routes) -> Topology:
    """Return what is drawn of the broker's exchanges."""
    exchanges, dead_letters = routes
    return {
        "exchanges": [_exchange_card(each) for each in exchanges[:MOST_EXCHANGES]],
        "more_exchanges": max(0, len(exchanges) - MOST_EXCHANGES),
        "dead_letters": [
            {"queue": each.queue, "exchange": each.exchange, "routing_key": each.routing_key}
            for each in dead_letters[:MOST_ROUTES]
        ],
    }


def broker_bar(version: str, where: str, state: BrokerState, *, ours: bool, by_hand: str = "") -> BrokerBar:
    """Return what is told of the broker."""
    return {
        "name": f"RabbitMQ {version}",
        "found": where,
        "state": state,
        "steerable": ours,
        "why_not": "" if ours else _not_ours(where, by_hand),
    }


def _not_ours(where: str, by_hand: str) -> str:
    how = f"with {by_hand} in a terminal" if by_hand else "where it runs"
    return (
        f"The course did not start the RabbitMQ at {where}, so it does not restart or crash it. Restart it {how}; "
        "lesson.broker.wait_for_restart() in a cell waits for it. Or unset WORKQ_BROKER_URL for one of the "
        "course's own."
    )


def _exchange_card(exchange: Exchange) -> ExchangeCard:
    return {
        "name": exchange.name,
        "type": exchange.type,
        "bindings": [
            {"destination": each.destination, "kind": each.kind, "routing_key": each.label}
            for each in exchange.bindings[:MOST_BINDINGS]
        ],
        "more": max(0, len(exchange.bindings) - MOST_BINDINGS),
    }


def amended(card: QueueCard, known_queues: Mapping[str, QueueCounts]) -> QueueCard:
    """Let the broker say how a queue is made that the log has not seen declared."""
    known = known_queues.get(card["name"])
    if known is None or card["durability"]:
        return card
    return {**card, "durability": "durable" if known.durable else "transient", "type": known.type}


def _default_queue(queues: list[QueueCard], resting: list[str], last_queue: str) -> str:
    present = [card["name"] for card in queues if card["name"] and not card["gone"]]
    in_use = [name for name in present if name not in resting]
    return last_queue if last_queue in in_use else next(iter([*in_use, *present]), "")


def _actions(queues: list[QueueCard], nodes_off: str) -> dict[str, Action]:
    """Return what can't be done at this moment, and why."""
    off = {}
    if not any(card["name"] and not card["gone"] for card in queues):
        off = dict.fromkeys(("send", "five", "many", "add_worker", "purge"), _NO_QUEUE)
    if nodes_off:
        off |= dict.fromkeys(("kill_node", "start_node"), nodes_off)
    return {do: {"enabled": False, "why": why} for do, why in off.items()}
