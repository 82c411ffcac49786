"""The exercises of the lesson "One of three dies"."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pika
import pika.exceptions

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.one_of_three_dies.frail_node import ASK_FOR_CONFIRMS, CONFIRM, PUBLISH, FrailNode
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.function import made_by_calling
from workq_helpers.teaching.patience import AnswerError, call_with_patience
from workq_helpers.teaching.pauses import with_short_pauses
from workq_helpers.teaching.trial import Trial
from workq_helpers.text import shown, worded

__all__ = ["EXERCISES"]


# -- mend the clinging publisher ------------------------------------------------------------------------

_QUEUE = "task_queue"
#: Two of them are alike, for two guests want the same.
_ORDERS = (*(f"Order {number}." for number in range(1, 20)), "Order 9.")
#: The first node dies before it passes on this order, the third at once, when that is sent again. Nobody is there for a
#: moment then. The fourth dies before it passes on that confirm.
_DIES_BEFORE_ORDER, _DIES_BEFORE_CONFIRM = 6, 5
#: How many orders are lost with nodes by who never sends one again.
_LOST_WITH_NODES = 2
_NOTHING_CAME = f"Nothing has come to {_QUEUE}. To which queue, and which exchange, does it publish?"
#: Which one is down from the beginning.
_DOWN = 1
#: Who publishes one order more often, or connects to a node that lives so many times more than it publishes there, does
#: not come to an end.
_MOST_SENT, _MOST_IN_VAIN = 8, 24
#: Who knocks so often at a closed door, or for so long, goes on: some try each order a few times. In seconds.
_PERSISTS_TIMES, _PERSISTS_SECONDS = 150, 6.0


class _Seen(NamedTuple):
    """What became of an answer's call.

    Attributes:
        trouble: What it raised.
        asked: Whether it asked for confirms, for each node to which it published.
        reached: Whether it was let in, for each node.
        turned_away: Whether it came when no node let anybody in.
        passed_over: What to say if it never came to some of the nodes.
    """

    trouble: BaseException | None
    asked: Sequence[bool]
    reached: Sequence[bool]
    turned_away: bool
    passed_over: str

    @property
    def went_away(self) -> bool:
        """Whether it did not come back to those that had turned it away."""
        return self.turned_away and not any(self.reached[-2:])


def _mend_the_clinging_publisher(trial: Trial, publish_all: Any) -> str:
    trial.queues = {_QUEUE}
    with trial.lesson.connect() as connection:
        connection.channel().queue_declare(queue=_QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    with _frail_nodes(trial) as (addresses, nodes):
        try:
            trouble = _call(publish_all, addresses, nodes, lambda: _progress(nodes))
        except CheckFailedError as error:
            if any(node.seen.get(PUBLISH) for node in nodes) and not _fetch_all(trial):
                raise CheckFailedError(f"{error} {_NOTHING_CAME}") from error
            raise
        seen = _Seen(
            trouble,
            asked=[bool(node.seen.get(ASK_FOR_CONFIRMS)) for node in nodes if node.seen.get(PUBLISH)],
            reached=[bool(node.clients) for node in nodes],
            turned_away=any(node.turned_away for node in nodes),
            passed_over=_passed_over(nodes),
        )
    found = _fetch_all(trial)
    _say_what_is_wrong(seen, found)
    _it_does_not_give_up_in_silence(trial, publish_all)
    return (
        f"Three of five nodes died under your function, one was down all the time, and for a moment none let it in. "
        f"Each of {len(_ORDERS)} orders is in {_QUEUE}. It holds {found.total()}: an order whose confirm got lost is "
        f"there twice."
    )


def _say_what_is_wrong(seen: _Seen, found: Counter[str]) -> None:
    _it_asked_for_confirms(seen.asked)
    if seen.trouble is not None:
        raise CheckFailedError(_why_it_ended(seen.trouble, seen))
    if not any(seen.reached):
        raise CheckFailedError("publish_all connected to none of its addresses. Hand the list to pika.")
    strange = next((body for body in found if body not in _ORDERS), None)
    if strange is not None:
        raise CheckFailedError(f"There is {strange!r} in {_QUEUE}, which nobody ordered. Send each order as it is.")
    _none_is_missing(seen, found)
    _none_was_sent_again_and_again(found)


def _it_asked_for_confirms(asked: Sequence[bool]) -> None:
    if asked and not any(asked):
        raise CheckFailedError(
            "publish_all never asked for confirms, so it can't know which orders are safe. Call "
            "channel.confirm_delivery() on each new channel."
        )
    if not all(asked):
        raise CheckFailedError(
            "publish_all asked for confirms on its first channel, and published on another one where nothing is "
            "confirmed. Call channel.confirm_delivery() on each new channel."
        )


def _none_is_missing(seen: _Seen, found: Counter[str]) -> None:
    wanted = Counter(_ORDERS)
    missing = [order for order in wanted if order not in found]
    if not found:
        raise CheckFailedError(_NOTHING_CAME)
    if missing and seen.went_away:
        raise CheckFailedError(
            f"'{missing[0]}' and all after it are missing: publish_all had tried each address and gave up. For a "
            f"moment no node let it in, as when one is still coming up. Begin with the addresses anew, after a pause, "
            f"until each order is confirmed."
        )
    if missing and missing == list(wanted)[-len(missing) :]:
        raise CheckFailedError(
            f"'{missing[0]}' and all after it are missing: publish_all came back when the connection was lost. Go on "
            f"with what is left."
        )
    if missing and len(missing) != _LOST_WITH_NODES and seen.turned_away:
        raise CheckFailedError(
            f"'{missing[0]}' is missing: for a moment no node let publish_all in, and it went on with the next order. "
            f"Begin with the addresses anew, after a pause, until this one is confirmed, too."
        )
    if missing:
        raise CheckFailedError(
            f"'{missing[0]}' is missing: it was on its way when the node died, and nobody had confirmed it. Send again "
            f"what was not confirmed."
        )
    few = next((order for order in wanted if found[order] < wanted[order]), None)
    if few is not None:
        raise CheckFailedError(
            f"'{few}' was ordered {wanted[few]} times and is there {found[few]} time. Equal orders are not the same "
            f"order: what keeps one of each, as a set or a dict does, loses the others."
        )


def _none_was_sent_again_and_again(found: Counter[str]) -> None:
    wanted = Counter(_ORDERS)
    again = [order for order, copies in found.items() if copies > wanted[order]]
    if len(again) > 2 or any(found[order] > wanted[order] + 1 for order in again):
        raise CheckFailedError(
            f"'{again[0]}' is there {found[again[0]]} times, and {len(again)} orders are there more than once: what "
            f"had been confirmed was sent again. Remember what is done."
        )


def _why_it_ended(trouble: BaseException, seen: _Seen) -> str:
    raised = f"publish_all raised {worded(trouble)}."
    if isinstance(trouble, pika.exceptions.ChannelWrongStateError | pika.exceptions.ConnectionWrongStateError):
        return f"{raised} It used a connection that was gone. Connect anew, and open another channel."
    if seen.went_away:
        return (
            f"For a moment no node let it in, and {raised} One may still be coming up: catch that, too, and begin with "
            f"the addresses anew, after a pause."
        )
    if isinstance(trouble, pika.exceptions.AMQPConnectionError):
        again = sum(seen.reached) > 1
        died = "A node died when an order was sent again" if again else "A node died"
        where = died if any(seen.reached) else "A node was down"
        catch = f"Catch what a lost connection raises{', each time' if again else ''}, and go on."
        return f"{where}, and {raised} {'' if any(seen.reached) else seen.passed_over}{catch}"
    if isinstance(trouble, pika.exceptions.AMQPError):
        return f"RabbitMQ had a complaint, and {raised} Another node would have it, too: mend what was asked for."
    return f"{raised} That was no node's doing."


def _it_does_not_give_up_in_silence(trial: Trial, publish_all: Any) -> None:
    with _nodes(trial) as (upstream, node):
        closed, began = node(comes_after=(node(),)), time.monotonic()

        def progress() -> int:
            if closed.asked > _PERSISTS_TIMES or time.monotonic() - began > _PERSISTS_SECONDS:
                raise CheckFailedError("It goes on.")
            return closed.asked

        try:
            trouble = _call(publish_all, [_address(upstream, closed.port)], [closed], progress)
        except CheckFailedError:
            return
    if trouble is None:
        raise CheckFailedError(
            f"{len(_ORDERS)} orders are in {_QUEUE}. Then it was called once more, when no node let it in at all, and "
            f"publish_all came back as if all were safe: it gives up after some attempts, in silence. Go on until each "
            f"order is confirmed, or let an error out at the end."
        )


@contextlib.contextmanager
def _frail_nodes(trial: Trial) -> Iterator[tuple[list[pika.ConnectionParameters], list[FrailNode]]]:
    """Give five addresses of the trial's RabbitMQ: three die in the middle, one is down, and the last two are late."""
    with _nodes(trial) as (upstream, node):
        first, down, third = node(PUBLISH, _DIES_BEFORE_ORDER), node(), node(PUBLISH, 1)
        fourth, fifth = (node(*dies, comes_after=(first, third)) for dies in ((CONFIRM, _DIES_BEFORE_CONFIRM), ()))
        down.die()
        nodes = [first, down, third, fourth, fifth]
        yield [_address(upstream, node.port) for node in nodes], nodes


