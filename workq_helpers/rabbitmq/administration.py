"""`Administration`: what only an administrator may ask of a broker's management API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from workq_helpers.errors import UnsupportedBrokerError
from workq_helpers.rabbitmq.management import Management, path_of
from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = ["Administration", "Named", "Use"]

#: The operator policy that limits queues; the user of a virtual host can neither change nor replace it.
_POLICY = "workq-limits"

_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}


class Named(NamedTuple):
    """A user or a virtual host."""

    name: str
    tags: frozenset[str]
    description: str = ""


class Use(NamedTuple):
    """What goes on in a virtual host, as RabbitMQ's statistics have it, which are some seconds old."""

    connections: int = 0
    queues: int = 0
    messages: int = 0


class Administration(Management):
    """The management API as its administrator uses it: users, permissions and limits."""

    def users(self) -> list[Named]:
        """Return every user."""
        return [Named(row["name"], _tags(row)) for row in self._rows("/api/users")]

    def described_virtual_hosts(self) -> list[Named]:
        """Return every virtual host, with what it is for."""
        rows = self._virtual_host_rows({"disable_stats": "true"})
        return [Named(row["name"], _tags(row), row.get("description") or "") for row in rows]

    def uses(self) -> dict[str, Use]:
        """Return what goes on, by virtual host; those in which nothing does may be missing."""
        connections = Counter(row["vhost"] for row in self._rows("/api/connections", {"columns": "vhost"}))
        queues, messages = Counter[str](), Counter[str]()
        for row in self._rows("/api/queues", {"disable_stats": "true", "enable_queue_totals": "true"}):
            queues[row["vhost"]] += 1
            messages[row["vhost"]] += row.get("messages", 0)
        return {name: Use(connections[name], queues[name], messages[name]) for name in connections | queues}

    def most_open_files(self) -> int | None:
        """Return how many files and connections a node may have open, the smallest in a cluster; None if none says."""
        rows = self._rows("/api/nodes", {"columns": "fd_total"})
        return min((row["fd_total"] for row in rows), default=None)

    def put_user(self, name: str, password: str, tags: Iterable[str]) -> None:
        """Create a user, or change the one that there is."""
        self._send("PUT", path_of("users", name), json={"password": password, "tags": ",".join(tags)})

    def delete_user(self, name: str) -> None:
        """Delete a user, which ends the user's connections; no error if there is none."""
        self._send("DELETE", path_of("users", name), absent_ok=True)

    def put_virtual_host(self, name: str, description: str, tags: Iterable[str]) -> None:
        """Create a virtual host, or change the one that there is, where queues without a type are classic."""
        settings = {"default_queue_type": "classic", "description": description, "tags": ",".join(tags)}
        self._send("PUT", path_of("vhosts", name), json=settings)

    def permit(self, user: str, virtual_host: str) -> None:
        """Let a user do everything inside a virtual host."""
        self._send("PUT", path_of("permissions", virtual_host, user), json=_EVERYTHING)

    def limit_user(self, name: str, limits: Mapping[str, int]) -> None:
        """Limit a user: ``max-connections`` and ``max-channels``.

        Raises:
            UnsupportedBrokerError: This broker has no limits for users.
        """
        for limit, value in limits.items():
            answer = self._send("PUT", path_of("user-limits", name, limit), json={"value": value}, any_answer=True)
            if not answer.is_success:
                raise UnsupportedBrokerError(
                    f"This RabbitMQ does not limit users ({answer.status_code} {answer.reason_phrase} to {limit}). "
                    f"Use {OLDEST_VERSION} or later, and after an upgrade `rabbitmqctl enable_feature_flag all`."
                )

    def virtual_host_limits(self, name: str) -> dict[str, int]:
        """Return the limits of a virtual host."""
        rows = self._rows(path_of("vhost-limits", name), virtual_host=name)
        return {limit: value for row in rows for limit, value in row["value"].items()}

    def limit_virtual_host(self, name: str, limits: Mapping[str, int]) -> None:
        """Limit a virtual host: ``max-connections`` and ``max-queues``."""
        for limit, value in limits.items():
            self._send("PUT", path_of("vhost-limits", name, limit), json={"value": value})

    def queue_limits(self, virtual_host: str) -> dict[str, int]:
        """Return what `limit_queues` has set; nothing where it has not."""
        rows = self._rows(path_of("operator-policies", virtual_host), virtual_host=virtual_host)
        return next((dict(row["definition"]) for row in rows if row["name"] == _POLICY), {})

    def limit_queues(self, virtual_host: str, limits: Mapping[str, int]) -> None:
        """Limit each queue in a virtual host, whoever declares it: ``max-length`` and ``max-length-bytes``."""
        policy = {"pattern": ".*", "apply-to": "queues", "definition": dict(limits)}
        self._send("PUT", path_of("operator-policies", virtual_host, _POLICY), json=policy)


def _tags(row: Mapping[str, Any]) -> frozenset[str]:
    tags = row.get("tags") or []
    # Where the broker's cluster was once older than 3.9, users' tags still come as one text.
    return frozenset(tags.split(",") if isinstance(tags, str) else tags)
