"""Where Docker is looked for: where `docker` itself would, and nowhere else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workq_helpers.broker import docker_socket
from workq_helpers.broker.docker_engine import has_image
from workq_helpers.broker.docker_socket import adopt, docker_place, why_unavailable
from workq_helpers.errors import DockerUnavailableError


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder, short enough for sockets, on a machine whose usual socket is not there."""
    with tempfile.TemporaryDirectory(prefix="wq-") as folder:
        monkeypatch.setattr(docker_socket, "_DEFAULT_SOCKET", f"{folder}/default.sock")
        monkeypatch.setattr(docker_socket, "_adopted", None)
        yield Path(folder)


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": str(home)}


def make_context(home: Path, name: str, endpoint: dict[str, Any]) -> Path:
    identity = hashlib.sha256(name.encode()).hexdigest()
    folder = home / ".docker" / "contexts" / "meta" / identity
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    return home / ".docker" / "contexts" / "tls" / identity / "docker"


def use(home: Path, name: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


@contextlib.contextmanager
def listening(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        yield


def test_by_itself_it_is_the_usual_socket(home: Path, environ: dict[str, str]) -> None:
    assert docker_place(environ).host == f"unix://{home}/default.sock"
    assert "Docker is not installed" in why_unavailable(environ)
    with listening(home / "default.sock"):
        assert why_unavailable(environ) == ""


def test_the_context_that_was_chosen_names_the_socket(home: Path, environ: dict[str, str]) -> None:
    make_context(home, "colima", {"Host": f"unix://{home}/c.sock"})
    use(home, "colima")
    assert f"no socket at {home}/c.sock, which the Docker context 'colima' names" in why_unavailable(environ)
    with listening(home / "default.sock"):
        told = why_unavailable(environ)
        assert f"does not run at unix://{home}/c.sock, which the Docker context 'colima' names; there is a" in told
        assert f"export DOCKER_HOST=unix://{home}/default.sock" in told
    with listening(home / "c.sock"):
        assert why_unavailable(environ) == ""


def test_the_environment_goes_before_what_was_chosen(home: Path, environ: dict[str, str]) -> None:
    make_context(home, "one", {"Host": "ssh://one"})
    make_context(home, "two", {"Host": "ssh://two"})
    use(home, "one")
    assert docker_place(environ).host == "ssh://one"
    assert docker_place(environ | {"DOCKER_CONTEXT": "two"}).host == "ssh://two"
    assert docker_place(environ | {"DOCKER_CONTEXT": "default"}).host == f"unix://{home}/default.sock"
    assert docker_place(environ | {"DOCKER_CONTEXT": "two", "DOCKER_HOST": "tcp://three:1"}).host == "tcp://three:1"
    elsewhere = environ | {"DOCKER_CONFIG": str(home / "elsewhere")}
    assert docker_place(elsewhere).host == f"unix://{home}/default.sock"


@pytest.mark.parametrize("by", ["DOCKER_CONTEXT", "`docker context use`"])
def test_a_context_that_does_not_exist_is_a_sentence(home: Path, environ: dict[str, str], by: str) -> None:
    if by == "DOCKER_CONTEXT":
        environ["DOCKER_CONTEXT"] = "gone"
    else:
        use(home, "gone")
    with listening(home / "default.sock"):  # the default is not taken in silence
        told = why_unavailable(environ)
    assert f"no Docker context 'gone', which {by} names" in told
    assert "docker context ls" in told


def test_a_context_of_something_else_is_a_sentence(home: Path, environ: dict[str, str]) -> None:
    make_context(home, "kubernetes", {})
    assert "'kubernetes'" in why_unavailable(environ | {"DOCKER_CONTEXT": "kubernetes"})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"currentContext": 3}', "\udcff"])
def test_a_broken_file_of_dockers_is_passed_over_as_docker_does(home: Path, environ: dict[str, str], text: str) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    assert docker_place(environ).host == f"unix://{home}/default.sock"


@pytest.mark.parametrize("where", [".colima/default/docker.sock", ".rd/docker.sock", "run/podman/podman.sock"])
def test_a_socket_that_docker_does_not_look_at_is_named(home: Path, environ: dict[str, str], where: str) -> None:
    environ["XDG_RUNTIME_DIR"] = str(home / "run")
    with listening(home / where):
        assert f"export DOCKER_HOST=unix://{home}/{where}" in why_unavailable(environ)


@pytest.mark.parametrize("commands", [["podman"], ["podman", "docker"]])  # the second is podman's too
def test_podman_is_told_how_to_listen(
    home: Path, environ: dict[str, str], commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    told = "podman listen in its place: systemctl --user enable --now podman.socket"
    assert told not in why_unavailable(environ)
    assert told in why_unavailable(environ | {"DOCKER_HOST": f"unix://{home}/podman/podman.sock"})
    for command in commands:
        (home / command).touch(mode=0o700)
    assert told in why_unavailable(environ)
    monkeypatch.setattr("sys.platform", "darwin")
    assert "podman machine start" in why_unavailable(environ)


def test_an_address_that_names_no_socket_is_named(home: Path, environ: dict[str, str]) -> None:
    environ["DOCKER_HOST"] = f"unix://{home}/none.sock"
    assert f"no socket at {home}/none.sock, which DOCKER_HOST names" in why_unavailable(environ)
    assert why_unavailable(environ | {"DOCKER_HOST": "tcp://127.0.0.1:1"}) == ""  # only asking tells


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("tcp://127.0.0.1:2375", ""),
        ("nonsense", ""),
        ("tcp://192.0.2.77:2376", "Docker at tcp://192.0.2.77:2376, which DOCKER_HOST names, is on another machine"),
        (
            "ssh://ada:pw@lab.example",
            "Docker at ssh://lab.example, which DOCKER_HOST names, is reached over SSH, as on another machine",
        ),
        ("tcp://lab.invalid:2375", "Docker can't be reached at tcp://lab.invalid:2375, which DOCKER_HOST names: "),
    ],
)
def test_a_docker_on_another_machine_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], host: str, said: str
) -> None:
    def resolve(name: str, port: int, type: int) -> list[tuple[Any, ...]]:
        if name.endswith(".invalid"):
            raise socket.gaierror(-2, "Name or service not known")
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        return [(family, type, 0, "", (name, port))]

    monkeypatch.setattr(docker_socket.socket, "getaddrinfo", resolve)
    reason = why_unavailable(environ | {"DOCKER_HOST": host})
    assert reason.startswith(said)
    assert bool(reason) is bool(said)
    assert "pw@" not in reason


