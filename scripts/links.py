"""Asks for every page that the course links to, and names those that are gone: `python scripts/links.py`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx

ROOT = Path(__file__).resolve().parent.parent
#: Addresses of examples, which nobody is meant to open.
EXAMPLES = re.compile(r"localhost|127\.0\.0\.1|\[::1\]|\.example$|example\.(com|org)$|^(host|broker|mirror|x)$")
SECONDS = 20.0
AT_ONCE = 8


def links(root: Path) -> dict[str, list[str]]:
    """Return each address that a page or a lesson links to, with the files in which it stands."""
    found: dict[str, list[str]] = {}
    for path in [
        *sorted(root.glob("*.md")),
        *sorted(root.glob("docs/**/*.md")),
        *sorted(root.glob("notebooks/*.md")),
        *sorted(root.glob("notebooks/*.ipynb")),
    ]:
        for address in _addresses(_text(path)):
            found.setdefault(address, []).append(str(path.relative_to(root)))
    return found


def _text(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def _addresses(text: str) -> Iterator[str]:
    for address in re.findall(r"(?:\]\(|<|\")(https?://(?:[^\s()>\"]|\([^\s()]*\))+)", text):
        page = address.partition("#")[0]
        if not EXAMPLES.search(urlsplit(page).hostname or "") and "/you/" not in page:
            yield page


def trouble(client: httpx.Client, address: str) -> str:
    """Return why a page can't be had, ``""`` if it can; a site that shuts out programs is there all the same."""
    try:
        answer = client.get(address)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
    return str(answer.status_code) if answer.status_code in (404, 410) or answer.status_code >= 500 else ""


def main() -> int:
    """Return the exit status."""
    found = links(ROOT)
    headers = {"User-Agent": "work-queues-course link check"}
    with (
        httpx.Client(follow_redirects=True, timeout=SECONDS, headers=headers) as client,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        reasons = dict(zip(found, threads.map(lambda address: trouble(client, address), found), strict=True))
    for address, reason in reasons.items():
        if reason:
            print(f"{address} ({reason}): {', '.join(found[address])}")
    print(f"==> {len(found)} pages asked for, {sum(map(bool, reasons.values()))} gone")
    return any(reasons.values())


if __name__ == "__main__":
    sys.exit(main())
