"""A broker that the course did not start: used as it is, never stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support import need
from workq_helpers import Broker, Lesson, find_broker
from workq_helpers.errors import BrokerNotOursError, WaitTimeoutError
from workq_helpers.log.stocktaking import STEADY_LOOKS
from workq_helpers.rabbitmq.connecting import open_connection
from workq_helpers.rabbitmq.errors import ChannelRefusedError


def broker_by_url(broker: Broker, username: str, password: str, virtual_host: str = "/", **variables: str) -> Broker:
    """Find a broker as somebody does who only has its address."""
    endpoint = broker.endpoint
    login = f"{quote(username, safe='')}:{quote(password, safe='')}"
    url = f"amqp://{login}@{endpoint.host}:{endpoint.port}/{quote(virtual_host, safe='')}"
    environ = {"WORKQ_BROKER_URL": url, "WORKQ_MANAGEMENT_URL": endpoint.management_url or ""}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKQ_BROKER")}
    return find_broker(environ=kept | environ | variables)


@pytest.fixture
def foreign(broker: Broker) -> Iterator[Broker]:
    """The course broker, known by its address alone."""
    with broker_by_url(broker, broker.endpoint.username, broker.endpoint.password) as found:
        yield found


def test_it_says_whose_it_is(foreign: Broker, broker: Broker) -> None:
    assert (foreign.ours, foreign.source, foreign.version) == (False, "url", broker.version)
    assert f"RabbitMQ {broker.version} · {broker.endpoint.host}:{broker.endpoint.port} · up" == foreign.describe()
    assert broker.endpoint.password not in repr(foreign) + foreign.describe()


@pytest.mark.parametrize("deed", ["restart", "crash", "stop"])
def test_it_is_never_stopped(foreign: Broker, deed: str) -> None:
    with pytest.raises(BrokerNotOursError, match=rf"does not {deed} it.*wait_for_restart\(\)"):
        getattr(foreign, deed)()


def test_lessons_run_on_it_and_leave_nothing(foreign: Broker, work_and_ack: Any, tmp_path: Path) -> None:
    with Lesson("on a foreign broker", foreign) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare("hello", durable=True)
        lesson.start_workers(2, work_and_ack, "hello")
        endpoint = foreign.endpoint
        address = f"{endpoint.host}:{endpoint.port}"
        url = f"amqp://{endpoint.username}:{endpoint.password}@{address}/"
        lesson.start_publisher(["one.", f"two: {url} ."], "hello")
        lesson.wait_until_idle()
        saved = lesson.save_run(tmp_path / "run.json").read_text()
        assert "two: " in saved
        assert endpoint.password not in saved
        assert address not in saved
        assert [worker.finished for worker in lesson.workers] == [1, 1]
        assert lesson.virtual_host in foreign.virtual_hosts()
    assert lesson.virtual_host not in foreign.virtual_hosts()


@pytest.mark.once
def test_it_waits_while_somebody_else_restarts_it(foreign: Broker, broker: Broker) -> None:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    changes: list[str] = []
    foreign.subscribe(changes.append)
    restart = threading.Thread(target=broker.restart)
    restart.start()
    foreign.wait_for_restart(timeout=100)
    restart.join()
    assert changes == ["down", "up"]
    assert foreign.describe().endswith("· up")


@pytest.mark.once
@pytest.mark.parametrize("deed", ["restart", pytest.param("crash", marks=pytest.mark.nightly)])
def test_it_does_not_wait_for_what_has_happened_already(foreign: Broker, broker: Broker, deed: str) -> None:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    changes: list[str] = []
    foreign.subscribe(changes.append)
    getattr(broker, deed)()
    foreign.wait_for_restart(timeout=1.0)
    assert changes == ["down", "up"]
    with pytest.raises(WaitTimeoutError, match="it never stopped answering"):
        foreign.wait_for_restart(timeout=0.3)  # the one that it has heard of is not the next one
    assert changes == ["down", "up"]


@pytest.fixture
def by_hand(broker: Broker) -> Iterator[Broker]:
    """The course broker, known by its address, and by what its user types to restart it."""
    login = (broker.endpoint.username, broker.endpoint.password)
    commands = {"WORKQ_RESTART_BY_HAND": "docker compose restart rabbitmq", "WORKQ_CRASH_BY_HAND": "kill it"}
    with broker_by_url(broker, *login, **commands) as found:
        yield found


@pytest.mark.once
@pytest.mark.parametrize(
    ("deed", "command"),
    [
        pytest.param("restart", "docker compose restart rabbitmq", marks=pytest.mark.nightly),
        ("crash", "kill it"),
    ],
)
def test_it_says_what_to_type_and_waits_for_it(
    by_hand: Broker, broker: Broker, deed: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    assert by_hand.restartable
    assert not by_hand.ours
    typing: list[threading.Thread] = []

    def asked(said: str) -> None:
        assert said.endswith(f": {command}")
        typing.append(threading.Thread(target=getattr(broker, deed)))
        typing[-1].start()

    monkeypatch.setattr("builtins.print", asked)
    changes: list[str] = []
    by_hand.subscribe(changes.append)
    getattr(by_hand, deed)()
    assert changes == ["down", "up"]
    assert "/" in by_hand.virtual_hosts()  # its management API answers again, too
    typing.pop().join()
    assert not typing


@pytest.mark.nightly
@pytest.mark.once
def test_a_restart_before_it_was_asked_for_does_not_count(
    by_hand: Broker, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    monkeypatch.setattr("workq_helpers.broker.broker._BY_HAND_SECONDS", 0.3)
    broker.restart()
    with pytest.raises(WaitTimeoutError, match="it never stopped answering"):
        by_hand.restart()


@pytest.mark.once
def test_another_handle_on_a_broker_of_ours_sees_its_restart(broker: Broker) -> None:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    with find_broker() as other:
        broker.restart()
        other.wait_for_restart(timeout=1.0)
        for told in (broker, other):
            with pytest.raises(WaitTimeoutError, match="it never stopped answering"):
                told.wait_for_restart(timeout=0.3)


def test_it_says_so_when_nobody_restarts_it(foreign: Broker) -> None:
    with pytest.raises(WaitTimeoutError, match=r"was not restarted within 0 s: it never stopped answering"):
        foreign.wait_for_restart(timeout=0.3)


@pytest.fixture
def learner(broker: Broker) -> Iterator[tuple[str, str]]:
    """A user without any rights but in a virtual host of her own, as in a class."""
    name, password = "learner", "made-up"
    host = "learners-own"
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    login = (broker.endpoint.username, broker.endpoint.password)
    with httpx.Client(base_url=broker.endpoint.management_url or "", auth=login) as client:
        client.put(f"/api/users/{name}", json={"password": password, "tags": "management"}).raise_for_status()
        client.put(f"/api/vhosts/{host}").raise_for_status()
        for known in (host, "%2F"):
            client.put(f"/api/permissions/{known}/{name}", json=everything).raise_for_status()
        yield name, password
        client.delete(f"/api/vhosts/{host}").raise_for_status()
        client.delete(f"/api/users/{name}").raise_for_status()


def test_without_the_right_to_create_one_the_urls_own_virtual_host_is_used(
    broker: Broker, learner: tuple[str, str], work_and_ack: Any
) -> None:
    with broker_by_url(broker, *learner, "learners-own") as found, Lesson("mine", found) as lesson:
        assert lesson.virtual_host == "learners-own"
        with lesson.connect() as connection:
            connection.channel().queue_declare("hello", durable=True)
        worker = lesson.start_worker(work_and_ack, "hello")
        lesson.start_publisher(["one."], "hello")
        lesson.wait_until_idle()
        assert worker.finished == 1


@pytest.mark.parametrize("lacking", ["the plugin", "its tag"])
@pytest.mark.parametrize("virtual_host", ["learners-own", "/"])
def test_without_management_a_lesson_works_and_says_what_it_can_not_see(
    broker: Broker,
    learner: tuple[str, str],
    work_and_ack: Any,
    capsys: pytest.CaptureFixture[str],
    lacking: str,
    virtual_host: str,
) -> None:
    nowhere = {"WORKQ_MANAGEMENT_URL": "http://127.0.0.1:1"} if lacking == "the plugin" else {}
    if lacking == "its tag":
        untag(broker, *learner)
    with broker_by_url(broker, *learner, virtual_host, **nowhere) as found:
        with Lesson("unmanaged", found) as lesson:
            assert lesson.virtual_host == virtual_host
            said = capsys.readouterr().out
            assert f"uses the virtual host {virtual_host!r} as it is" in said
            assert "count of unacknowledged messages can't be seen" in said
            with lesson.connect() as connection:
                for queue in ("quorum", "quorum in use"):
                    connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
                connection.channel().queue_declare("unmanaged", durable=True)
            lesson.start_publisher(["one.", "two."], "unmanaged", confirm=True).wait()
            assert tuple(lesson.queue_counts()["unmanaged"]) == (2, 0, True, "classic")
            worker = lesson.start_worker(work_and_ack, "unmanaged")
            lesson.wait_until_idle()
            assert worker.finished == 2
            lesson.start_over()
            assert list(lesson.queue_counts()) == ["quorum", "quorum in use", "unmanaged"]
            lesson.start_publisher("kept", "quorum in use", confirm=True).wait()
        assert list(broker.queue_counts(virtual_host)) == ["quorum in use"]
        with open_connection(found.endpoint.on(virtual_host)) as connection:
            connection.channel().queue_delete("quorum in use")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have who waits for what does not come do so for longer than a test takes."""
    monkeypatch.setattr("workq_helpers.session.emptying._REQUEUE_SECONDS", 3600.0)


