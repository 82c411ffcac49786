"""Where a RabbitMQ comes from, and how to stop, restart and crash it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workq_helpers.broker.broker import Broker, find_broker
    from workq_helpers.broker.commands import logs, start, status, stop, url
    from workq_helpers.broker.doctor import Finding, diagnose, try_node
    from workq_helpers.broker.running import Status
    from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = [
    "Broker",
    "Endpoint",
    "Finding",
    "Status",
    "diagnose",
    "find_broker",
    "logs",
    "start",
    "status",
    "stop",
    "try_node",
    "url",
]

# Imported when first asked for: the keeper lives in this package, needs few of them, and starts quickly without.
_HOMES = {
    "Broker": "workq_helpers.broker.broker",
    "Endpoint": "workq_helpers.rabbitmq.endpoint",
    "Finding": "workq_helpers.broker.doctor",
    "Status": "workq_helpers.broker.running",
    "diagnose": "workq_helpers.broker.doctor",
    "find_broker": "workq_helpers.broker.broker",
    "logs": "workq_helpers.broker.commands",
    "start": "workq_helpers.broker.commands",
    "status": "workq_helpers.broker.commands",
    "stop": "workq_helpers.broker.commands",
    "try_node": "workq_helpers.broker.doctor",
    "url": "workq_helpers.broker.commands",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
