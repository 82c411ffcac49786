"""`BrokerChoice`: which RabbitMQ the user wants, as the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.settings import seconds_of

__all__ = ["DEFAULT_IMAGE", "LINGER_SECONDS", "SOURCES", "BrokerChoice"]

#: What ``WORKQ_BROKER`` may be.
SOURCES = ("url", "docker", "node")

#: The image for Docker where ``WORKQ_RABBITMQ_IMAGE`` names no other.
DEFAULT_IMAGE = "rabbitmq:4.3-management"

#: How long a broker stays after its last share, in seconds; ``WORKQ_LINGER_SECONDS`` sets another time. Restarting
#: a kernel takes less, so the notebook finds its broker again.
LINGER_SECONDS = 10.0


@dataclass(frozen=True)
class BrokerChoice:
    """What the user asked for.

    Attributes:
        forced: The one source to use, of `SOURCES`, or ``None`` for the first that works.
        image: The Docker image asked for, or ``None``.
        uses_url: Whether the broker is one that somebody else runs.
        linger_seconds: How long a broker of the course stays after its last share.
    """

    forced: str | None = None
    image: str | None = None
    uses_url: bool = False
    linger_seconds: float = LINGER_SECONDS

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> BrokerChoice:
        """Return what ``WORKQ_BROKER``, its ``_URL``, ``WORKQ_RABBITMQ_IMAGE`` and ``WORKQ_LINGER_SECONDS`` say.

        Raises:
            InvalidArgumentError: ``WORKQ_BROKER`` is no source, or is ``url`` and there is none; or the time is none.
        """
        forced = environ.get("WORKQ_BROKER", "").strip().lower() or None
        url = bool(environ.get("WORKQ_BROKER_URL", "").strip())
        if forced is not None and forced not in SOURCES:
            choices = f"{', '.join(SOURCES[:-1])} or {SOURCES[-1]}"
            raise InvalidArgumentError(
                f"WORKQ_BROKER is {forced!r}. Set it to {choices}, or unset it for the first that works."
            )
        if forced == "url" and not url:
            raise InvalidArgumentError(
                "WORKQ_BROKER is 'url', and WORKQ_BROKER_URL is not set. "
                "Set that to an address such as amqp://user:password@host:5672/virtual-host."
            )
        linger = environ.get("WORKQ_LINGER_SECONDS") or str(LINGER_SECONDS)
        return cls(
            forced,
            environ.get("WORKQ_RABBITMQ_IMAGE", "").strip() or None,
            url and forced in (None, "url"),
            seconds_of("WORKQ_LINGER_SECONDS", linger, "10"),
        )

    def allows(self, source: str) -> bool:
        """Return whether a broker may come from `source`."""
        return self.forced in (None, source)
