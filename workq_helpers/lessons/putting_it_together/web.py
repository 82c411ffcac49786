"""A small web endpoint for pictures on loopback, and how long its answers take."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import httpx
import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.pictures.palette import BLUE, INK, MUTED, ORANGE, PAPER
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.style import STYLE, WIDTH, drawable, plain_axes

__all__ = ["Latencies", "Response", "compare_latencies", "send_pictures", "serve"]

#: Called with a picture; returns the status to answer with.
Take = Callable[[bytes], int]

_LARGEST_BYTES = 32 * 1024 * 1024
_TIMEOUT_SECONDS = 60.0

#: How long a client may keep a request of its thread waiting for its next word, in seconds: the endpoint's end waits.
_SILENCE_SECONDS = 5.0

_HEIGHT = 1.9
_FACES = ((*ORANGE, "////"), (*BLUE, ""))


@contextlib.contextmanager
def serve(take: Take) -> Iterator[str]:
    """Serve an endpoint on loopback for as long as the context lasts, each request in a thread of its own.

    Args:
        take: Called with the body of each POST request; returns the status to answer with.

    Yields:
        Its address.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.take = take
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="web", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Waits for its requests to end when it is closed."""

    daemon_threads = False
    take: Take


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server
    timeout = _SILENCE_SECONDS

    def do_POST(self) -> None:
        """Hand the body on."""
        length = self.headers.get("Content-Length", "")
        if "Origin" in self.headers:  # some page in a browser of this machine, which no lesson has sent
            self._answer(HTTPStatus.FORBIDDEN)
        elif not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > _LARGEST_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._answer(*self._taken(self.rfile.read(int(length))))

    def _taken(self, picture: bytes) -> tuple[int, str]:
        try:
            return self.server.take(picture), ""
        except Exception as error:  # noqa: BLE001 - whatever the learner's function raises is the answer
            return HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}"

    def _answer(self, status: int, text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the notebook shows what matters."""


class Response(NamedTuple):
    """What came back."""

    status: int
    seconds: float
    text: str = ""


def send_pictures(address: str, pictures: Sequence[bytes]) -> list[Response]:
    """Send pictures one after another, each when the answer to the one before is there."""
    answers = []
    with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        for picture in pictures:
            began = time.perf_counter()
            response = client.post(address, content=picture)
            answers.append(Response(response.status_code, time.perf_counter() - began, response.text))
    return answers


class Latencies:
    """How long answers took, one way and the other.

    Args:
        answers: By the name of the way; the first is what the others are compared with.
    """

    def __init__(self, answers: Mapping[str, Sequence[Response]]) -> None:
        self.answers = dict(answers)

    def table(self) -> pd.DataFrame:
        """Return a row for each way.

        Returns:
            ``times as fast`` (its median beside that of the first), ``median`` and ``slowest`` in milliseconds,
            ``answers`` (how many) and ``status`` (which there were).
        """
        medians = {name: _median(answers) for name, answers in self.answers.items()}
        base = next(iter(medians.values()))
        rows = {
            name: {
                "times as fast": round(base / medians[name], 1),
                "median (ms)": round(medians[name] * 1000, 1),
                "slowest (ms)": round(max(answer.seconds for answer in answers) * 1000, 1),
                "answers": len(answers),
                "status": ", ".join(str(status) for status in sorted({answer.status for answer in answers})),
            }
            for name, answers in self.answers.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def picture(self) -> Picture:
        """Draw every answer as a dot, and the medians as bars."""
        with mpl.rc_context(STYLE):
            return Picture(self._draw(), self._describe())

    def _draw(self) -> Figure:
        figure = Figure(figsize=(WIDTH, _HEIGHT), facecolor=PAPER)
        axes = figure.add_axes((0.27, 0.3, 0.71, 0.68))
        for row, (answers, (face, edge, hatch)) in enumerate(zip(self.answers.values(), _FACES, strict=False)):
            median = _median(answers) * 1000
            axes.barh(row, median, height=0.5, color=face, edgecolor=edge, hatch=hatch, zorder=2)
            times = [answer.seconds * 1000 for answer in answers]
            axes.plot(times, [row] * len(times), "o", markersize=3.2, color=INK, alpha=0.6, zorder=3)
        axes.set_yticks(range(len(self.answers)), list(map(drawable, self.answers)))
        axes.set_ylim(len(self.answers) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel(
            "milliseconds until the answer; bars are medians, each dot is a request", color=MUTED, fontsize=8
        )
        plain_axes(axes, grid="x")
        return figure

    def _describe(self) -> str:
        ratios = self.table()["times as fast"]
        first, *others = self.answers
        said = [f"{name}: {ratios[name]:.1f} times as fast" for name in others]
        return f"Time until the answer, by the median, beside {first!r}. {'; '.join(said)}."

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return self.picture()._repr_mimebundle_()

    def __repr__(self) -> str:
        return self.picture().alternative_text


def compare_latencies(answers: Mapping[str, Sequence[Response]]) -> Latencies:
    """Compare how long answers took, one way and the other; naming what is returned draws it.

    Args:
        answers: Two lists of answers, by the name of the way; the second is compared with the first.

    Raises:
        InvalidArgumentError: There are not two, or one is empty.
    """
    if len(answers) != len(_FACES) or not all(answers.values()):
        sizes = {name: len(each) for name, each in answers.items()}
        raise InvalidArgumentError(f"The answers are {sizes!r}. Pass two lists of them, neither of them empty.")
    return Latencies(answers)


def _median(answers: Sequence[Response]) -> float:
    return statistics.median(answer.seconds for answer in answers)
