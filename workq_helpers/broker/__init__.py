"""Where a RabbitMQ comes from, and how to stop, restart and crash it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import workq_helpers.broker.url  # noqa: F401 - see below

if TYPE_CHECKING:
    from workq_helpers.broker.broker import Broker, find_broker
    from workq_helpers.broker.doctor import Finding, diagnose
    from workq_helpers.broker.endpoint import Endpoint
    from workq_helpers.broker.running import Status
    from workq_helpers.broker.steering import logs, start, status, stop, url

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
    "url",
]

# A module, imported this early so that it is not put in the place of the function `url` by a later import.
del url

# Imported when first asked for: the keeper lives in this package, needs few of them, and starts quickly without.
_HOMES = {
    "Broker": "broker",
    "Endpoint": "endpoint",
    "Finding": "doctor",
    "Status": "running",
    "diagnose": "doctor",
    "find_broker": "broker",
    "logs": "steering",
    "start": "steering",
    "status": "steering",
    "stop": "steering",
    "url": "steering",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
