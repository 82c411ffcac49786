"""`watch`: the picture of the nodes, alive, with a button for each to kill or start it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.lessons.one_of_three_dies.nodes import KeptNodes, LiveNodes, opened
from workq_helpers.lessons.one_of_three_dies.picture import GAP, WIDTH, ClusterPicture, columns
from workq_helpers.teaching import widgets
from workq_helpers.text import paragraph

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ClusterStrip", "is_watched", "watch"]

#: How often the nodes are looked at, in seconds.
_LOOK_SECONDS = 1.0
#: What ipywidgets leaves free around the picture below the buttons.
_MARGIN = "0 var(--jp-widgets-margin)"

_shown: list[ClusterStrip] = []


def watch() -> None:
    """Show the nodes that are open, below the cell that runs, and go on showing those that are opened later.

    Where they were shown before, that picture holds still from now on.
    """
    for strip in _shown:
        strip.hold()
    _shown[:] = [ClusterStrip(opened)]
    _shown[0].show()


def is_watched() -> bool:
    """Say whether the nodes are shown: before that nobody has seen which queues they have."""
    return bool(_shown)


class ClusterStrip:
    """The nodes side by side, drawn anew each second, with buttons where they run.

    Args:
        find: Returns the nodes to show.
    """

    def __init__(self, find: Callable[[], LiveNodes | KeptNodes]) -> None:
        self._find = find
        self._held = threading.Event()
        self._busy: set[str] = set()
        nodes = find()
        self._first = nodes.picture()
        self.picture = ipywidgets.HTML(self._first._repr_html_())
        self.said = ipywidgets.HTML()
        self.buttons = {name: _button() for name in self._first.states} if nodes.live else {}
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self._begin(name))
        self._draw(self._first)

    def show(self) -> None:
        """Show it below the cell that runs, and begin to look at the nodes."""
        widgets.show(repr(self._first), widgets.in_place(self._first._repr_html_()), self.widget())
        threading.Thread(target=self._look, name="workq cluster strip", daemon=True).start()

    def widget(self) -> Any:
        """Return it as one ipywidget: each button above its node."""
        grid = ipywidgets.Layout(
            grid_template_columns=columns(len(self.buttons)), grid_gap=GAP, max_width=WIDTH, margin=_MARGIN
        )
        return widgets.form([ipywidgets.GridBox(list(self.buttons.values()), layout=grid), self.picture, self.said])

    def hold(self) -> None:
        """Look no more."""
        self._held.set()

    def _look(self) -> None:
        while not self._held.wait(_LOOK_SECONDS):
            with contextlib.suppress(WorkqError):  # the nodes may be closed at this moment, and others opened
                self._draw(self._find().picture())

    def _draw(self, picture: ClusterPicture) -> None:
        if (drawn := picture._repr_html_()) != self.picture.value:
            self.picture.value = drawn
        for name, button in self.buttons.items():
            button.disabled = name in self._busy
            button.description = f"{'Start' if picture.states.get(name) == 'down' else 'Kill'} {name}"

    def _begin(self, name: str) -> None:
        """Kill or start a node without holding up whoever pressed the button."""
        if name in self._busy:
            return
        self._busy.add(name)
        self.buttons[name].disabled = True
        threading.Thread(target=self._do, args=(name,), name=f"workq {name}", daemon=True).start()

    def _do(self, name: str) -> None:
        try:
            nodes = self._find()
            (nodes.start if nodes.picture().states[name] == "down" else nodes.kill)(name)
            self.said.value = ""
        except (WorkqError, CheckFailedError) as error:
            self.said.value = paragraph(str(error))
        finally:
            self._busy.discard(name)


def _button() -> Any:
    return ipywidgets.Button(layout=ipywidgets.Layout(width="auto", margin="0"))
