"""`Marks`: the kills, crashes and losses of a recording, wherever in it the picture is."""

from __future__ import annotations

from collections.abc import Iterable

from workq_helpers.stage.frame import StoryLine

__all__ = ["Marks"]

#: How many the time line shows, the last of them.
MOST_MARKS = 24


class Marks:
    """What was bad in the recording so far, as the scene has told it: a replay of an earlier moment takes none away."""

    def __init__(self) -> None:
        self._lines: dict[int, StoryLine] = {}

    def note(self, lines: Iterable[StoryLine]) -> None:
        """Take in sentences on what was bad; one that tells more of the same event takes the other's place."""
        for line in lines:
            known = self._lines.get(line["number"])
            if known is None or known["seconds"] <= line["seconds"]:
                self._lines[line["number"]] = line

    def shown(self) -> list[StoryLine]:
        """Return the last of them, oldest first."""
        return [self._lines[number] for number in sorted(self._lines)[-MOST_MARKS:]]
