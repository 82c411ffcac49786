"""What happened: the events, the ledger that knows what became of each message, and the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from workq_helpers.log import tables

__all__ = ["tables"]

# Imported when first asked for: pandas takes a second, and no lesson begins with a table.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=__all__)
