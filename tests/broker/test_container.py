"""A RabbitMQ of our own in a container, from its first start to what is left of it."""

from __future__ import annotations

import contextlib
import io
import math
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.containers
import pika
import pytest
import requests
from packaging.version import Version
from testcontainers.core.config import testcontainers_config

from tests.support import need
from workq_helpers import Lesson, find_broker
from workq_helpers.broker import container, docker_engine, docker_socket, removal, try_container
from workq_helpers.broker.choice import DEFAULT_IMAGE
from workq_helpers.broker.container import ContainerServer
from workq_helpers.broker.ports import free_ports
from workq_helpers.broker.removal import SUPERVISOR_LABEL, leftovers, remove
from workq_helpers.errors import BrokerStartError, ImageUnavailableError, PortTakenError
from workq_helpers.rabbitmq import connecting
from workq_helpers.rabbitmq.connecting import open_connection, probe
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.errors import TransientQueuesDeniedError
from workq_helpers.rabbitmq.features import ADVANCED_CONFIG, Features
from workq_helpers.rabbitmq.management import Management
from workq_helpers.rabbitmq.translation import translate
from workq_helpers.rabbitmq.url import address_of
from workq_helpers.waiting import wait_until

IMAGE = os.environ.get("WORKQ_RABBITMQ_IMAGE") or DEFAULT_IMAGE


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.DockerClient]:
    """Docker, where these tests are asked for and it has the image; without Ryuk, which would outlive a test."""
    monkeypatch.setattr(testcontainers_config, "_ryuk_disabled", True)
    if os.environ.get("WORKQ_BROKER", "docker") != "docker":
        pytest.skip(f"WORKQ_BROKER is {os.environ['WORKQ_BROKER']}, so Docker is not to be used")
    need(not docker_socket.why_unavailable(os.environ), "Docker does not run")
    with docker_engine.client() as found:
        try:
            found.images.get(IMAGE)
        except docker.errors.ImageNotFound:
            need(False, f"the image {IMAGE} is not here")
        yield found


def ports_of(client: docker.DockerClient, server: ContainerServer) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = client.containers.get(server.name).attrs["NetworkSettings"]["Ports"]
    return {port: bound for port, bound in bindings.items() if bound}


def send_persistent(endpoint: Endpoint, queue: str, count: int) -> None:
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True)
        for _ in range(count):
            channel.basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2))


def receive_all(endpoint: Endpoint, queue: str) -> int:
    with open_connection(endpoint) as connection:
        return int(connection.channel().queue_purge(queue).method.message_count)


def test_the_life_of_a_container(client: docker.DockerClient) -> None:
    server = ContainerServer(IMAGE)
    told: list[str] = []
    with closing(client):
        endpoint = server.start(lambda text, *_: told.append(text))
        try:
            # Up, on loopback alone, and marked as ours.
            assert told[-1] == f"Starting RabbitMQ in Docker ({IMAGE})"
            assert server.is_running()
            bound = ports_of(client, server)
            assert set(bound) == {"5672/tcp", "15672/tcp"}
            assert {each["HostIp"] for ports in bound.values() for each in ports} == {"127.0.0.1"}
            name = server.name
            assert leftovers()[name] == os.getpid()
            assert endpoint.password not in repr(endpoint) + repr(server) + server.logs()
            with Management(endpoint) as api:
                assert api.is_administrator()
                assert Features.ask(api.version(), api).transient_queues
            # A restart is graceful and keeps data, login and ports.
            send_persistent(endpoint, "task_queue", 5)
            server.restart()
            assert "SIGTERM received - shutting down" in server.logs()
            assert receive_all(endpoint, "task_queue") == 5
            # So does a crash, but for the farewell.
            send_persistent(endpoint, "task_queue", 3)
            server.crash()
            assert server.logs().count("SIGTERM received - shutting down") == 1
            assert receive_all(endpoint, "task_queue") == 3
            assert ports_of(client, server) == bound
            # Killed by somebody else, it can be restarted and crashed all the same.
            client.containers.get(name).kill()
            client.containers.get(name).wait(timeout=30)
            assert not server.is_running()
            server.restart()
            client.containers.get(name).kill()
            server.crash()
            assert probe(endpoint) >= Version("3.10")
            volumes = {mount["Name"] for mount in client.containers.get(name).attrs["Mounts"]}
        finally:
            server.stop()
        assert not server.is_running()
        assert name not in leftovers()
        assert not volumes & {volume.name for volume in client.volumes.list()}
    server.stop()


