"""`Nodes`: what the lesson's three nodes have in common, whether they run or ran once."""

from __future__ import annotations

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.one_of_three_dies.outages import Count, Outage
from workq_helpers.text import paragraph

__all__ = ["KINDS", "Nodes"]

#: What the lesson does to the nodes: the key of what came of it.
KINDS = ("leader", "only copy", "two", "cut")


class Nodes:
    """What live and kept nodes have in common: what came of what was done to them."""

    #: Why none of them can be killed and started; ``""`` where they can.
    why_not = ""

    def __init__(self) -> None:
        self.outages: dict[str, Outage] = {}
        #: The node that was reached at an address list whose first node is down, and that first node.
        self.reached: tuple[str, str] | None = None

    def outage(self, kind: str) -> Outage:
        """Return what came of a deed.

        Args:
            kind: One of `KINDS`.

        Raises:
            CheckFailedError: It has not been done since the nodes were opened, or something else was done meanwhile.
        """
        if kind not in self.outages:
            raise CheckFailedError(f"{_DEEDS[kind]} yet. Run the cells from the section's top.")
        outage = self.outages[kind]
        if outage.besides:
            raise CheckFailedError(
                f"{outage.besides} in the middle of this experiment. Run the cells from the section's top: it begins "
                "anew."
            )
        return outage

    def counted(self, kind: str) -> Count:
        """Return how many orders were found after a deed.

        Raises:
            CheckFailedError: It has not been done, or nobody has counted.
        """
        count = self.outage(kind).counted
        if count is None:
            raise CheckFailedError("The orders have not been counted yet. Bring the nodes back, and call count().")
        return count

    def describe(self) -> str:
        """Return what they are."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.describe()

    def _repr_html_(self) -> str:
        return paragraph(self.describe())


_DEEDS = {
    "leader": "No leader's node was killed",
    "only copy": "No node with a classic queue was killed",
    "two": "No two nodes were killed",
    "cut": "No node was cut off",
}
