"""`OLDEST_VERSION` and `SINCE`: the one table of RabbitMQ's versions; `Features` says what follows from it."""

from __future__ import annotations

from packaging.version import Version

__all__ = ["OLDEST_VERSION", "SINCE", "has"]

#: The oldest RabbitMQ that the course is written for.
OLDEST_VERSION = Version("3.10")

#: The first version with each change that the course meets.
SINCE = {
    "a queue's own ack timeout": Version("3.12"),
    "transient queues can be denied": Version("3.12"),
    "a quorum queue's delivery limit": Version("4.0"),
    "a quorum queue's priorities": Version("4.0"),
    "no ack timeout of classic queues": Version("4.3"),
    "an ack timeout cancels a quorum queue's consumer": Version("4.3"),
    "basic.nack does not count as a return": Version("4.3"),
    "a quorum queue's delayed retry": Version("4.3"),
    "strict priorities of a quorum queue": Version("4.3"),
    "no prefetch count for a whole channel": Version("4.3"),
    "limits of users are private": Version("4.3"),
}


def has(version: Version, change: str) -> bool:
    """Return whether a version has a change of `SINCE`; a build such as 4.3.0-rc.1 counts as 4.3.0."""
    return version.release >= SINCE[change].release
