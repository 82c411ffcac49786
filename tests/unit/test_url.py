"""WORKQ_BROKER_URL and the variables beside it."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import pika
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.url import address_of, endpoint_from_url


def read(url: str, **others: str) -> Endpoint:
    return endpoint_from_url({"WORKQ_BROKER_URL": url} | others)


def test_everything_written_out() -> None:
    assert read("amqp://anna:pw@rabbit.example:5673/course") == Endpoint(
        host="rabbit.example",
        port=5673,
        username="anna",
        password="pw",
        management_url="http://rabbit.example:15672",
        virtual_host="course",
    )


def test_what_is_left_out_is_rabbitmqs_default() -> None:
    assert read("amqp://localhost") == Endpoint(
        host="localhost",
        port=5672,
        username="guest",
        password="guest",
        management_url="http://localhost:15672",
        virtual_host="/",
    )


def test_tls_has_other_default_ports_and_is_verified() -> None:
    found = read("amqps://anna:pw@rabbit.example")
    assert (found.port, found.management_url) == (5671, "https://rabbit.example:15671")
    assert (found.tls, found.verify, found.ca_file) == (True, True, None)


@given(username=st.text(min_size=1), password=st.text(), virtual_host=st.text(min_size=1))
def test_percent_encoded_parts_come_back_as_they_were(username: str, password: str, virtual_host: str) -> None:
    parts = [quote(part, safe="") for part in (username, password, virtual_host)]
    found = read("amqp://{}:{}@h/{}".format(*parts))
    assert (found.username, found.password, found.virtual_host) == (username, password, virtual_host)


def test_ipv6() -> None:
    found = read("amqp://[::1]:5673")
    assert (found.host, found.port, found.management_url) == ("::1", 5673, "http://[::1]:15672")


def test_management_url_of_its_own() -> None:
    found = read("amqp://localhost", WORKQ_MANAGEMENT_URL="https://rabbit.example/admin/")
    assert found.management_url == "https://rabbit.example/admin"


def test_verification_is_given_up_in_so_many_words_only(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    assert read("amqps://localhost", WORKQ_TLS_VERIFY="no").verify is False
    assert read("amqps://localhost", WORKQ_TLS_VERIFY="yes").verify is True
    assert read("amqps://localhost", WORKQ_TLS_CA_FILE=str(ca)).ca_file == str(ca)
    with pytest.raises(InvalidArgumentError, match=r"WORKQ_TLS_VERIFY is '0'.*'no'.*'yes'"):
        read("amqps://localhost", WORKQ_TLS_VERIFY="0")
    with pytest.raises(InvalidArgumentError, match=r"nowhere\.pem'.*no such file.*PEM"):
        read("amqps://localhost", WORKQ_TLS_CA_FILE=str(tmp_path / "nowhere.pem"))


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("rabbit.example:5672", "does not begin with amqp:// or amqps://: rabbit.example:5672"),
        ("http://anna:s3cret@h", "does not begin with amqp:// or amqps://: http://…@h"),
        ("amqp://", "names no host"),
        ("amqp://anna:s3cret@", "names no host"),
        ("amqp://anna:s3cret@h:many", "can't be read as a URL: amqp://…@h:many"),
        ("amqp://anna:s3cret@h:0", "port 0"),
        ("amqp://anna:s3cret@h:99999", "can't be read"),
        ("amqp://anna:s3cret/x@h", "can't be read as a URL: amqp://…@h"),
        ("amqp://anna:s3cret#x@h", "can't be read as a URL: amqp://…@h"),
        ("amqp://anna:12?s3cret@h", "'?' or '#'"),
        ("amqp://anna/:s3cret@h", "has an '@' after a '/': amqp://…@h"),
        ("amqp://anna:12/s3cret@", "has an '@' after a '/': amqp://…@. "),
        ("amqp://anna:s3cret", "can't be read as a URL: amqp://anna:…"),
        ("amqp://[anna:s3cret@h", "can't be read"),
        ("amqp://anna:s3cret@h/a/b", "has a '/' in it: amqp://…@h/a/b"),
        ("amqp://anna:s3cret@h?heartbeat=5", "'?' or '#'"),
        ("amqp://anna@h", "no password"),
        ("amqp://anna:s3cret%FF@h", "not as UTF-8"),
    ],
)
def test_a_bad_url_gets_a_sentence_without_the_password(url: str, seen: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(url)
    text = str(caught.value)
    assert text.startswith(("WORKQ_BROKER_URL ", "The "))
    assert seen in text
    assert any(step in text for step in ("Write ", "Encode "))
    # Neither in the sentence nor in what a traceback would show below it.
    assert "s3cret" not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


def test_no_url_at_all() -> None:
    with pytest.raises(InvalidArgumentError, match=r"WORKQ_BROKER_URL is not set\. Set it to .*amqp://"):
        endpoint_from_url({})


@pytest.mark.parametrize("url", ["ftp://h", "http://", "http://h:x", "http://h?x"])
def test_a_bad_management_url(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"WORKQ_MANAGEMENT_URL .* Write it as http://host:15672"):
        read("amqp://localhost", WORKQ_MANAGEMENT_URL=url)


def test_a_login_belongs_into_the_broker_url_only() -> None:
    with pytest.raises(InvalidArgumentError, match=r"holds a login: http://…@h\. Leave it out") as caught:
        read("amqp://localhost", WORKQ_MANAGEMENT_URL="http://anna:s3cret@h")
    assert "s3cret" not in str(caught.value)


def test_the_password_is_in_no_repr() -> None:
    assert "s3cret" not in repr(read("amqp://anna:s3cret@h"))


# -- the other way round


@given(st.text(min_size=1, max_size=10), st.text(max_size=10), st.sampled_from(["/", "course", "a/b", "50% ü"]))
def test_pika_understands_every_address(username: str, password: str, virtual_host: str) -> None:
    endpoint = Endpoint("127.0.0.1", 5673, username, password, virtual_host=virtual_host)
    parameters = pika.URLParameters(address_of(endpoint))
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("127.0.0.1", 5673, virtual_host)
    assert (parameters.credentials.username, parameters.credentials.password) == (username, password)


def test_an_ipv6_address_has_brackets() -> None:
    assert pika.URLParameters(address_of(Endpoint("::1", 5672, "anna", "pw"))).host == "::1"


def test_pika_verifies_as_the_endpoint_says(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authorities)

    def context(**tls: object) -> ssl.SSLContext:
        endpoint = Endpoint("rabbit.example", 5671, "anna", "pw", tls=True, **tls)  # type: ignore[arg-type]
        options = pika.URLParameters(address_of(endpoint)).ssl_options
        assert options is not None
        return options.context

    assert context().verify_mode == ssl.CERT_REQUIRED
    own = context(ca_file=str(authorities))
    assert (own.verify_mode, own.check_hostname, len(own.get_ca_certs())) == (ssl.CERT_REQUIRED, True, 1)
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS"):
        assert context(verify=False).verify_mode == ssl.CERT_NONE