DENY = ADVANCED_CONFIG.replace("transient_nonexcl_queues => true", "transient_nonexcl_queues => false")


def test_a_broker_that_denies_transient_queues_after_one_clash_of_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DENY != ADVANCED_CONFIG
    with socket.create_server(("127.0.0.1", 0)) as taken:
        offers = [(taken.getsockname()[1], *free_ports(1)), free_ports(2)]
        monkeypatch.setattr(container, "free_ports", lambda _count: offers.pop(0))
        server = ContainerServer(IMAGE, advanced_config=DENY)
        endpoint = server.start()
    try:
        assert offers == []
        check_denial(endpoint)
        if probe(endpoint) >= Version("4.3"):
            check_that_a_denied_worker_ends(endpoint)
    finally:
        server.stop()


def check_denial(endpoint: Endpoint) -> None:
    with Management(endpoint) as api:
        features = Features.ask(api.version(), api)
    connection = open_connection(endpoint)
    if not features.transient_queues_can_be_denied:
        connection.channel().queue_declare("hello")  # it doesn't know that it could deny them
        connection.close()
        return
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker) as caught:
        connection.channel().queue_declare("hello")
    error = translate(caught.value, endpoint=endpoint, queue="hello")
    assert type(error) is TransientQueuesDeniedError
    assert isinstance(error, pika.exceptions.ConnectionClosedByBroker)
    assert "queue 'hello' was declared (541 INTERNAL_ERROR" in str(error)
    assert "durable=True" in str(error)
    if features.version >= Version("4.3"):
        assert not features.transient_queues


def check_that_a_denied_worker_ends(endpoint: Endpoint) -> None:
    """Whatever the callback makes of it, and whoever of its threads has asked."""

    def declare(ch: Any, *_: Any) -> None:
        with contextlib.suppress(pika.exceptions.AMQPError):
            ch.queue_declare("fleeting")

    def leave_it_to_another(ch: Any, method: Any, *_: Any) -> None:
        ch.connection.add_callback_threadsafe(lambda: ch.queue_declare("fleeting"))

    environ = {"WORKQ_BROKER_URL": address_of(endpoint), "WORKQ_MANAGEMENT_URL": endpoint.management_url or ""}
    with find_broker(environ=environ) as broker, Lesson("denied", broker) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare("hello", durable=True)
        for callback in (declare, leave_it_to_another):
            worker = lesson.start_worker(callback, "hello")
            lesson.start_publisher("a", "hello").wait()
            assert wait_until(lambda worker=worker: not worker.alive, 30.0)
            assert worker.state == "crashed"
            assert "transient_nonexcl_queues" in worker.console.text
            lesson.purge("hello")
        assert not [event for event in lesson.log if event.kind == "reconnecting"]


def nothing_left(server: ContainerServer) -> bool:
    return not server.is_running() and server.name not in leftovers()


