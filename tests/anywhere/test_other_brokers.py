"""The whole course on brokers that somebody else runs: one that denies transient queues, and one behind TLS.

Neither may be restarted by a lesson. Each lesson must run to its end all the same and say what can't be seen there.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest
import trustme

from tests.conftest import poll_for
from tests.support import need
from workq_helpers.broker import docker_socket
from workq_helpers.broker.ports import free_ports
from workq_helpers.rabbitmq.connecting import accepts
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import ADVANCED_CONFIG

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(400)]

IMAGE = "workq-rabbitmq:4.3"
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

DENY = ADVANCED_CONFIG.replace("transient_nonexcl_queues => true", "transient_nonexcl_queues => false")
assert DENY != ADVANCED_CONFIG

SECURED = """\
listeners.tcp = none
listeners.ssl.default = 5672
ssl_options.cacertfile = /etc/rabbitmq/ca.pem
ssl_options.certfile = /etc/rabbitmq/server.pem
ssl_options.keyfile = /etc/rabbitmq/server.key
"""

#: With characters that a URL gives a meaning of their own.
PASSWORD = f"p@ss/word:{secrets.token_urlsafe(12)}%"
USERNAME = "anna@example"

Environ = dict[str, str]


@contextmanager
def rabbitmq(files: dict[str, str], **kind: Any) -> Iterator[Environ]:
    """Run a RabbitMQ as somebody else would, and give the variables that lead to it."""
    from workq_helpers.broker.filled_container import FilledContainer

    amqp, management = free_ports(2)
    endpoint = Endpoint("127.0.0.1", amqp, USERNAME, PASSWORD, f"http://127.0.0.1:{management}", **kind)
    running = FilledContainer(
        IMAGE,
        {"/etc/rabbitmq/enabled_plugins": "[rabbitmq_management].\n"}
        | {f"/etc/rabbitmq/{name}": text for name, text in files.items()},
        env={"RABBITMQ_DEFAULT_USER": USERNAME, "RABBITMQ_DEFAULT_PASS": PASSWORD, "RABBITMQ_LOGS": "-"},
        name=f"workq-test-{secrets.token_hex(6)}",
        hostname="elsewhere",
    )
    running.ports = {"5672/tcp": ("127.0.0.1", amqp), "15672/tcp": ("127.0.0.1", management)}  # type: ignore[dict-item]
    try:
        running.start()
        poll_for(lambda: accepts(endpoint), 120)
        scheme = "amqps" if endpoint.tls else "amqp"
        login = f"{quote(USERNAME, safe='')}:{quote(PASSWORD, safe='')}"
        yield {
            "WORKQ_BROKER": "url",
            "WORKQ_BROKER_URL": f"{scheme}://{login}@127.0.0.1:{amqp}/",
            "WORKQ_MANAGEMENT_URL": endpoint.management_url or "",
        }
    finally:
        running.stop()
        running.get_docker_client().client.close()


@pytest.fixture(scope="module", autouse=True)
def _docker() -> None:
    need(not docker_socket.why_unavailable(os.environ), "Docker does not run")


@pytest.fixture(scope="module", params=["strict", "secured"])
def elsewhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environ]:
    """Such a broker: strict, it denies queues that are neither durable nor exclusive; secured, it speaks TLS alone."""
    if request.param == "strict":
        with rabbitmq({"advanced.config": DENY}) as environ:
            yield environ
        return
    authority = trustme.CA()  # which only this broker's users know
    certificate = authority.issue_cert("127.0.0.1")
    ca_file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    files = {
        "advanced.config": ADVANCED_CONFIG,
        "conf.d/90-tls.conf": SECURED,
        "ca.pem": authority.cert_pem.bytes().decode(),
        "server.pem": "".join(pem.bytes().decode() for pem in certificate.cert_chain_pems),
        "server.key": certificate.private_key_pem.bytes().decode(),
    }
    with rabbitmq(files, tls=True, ca_file=str(ca_file)) as environ:
        yield environ | {"WORKQ_TLS_CA_FILE": str(ca_file)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_to_its_end(
    elsewhere: Environ, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKQ_DATA_DIR", str(tmp_path))
    said = run(path)
    assert PASSWORD not in said
    assert quote(PASSWORD, safe="") not in said
    if "durability" in path.stem:
        assert "is not the course's own, so it was not restarted" in said
        assert "is not the course's own, so it was not killed" in said
        denied = not elsewhere["WORKQ_BROKER_URL"].startswith("amqps:")
        assert ("TransientQueuesDeniedError" in said) == denied


def run(path: Path) -> str:
    """Run all cells of a notebook, and return everything that they showed; an error ends the test."""
    command = [sys.executable, "-m", "nbconvert", "--to=notebook", "--execute", "--stdout", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=path.parent)
    assert ended.returncode == 0, ended.stderr[-4000:]
    cells = nbformat.reads(ended.stdout, as_version=4).cells
    return "\n".join(str(output) for cell in cells for output in cell.get("outputs", []))
