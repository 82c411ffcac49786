"""Nothing of ours listens beyond loopback: not a process, not a container, not a program of a lesson."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import yaml
import zmq
from jupyter_client.manager import KernelManager

from tests.broker.course import course, node_is_possible, processes_in
from tests.browser.server import Server, serving
from tests.conftest import poll_for
from tests.support import command_of, need
from workq_helpers import Broker, Lesson
from workq_helpers.broker import commands, find_broker
from workq_helpers.lessons.putting_it_together import web

ROOT = Path(__file__).parents[2]


def listeners(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    """Return where processes listen."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in process.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN:
                    found.add((each.laddr.ip, each.laddr.port))
    return found


def outside() -> list[str]:
    """Return this machine's addresses under which others reach it."""
    addresses = [each.address.partition("%")[0] for card in psutil.net_if_addrs().values() for each in card]
    known = []
    for address in addresses:
        with contextlib.suppress(ValueError):  # a card's own number
            if not ipaddress.ip_address(address).is_loopback:
                known.append(address)
    return known


def answers(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as attempt:
        attempt.settimeout(2.0)
        return attempt.connect_ex((address, port)) == 0


def beyond_loopback(found: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted((ip, port) for ip, port in found if not ipaddress.ip_address(ip).is_loopback)


def family_of(server: Server) -> list[psutil.Process]:
    """Return a JupyterLab's process and those of its kernels."""
    return [server._process, *server._process.children(recursive=True)]


@pytest.fixture(scope="module")
def node() -> Iterator[tuple[dict[str, str], Broker]]:
    need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")
    with course() as environ, find_broker(lambda _: None, environ) as broker:
        yield environ, broker


@pytest.mark.once
def test_a_private_node(node: tuple[dict[str, str], Broker]) -> None:
    environ, _ = node
    found = listeners(processes_in(environ))
    assert len({port for _, port in found}) == 4  # AMQP, management, Erlang's distribution, epmd
    assert beyond_loopback(found) == []
    status = commands.status(environ)
    assert status is not None
    assert listeners([psutil.Process(status.supervisor)]) == set()  # only a Unix socket


@pytest.mark.once
def test_the_supervisors_socket_is_a_file_of_the_users_own(node: tuple[dict[str, str], Broker]) -> None:
    environ, _ = node
    supervisor = psutil.Process(getattr(commands.status(environ), "supervisor", 0))
    paths = {Path(each.laddr) for each in supervisor.net_connections("unix") if each.laddr}
    assert paths
    for path in paths:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_broker_answers_on_loopback_alone(broker: Broker) -> None:
    need(broker.ours, "only a broker that the course started is looked at")
    addresses = outside()
    need(addresses, "this machine has no address but loopback's")
    for port in (broker.endpoint.port, urlsplit(broker.endpoint.management_url or "").port or 0):
        assert answers("127.0.0.1", port)
        assert [address for address in addresses if answers(address, port)] == []


def test_a_container_publishes_on_loopback_and_keeps_erlang_to_itself(broker: Broker) -> None:
    if broker.source != "docker":
        pytest.skip("this broker is no container")
    import docker

    with contextlib.closing(docker.from_env()) as client:
        (ours,) = (
            each
            for each in client.containers.list(filters={"label": "org.workq.supervisor"}, ignore_removed=True)
            if str(broker.endpoint.port) in str(each.ports)
        )
        published = [binding for bindings in ours.ports.values() for binding in bindings or ()]
        assert {each["HostIp"] for each in published} == {"127.0.0.1"}
        assert len(published) == 2
        assert ours.attrs["HostConfig"]["NetworkMode"] != "host"
        assert not ours.attrs["HostConfig"]["Privileged"]
        assert not any(ours.attrs["HostConfig"]["Binds"] or ())
        tables = ours.exec_run(["cat", "/proc/net/tcp", "/proc/net/tcp6"]).output.decode()
    inside = listening_in(tables)
    # What is published must listen on the container's network, and asks for the password. Nothing else does.
    assert {port for local, port in inside if not local} == {5672, 15672}
    assert len({port for local, port in inside if local}) >= 2  # Erlang's distribution and epmd
    proxies = [each for each in psutil.process_iter() if "docker-proxy" in _name(each)]
    with contextlib.suppress(psutil.AccessDenied):  # root's
        assert beyond_loopback(found for found in listeners(proxies) if found[1] == broker.endpoint.port) == []


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def listening_in(tables: str) -> set[tuple[bool, int]]:
    """Return from the kernel's tables whether each listener is on loopback, and its port."""
    rows = re.findall(r"^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:0000 0A ", tables, re.MULTILINE)
    loopback = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
    return {(address in loopback, int(port, 16)) for address, port in rows}


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A JupyterLab with a kernel, and the folder of its runtime files."""
    folder = tmp_path_factory.mktemp("lab")
    with serving(folder) as server:
        server.ask("POST", "kernels", json={"name": "python3"})
        poll_for(lambda: len(listeners(family_of(server))) >= 6, 90)  # JupyterLab's own port, and a kernel's five
        yield server, folder / "runtime"
        server.end_kernels()


@pytest.mark.once
def test_jupyterlab_its_kernels_and_a_lessons_programs(broker: Broker, jupyter: tuple[Server, Path]) -> None:
    server, folder = jupyter
    family = family_of(server)
    assert beyond_loopback(listeners(family)) == []
    assert httpx.get(f"{server.address}/api/contents").status_code == 403  # without the token
    assert httpx.get(f"{server.address}/api/contents?token=").status_code == 403
    token = server._token
    assert not [each for each in family if token in " ".join(command_of(each))]
    # Its files hold the token, and each kernel's keys.
    assert folder.stat().st_mode & 0o077 == 0
    assert [path for path in folder.glob("kernel-*.json") if path.stat().st_mode & 0o077] == []


@pytest.mark.once
def test_nobody_else_reads_what_a_kernel_answers(jupyter: tuple[Server, Path]) -> None:
    """A kernel's ports take all comers of this machine; what it says there is encrypted, where Jupyter can."""
    need(zmq.has("curve") and KernelManager.class_traits().get("transport_encryption"), "this Jupyter can't encrypt")
    (file,) = jupyter[1].glob("kernel-*.json")
    poll_for(lambda: file.read_text().endswith("}"))  # it may be about to be written
    known = json.loads(file.read_text())
    assert known["curve_secretkey"]
    with zmq.Context() as context, context.socket(zmq.SUB) as stranger:
        stranger.connect(f"tcp://{known['ip']}:{known['iopub_port']}")
        stranger.subscribe("")
        program = "from jupyter_client import BlockingKernelClient as Client\nimport sys\n"
        program += "client = Client()\nclient.load_connection_file(sys.argv[1])\nclient.start_channels(hb=False)\n"
        program += "client.wait_for_ready(60)\nclient.execute_interactive('print(6 * 7)', timeout=60)\n"
        ran = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, timeout=110)
        assert "42" in ran.stdout, ran.stderr
        assert stranger.poll(200) == 0


def test_the_endpoint_of_the_last_lesson(lesson: Lesson) -> None:
    before = listeners([psutil.Process()])
    with web.serve(lambda picture: 202) as address:
        (found,) = listeners([psutil.Process()]) - before
        assert beyond_loopback([found]) == []
        assert httpx.post(address, content=b"x", trust_env=False).status_code == 202
        # A page that somebody looks at in a browser of this machine sends its origin along.
        page = {"Origin": "http://example.org"}
        assert httpx.post(address, content=b"x", headers=page, trust_env=False).status_code == 403


def test_the_relay(lesson: Lesson) -> None:
    before = listeners([psutil.Process()])
    assert lesson.address
    (found,) = listeners([psutil.Process()]) - before
    assert beyond_loopback([found]) == []


def test_nobody_keeps_the_endpoint_open_by_saying_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web._Handler, "timeout", 0.2)
    with web.serve(lambda picture: 202) as address, socket.socket() as mute:
        mute.connect(("127.0.0.1", urlsplit(address).port or 0))
    # Leaving the context would wait for the client for ever.


def test_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert len(published) == 3
    assert [port for port in published if not str(port).startswith("127.0.0.1:")] == []
    assert not {"network_mode", "privileged", "cap_add", "pid"} & {
        key for service in services.values() for key in service
    }
    assert ".env" in (ROOT / ".dockerignore").read_text().split()  # nor do its passwords get into an image


def test_compose_starts_nothing_without_passwords() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("WORKQ_RABBITMQ_PASSWORD", "WORKQ_ERLANG_COOKIE", "WORKQ_LAB_TOKEN"):
        assert f"${{{name}:?" in text


def test_no_program_of_ours_asks_for_every_address() -> None:
    files = [path for folder in ("workq_helpers", "notebooks", "scripts") for path in (ROOT / folder).rglob("*.py")]
    assert files
    assert [path for path in files if re.search(r"(?<![\d.])0\.0\.0\.0|[\"']::[\"']", path.read_text())] == []
