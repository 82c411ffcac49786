"""The log drawn: the timeline of the workers, and how deep the queues were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from workq_helpers.pictures import queue_depth, timeline

__all__ = ["queue_depth", "timeline"]

# Imported when first asked for: matplotlib takes a second, and no lesson begins with a picture.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=__all__)
