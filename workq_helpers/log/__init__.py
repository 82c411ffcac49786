"""What happened: the events, the ledger that knows what became of each message, and the tables."""

from __future__ import annotations

__all__: list[str] = []
