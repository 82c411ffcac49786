"""docker-compose.yml: one node that keeps what is durable, a cluster of three, and JupyterLab beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pika
import pytest

from scripts import compose_env
from tests.anywhere.docker import ROOT, Container, docker
from tests.conftest import poll_for
from tests.support import need
from workq_helpers.broker.ports import free_ports

IMAGE = "workq-rabbitmq:4.3"
UP_SECONDS = 300.0


class Compose:
    """A project of docker-compose.yml with ports, volumes and passwords of its own.

    Args:
        folder: Where its .env goes.
        **variables: What .env says besides.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.name = f"workq-test-{os.getpid()}"
        self.amqp, self.management, self.lab = free_ports(3)
        self._file = folder / ".env"
        assert compose_env.write(self._file)
        self.secrets = dict(line.split("=", 1) for line in self._file.read_text().splitlines() if line[0] != "#")
        ours = {
            "WORKQ_RABBITMQ_IMAGE": IMAGE,
            "WORKQ_AMQP_PORT": str(self.amqp),
            "WORKQ_MANAGEMENT_PORT": str(self.management),
            "WORKQ_LAB_PORT": str(self.lab),
        }
        with self._file.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in (ours | variables).items())

    def __call__(self, *arguments: str) -> str:
        """Run a command of Compose's and return what it says."""
        command = [ROOT / ".ci" / "compose", f"--project-name={self.name}", f"--env-file={self._file}"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("WORKQ_", "COMPOSE_"))}
        environ |= {"DOCKER_BUILDKIT": "0", "PIP_NO_BUILD_ISOLATION": "0"}  # pip's 0 is "no isolation"
        done = subprocess.run(
            [*map(str, command), *arguments],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UP_SECONDS,
        )
        assert done.returncode == 0, (
            f"compose {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        )
        return done.stdout

    @property
    def url(self) -> str:
        """The broker's address, with the password."""
        return f"amqp://workq:{self.secrets['WORKQ_RABBITMQ_PASSWORD']}@127.0.0.1:{self.amqp}/"

    def service(self, name: str) -> Container:
        return Container(f"{self.name}-{name}-1")

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.url))

    def ask(self, path: str) -> object:
        """Ask the management API."""
        login = ("workq", self.secrets["WORKQ_RABBITMQ_PASSWORD"])
        answer = httpx.get(f"http://127.0.0.1:{self.management}/api/{path}", auth=login, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def left(self) -> str:
        """Return what there is of it."""
        mine = f"--filter=label=com.docker.compose.project={self.name}"
        kinds = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return "".join(docker(*kind, "--quiet", mine) for kind in kinds)


@pytest.fixture
def compose(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Compose]:
    """A project that is gone afterwards, with its volumes."""
    need(shutil.which("docker"), "no Docker to run docker-compose.yml with: .ci/run installs one")
    wanted = "image" if "lab" in request.node.name else None
    base = {"WORKQ_LAB_BASE": request.getfixturevalue("image")} if wanted else {}
    project = Compose(tmp_path, **base)
    try:
        yield project
    finally:
        project("--profile=*", "down", "--volumes")
        for built in docker("image", "ls", "--quiet", f"{project.name}-lab").split():
            docker("image", "rm", built)
    assert project.left() == ""


def test_passwords_are_new_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert compose_env.write(first)
    assert compose_env.write(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    text = first.read_text()
    assert text != second.read_text()
    assert not compose_env.write(first)
    assert first.read_text() == text


@pytest.mark.timeout(UP_SECONDS)
def test_one_node_runs_a_lesson_and_keeps_what_is_durable(compose: Compose, tmp_path: Path) -> None:
    compose("up", "--wait")
    (state,) = json.loads(docker("inspect", compose.service("rabbitmq").name))
    assert state["State"]["Health"]["Status"] == "healthy"
    bound = [binding for bindings in state["NetworkSettings"]["Ports"].values() for binding in bindings or []]
    assert {binding["HostIp"] for binding in bound} == {"127.0.0.1"}
    assert len(bound) == 2
    assert [user["name"] for user in compose.ask("users")] == ["workq"]  # type: ignore[attr-defined]

    lesson = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/notebooks", "-k", "01_round_robin"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WORKQ_")} | {
        "WORKQ_BROKER_URL": compose.url,
        "WORKQ_MANAGEMENT_URL": f"http://127.0.0.1:{compose.management}",
    }
    ran = subprocess.run(lesson, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-8000:]

    with compose.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("task_queue", durable=True)
        properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        for number in range(5):
            channel.basic_publish("", "task_queue", str(number).encode(), properties)
    compose("restart")
    compose("up", "--wait")
    compose("down")  # the container goes, the volume stays
    compose("up", "--wait")
    with compose.connect() as connection:
        assert connection.channel().queue_declare("task_queue", passive=True).method.message_count == 5
    compose("down", "--volumes")
    assert compose.left() == ""