@contextlib.contextmanager
def _nodes(trial: Trial) -> Iterator[tuple[pika.URLParameters, Callable[..., FrailNode]]]:
    """Give the address of the trial's RabbitMQ, and what makes a node that leads there, which is closed at the end."""
    upstream = pika.URLParameters(str(trial.lesson.address))
    with contextlib.ExitStack() as stack:

        def node(*dies: Any, comes_after: Sequence[FrailNode] = ()) -> FrailNode:
            made = FrailNode((upstream.host, upstream.port), *dies, comes_after=comes_after)
            stack.callback(made.close)
            return made

        yield upstream, node


def _address(upstream: pika.URLParameters, port: int) -> pika.ConnectionParameters:
    return pika.ConnectionParameters(
        host="127.0.0.1", port=port, virtual_host=upstream.virtual_host, credentials=upstream.credentials
    )


def _passed_over(nodes: Sequence[FrailNode]) -> str:
    """Say which nodes nobody asked; the one that is down all the time can't tell."""
    never = [str(node.port) for node in nodes if not (node.asked or node is nodes[_DOWN])]
    return f"Of its {len(nodes)} addresses it never tried {' and '.join(never)}: try each. " if never else ""


def _call(
    publish_all: Callable[..., object],
    addresses: list[pika.ConnectionParameters],
    nodes: Sequence[FrailNode],
    progress: Callable[[], object],
) -> BaseException | None:
    """Call the learner's function; return what it raised.

    Raises:
        CheckFailedError: It did not come back.
    """

    def give_up() -> None:
        for node in nodes:
            node.die()

    try:
        result = call_with_patience(
            with_short_pauses(publish_all),
            list(addresses),
            list(_ORDERS),
            name="publish_all",
            about=publish_all,
            give_up=give_up,
            progress=progress,
        )
    except CheckFailedError as error:
        raise CheckFailedError(f"{error} {_passed_over(nodes)}".rstrip()) from error
    except AnswerError as raised:
        return raised.error
    if made := made_by_calling(result):
        raise CheckFailedError(f"publish_all gave back {made}: nothing has run.")
    return None


