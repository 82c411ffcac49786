"""The log drawn: the timeline of the workers, and how deep the queues were."""

from __future__ import annotations

__all__: list[str] = []