@pytest.mark.timeout(UP_SECONDS)
def test_make_up_makes_passwords_and_starts_one_node(compose: Compose, tmp_path: Path) -> None:
    course = tmp_path / "course"
    for needed in ("Makefile", "docker-compose.yml", "scripts/compose_env.py", "compose/cluster.conf"):
        (course / needed).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / needed, course / needed)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WORKQ_", "COMPOSE_"))} | {
        "WORKQ_RABBITMQ_IMAGE": IMAGE,
        "WORKQ_AMQP_PORT": str(compose.amqp),
        "WORKQ_MANAGEMENT_PORT": str(compose.management),
    }
    command = ["make", "up", f"COMPOSE={ROOT / '.ci' / 'compose'} --project-name={compose.name}"]
    done = subprocess.run(command, cwd=course, env=environ, capture_output=True, text=True, timeout=UP_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ".env holds new passwords, which only you can read" in done.stdout
    (url,) = re.findall(r"^WORKQ_BROKER_URL=(.+)$", (course / ".env").read_text(), re.MULTILINE)
    with pika.BlockingConnection(pika.URLParameters(url.replace(":5672/", f":{compose.amqp}/"))) as connection:
        assert connection.is_open


@pytest.mark.timeout(UP_SECONDS)
def test_a_cluster_keeps_a_quorum_queue_when_a_node_is_killed(compose: Compose) -> None:
    compose("--profile=cluster", "up", "--wait")
    nodes = {"rabbit@rabbitmq", "rabbit@rabbitmq-2", "rabbit@rabbitmq-3"}
    assert {node["name"] for node in compose.ask("nodes")} == nodes  # type: ignore[attr-defined]
    with compose.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("tasks", durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(5):
            channel.basic_publish("", "tasks", str(number).encode())
        members = compose.service("rabbitmq").run("rabbitmqctl", "--quiet", "list_queues", "name", "members")
        assert set(re.findall(r"rabbit@[\w-]+", members)) == nodes
        docker("kill", compose.service("rabbitmq-3").name)
        poll_for(lambda: not all(node["running"] for node in compose.ask("nodes")))  # type: ignore[attr-defined]
        channel.basic_publish("", "tasks", b"5")  # confirmed: two of three are enough
        got = [channel.basic_get("tasks", auto_ack=True)[2] for _ in range(6)]
    assert got == [str(number).encode() for number in range(6)]


@pytest.mark.timeout(UP_SECONDS)
def test_the_lab_has_the_course_inside(compose: Compose) -> None:
    compose("--profile=lab", "up", "--wait", "--build")
    token = {"Authorization": f"token {compose.secrets['WORKQ_LAB_TOKEN']}"}
    answer = httpx.get(f"http://127.0.0.1:{compose.lab}/api/contents/notebooks", headers=token, timeout=20)
    assert "00_start_here.ipynb" in {file["name"] for file in answer.json()["content"]}
    lab = compose.service("lab")
    assert lab.port(8888) == compose.lab
    assert lab.user_ids() == {"1000"}
    assert lab.run("sh", "-c", "ls -d .env .venv .git 2>/dev/null || echo none") == "none"
    said = lab.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/notebooks", "-k", "00_start_here")
    assert re.search(r"^\d+ passed", said, re.MULTILINE), said