def _progress(nodes: Sequence[FrailNode]) -> list[object]:
    """Say how far it is.

    Raises:
        CheckFailedError: It goes on for ever.
    """
    sent = sum(node.seen.get(PUBLISH, 0) for node in nodes)
    bodies = [Counter(node.bodies) for node in nodes]  # copies: the nodes' threads count on meanwhile
    for body, times in sum(bodies, Counter[bytes]()).most_common(1):
        if times > _MOST_SENT:
            raise CheckFailedError(
                f"publish_all had sent {body.decode(errors='replace')!r} {times} times, and would have gone on. When "
                f"does its loop end?"
            )
    lives = nodes[-1]
    if lives.clients - lives.seen.get(PUBLISH, 0) > _MOST_IN_VAIN:
        raise CheckFailedError(
            f"publish_all had connected {lives.clients} times to a node that lives, published {sent} times, and would "
            f"have gone on. When does its loop end?"
        )
    return [sent, *(node.turned_away for node in nodes)]


def _fetch_all(trial: Trial) -> Counter[str]:
    """Return how many copies of each order are in the queue; what we fetch is no part of what the answer did."""
    found: Counter[str] = Counter()
    lesson = trial.lesson
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as connection:
        channel = connection.channel()
        while True:
            method, _, body = channel.basic_get(queue=_QUEUE, auto_ack=True)
            if method is None or body is None:
                return found
            found[body.decode(errors="replace")] += 1


