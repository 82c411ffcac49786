"""Where a RabbitMQ comes from, and how to stop, restart and crash it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from workq_helpers.rabbitmq.endpoint import Endpoint

if TYPE_CHECKING:
    from workq_helpers.broker.broker import Broker, find_broker
    from workq_helpers.broker.cluster import Cluster, start_cluster
    from workq_helpers.broker.commands import logs, start, status, stop, url
    from workq_helpers.broker.doctor import Finding, diagnose, try_container, try_node
    from workq_helpers.broker.protocol import Status

__all__ = [
    "Broker",
    "Cluster",
    "Endpoint",
    "Finding",
    "Status",
    "diagnose",
    "find_broker",
    "logs",
    "start",
    "start_cluster",
    "status",
    "stop",
    "try_container",
    "try_node",
    "url",
]

# Imported when first asked for: the supervisor lives in this package, needs few of them, and starts quickly without.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "broker": ["Broker", "find_broker"],
        "cluster": ["Cluster", "start_cluster"],
        "commands": ["logs", "start", "status", "stop", "url"],
        "doctor": ["Finding", "diagnose", "try_container", "try_node"],
        "protocol": ["Status"],
    },
)