@pytest.mark.parametrize("management", [True, False])
def test_a_queue_that_its_user_may_not_empty_is_named_at_once(
    broker: Broker, learner: tuple[str, str], management: bool, patient: None
) -> None:
    nowhere = {} if management else {"WORKQ_MANAGEMENT_URL": "http://127.0.0.1:1"}
    with (
        broker_by_url(broker, *learner, "learners-own", **nowhere) as found,
        Lesson("not-to-be-read", found) as lesson,
    ):
        with lesson.connect() as connection:
            connection.channel().queue_declare("hello", durable=True)
            connection.channel().basic_publish("", "hello", b"a")
        permit(broker, learner[0], "learners-own", read="")
        with pytest.raises(ChannelRefusedError, match=r"access to queue 'hello'.*no permission"):
            lesson.start_over()
        assert [message.task for message in lesson.ledger()] == ["a"]
        permit(broker, learner[0], "learners-own", read=".*")
        lesson.start_over()
        assert lesson.purge("hello") == 0


def test_starting_over_waits_for_nobody_who_keeps_what_it_has(broker: Broker, patient: None) -> None:
    with Lesson("kept", broker) as lesson, open_connection(broker.endpoint.on(lesson.virtual_host)) as unseen:
        channel = lesson.connect().channel()
        channel.queue_declare("hello", durable=True)
        channel.queue_declare("ours alone", exclusive=True)
        for queue in ("hello", "hello", "hello", "ours alone"):
            channel.basic_publish("", queue, b"a")
        channel.queue_declare("hello", passive=True)
        channel.basic_get("hello")
        unseen.channel().basic_get("hello")
        lesson.start_over()
        assert lesson.take_stock()
        assert (lesson.ledger().unseen("hello"), lesson.ledger().unseen("ours alone")) == (0, 1)
        assert lesson.queue_counts()["hello"].unacknowledged == 2