def test_testcontainers_own_file_goes_first_as_it_does_there(home: Path, environ: dict[str, str]) -> None:
    (home / ".testcontainers.properties").write_text("# mine\nryuk.disabled = true\ntc.host = tcp://there:1\n")
    assert docker_place(environ | {"DOCKER_HOST": "tcp://here:1"}).host == "tcp://there:1"


def test_dockers_library_is_told_the_address_and_the_certificates(home: Path, environ: dict[str, str]) -> None:
    certificates = make_context(home, "far", {"Host": "tcp://far:2376", "SkipTLSVerify": False})
    certificates.mkdir(parents=True)
    (certificates / "cert.pem").touch()
    environ["DOCKER_CONTEXT"] = "far"
    adopt(environ)
    assert environ["DOCKER_HOST"] == "tcp://far:2376"
    assert environ["DOCKER_CERT_PATH"] == str(certificates)
    assert environ["DOCKER_TLS_VERIFY"] == "1"
    assert docker_place(environ).named_by == "the Docker context 'far'"  # and not DOCKER_HOST


def test_what_asks_docker_goes_to_the_context_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_context(home, "mine", {"Host": f"unix://{home}/mine.sock"})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    with pytest.raises(DockerUnavailableError, match=r"nothing answers at .*/mine\.sock, which the Docker context"):
        has_image("rabbitmq:4.3-management")
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(DockerUnavailableError, match="no Docker context 'gone'"):
        has_image("rabbitmq:4.3-management")


def test_it_is_where_docker_looks(home: Path) -> None:
    """The same answer as `docker context inspect`, for a context that `docker` itself made and chose."""
    usual = os.environ.get("PATH", "")
    environ = {"HOME": str(home), "PATH": usual}

    def docker(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            ["docker", *arguments], env=environ | more, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout.strip()

    if not shutil.which("docker"):
        pytest.skip("there is no `docker` here")
    docker("context", "create", "far", "--docker", "host=tcp://far:2375")
    docker("context", "create", "near", "--docker", f"host=unix://{home}/near.sock")
    docker("context", "use", "near")
    format_ = "{{.Endpoints.docker.Host}}"
    for more in ({}, {"DOCKER_CONTEXT": "far"}):
        assert docker_place(environ | more).host == docker("context", "inspect", "--format", format_, **more)
