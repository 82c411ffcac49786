"""The management API where it is missing, refuses, or is something else."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tests.fake_servers import Talk, endpoint_at, listening, said
from workq_helpers.broker.ports import free_ports
from workq_helpers.errors import (
    InvalidArgumentError,
    LoginRefusedError,
    ManagementError,
    ManagementUnavailableError,
    VirtualHostRefusedError,
    WorkqError,
)
from workq_helpers.rabbitmq import management
from workq_helpers.rabbitmq.management import Management, QueueCounts

USUAL = "Sending, consuming and the log work without it"


def answer(status: str, body: Any, content_type: str = "application/json") -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Connection: close\r\n\r\n{text}".encode()


def at(port: int) -> Management:
    return Management(endpoint_at(5672, management_url=f"http://127.0.0.1:{port}"))


def refusal(port: int, kind: type[WorkqError]) -> str:
    """Return the sentence with which the counts of a virtual host are refused."""
    with at(port) as api, pytest.raises(kind) as caught:
        api.queue_counts("course")
    assert type(caught.value) is kind
    assert "s3cret!pw" not in str(caught.value) + repr(caught.value) + repr(api)
    return str(caught.value)


def test_an_endpoint_without_one() -> None:
    with pytest.raises(ManagementUnavailableError, match=f"no management API .*127.0.0.1:5672.*{USUAL}"):
        Management(endpoint_at(5672))


def test_nothing_listens() -> None:
    (port,) = free_ports(1)
    text = refusal(port, ManagementUnavailableError)
    assert f"http://127.0.0.1:{port} can't be reached: " in text
    assert "refused" in text
    assert USUAL in text
    assert "rabbitmq-plugins enable" in text


def test_it_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(client: socket.socket) -> None:
        while client.recv(65_536):
            pass

    monkeypatch.setattr(management, "_ANSWER_SECONDS", 0.05)
    with listening(wait) as port:
        assert "did not answer in time" in refusal(port, ManagementUnavailableError)


@pytest.mark.parametrize(
    ("reply", "kind", "seen"),
    [
        (
            answer("401 Unauthorized", {"error": "not_authorized", "reason": "Login failed"}),
            LoginRefusedError,
            ("'anna'", "401 Login failed", "Correct the login"),
        ),
        (
            answer("401 Unauthorized", {"error": "not_authorized", "reason": "Not_Authorized"}),
            LoginRefusedError,
            ("'anna'", "Correct the login"),
        ),
        (
            answer("401 Unauthorized", {"error": "not_authorised", "reason": "Not management user"}),
            ManagementUnavailableError,
            ("'anna'", "tag 'management'", USUAL),
        ),
        (
            answer("401 Unauthorized", {"error": "not_authorised", "reason": "Not administrator user"}),
            VirtualHostRefusedError,
            ("'anna'", "'course'", "tag 'administrator'"),
        ),
        (
            answer("404 Not Found", {"error": "Object Not Found", "reason": "Not Found"}),
            VirtualHostRefusedError,
            ("no virtual host 'course'", "Open the lesson again"),
        ),
        (
            answer("200 OK", "<html>", "text/html"),
            ManagementUnavailableError,
            ("is not RabbitMQ's management API (200)", USUAL),
        ),
        (
            answer("500 Internal Server Error", {"error": "badarg"}),
            ManagementError,
            ("500 badarg to GET /api/queues/course", "workq broker logs"),
        ),
        (b"220 mail.example ESMTP\r\n", ManagementUnavailableError, ("can't be reached", USUAL)),
    ],
)
def test_refusals(reply: bytes, kind: type[WorkqError], seen: tuple[str, ...]) -> None:
    with listening(said(reply)) as port:
        text = refusal(port, kind)
    for words in seen:
        assert words in text


def in_turn(*replies: bytes) -> Talk:
    """Return a talk that gives each connection the next answer; an empty one hangs up."""
    left = iter(replies)

    def talk(client: socket.socket) -> None:
        said(next(left))(client)

    return talk


ROW = {"name": "hello", "messages_ready": 3, "messages_unacknowledged": 1, "durable": True, "type": "quorum"}
HELLO = {"hello": QueueCounts(3, 1, durable=True, type="quorum")}


def test_what_is_refused_for_want_of_room_says_so() -> None:
    failed = answer("500 Internal Server Error", {"error": "failed_to_start_vhost_on_nodes"})
    nodes = answer("200 OK", [{"disk_free_alarm": True, "mem_alarm": False}, []])
    with listening(in_turn(failed, nodes)) as port:
        text = refusal(port, ManagementError)
    assert "500 failed_to_start_vhost_on_nodes" in text
    assert "RabbitMQ is short of disk space: free some on its machine" in text
    with listening(in_turn(failed, answer("403 Forbidden", {}))) as port:
        assert "See the broker's log" in refusal(port, ManagementError)


def test_a_connection_that_the_broker_had_closed_is_tried_once_more() -> None:
    with listening(in_turn(b"", answer("200 OK", [ROW]))) as port, at(port) as api:
        assert api.queue_counts("course") == HELLO


def test_a_listing_that_misses_what_is_there_is_asked_for_again() -> None:
    replies = [answer("200 OK", rows) for rows in ([], [{"name": "hello"}], [ROW])]
    with listening(in_turn(*replies)) as port, at(port) as api:
        assert api.queue_counts("course") == HELLO


def test_a_queue_without_numbers_yet_has_none_waiting() -> None:
    row = {"name": "hello", "durable": False}
    with listening(said(answer("200 OK", [row]))) as port, at(port) as api:
        assert api.queue_counts("course") == {"hello": QueueCounts(0, 0, durable=False, type="classic")}


@pytest.mark.parametrize(
    ("reply", "started"),
    [
        (answer("200 OK", [{"name": "rabbit@workq", "running": True}]), True),
        (answer("200 OK", [{"name": "rabbit@workq"}]), False),
        (answer("200 OK", []), False),
        (answer("200 OK", "", "text/html"), False),
        (answer("503 Service Unavailable", {}), False),
    ],
)
def test_whether_it_has_started(reply: bytes, started: bool) -> None:
    with listening(said(reply)) as port, at(port) as api:
        assert api.is_started() is started


def test_nothing_is_told_of_one_queue_that_is_gone_whoever_says_so() -> None:
    with listening(said(answer("404 Not Found", "<html>", "text/html"))) as port, at(port) as api:
        assert api.queue_declaration("course", "hello") == {}


@pytest.mark.parametrize("name", [".", ".."])
def test_nothing_is_told_of_one_queue_whose_name_can_not_stand_in_a_path(name: str) -> None:
    with at(1) as api:
        assert api.queue_declaration("course", name) == {}


def test_the_default_virtual_host_is_left_alone() -> None:
    with at(1) as api:
        for deed in (api.delete_virtual_host, api.empty_virtual_host):
            with pytest.raises(InvalidArgumentError, match=r"virtual host '/' is not .*Name another"):
                deed("/")


def test_what_goes_while_it_is_listed_is_left_out() -> None:
    # RabbitMQ 4.3 puts an empty list where a virtual host was that is deleted at that moment, or a row without a name.
    rows = [{"name": "/"}, [], {"messages": 0}, {"name": "course"}]
    with listening(said(answer("200 OK", rows))) as port, at(port) as api:
        assert api.virtual_hosts() == ["/", "course"]


def test_what_was_published_to_a_queue_is_told_late_and_of_nothing_an_empty_list() -> None:
    rows = [{"name": "told", "message_stats": {"publish": 3}}, {"name": "taken", "message_stats": []}, {"name": "new"}]
    with listening(said(answer("200 OK", rows))) as port, at(port) as api:
        assert api.published("course") == {"told": 3, "taken": 0, "new": 0}