def test_without_management_stock_is_taken_soon(
    broker: Broker, learner: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        broker_by_url(broker, *learner, "learners-own", WORKQ_MANAGEMENT_URL="http://127.0.0.1:1") as found,
        Lesson("unmanaged", found) as lesson,
        lesson.connect() as connection,
        open_connection(found.endpoint.on("learners-own")) as unseen,
    ):
        connection.channel().queue_declare("hello", durable=True)
        connection.channel().basic_publish("", "hello", b"a")
        unseen.channel().queue_purge("hello")
        looks = []
        count = lesson._virtual_host._counts_over_amqp
        monkeypatch.setattr(lesson._virtual_host, "_counts_over_amqp", lambda: (looks.append(1), count())[1])
        assert lesson.take_stock(60.0)
        assert len(looks) < 2 * STEADY_LOOKS
        assert [message.place for message in lesson.ledger()] == ["unknown"]


def test_without_management_no_queue_is_said_to_be_gone_that_is_there(broker: Broker, learner: tuple[str, str]) -> None:
    with (
        broker_by_url(broker, *learner, "learners-own", WORKQ_MANAGEMENT_URL="http://127.0.0.1:1") as found,
        Lesson("unmanaged", found) as lesson,
        open_connection(found.endpoint.on("learners-own")) as unseen,
        lesson.connect() as connection,
    ):
        unseen.channel().queue_declare("theirs", auto_delete=True)
        unseen.channel().queue_declare("theirs alone", exclusive=True)
        channel = connection.channel()
        channel.queue_declare("ours alone", exclusive=True)
        for queue in ("theirs", "theirs alone", "ours alone", "nowhere"):
            channel.basic_publish("", queue, b"a")
        channel.queue_declare("ours alone", passive=True)
        assert lesson.take_stock(60.0)
        assert {message.queue: message.place for message in lesson.ledger()} == {
            "theirs": "waiting",
            "theirs alone": "waiting",
            "ours alone": "waiting",
            "nowhere": "unknown",
        }
        unseen.channel().queue_delete("theirs")
        connection.close()
        assert lesson.take_stock(60.0)
        places = {message.queue: message.place for message in lesson.ledger()}
        assert places == {"theirs": "unknown", "theirs alone": "waiting", "ours alone": "unknown", "nowhere": "unknown"}


def permit(broker: Broker, name: str, host: str, read: str) -> None:
    login = (broker.endpoint.username, broker.endpoint.password)
    with httpx.Client(base_url=broker.endpoint.management_url or "", auth=login) as client:
        permissions = {"configure": ".*", "write": ".*", "read": read}
        client.put(f"/api/permissions/{host}/{name}", json=permissions).raise_for_status()


def untag(broker: Broker, name: str, password: str) -> None:
    login = (broker.endpoint.username, broker.endpoint.password)
    with httpx.Client(base_url=broker.endpoint.management_url or "", auth=login) as client:
        client.put(f"/api/users/{name}", json={"password": password, "tags": ""}).raise_for_status()
