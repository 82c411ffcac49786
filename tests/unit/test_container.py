"""Docker that is not there, images that are not there, and the progress of those that come."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import docker.errors
import pytest
import requests.exceptions

from tests.fake_docker import HANG_UP, SAY_NOTHING, answer, odd_docker
from workq_helpers.broker import container, diagnose, docker_engine, own_container, removal, try_container
from workq_helpers.broker.container import ContainerServer
from workq_helpers.broker.ports import free_ports
from workq_helpers.broker.removal import leftovers, remove
from workq_helpers.broker.server import last_words
from workq_helpers.errors import BrokerStartError, DockerUnavailableError, ImageUnavailableError
from workq_helpers.rabbitmq import connecting
from workq_helpers.rabbitmq.endpoint import Endpoint

IMAGE = "rabbitmq:4.3-management"


def why_not_started() -> str:
    with pytest.raises(DockerUnavailableError) as caught:
        ContainerServer(IMAGE).start()
    assert "WORKQ_BROKER=node" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("host", ["nonsense", "carrier-pigeon://coop"])
def test_what_is_no_address_was_never_asked(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    text = why_not_started()
    assert f"Docker can't be used ({host}, which DOCKER_HOST names)" in text
    assert "nothing answers" not in text


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DOCKER_HOST", "tcp://127.0.0.1:99999", "Port out of range"),
        ("DOCKER_CERT_PATH", "/no/such", "certificate and key files"),
        ("DOCKER_CONFIG", "[]", "has no attribute"),
    ],
)
def test_what_dockers_library_makes_of_odd_settings_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, words: str
) -> None:
    monkeypatch.setattr(docker_engine, "_knock", lambda: None)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1" if variable == "DOCKER_CERT_PATH" else "")
    if variable == "DOCKER_CONFIG":
        (tmp_path / "config.json").write_text(value)
        value = str(tmp_path)
    monkeypatch.setenv(variable, value)
    text = why_not_started()
    assert words in text
    assert value in text
    assert ".. " not in text


@pytest.mark.parametrize(
    ("variable", "value"), [("TC_MAX_TRIES", "many"), ("TESTCONTAINERS_CONNECTION_MODE", "odd"), ("HOME", "{home}")]
)
def test_odd_settings_of_testcontainers_are_a_sentence_and_the_doctor_says_so(
    tmp_path: Path, variable: str, value: str
) -> None:
    (tmp_path / ".testcontainers.properties").write_bytes(b"ryuk.disabled=\xff")
    code = (
        "from workq_helpers.broker.doctor import diagnose\n"
        "from workq_helpers.broker.choice import BrokerChoice\n"
        "from workq_helpers.broker.folders import Folders\n"
        "from workq_helpers.broker.sources import start_server\n"
        "from workq_helpers.broker.server import silent\n"
        "from pathlib import Path\n"
        "environ = {'DOCKER_HOST': 'tcp://127.0.0.1:1', 'WORKQ_BROKER': 'docker'}\n"
        "print(next(f.found for f in diagnose(environ) if f.name == 'Docker'))\n"
        f"folders = Folders(Path({str(tmp_path)!r}), Path({str(tmp_path)!r}))\n"
        "try: start_server(BrokerChoice('docker'), folders, environ, silent, print)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    environ = os.environ | {variable: value.format(home=tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    found, raised = done.stdout.splitlines()
    assert "can't take its own settings: " in found
    assert raised.startswith("DockerUnavailableError testcontainers, by which Docker is used, can't take its own")
    assert "WORKQ_BROKER=node" in raised


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


def test_docker_is_not_installed(no_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    text = why_not_started()
    assert "Docker is not installed" in text
    assert "docs.docker.com/get-docker" in text


def test_docker_is_not_running(no_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "Docker does not run" in why_not_started()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(no_socket))
        text = why_not_started()
    assert "Docker does not run" in text
    assert "systemctl start docker" in text
    assert f"nothing answers at unix://{no_socket}, which DOCKER_HOST names" in text
    monkeypatch.setenv("DOCKER_HOST", "tcp://anna:s3cret@127.0.0.1:1")
    text = why_not_started()
    assert "s3cret" not in text
    assert "127.0.0.1:1" in text


def test_docker_hangs(no_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "ANSWER_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(no_socket))
        hanging.listen()
        text = why_not_started()
    assert f"does not answer in time (at unix://{no_socket}, which DOCKER_HOST names)" in text
    assert "systemctl restart docker" in text


IMAGE_QUESTION = "/images/"
FULL = "mkdir /var/lib/docker/overlay2/x: no space left on device"


@pytest.mark.parametrize("question", ["/version ", IMAGE_QUESTION])
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (SAY_NOTHING, "Docker takes connections and does not answer in time (at {at})"),
        (HANG_UP, "Docker hung up before it had answered, as it does while it stops or starts (at {at})"),
        (answer({"Id": "x"})[:-3], "Docker hung up before it had answered, as it does while it stops or starts"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "({at}): what answers there does not answer as Docker does"),
        (answer("<html>Welcome</html>"), "({at}): what answers there does not answer as Docker does"),
        (answer([]), "({at}): what answers there does not answer as Docker does"),
    ],
)
def test_a_docker_that_gives_no_answer_or_an_odd_one_is_a_sentence_and_the_doctor_says_so(
    no_socket: Path, monkeypatch: pytest.MonkeyPatch, question: str, said: bytes | None, words: str
) -> None:
    monkeypatch.setattr(docker_engine, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(own_container, "ANSWER_SECONDS", 0.2)
    monkeypatch.setenv("WORKQ_BROKER", "docker")
    with odd_docker(no_socket, {question: said}):
        text = why_not_started()
        found = next(each for each in diagnose(os.environ) if each.name == "Docker")
    assert words.format(at=f"unix://{no_socket}, which DOCKER_HOST names") in text
    assert (found.verdict, found.found) == ("bad", text)


@pytest.mark.parametrize("said", [answer({}, 201), answer("oops", 201), HANG_UP])
def test_what_docker_may_have_made_all_the_same_is_looked_for_and_the_reason_told(
    no_socket: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(removal, "COMING_SECONDS", 0.0)
    with odd_docker(no_socket, {IMAGE_QUESTION: answer({"Id": "x"}), "/containers/create": said}) as docker:
        text = why_not_started()
    assert "does not answer as Docker does" in text or "hung up before it had answered" in text
    assert re.search(r"GET /\S*/containers/workq-rabbitmq-\w+/json ", docker.asked[-1])


def test_a_pull_of_which_docker_says_nothing_ends(no_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "PULL_SECONDS", 0.2)
    answers = {"/images/create": SAY_NOTHING, IMAGE_QUESTION: answer({"message": "No such image"}, 404)}
    with odd_docker(no_socket, answers), pytest.raises(ImageUnavailableError) as caught:
        ContainerServer(IMAGE).start()
    assert "can't be pulled: Docker takes connections and does not answer in time. Look at" in str(caught.value)
    for thread in threading.enumerate():
        if thread.name == "Docker's pull":
            thread.join()


def test_a_name_that_no_image_can_have_is_told(no_socket: Path) -> None:
    answers = {IMAGE_QUESTION: answer({"message": "invalid reference format"}, 400)}
    with odd_docker(no_socket, answers), pytest.raises(ImageUnavailableError) as caught:
        ContainerServer("Bad:Name:x").start()
    assert "'Bad:Name:x' is not on this machine and can't be pulled: invalid reference format. Look" in str(
        caught.value
    )


def test_a_mistake_of_ours_among_questions_to_docker_keeps_its_traceback() -> None:
    with pytest.raises(KeyError), docker_engine.translated("do something"):
        raise KeyError("Id")


def test_a_full_disk_of_dockers_is_told_as_such(no_socket: Path) -> None:
    answers = {IMAGE_QUESTION: answer({"Id": "x"}), "/containers/create": answer({"message": FULL}, 500)}
    with odd_docker(no_socket, answers), pytest.raises(BrokerStartError) as caught:
        ContainerServer(IMAGE).start()
    assert f"{FULL}. Docker's disk is full: `docker system df` shows of what" in str(caught.value)
    assert "Or set WORKQ_BROKER=node" in str(caught.value)


def test_doctor_tries_what_docker_only_says_when_it_is_told_to_do_something(
    no_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKQ_BROKER_URL", raising=False)
    monkeypatch.setenv("WORKQ_BROKER", "docker")
    assert try_container() is None  # there is no Docker
    answers = {IMAGE_QUESTION: answer({"Id": "x"}), "/containers/create": answer({"message": FULL}, 500)}
    with odd_docker(no_socket, answers), pytest.raises(BrokerStartError, match="Docker's disk is full"):
        try_container()


def test_a_container_of_which_docker_says_nothing_counts_neither_as_up_nor_as_down(
    no_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_container, "LOOK_SECONDS", 0.2)
    server = ContainerServer(IMAGE)
    server._own._container = SimpleNamespace(_container=object())  # type: ignore[assignment]  # one was made
    assert server.is_running() is False  # there is no Docker that could run it
    with odd_docker(no_socket, {"/containers/": SAY_NOTHING}):
        assert server.is_running() is None
        assert server.logs() == ""
    no_socket.unlink()
    with odd_docker(no_socket, {"/containers/": answer({"message": "no such container"}, 404)}):
        assert server.is_running() is False


def test_docker_is_not_for_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        # As docker's library has it: the reason is an argument of an argument.
        inner = requests.exceptions.ConnectionError("Connection aborted.", PermissionError(13, "Permission denied"))
        raise docker.errors.DockerException(f"Error while fetching server API version: {inner}") from inner

    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setattr(docker, "from_env", refuse)
    text = why_not_started()
    assert "permission denied on its socket" in text
    assert "usermod -aG docker" in text


@pytest.mark.usefixtures("no_socket")
def test_leftovers_can_not_be_asked_for_without_docker() -> None:
    with pytest.raises(DockerUnavailableError):
        leftovers()
    with pytest.raises(DockerUnavailableError):
        remove("workq-rabbitmq-gone")


def test_a_server_that_was_not_started() -> None:
    server = ContainerServer(IMAGE)
    assert (server.source, server.description) == ("docker", f"Docker ({IMAGE})")
    assert server.name.startswith("workq-rabbitmq-")
    assert not server.is_running()
    assert server.logs() == ""
    server.stop()
    for deed in (server.restart, server.crash):
        with pytest.raises(BrokerStartError, match=r"was not started or is removed\. Open the lesson again"):
            deed()
    assert server._password not in repr(server)


def test_a_rabbitmq_that_runs_where_its_ports_lead_nowhere_is_told_apart_from_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the course runs in one container and asks the machine's Docker for another."""
    container_of_docker = SimpleNamespace(
        attrs={"State": {"Running": True}},
        reload=lambda: None,
        exec_run=lambda _command: (0, b""),
        logs=lambda tail: b"completed with 4 plugins\nServer startup complete; 4 plugins started.\n"[-40 * tail :],
    )
    server = ContainerServer(IMAGE)
    monkeypatch.setattr(container, "REACH_SECONDS", 0.1)
    monkeypatch.setattr(server._own, "handle", lambda: container_of_docker)
    monkeypatch.setattr(connecting, "accepts", lambda _endpoint: False)
    [port] = free_ports(1)
    endpoint = Endpoint("127.0.0.1", port, "ada", "secret")
    with pytest.raises(BrokerStartError, match=rf"runs in a container .*127\.0\.0\.1:{port} does not lead to it"):
        server._wait_until_it_accepts(endpoint, first=True)
    with socket.create_server(("127.0.0.1", port)):  # somebody listens there: it may be RabbitMQ, yet
        assert not server._is_reached(endpoint)


