"""Talking to any RabbitMQ: addresses, connecting, the management API, and what each version can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from workq_helpers.rabbitmq import borrowed_virtual_host, connecting, management, restart_watch

__all__ = ["borrowed_virtual_host", "connecting", "management", "restart_watch"]

# Imported when first asked for: pika and httpx take a while, and whoever starts a broker needs them when it is up.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=__all__)
