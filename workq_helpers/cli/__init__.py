"""The command `workq`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from workq_helpers.cli import course_copy, doctor, lab

__all__ = ["course_copy", "doctor", "lab"]

# Imported when first asked for: each is of one command, and what Jupyter brings along takes a while.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=__all__)
