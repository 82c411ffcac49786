"""Widgets in a notebook, and what stands there without them: `show`, `without_buttons`."""

from __future__ import annotations

from typing import Any

from IPython import display

__all__ = ["show", "show_alone", "without_buttons"]

_WIDGET = "application/vnd.jupyter.widget-view+json"

#: A style for the notebook: what to do without buttons is said only where there are none.
_NO_BUTTONS = ".jp-OutputArea-child:has(+ .jp-OutputArea-child .workq-form) .workq-without-buttons { display: none; }"


def show(plain: str, as_html: str, widget: Any) -> None:
    """Show a text below the cell that runs, and a widget below the text.

    A notebook that is opened again has no widgets, but the text.
    """
    display.display({"text/plain": plain, "text/html": as_html}, raw=True)
    show_alone(widget)


def show_alone(widget: Any) -> None:
    """Show a widget below the cell that runs, and nothing where there are no widgets."""
    display.display({_WIDGET: widget._repr_mimebundle_()[_WIDGET]}, raw=True)


def without_buttons(as_html: str) -> str:
    """Return HTML that a notebook hides beside a widget of the class ``workq-form``."""
    return (
        f'<style>{_NO_BUTTONS}</style><details class="workq-without-buttons">'
        f"<summary>No buttons below? Then run this cell, or read on here.</summary>{as_html}</details>"
    )
