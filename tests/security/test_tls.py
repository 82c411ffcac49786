"""``amqps`` and ``https`` verify certificates, unless told not to in so many words."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator

import pika
import pytest
import trustme
from packaging.version import Version

from tests.fake_servers import amqp_server, listening
from workq_helpers.broker import find_broker
from workq_helpers.errors import BrokerUnreachableError, InvalidArgumentError, ManagementUnavailableError, WorkqError
from workq_helpers.rabbitmq.connecting import probe
from workq_helpers.rabbitmq.management import Management
from workq_helpers.rabbitmq.url import address_of, endpoint_from_url

PASSWORD = "s3cret-pw"
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


Certify = Callable[[trustme.CA], trustme.LeafCert]

#: Certificates that are not to be trusted, by what is said of them.
BAD: dict[str, Certify] = {
    "expired": lambda authority: authority.issue_cert("127.0.0.1", not_after=YESTERDAY),
    "mismatch": lambda authority: authority.issue_cert("rabbit.example"),
    "issuer": lambda authority: trustme.CA().issue_cert("127.0.0.1"),
}


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@contextlib.contextmanager
def https(certificate: trustme.LeafCert) -> Iterator[tuple[int, list[str]]]:
    """Serve anybody over TLS; yield the port, and the logins that were seen."""
    logins: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logins.append(self.headers.get("Authorization", ""))
            body = b'{"rabbitmq_version": "4.1.0"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # clients that hang up are what these tests are about

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context_of(certificate).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port, logins
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environ(port: int, **settings: str) -> dict[str, str]:
    address = f"amqps://anna:{PASSWORD}@127.0.0.1:{port}/"
    return {"WORKQ_BROKER_URL": address, "WORKQ_MANAGEMENT_URL": f"https://127.0.0.1:{port}"} | settings


def version_over_https(port: int, **settings: str) -> Version:
    with Management(endpoint_from_url(environ(port, **settings))) as api:
        return api.version()


def sentence(error: WorkqError, why: str) -> None:
    """What a refusal must say, and must not."""
    text = str(error)
    assert "can't be trusted" in text
    assert why in text
    if "expired" in why:
        assert "This machine's clock says" in text  # whom to trust is not the question
    else:
        assert "WORKQ_TLS_CA_FILE" in text
        assert "WORKQ_TLS_VERIFY=no accepts any certificate, which lets others on the way read the login" in text
    assert PASSWORD not in text


@pytest.mark.parametrize("why", BAD)
def test_amqps_refuses(why: str, authority: trustme.CA, ca_file: str) -> None:
    with listening(amqp_server(), tls=context_of(BAD[why](authority))) as port:
        with pytest.raises(BrokerUnreachableError) as caught:
            find_broker(lambda _: None, environ(port, WORKQ_TLS_CA_FILE=ca_file))
        sentence(caught.value, why)


@pytest.mark.parametrize("why", BAD)
def test_management_over_https_refuses_before_it_tells_the_login(why: str, authority: trustme.CA, ca_file: str) -> None:
    with https(BAD[why](authority)) as (port, logins):
        endpoint = endpoint_from_url(environ(port, WORKQ_TLS_CA_FILE=ca_file))
        with Management(endpoint) as api, pytest.raises(ManagementUnavailableError) as caught:
            api.version()
        sentence(caught.value, why)
        assert logins == []


@pytest.mark.parametrize("why", BAD)
def test_programs_are_given_an_address_that_refuses_too(why: str, authority: trustme.CA, ca_file: str) -> None:
    with listening(amqp_server(), tls=context_of(BAD[why](authority))) as port:
        address = address_of(endpoint_from_url(environ(port, WORKQ_TLS_CA_FILE=ca_file)))
        with pytest.raises((pika.exceptions.AMQPConnectionError, ssl.SSLError)):
            pika.BlockingConnection(pika.URLParameters(address))


def test_the_systems_authorities_are_asked_where_none_is_named(authority: trustme.CA) -> None:
    with listening(amqp_server(), tls=context_of(authority.issue_cert("127.0.0.1"))) as port:
        with pytest.raises(BrokerUnreachableError) as caught:
            probe(endpoint_from_url(environ(port)))
        sentence(caught.value, "issuer")
        with pytest.raises((pika.exceptions.AMQPConnectionError, ssl.SSLError)):
            pika.BlockingConnection(pika.URLParameters(address_of(endpoint_from_url(environ(port)))))


def test_a_good_certificate_is_accepted(authority: trustme.CA, ca_file: str) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    with listening(amqp_server(), tls=context_of(certificate)) as port:
        assert probe(endpoint_from_url(environ(port, WORKQ_TLS_CA_FILE=ca_file))) == Version("4.1.0")
    with https(certificate) as (port, logins):
        assert version_over_https(port, WORKQ_TLS_CA_FILE=ca_file) == Version("4.1.0")
        assert logins


@pytest.mark.parametrize("why", BAD)
def test_any_is_accepted_once_told_so(why: str, authority: trustme.CA) -> None:
    with (
        listening(amqp_server(), tls=context_of(BAD[why](authority))) as port,
        find_broker(lambda _: None, environ(port, WORKQ_TLS_VERIFY="no")) as broker,
    ):
        assert "certificate not verified" in broker.describe()
    with https(BAD[why](authority)) as (port, _):
        assert version_over_https(port, WORKQ_TLS_VERIFY="no") == Version("4.1.0")


@pytest.mark.parametrize("word", ["0", "false", "off", "none", "nope", "No way"])
def test_no_other_word_gives_it_up(word: str) -> None:
    with pytest.raises(InvalidArgumentError, match="which lets others on the way read the login"):
        endpoint_from_url(environ(5671, WORKQ_TLS_VERIFY=word))


@pytest.mark.parametrize("word", ["", "yes", " YES "])
def test_it_is_verified_by_default(word: str) -> None:
    assert endpoint_from_url(environ(5671, WORKQ_TLS_VERIFY=word)).verify


def test_a_proxy_of_the_environment_sees_no_login_for_this_machine(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with https(authority.issue_cert("127.0.0.1")) as (port, _):
        assert version_over_https(port, WORKQ_TLS_VERIFY="no") == Version("4.1.0")
