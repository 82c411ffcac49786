"""`whole_lives`: the messages that came, were worked on and went within some rows of the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from workq_helpers.log.details import PublishOptions
from workq_helpers.log.events import Row

__all__ = ["Life", "whole_lives"]

#: How a message was published, its options then, how it was delivered, and whether it was confirmed.
Life = tuple[Row, PublishOptions, Row, bool]

#: Kinds that are about one message alone: where there are others, the order of all rows may matter.
_OF_ONE = frozenset({"published", "confirmed", "delivered", "started", "finished", "acked"})

#: How work that a worker acknowledges can end.
_ENDS = (("acked", "finished"), ("finished", "acked"))


def whole_lives(rows: Iterable[Row]) -> dict[str, Life]:
    """Return by its mark how each message lived that is in no other rows and met with nothing unusual.

    It went to one queue by that queue's name, from there to a worker's callback, and was acknowledged there. In a flood
    most messages are such, and to take them in at once costs half of what their events cost one by one.
    """
    if not _OF_ONE.issuperset([row[1] for row in rows]):
        return {}
    by_mark: defaultdict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        by_mark[row[4]].append(row)
    found: dict[str, Life] = {}
    for mark, life in by_mark.items():
        events = [row for row in life if row[1] != "confirmed"] if len(life) == 6 else life
        if len(events) != 5 or not mark:
            continue
        published, delivered, started, settled, over = events
        if published[1] != "published" or delivered[1] != "delivered" or started[1] != "started":
            continue
        worker, tag = delivered[2], delivered[6]
        if not (worker == started[2] == settled[2] == over[2] and tag == started[6] == settled[6] == over[6]):
            continue
        queue = published[3]
        if (settled[1], over[1]) not in _ENDS or not queue:
            continue
        if not queue == delivered[3] == started[3] == settled[3] == over[3]:
            continue
        redelivered, how, options = delivered[7], delivered[8], published[8]
        if not redelivered and how == "" and isinstance(options, PublishOptions) and _is_plain(options):
            found[mark] = published, options, delivered, len(life) == 6
    return found


def _is_plain(options: PublishOptions) -> bool:
    """Whether a message went to the queue that its routing key names, to that alone, and may wait there for ever."""
    return not (options.exchange or options.further_keys or options.ttl_seconds is not None)
