"""`Ready` and `Status`: what the keeper tells about the course broker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from packaging.version import Version

from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["Ready", "Status"]


@dataclass(frozen=True)
class Ready:
    """The course broker as a lease holder gets it.

    Attributes:
        endpoint: Its address and login.
        source: Where it comes from: ``"docker"`` or ``"node"``.
        description: The same in a few words.
        version: The version it announced when it came up.
    """

    endpoint: Endpoint
    source: str
    description: str
    version: Version

    def to_json(self) -> dict[str, Any]:
        """Return it as what `json.dumps` takes, with the password: for the keeper's own socket alone."""
        return {
            "endpoint": asdict(self.endpoint),
            "source": self.source,
            "description": self.description,
            "version": str(self.version),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Ready:
        """Return what `to_json` was given."""
        return cls(Endpoint(**data["endpoint"]), data["source"], data["description"], Version(data["version"]))


@dataclass(frozen=True)
class Status:
    """The course broker as `workq broker status` shows it; no secret in it.

    Attributes:
        phase: ``"starting"``, ``"up"`` or ``"down"`` (its process has died or is being restarted).
        description: Where it comes from, in a few words; ``""`` while that is not decided.
        version: Its version, ``""`` while it starts.
        address: Host and port of AMQP, ``""`` while it starts.
        management_url: Where its management page is, ``""`` while it starts.
        leases: How many notebooks, tests and commands use it at this moment, without whoever asks.
        pinned: Whether it stays although nobody uses it.
        keeper: The process id of its keeper.
        folder: Its runtime folder.
    """

    phase: str
    description: str
    version: str
    address: str
    management_url: str
    leases: int
    pinned: bool
    keeper: int
    folder: str

    def to_json(self) -> dict[str, Any]:
        """Return it as what `json.dumps` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Status:
        """Return what `to_json` was given."""
        return cls(**data)
