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
from tests.anywhere.docker import ROOT, Container, docker, put_course_in
from tests.conftest import poll_for
from tests.support import need
from workq_helpers.broker.ports import free_ports
from workq_helpers.lessons import CHAPTERS

IMAGE = "workq-rabbitmq:4.3"

#: Its first process is a shell that hears no signal: a stop would be a kill after the minute that Compose waits. This
#: one does as the official image's does: RabbitMQ's own script is first, and stops properly.
SERVER = [
    *("env", "HOME=/var/lib/rabbitmq"),
    *("setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"),
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
]
UP_SECONDS = 300.0
LESSONS_SECONDS = 2400.0
SECONDS_PER_DOT = "0.05"

#: What a lesson says where RabbitMQ is to be restarted; a command follows.
ASKED = "Type this now"

LESSONS = [path.relative_to(ROOT) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
assert LESSONS, "no lesson, no test"
TITLES = [chapter.title for chapter in CHAPTERS]
assert len(TITLES) == len(LESSONS)

NODES = {"rabbit@rabbitmq", "rabbit@rabbitmq-2", "rabbit@rabbitmq-3"}


class Compose:
    """A fresh copy of the course, in which somebody types what the README says; ports, volumes and names are its own.

    Args:
        folder: Where the copy goes.
        **variables: What Compose is told besides.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.course = put_course_in(folder)
        self.name = f"workq-test-{os.getpid()}"
        self.amqp, self.management, self.lab = free_ports(3)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKQ_", "COMPOSE_"))}
        self._environ = kept | {
            "COMPOSE_PROJECT_NAME": self.name,
            "WORKQ_AMQP_PORT": str(self.amqp),
            "WORKQ_MANAGEMENT_PORT": str(self.management),
            "WORKQ_LAB_PORT": str(self.lab),
            "DOCKER_BUILDKIT": "0",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's 0 is "no isolation"
            **variables,
        }

    def type(self, command: str) -> str:
        """Run a command as it is typed in the course's folder, and return what it says."""
        # Docker's plugin is not installed everywhere; .ci/compose has it, and must itself see the real docker.
        plugin = f'docker() {{ [ "$1" = compose ] && {ROOT}/.ci/compose "${{@:2}}"; }}; '
        make = f'make() {{ command make COMPOSE={ROOT}/.ci/compose "$@"; }}; '
        done = subprocess.run(
            ["bash", "-euc", plugin + make + command],
            cwd=self.course,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UP_SECONDS,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        return done.stdout

    def take(self, *command: str, environ: dict[str, str] | None = None) -> str:
        """Run `tests.anywhere.play`, type what the lesson asks for, and return what it said."""
        said: list[str] = []
        with subprocess.Popen(
            command,
            cwd=self.course,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as playing:
            assert playing.stdout is not None
            for line in playing.stdout:
                said.append(line)
                if line.startswith(ASKED):
                    self.type(line.rpartition(": ")[2])
        assert playing.returncode == 0, "".join(said)[-8000:]
        return "".join(said)

    @property
    def secrets(self) -> dict[str, str]:
        """What .env says, once there is one."""
        lines = (self.course / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line[0] != "#")

    def lesson_environ(self) -> dict[str, str]:
        """Return what a shell has after the README's line, but for the ports, which are the test's own."""
        said = self.type("set -a; . ./.env; set +a; env -0")
        environ = dict(line.split("=", 1) for line in said.split("\0") if "=" in line)
        assert environ["WORKQ_BROKER_URL"] == self.url.replace(f":{self.amqp}/", ":5672/")
        return environ | {
            "WORKQ_BROKER_URL": self.url,
            "WORKQ_MANAGEMENT_URL": self.management_url,
            "WORKQ_DATA_DIR": str(self.course / "data"),
            "WORKQ_SECONDS_PER_DOT": SECONDS_PER_DOT,
        }

    @property
    def management_url(self) -> str:
        """Where its management API is."""
        return f"http://127.0.0.1:{self.management}"

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
        answer = httpx.get(f"{self.management_url}/api/{path}", auth=login, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def left(self) -> str:
        """Return what there is of it."""
        mine = f"--filter=label=com.docker.compose.project={self.name}"
        kinds = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return "".join(docker(*kind, "--quiet", mine) for kind in kinds)


def came_to_its_end(said: str, title: str) -> None:
    """Look whether a lesson's checks have passed, and whether it had RabbitMQ restarted."""
    assert re.search(rf"^✔ {title}: seen\b", said, re.MULTILINE), said
    if title == "Durability":
        assert said.count("RabbitMQ went down and came back.") == 5, said
        asked = {line.rpartition(": ")[2] for line in said.splitlines() if line.startswith(ASKED)}
        assert asked == {
            "docker compose restart rabbitmq",
            "docker compose kill rabbitmq && docker compose start rabbitmq",
        }


@pytest.fixture(scope="module")
def server_image() -> Iterator[str]:
    """RabbitMQ in an image that can be stopped."""
    need(shutil.which("docker"), "no Docker to run docker-compose.yml with: .ci/run installs one")
    name = f"workq-compose-rabbitmq:{os.getpid()}"
    container = docker("create", IMAGE)
    try:
        docker("commit", f"--change=CMD {json.dumps(SERVER)}", container, name)
    finally:
        docker("rm", container)
    yield name
    docker("image", "rm", name)


@pytest.fixture
def compose(tmp_path: Path, server_image: str, request: pytest.FixtureRequest) -> Iterator[Compose]:
    """A project that is gone afterwards, with its volumes."""
    base = {"WORKQ_LAB_BASE": request.getfixturevalue("image")} if "lab" in request.node.name else {}
    project = Compose(tmp_path / "course", WORKQ_RABBITMQ_IMAGE=server_image, **base)
    try:
        yield project
    finally:
        if (project.course / ".env").exists():
            project.type("docker compose --profile='*' down --volumes")
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


@pytest.mark.nightly
@pytest.mark.timeout(UP_SECONDS)
def test_one_node_keeps_what_is_durable(compose: Compose) -> None:
    said = compose.type("make up")
    assert ".env holds new passwords, which only you can read" in said
    assert compose.secrets["WORKQ_RABBITMQ_PASSWORD"] not in said
    (state,) = json.loads(docker("inspect", compose.service("rabbitmq").name))
    assert state["State"]["Health"]["Status"] == "healthy"
    bound = [binding for bindings in state["NetworkSettings"]["Ports"].values() for binding in bindings or []]
    assert {binding["HostIp"] for binding in bound} == {"127.0.0.1"}
    assert len(bound) == 2
    assert [user["name"] for user in compose.ask("users")] == ["workq"]  # type: ignore[attr-defined]

    # The README's line, but for the ports, which are the test's own, and a JupyterLab that only tells its version.
    ports = (
        f"WORKQ_BROKER_URL=${{WORKQ_BROKER_URL/:5672/:{compose.amqp}}} WORKQ_MANAGEMENT_URL={compose.management_url}"
    )
    lab = f"make --old-file=setup lab BIN={Path(sys.executable).parent} LAB_ARGS=--version"
    said = compose.type(f"set -a; . ./.env; set +a; {ports} {lab}")
    assert re.search(rf"RabbitMQ 4\.\S+ · \S*127\.0\.0\.1:{compose.amqp}\b.* · up\n", said), said
    assert compose.secrets["WORKQ_RABBITMQ_PASSWORD"] not in said

    with compose.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("task_queue", durable=True)
        properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        for number in range(5):
            channel.basic_publish("", "task_queue", str(number).encode(), properties)
    compose.type("docker compose restart rabbitmq")
    compose.type("docker compose down")  # the container goes, the volume stays
    compose.type("docker compose up --wait")
    with compose.connect() as connection:
        assert connection.channel().queue_declare("task_queue", passive=True).method.message_count == 5
    compose.type("docker compose down --volumes")
    assert compose.left() == ""


def test_without_passwords_it_says_how_to_get_some(tmp_path: Path) -> None:
    need(shutil.which("docker"), "no Docker to run docker-compose.yml with: .ci/run installs one")
    compose = Compose(tmp_path / "course")
    with pytest.raises(AssertionError, match=r"is missing; `make up` writes it to the file \.env"):
        compose.type("docker compose up --wait")


@pytest.mark.nightly
@pytest.mark.timeout(LESSONS_SECONDS)
def test_every_lesson_runs_on_one_node(compose: Compose) -> None:
    compose.type("make up")
    take_every_lesson(compose)


@pytest.mark.nightly
@pytest.mark.timeout(LESSONS_SECONDS)
def test_every_lesson_runs_on_a_cluster(compose: Compose) -> None:
    compose.type('make up UP="--profile cluster"')
    assert {node["name"] for node in compose.ask("nodes")} == NODES  # type: ignore[attr-defined]
    a_quorum_queue_outlives_a_node(compose)
    compose.type("docker compose --profile cluster up --wait")
    take_every_lesson(compose)


def take_every_lesson(compose: Compose) -> None:
    """Take each lesson on this machine, with its exercises."""
    environ = compose.lesson_environ()
    for lesson, title in zip(LESSONS, TITLES, strict=True):
        said = compose.take(sys.executable, "-m", "tests.anywhere.play", str(lesson), "--solve", environ=environ)
        came_to_its_end(said, title)
        assert ", left: " not in said


def a_quorum_queue_outlives_a_node(compose: Compose) -> None:
    """Kill one node of three, and look whether a queue with a copy on each is still there."""
    with compose.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("tasks", durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(5):
            channel.basic_publish("", "tasks", str(number).encode())
        members = compose.service("rabbitmq").run("rabbitmqctl", "--quiet", "list_queues", "name", "members")
        assert set(re.findall(r"rabbit@[\w-]+", members)) == NODES
        docker("kill", compose.service("rabbitmq-3").name)
        poll_for(lambda: not all(node["running"] for node in compose.ask("nodes")))  # type: ignore[attr-defined]
        channel.basic_publish("", "tasks", b"5")  # confirmed: two of three are enough
        got = [channel.basic_get("tasks", auto_ack=True)[2] for _ in range(6)]
    assert got == [str(number).encode() for number in range(6)]


@pytest.mark.nightly
@pytest.mark.timeout(LESSONS_SECONDS)
def test_every_lesson_runs_inside_the_lab(compose: Compose) -> None:
    compose.type('make up UP="--profile lab"')
    token = {"Authorization": f"token {compose.secrets['WORKQ_LAB_TOKEN']}"}
    answer = httpx.get(f"http://127.0.0.1:{compose.lab}/api/contents/notebooks", headers=token, timeout=20)
    assert "00_start_here.ipynb" in {file["name"] for file in answer.json()["content"]}
    lab = compose.service("lab")
    assert lab.port(8888) == compose.lab
    assert lab.user_ids() == {"1000"}
    assert lab.run("sh", "-c", "ls -d .env .venv .git 2>/dev/null || echo none") == "none"
    for lesson, title in zip(LESSONS, TITLES, strict=True):
        inside = ["docker", "exec", "--env", f"WORKQ_SECONDS_PER_DOT={SECONDS_PER_DOT}", lab.name]
        came_to_its_end(compose.take(*inside, "python", "-m", "tests.anywhere.play", str(lesson)), title)