def test_logins_are_made_up_and_differ() -> None:
    first, second = ContainerServer(IMAGE), ContainerServer(IMAGE)
    assert first._password != second._password
    assert len(first._password) >= 24


class FakeDocker:
    """A Docker client without images, which pulls what it is told to."""

    def __init__(self, *lines: dict[str, Any] | Exception) -> None:
        self.images = self.api = self
        self.pulled: list[tuple[str, str]] = []
        self._lines = lines

    def get(self, image: str) -> None:
        raise docker.errors.ImageNotFound(image)

    def pull(self, repository: str, tag: str, stream: bool, decode: bool) -> Any:
        assert stream
        assert decode
        self.pulled.append((repository, tag))
        for line in self._lines:
            if isinstance(line, Exception):
                raise line
            yield line


def pull(client: FakeDocker, image: str) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []

    def progress(text: str, done: int = 0, total: int = 0) -> None:
        told.append((text, done, total))

    docker_engine.pull_if_missing(client, image, progress)  # type: ignore[arg-type]  # a fake
    return told


def layer(name: str, current: int, total: int, status: str = "Downloading") -> dict[str, Any]:
    return {"status": status, "id": name, "progressDetail": {"current": current, "total": total}}


def test_a_pull_tells_how_far_it_is() -> None:
    client = FakeDocker(
        {"status": "Pulling from library/rabbitmq", "id": "4.3-management"},
        layer("a", 10, 100),
        layer("b", 50, 50),
        {"status": "Download complete", "id": "a", "progressDetail": {}},
        layer("a", 7, 300, status="Extracting"),
        {"status": "Pull complete", "id": "b"},
    )
    told = pull(client, IMAGE)
    assert client.pulled == [("rabbitmq", "4.3-management")]
    assert {text for text, *_ in told} == {f"Pulling the image {IMAGE}"}
    assert [counts for _, *counts in told] == [[0, 0], [10, 100], [60, 150], [150, 150], [150, 150], [150, 150]]


