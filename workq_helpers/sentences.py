"""Sentences as a notebook shows them: text alone would be cut in the middle of words where a line ends."""

from __future__ import annotations

import html

__all__ = ["paragraph"]


def paragraph(text: str) -> str:
    """Return a sentence or two as HTML.

    Args:
        text: What to say; line breaks stay.
    """
    # The class keeps JupyterLab from typesetting what stands between dollar signs: tasks may be in the sentence.
    return f'<p class="mathjax_ignore" style="white-space: pre-line">{html.escape(text)}</p>'
