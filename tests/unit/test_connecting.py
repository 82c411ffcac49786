"""Connections to what is no RabbitMQ, or an odd one."""

from __future__ import annotations

import datetime
import logging
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from packaging.version import Version

from tests.fake_servers import amqp_server, endpoint_at, listening, said
from workq_helpers.broker.ports import free_ports
from workq_helpers.errors import (
    BrokerUnreachableError,
    InvalidArgumentError,
    UnsupportedBrokerError,
    WorkqError,
)
from workq_helpers.rabbitmq import connecting
from workq_helpers.rabbitmq.connecting import (
    accepts,
    connection_parameters,
    open_connection,
    probe,
    quiet_pika,
)
from workq_helpers.rabbitmq.endpoint import Endpoint


def refusal(endpoint: Endpoint, kind: type[WorkqError]) -> str:
    """Return the sentence with which `probe` refuses, having checked what is true of all of them."""
    assert accepts(endpoint) is False
    with pytest.raises(kind) as caught:
        probe(endpoint, timeout=5.0)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert endpoint.password not in text + repr(caught.value) + repr(caught.value.__cause__)
    assert f"{endpoint.host}:{endpoint.port}" in text
    return text


# -- where there is no broker -----------------------------------------------------------------------------


def test_nothing_listens() -> None:
    text = refusal(endpoint_at(*free_ports(1)), BrokerUnreachableError)
    assert "Connection refused" in text
    assert "workq doctor" in text


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots"])
def test_no_such_host(host: str) -> None:
    text = refusal(endpoint_at(5672, host=host), BrokerUnreachableError)
    assert "WORKQ_BROKER_URL" in text


def test_a_server_that_hangs_up() -> None:
    with listening(lambda client: None) as port:
        text = refusal(endpoint_at(port), BrokerUnreachableError)
    assert "does not say that it is a broker" in text
    assert "try again" in text


def test_a_server_that_says_nothing() -> None:
    def wait(client: socket.socket) -> None:
        while client.recv(8):
            pass

    message = "does not say that it is a broker"
    with listening(wait) as port, pytest.raises(BrokerUnreachableError, match=message):
        probe(endpoint_at(port), timeout=0.05)


@pytest.mark.parametrize(
    ("answer", "seen", "step"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400", "usually 5672"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", r"\x15\x03", "amqps://"),
        (b"AMQP\x00\x01\x00\x00", r"AMQP\x00\x01", "0-9-1"),
        (b"220 mail.example ESMTP\r\n", "220 mail", "workq doctor"),
        (b"no", "b'no'", "workq doctor"),
        (b"\x01\x00\x00\x00\x00\x00\x04\x00\x63\x00\x63\xce", r"\x01\x00", "workq doctor"),
        (b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x1e\xce", r"\x01\x00", "workq doctor"),
        (b"\x01\x00\x00\xff\xff\xff\xff", r"\xff\xff", "workq doctor"),
    ],
    ids=["web", "tls", "other amqp", "mail", "short", "unknown method", "method out of turn", "endless frame"],
)
def test_a_server_of_another_kind(answer: bytes, seen: str, step: str) -> None:
    with listening(said(answer)) as port:
        text = refusal(endpoint_at(port), UnsupportedBrokerError)
    assert "is no RabbitMQ: it answered" in text
    assert seen in text
    assert step in text


@pytest.mark.parametrize(
    ("product", "version", "seen"),
    [
        ("RabbitMQ", "3.9.27", "is 3.9.27, and the course needs 3.10 or later. Upgrade it"),
        ("RabbitMQ", "2.8.4", "is 2.8.4"),
        ("RabbitMQ", "unknown", "the version 'unknown'"),
        ("Other", "7.1", "says that it is 'Other' 7.1, not RabbitMQ"),
    ],
)
def test_a_broker_that_the_course_does_not_support(product: str, version: str, seen: str) -> None:
    server = listening(amqp_server(product, version))
    with server as port, pytest.raises(UnsupportedBrokerError) as caught:
        probe(endpoint_at(port))
    assert seen in str(caught.value)
    assert "unset WORKQ_BROKER_URL" in str(caught.value)


