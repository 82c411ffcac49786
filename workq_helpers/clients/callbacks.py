"""The callbacks that workers of the stage run where the lesson has none of its own yet."""

from __future__ import annotations

from typing import Any

from workq_helpers.clients.pace import work

__all__ = ["print_and_work", "print_work_and_ack"]


def print_and_work(_ch: Any, _method: Any, _properties: Any, body: bytes) -> None:
    """Work on a task for a second a dot, and say so; for a worker with ``auto_ack=True``."""
    print(f" [x] Received {body.decode(errors='replace')}")  # noqa: T201 - a worker's console is its output
    work(body)
    print(" [x] Done")  # noqa: T201


def print_work_and_ack(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    """Work on a task for a second a dot, say so, and acknowledge it when it is done."""
    print_and_work(ch, method, properties, body)
    ch.basic_ack(delivery_tag=method.delivery_tag)
