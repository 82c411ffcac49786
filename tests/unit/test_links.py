"""scripts/links.py: which pages the course links to, and which of them are gone."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts import links

pytestmark = pytest.mark.text


class Site(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        moved = self.path == "/moved"
        self.send_response(301 if moved else int(self.path[1:]))
        if moved:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("page", "reason"),
    [("/200", ""), ("/moved", ""), ("/403", ""), ("/429", ""), ("/404", "404"), ("/410", "410"), ("/500", "500")],
)
def test_a_page_that_is_gone_is_told_from_one_that_shuts_programs_out(site: str, page: str, reason: str) -> None:
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        assert links.trouble(client, f"{site}{page}") == reason


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "http://[::1/", "http://127.0.0.1:99999999/"])
def test_an_address_at_which_nothing_is_has_its_reason(address: str) -> None:
    with httpx.Client(trust_env=False) as client:
        assert links.trouble(client, address)


def test_every_page_is_asked_for_once_and_examples_are_not(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "[a](https://a.test/x#part), <https://b.test/y>, [c](https://c.test/y_(z)), "
        "[d](http://localhost:8888/), [e](https://rabbit.example/x), [f](https://github.com/you/course)"
    )
    cells = [
        {"cell_type": "markdown", "source": ["see [a](https://a.test/x) ", "and [g](https://g.test)"]},
        {"cell_type": "code", "source": ['"https://never.test"']},
    ]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_x.ipynb").write_text(json.dumps({"cells": cells}))
    assert links.links(tmp_path) == {
        "https://a.test/x": ["README.md", "notebooks/01_x.ipynb"],
        "https://b.test/y": ["README.md"],
        "https://c.test/y_(z)": ["README.md"],
        "https://g.test": ["notebooks/01_x.ipynb"],
    }


def test_it_names_what_is_gone_with_the_file(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text(f"[here]({site}/200) and [gone]({site}/404)")
    monkeypatch.setattr(links, "ROOT", tmp_path)
    monkeypatch.setattr(links, "EXAMPLES", links.re.compile("never"))
    assert links.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{site}/404 (404): README.md",
        "==> 2 pages asked for, 1 gone",
    ]


def test_the_course_links_to_pages() -> None:
    assert len(links.links(links.ROOT)) > 10
