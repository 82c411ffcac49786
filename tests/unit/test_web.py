from __future__ import annotations

import http.client
from collections.abc import Sequence

import httpx
import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.lessons.putting_it_together.web import Response, compare_latencies, send_pictures, serve


def test_each_picture_gets_the_answer_of_the_function() -> None:
    got: list[bytes] = []

    def take(picture: bytes) -> int:
        got.append(picture)
        return 200 + len(got)

    with serve(take) as address:
        answers = send_pictures(address, [b"one", b"two"])
    assert got == [b"one", b"two"]
    assert [answer.status for answer in answers] == [201, 202]
    assert all(answer.seconds > 0 for answer in answers)


def test_it_listens_on_loopback_alone_and_no_longer_than_asked() -> None:
    with serve(lambda _: 200) as address:
        assert address.startswith("http://127.0.0.1:")
    with pytest.raises(httpx.ConnectError):
        send_pictures(address, [b"late"])


def test_what_the_function_raises_is_the_answer() -> None:
    def take(picture: bytes) -> int:
        raise OSError("No space left")

    with serve(take) as address:
        (answer,) = send_pictures(address, [b"one"])
    assert (answer.status, answer.text) == (500, "OSError: No space left")


def test_only_posts_of_a_known_length_are_taken() -> None:
    with serve(lambda _: 200) as address, httpx.Client(trust_env=False) as client:
        assert client.get(address).status_code == 501
        assert client.post(address, content=iter([b"one"])).status_code == 411


def test_nobody_can_send_more_than_memory_bears() -> None:
    with serve(lambda _: 200) as address:
        connection = http.client.HTTPConnection("127.0.0.1", httpx.URL(address).port)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "999999999999")
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def answers(*milliseconds: float, status: int = 201) -> Sequence[Response]:
    return [Response(status, each / 1000) for each in milliseconds]


def test_the_ratio_comes_first() -> None:
    table = compare_latencies({"slow": answers(90, 100, 400), "fast": answers(5, 10, 20, status=202)}).table()
    assert next(iter(table.columns)) == "times as fast"
    assert list(table.loc["slow"]) == [1.0, 100.0, 400.0, 3, "201"]
    assert list(table.loc["fast"]) == [10.0, 10.0, 20.0, 3, "202"]


def test_the_picture_has_words() -> None:
    latencies = compare_latencies({"slow": answers(100), "fast": answers(10)})
    assert repr(latencies) == "Time until the answer, by the median, beside 'slow'. fast: 10.0 times as fast."
    assert latencies._repr_mimebundle_()["text/plain"] == repr(latencies)
    assert len(latencies.picture().figure.axes[0].patches) == 2


@pytest.mark.parametrize("wrong", [{}, {"one": answers(1)}, {"one": answers(1), "none": []}])
def test_less_than_two_ways_are_no_comparison(wrong: dict[str, Sequence[Response]]) -> None:
    with pytest.raises(InvalidArgumentError, match="Pass two lists"):
        compare_latencies(wrong)
