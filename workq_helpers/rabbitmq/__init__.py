"""Talking to any RabbitMQ: addresses, connecting, the management API, and what each version can do."""

from __future__ import annotations

__all__: list[str] = []
