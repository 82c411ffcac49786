"""What works in the background: workers, publishers, connections, programs, and the pump that keeps I/O going."""

from __future__ import annotations

__all__: list[str] = []