def test_ports_that_stay_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = ContainerServer(IMAGE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(container, "free_ports", lambda _count: (port, *free_ports(1)))
            with pytest.raises(PortTakenError, match=rf"took port {port} or .*127\.0\.0\.1.*try again"):
                server.start()
    assert nothing_left(server)


def test_a_rabbitmq_that_does_not_boot_shows_the_end_of_its_log() -> None:
    server = ContainerServer(IMAGE, settings="no_such_key = 1\n")
    with pytest.raises(BrokerStartError, match=r"ended with exit status .*WORKQ_RABBITMQ_IMAGE") as caught:
        server.start()
    assert type(caught.value) is BrokerStartError
    assert "no_such_key" in str(caught.value)
    assert str(caught.value).endswith("Error during startup: {error,failed_to_prepare_configuration}")
    assert nothing_left(server)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("ENV PATH=/usr/bin:/bin\nENTRYPOINT sleep 600", "has no RabbitMQ in it: there is no command rabbitmqctl"),
        ("ENTRYPOINT sleep 600", "runs no RabbitMQ, but .*sleep 600"),
        ("ENV RABBITMQ_NODE_PORT=5673", "is up, and nothing there listens at port 5672, only at .*5673"),
        ("ENV RABBITMQ_CONFIG_FILES=/no RABBITMQ_CONFIG_FILE=/no/such", "refuses the login that the course put into"),
    ],
    ids=["no RabbitMQ", "another program", "another port", "another configuration"],
)
def test_what_runs_on_and_is_no_rabbitmq_of_the_course_is_told_by_what_it_is(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, lines: str, words: str
) -> None:
    monkeypatch.setattr(container, "REACH_SECONDS", 1.0)
    monkeypatch.setattr(container, "BOOT_SECONDS", math.inf)
    image, _ = client.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\n{lines}\n".encode()), rm=True)
    server = ContainerServer(str(image.id))
    try:
        with pytest.raises(BrokerStartError, match=words) as caught:
            server.start()
    finally:
        client.images.remove(image.id, force=True)
    assert "WORKQ_RABBITMQ_IMAGE" in str(caught.value)
    assert nothing_left(server)


def test_an_image_that_is_nowhere() -> None:
    server = ContainerServer("workq-no-such-image:0")
    with pytest.raises(ImageUnavailableError, match=r"'workq-no-such-image:0'.*WORKQ_RABBITMQ_IMAGE"):
        server.start()
    assert nothing_left(server)


def test_doctor_starts_a_container_and_ends_it(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKQ_BROKER", "docker")
    monkeypatch.setenv("WORKQ_RABBITMQ_IMAGE", IMAGE)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    finding = try_container()
    assert finding is not None
    assert finding.verdict == "ok"
    assert "the broker's own counts: yes" in finding.found
    ours = client.containers.list(all=True, filters={"label": removal.FOLDER_LABEL}, ignore_removed=True)
    assert [each.name for each in ours if str(tmp_path) in each.labels[removal.FOLDER_LABEL]] == []
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_endpoint: Endpoint) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(connecting, "accepts", interrupt)
    server = ContainerServer(IMAGE)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert nothing_left(server)


def test_a_container_that_docker_can_not_remove_at_first_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [busy(), busy()]
    remove = docker.models.containers.Container.remove

    def reluctant(container: docker.models.containers.Container, **options: object) -> None:
        if refusals:
            raise refusals.pop()
        remove(container, **options)

    server = ContainerServer(IMAGE)
    server._create()
    monkeypatch.setattr(docker.models.containers.Container, "remove", reluctant)
    server.stop()
    assert nothing_left(server)
    server.stop()  # once more is no error


def test_a_container_that_docker_can_not_remove_is_named_and_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise busy()

    server = ContainerServer(IMAGE)
    server._create()
    with monkeypatch.context() as refusing:
        refusing.setattr(docker.models.containers.Container, "remove", refuse)
        refusing.setattr(removal, "REMOVAL_SECONDS", 0.0)
        with pytest.raises(BrokerStartError, match="could not remove a container: device or resource busy"):
            server.stop()
    assert server.name in leftovers()
    server.stop()
    assert nothing_left(server)


def busy() -> docker.errors.APIError:
    """Return what Docker answers while something else still has the container's files."""
    response = requests.Response()
    response.status_code = 500
    return docker.errors.APIError("500 Server Error", response, "device or resource busy")


def test_what_a_dead_supervisor_left_can_be_found_and_removed(client: docker.DockerClient) -> None:
    name = f"workq-rabbitmq-test-{os.getpid()}"
    client.containers.create(IMAGE, name=name, labels={SUPERVISOR_LABEL: "4711"})
    try:
        assert leftovers()[name] == 4711
    finally:
        remove(name)
    assert name not in leftovers()
    remove(name)
