"""Widgets in a notebook, and what stands there without them: `form`, `show`, `in_place`, `without_buttons`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
from IPython import display

__all__ = ["form", "in_place", "show", "show_alone", "without_buttons"]

_WIDGET = "application/vnd.jupyter.widget-view+json"

#: A style for the notebook, in JupyterLab or nbclassic: what stands in place of a form, and what to do without one, is
#: hidden beside one.
_NO_BUTTONS = (
    ":is(.jp-OutputArea-child:has(+ .jp-OutputArea-child .workq-form), .output_area:has(+ .output_area .workq-form)) "
    ".workq-without-buttons { display: none; }"
)

#: A style for the answers of a question, and for what is noted below, hints among it: one too long for its line goes on
#: below itself.
_LONG_ANSWERS = (
    ".workq-form .widget-radio-box label "
    "{ display: flex; flex-direction: row-reverse; justify-content: flex-end; height: auto; min-height: 20px; }"
    ".workq-form .widget-radio-box input { flex: none; }"
    ".workq-form > .widget-html > .widget-html-content { line-height: 1.5; }"
    ".workq-form > .widget-label { height: auto; line-height: 1.5; overflow: visible; white-space: normal; }"
)


def form(parts: Sequence[Any]) -> Any:
    """Return widgets below each other as a form, beside which `in_place` and `without_buttons` are hidden.

    In JupyterLab its keys are its own, see `stage/js/lab/form_keys.js`.
    """
    style = ipywidgets.HTML(f"<style>{_LONG_ANSWERS}</style>", layout=ipywidgets.Layout(display="none"))
    made = ipywidgets.VBox([*parts, style])
    made.add_class("workq-form")
    return made


def show(plain: str, as_html: str, widget: Any) -> None:
    """Show a text below the cell that runs, and a widget below the text.

    A notebook that is opened again has no widgets, but the text.
    """
    display.display({"text/plain": plain, "text/html": as_html}, raw=True)
    show_alone(widget)


def show_alone(widget: Any) -> None:
    """Show a widget below the cell that runs, and nothing where there are no widgets."""
    display.display({_WIDGET: widget._repr_mimebundle_()[_WIDGET]}, raw=True)


def in_place(as_html: str) -> str:
    """Return HTML that stands in a form's place where there is none, and that a notebook hides beside one."""
    return f'<style>{_NO_BUTTONS}</style><div class="workq-without-buttons">{as_html}</div>'


def without_buttons(as_html: str) -> str:
    """Return HTML that a notebook hides beside a form."""
    return (
        f'<style>{_NO_BUTTONS}</style><details class="workq-without-buttons">'
        f"<summary>No buttons below? Then run this cell, or read on here.</summary>{as_html}</details>"
    )