@pytest.mark.parametrize("version", ["3.10.0", "3.13.7", "4.3.0+beta.1.12.gabcdef", "4.10.0"])
def test_a_broker_that_it_supports(version: str) -> None:
    with listening(amqp_server(version=version)) as port:
        assert probe(endpoint_at(port)) == Version(version.partition("+")[0])
        assert accepts(endpoint_at(port))


# -- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secured(authority: trustme.CA) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with listening(amqp_server(), tls=context) as port:
        yield port


def test_a_certificate_that_nobody_vouches_for_is_refused(secured: int) -> None:
    text = refusal(endpoint_at(secured, tls=True), BrokerUnreachableError)
    assert "can't be trusted" in text
    assert "unable to get local issuer certificate" in text
    assert "WORKQ_TLS_CA_FILE" in text
    assert "WORKQ_TLS_VERIFY=no" in text


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("rabbit.example").configure_cert(context)
    with listening(amqp_server(), tls=context) as port:
        text = refusal(endpoint_at(port, tls=True, ca_file=str(ca_file)), BrokerUnreachableError)
    assert "mismatch" in text


def test_a_certificate_of_another_time_has_the_clock_looked_at(authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=datetime.datetime(2001, 2, 3)).configure_cert(context)
    with listening(amqp_server(), tls=context) as port:
        text = refusal(endpoint_at(port, tls=True, ca_file=str(ca_file)), BrokerUnreachableError)
    assert re.search(r"certificate has expired\. This machine's clock says \d{4}-\d\d-\d\d \d\d:\d\d", text)
    assert "WORKQ_TLS_VERIFY" not in text


def test_a_certificate_is_accepted_with_its_authority(secured: int, authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    assert probe(endpoint_at(secured, tls=True, ca_file=str(ca_file))) == Version("4.1.0")


def test_any_certificate_is_accepted_where_verification_is_given_up(secured: int) -> None:
    assert probe(endpoint_at(secured, tls=True, verify=False)) == Version("4.1.0")


def test_tls_where_none_is_spoken() -> None:
    with listening(amqp_server()) as port:
        text = refusal(endpoint_at(port, tls=True), BrokerUnreachableError)
    assert "write the address as amqp://" in text


def test_no_tls_where_it_is_spoken(secured: int) -> None:
    with pytest.raises((UnsupportedBrokerError, BrokerUnreachableError), match="amqps://"):
        probe(endpoint_at(secured))


def test_authorities_that_are_none(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("not a certificate")
    with pytest.raises(InvalidArgumentError, match=r"ca\.pem' can't be loaded: .*WORKQ_TLS_CA_FILE"):
        connection_parameters(endpoint_at(1, tls=True, ca_file=str(ca_file)))


# -- parameters and logging -------------------------------------------------------------------------------


def test_parameters_can_be_replaced() -> None:
    parameters = connection_parameters(endpoint_at(5673).on("v"), heartbeat=7, socket_timeout=3.0)
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("127.0.0.1", 5673, "v")
    assert (parameters.heartbeat, parameters.socket_timeout) == (7, 3.0)
    assert "s3cret" not in repr(parameters)


def test_asking_a_dead_port_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = endpoint_at(*free_ports(1))
    with caplog.at_level(logging.INFO):
        accepts(endpoint)
        with pytest.raises(BrokerUnreachableError):
            open_connection(endpoint)
    assert [record.name for record in caplog.records if record.name.startswith("pika")] == []


def test_pika_is_quiet_in_one_thread_only(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("pika.adapters.blocking_connection")
    with quiet_pika():
        logger.error("held back")
        thread = threading.Thread(target=logger.error, args=["from a thread of the learner"])
        thread.start()
        thread.join()
    logger.error("afterwards")
    assert [record.message for record in caplog.records] == ["from a thread of the learner", "afterwards"]


def test_every_logger_of_pika_asks_whether_to_be_quiet() -> None:
    assert connecting._unless_quiet in logging.getLogger("pika.connection").filters