# -- count the votes ----------------------------------------------------------------------------------


class _Case(NamedTuple):
    members: int
    down: tuple[int, ...]
    confirms: bool


_CASES = (
    _Case(3, (), True),
    _Case(3, (2,), True),
    _Case(3, (1, 3), False),
    _Case(3, (1, 2, 3), False),
    _Case(5, (1, 2), True),
    _Case(5, (2, 4, 5), False),
    _Case(4, (1, 2), False),
    _Case(4, (3,), True),
    _Case(1, (), True),
    _Case(3, (4, 5), True),
    _Case(3, (1, 4, 5), True),
)


def _count_the_votes(trial: Trial, can_confirm: Any) -> str:
    for case in _CASES:
        members = [f"node-{number}" for number in range(1, case.members + 1)]
        down = {f"node-{number}" for number in case.down}
        told = f"members {', '.join(members)} (down: {', '.join(sorted(down)) or 'none'})"
        given = list(members), set(down)
        try:
            answer = trial.call(can_confirm, *given, name="can_confirm")
        except AnswerError as raised:
            raise CheckFailedError(f"With {told} can_confirm raised {raised}.") from raised.error
        if type(answer).__name__ not in ("bool", "bool_"):  # numpy's are as good
            raise CheckFailedError(f"With {told} can_confirm returned {shown(answer)}. Return True or False.")
        if given != (members, down):
            raise CheckFailedError(
                f"With {told} can_confirm changed what it was given. Leave the arguments as they are."
            )
        if answer != case.confirms:
            raise CheckFailedError(f"With {told} can_confirm says {answer}. {_why(case, bool(answer))}")
    return f"{len(_CASES)} clusters were tried, and your function is right about each."


def _why(case: _Case, answer: bool) -> str:
    up = case.members - sum(number <= case.members for number in case.down)
    if any(number > case.members for number in case.down):
        return "A node that is no member of the queue has no vote in it."
    if 2 * up == case.members:
        return f"{up} of {case.members} is half, and half is no majority: the others could say the same."
    if answer:
        return f"{up} of {case.members} is less than half: nobody can know what the others do."
    return f"{up} of {case.members} is more than half, and that is enough."


EXERCISES = (
    Exercise(
        "mend the clinging publisher",
        "one_of_three_dies/mend_the_clinging_publisher",
        "publish_all",
        (
            "Which orders are safe? Those that RabbitMQ has confirmed. Ask for confirms on the channel, and take an "
            "order off your list only when basic_publish has come back.",
            "A node that dies ends your connection: basic_publish raises a pika.exceptions.AMQPConnectionError. Catch "
            "it around connecting and sending, and connect anew with the same list of addresses.",
            "Put the connection, the channel and the sending into a loop that runs while orders are left. After an "
            "error it begins with the first order that was not confirmed.",
        ),
        _mend_the_clinging_publisher,
        "addresses, orders",
    ),
    Exercise(
        "count the votes",
        "one_of_three_dies/count_the_votes",
        "can_confirm",
        (
            "Which nodes count? Those that are members of the queue and not down.",
            "How many are enough? More than half of the members, whether those are up or not.",
            "Count the members that are not in `down`, and compare that with half the number of members: it must be "
            "larger.",
        ),
        _count_the_votes,
        "members, down",
    ),
)
