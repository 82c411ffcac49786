"""axe-core in a page: what it finds that keeps somebody out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import need

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["violations"]

_AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

#: A whole page's are the page's; a part of one has no landmarks and no level-one heading of its own.
_OF_A_PAGE = ["region", "landmark-one-main", "page-has-heading-one", "bypass", "document-title", "html-has-lang"]

_RUN = """async ([part, off]) => {
    const rules = Object.fromEntries(off.map(name => [name, {enabled: false}]));
    // A page that was opened from a folder may not fetch its own style sheets.
    const how = {rules, resultTypes: ["violations"], preload: false};
    const found = await axe.run(part ? {include: [part]} : document, how);
    return found.violations.flatMap(({id, nodes}) => nodes.map(node =>
        `${id}: ${node.target.join(" ")}: ${node.failureSummary.replaceAll(/\\s+/g, " ")}`));
}"""


@cache
def _script() -> str:
    need(_AXE.is_file(), "axe-core looks at pages: run `make lint` or `npm ci`")
    return _AXE.read_text(encoding="utf-8")


def violations(page: Page, part: str = "", *, without: tuple[str, ...] = ()) -> list[str]:
    """Return what axe-core finds wrong, a sentence each.

    Args:
        page: The page.
        part: A selector of the part to look at; by default all of it.
        without: Rules that do not hold there, each for a reason that stands where it is left out.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_script())
    found: Any = page.evaluate(_RUN, [part, [*without, *(_OF_A_PAGE if part else ())]])
    return [str(each) for each in found]
