"""The lesson "One of three dies"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.one_of_three_dies.exercises import EXERCISES
from workq_helpers.lessons.one_of_three_dies.opened_nodes import opened
from workq_helpers.lessons.one_of_three_dies.outages import Outage, named
from workq_helpers.lessons.one_of_three_dies.quiz import QUESTIONS
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.evidence import Evidence
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

#: What the answers say, in seconds: up to here it was a moment, and from there on half a minute.
_MOMENT_SECONDS = 15.0
_HALF_A_MINUTE_SECONDS = 30.0


# -- checks -------------------------------------------------------------------------------------------


def _one_of_three(_seen: Evidence) -> str:
    outage = _went_on("leader")
    return (
        f"The node that led {outage.queue} was killed, and after a pause RabbitMQ went on confirming orders. "
        f"{_none_missing('leader')}"
    )


def _two_of_three(_seen: Evidence) -> str:
    outage = opened().outage("two")
    if outage.confirmed_after:
        raise CheckFailedError(
            f"With {named(outage.nodes)} down {outage.confirmed_after} orders were confirmed. Was a node started again "
            f"meanwhile? Run the section again."
        )
    return f"With {named(outage.nodes)} down RabbitMQ confirmed nothing. {_none_missing('two')}"


def _went_on(kind: str) -> Outage:
    outage = opened().outage(kind)
    if not outage.confirmed_after:
        raise CheckFailedError(
            f"No order was confirmed after {outage.deed} {named(outage.nodes)}. Are the other two nodes up? Run the "
            f"section again."
        )
    return outage


def _none_missing(kind: str) -> str:
    count = opened().counted(kind)
    if count.missing:
        raise CheckFailedError(
            f"Of {count.confirmed} confirmed orders {count.missing} are missing. Did anybody else take some? Run the "
            f"section again."
        )
    return "None of the confirmed orders is missing."


# -- predictions --------------------------------------------------------------------------------------


def _observe_members(lesson: Session) -> Seen:
    if not lesson.is_shown:  # before that nobody has seen which queues they have
        raise CheckFailedError("Show the nodes: run the cell with lesson.stage.")
    queues = {each.type: 1 + len(each.followers) for each in opened().picture().queues if each.leader}
    if set(queues) != {"classic", "quorum"}:
        raise CheckFailedError("Declare a quorum queue and a classic one, with all three nodes up.")
    saw = f"The quorum queue is on {queues['quorum']} of the nodes, and the classic queue on {queues['classic']}."
    return Seen({(3, 3): 0, (3, 1): 1, (1, 1): 2}.get((queues["quorum"], queues["classic"])), saw)


def _observe_pause(_lesson: Session) -> Seen:
    outage = opened().outage("leader")
    if outage.pause_seconds is None:
        return Seen(2, f"In {outage.waited_seconds:.0f} s nothing was confirmed any more.")
    seen = "The orders were confirmed again while the node was still down, after a pause."
    if outage.pause_seconds <= _MOMENT_SECONDS:
        return Seen(0, seen)
    return Seen(1 if outage.pause_seconds >= _HALF_A_MINUTE_SECONDS else None, seen)


def _observe_lost(_lesson: Session) -> Seen:
    count = opened().counted("leader")
    if not count.missing:
        return Seen(0, "Of the confirmed orders none is missing.")
    return Seen(
        1 if count.missing < count.confirmed / 4 else 2, f"Of the confirmed orders {count.missing} are missing."
    )


def _observe_only_copy(_lesson: Session) -> Seen:
    outage, count = opened().outage("only copy"), opened().counted("only copy")
    if outage.confirmed_after:
        return Seen(0, f"{outage.confirmed_after} orders were confirmed while the node was down.")
    if count.missing == 0:
        return Seen(
            1, "While the node was down nothing was confirmed; when it was back, no confirmed order was missing."
        )
    return Seen(2, f"When the node was back, {count.missing} confirmed orders were missing.")


def _observe_two(_lesson: Session) -> Seen:
    outage = opened().outage("two")
    if outage.confirmed_after:
        return Seen(0, f"The last node confirmed {outage.confirmed_after} orders.")
    return Seen(1, "While two nodes were down, nothing was confirmed.")


def _observe_cut(_lesson: Session) -> Seen:
    outage = opened().outage("cut")
    if not outage.confirmed_after:
        return Seen(2, f"In {outage.waited_seconds:.0f} s nothing was confirmed any more.")
    if outage.connections == 1:
        return Seen(0, "The orders were confirmed over the connection that there had been.")
    return Seen(1, "The orders were confirmed once the publisher had connected to another node.")


def _observe_address(_lesson: Session) -> Seen:
    reached = opened().reached
    if reached is None:
        raise CheckFailedError(
            "No connection was looked at while a node was down. Run the cells from the section's top."
        )
    found, first = reached
    return Seen(1 if found != first else None, "The connection leads to another node, whose address stands later.")


PREDICTIONS = (
    Prediction(
        "members",
        "Two queues are declared over one of the three nodes: a quorum queue and a classic one. On how many of the "
        "nodes is each of them?",
        (
            Choice(
                "Both on all three.",
                "All nodes know both names, and each of them answers for both. A name is no copy.",
            ),
            Choice(
                "The quorum queue on three, the classic queue on one.",
                "Copies are what a quorum queue is for. A classic queue has one home, and the other nodes pass on what "
                "comes for it.",
            ),
            Choice(
                "Both on one, that over which they were declared.",
                "That is true of the classic queue. The quorum queue has taken all three at once.",
            ),
        ),
        _observe_members,
        section="Three nodes",
    ),
    Prediction(
        "pause",
        "A publisher sends orders to a quorum queue with a copy on each of three nodes, and waits for confirms. The "
        "node that leads the queue is killed. How long will nothing be confirmed?",
        (
            Choice(
                "For some seconds at most.",
                "The two other nodes notice the end of their connection to the leader at once, elect one of "
                "themselves, and it goes on from where the log ends.",
            ),
            Choice(
                "For half a minute or more.",
                "That may be so where a machine vanishes without a word, and the others have to find out. A process "
                "that dies is noticed at once, for its connections end.",
            ),
            Choice(
                "Until the node is back.",
                "That node was in charge, but two others have the same orders. Two of three are enough to go on.",
            ),
        ),
        _observe_pause,
        section="The leader's node dies",
    ),
    Prediction(
        "lost",
        "The leader's node was killed under load, and did not put anything away. Of the orders that had been "
        "confirmed, how many are missing?",
        (
            Choice(
                "None.",
                "A confirm of a quorum queue says that most of its members have the order on disk. One of the two that "
                "are left has it for certain, and only such a one is elected.",
            ),
            Choice(
                "A few, from the last moment.",
                "Those of the last moment were on their way, and were not confirmed: the publisher sent them again.",
            ),
            Choice(
                "About a third.",
                "The copies are not shares: each of the three nodes has every order.",
            ),
        ),
        _observe_lost,
        section="The leader's node dies",
    ),
    Prediction(
        "only copy",
        "Now the same with a classic queue. It is durable, the orders are persistent, and the publisher is connected "
        "to another node than the one that is killed. What becomes of the orders?",
        (
            Choice(
                "The publisher goes on: another node takes the queue over.",
                "The other nodes know the queue's name. The orders were on one node alone, so nobody can take over.",
            ),
            Choice(
                "Nothing is confirmed until the node is back. Then all that was confirmed is there.",
                "The queue lives on one node. While that is down, nobody can keep an order for it; and what was "
                "written to its disk comes back with it.",
            ),
            Choice(
                "What was confirmed is lost with the node.",
                "A killed process does not take its disk along. The orders come back with the node; if its disk had "
                "died too, they would be gone.",
            ),
        ),
        _observe_only_copy,
        section="The only copy",
    ),
    Prediction(
        "two",
        "Two of three nodes are killed. The publisher is connected to the third, which is well. What happens to its "
        "orders to the quorum queue?",
        (
            Choice(
                "The last node goes on alone.",
                "It can't know whether the others are dead or only out of its sight, where they might go on without "
                "it. Then there would be two truths.",
            ),
            Choice(
                "Nothing is confirmed.",
                "One of three is no majority. An order that is on one node alone is not safe, and RabbitMQ doesn't say "
                "that it is.",
            ),
        ),
        _observe_two,
        section="Two of three die",
    ),
    Prediction(
        "cut",
        "The leader's node is cut off from the two others, and goes on running. The publisher is connected to that "
        "very node. Where will its orders be confirmed?",
        (
            Choice(
                "By the old leader, which is still there.",
                "It can confirm what most of the members have, and sees none of them but itself.",
            ),
            Choice(
                "By a new leader, when the publisher has connected to another node.",
                "The two others are the majority, so they elect one. The publisher has to come to them by itself.",
            ),
            Choice(
                "Nowhere, before the cut is mended.",
                "That would be so if the two others could not see each other either. But two of three are a majority.",
            ),
        ),
        _observe_cut,
        section="Cut off",
    ),
    Prediction(
        "address",
        "A program was connected to a node that is down now. It connects again with a list of three addresses, of "
        "which that node's is the first. What does it get?",
        (
            Choice(
                "An error.",
                "With one address that would be so. pika tries each address of a list, and raises an error only when "
                "all have failed.",
            ),
            Choice(
                "A connection to another node.",
                "pika takes the addresses one after the other, and the first that answers is the one.",
            ),
            Choice(
                "It waits until the node is back.",
                "Nobody listens at that address, so the system says at once that the connection is refused.",
            ),
        ),
        _observe_address,
        section="To which address?",
    ),
)

CHAPTER = Chapter(
    "One of three dies",
    "08_one_of_three_dies.ipynb",
    outages=True,
    checks={"one of three": _one_of_three, "two of three": _two_of_three},
    sections={"one of three": "The leader's node dies", "two of three": "Two of three die"},
    predictions=PREDICTIONS,
    exercises=EXERCISES,
    questions=QUESTIONS,
)