def test_an_image_without_a_tag_is_the_latest() -> None:
    client = FakeDocker()
    pull(client, "registry.example:5000/rabbit")
    assert client.pulled == [("registry.example:5000/rabbit", "latest")]


@pytest.mark.parametrize(
    "line",
    [
        {"error": "manifest unknown"},
        docker.errors.APIError("500 Server Error", explanation="manifest unknown"),
        requests.exceptions.ConnectionError("manifest unknown"),
    ],
)
def test_an_image_that_can_not_be_pulled(line: Any) -> None:
    with pytest.raises(ImageUnavailableError) as caught:
        pull(FakeDocker(layer("a", 1, 2), line), "rabbitmq:nope")
    text = str(caught.value)
    assert "'rabbitmq:nope'" in text
    assert "manifest unknown" in text
    assert "WORKQ_RABBITMQ_IMAGE" in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (requests.exceptions.ReadTimeout("pool"), "Docker takes connections and does not answer in time. Look at"),
        ({"error": FULL}, f"{FULL}. Docker's disk is full: `docker system df` shows of what"),
    ],
)
def test_what_is_wrong_with_neither_name_nor_network_of_an_image_is_told(line: Any, words: str) -> None:
    with pytest.raises(ImageUnavailableError) as caught:
        pull(FakeDocker(line), IMAGE)
    assert words in str(caught.value)


def test_the_last_words_of_a_rabbitmq_that_could_not_boot() -> None:
    report = [f"[error]     reductions: {number}" for number in range(60)]
    logged = "\n".join(["starting", "[error] no such setting: x", "", "Error during startup: {x}", *report])
    assert last_words(logged) == ["starting", "[error] no such setting: x", "Error during startup: {x}"]
    assert last_words("a\n\nb\n") == ["a", "b"]
    assert len(last_words("\n".join(report))) == 20
