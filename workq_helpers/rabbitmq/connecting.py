"""AMQP connections: their parameters, and whether a broker answers."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pika
import pika.adapters.blocking_connection
import pika.exceptions
import pika.frame
import pika.spec
from packaging.version import InvalidVersion, Version
from pika.adapters.utils import connection_workflow

from workq_helpers.errors import (
    BrokerError,
    BrokerUnreachableError,
    InvalidArgumentError,
    UnsupportedBrokerError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.translation import reason_of, translate
from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = [
    "PROTOCOL_HEADER",
    "accepts",
    "connection_parameters",
    "open_connection",
    "probe",
    "quiet_pika",
    "tls_context",
]

#: What a client says first.
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# -- opening ----------------------------------------------------------------------------------------------


def connection_parameters(endpoint: Endpoint, **overrides: Any) -> pika.ConnectionParameters:
    """Return pika's parameters for a connection to the endpoint's virtual host.

    Args:
        endpoint: The broker and the login.
        **overrides: Any argument of `pika.ConnectionParameters`, to set or replace one.
    """
    arguments: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "virtual_host": endpoint.virtual_host,
        "credentials": pika.PlainCredentials(endpoint.username, endpoint.password),
        # A broker that is there answers at once; pika's own 10 and 15 s feel like a hang.
        "socket_timeout": 5.0,
        "stack_timeout": 10.0,
    }
    if endpoint.tls:
        arguments["ssl_options"] = pika.SSLOptions(tls_context(endpoint), server_hostname=endpoint.host)
    return pika.ConnectionParameters(**(arguments | overrides))


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return how TLS is spoken with the endpoint: certificates verified unless it says otherwise.

    Raises:
        InvalidArgumentError: If the endpoint's file of certificate authorities can't be used.
    """
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgumentError(
            f"The certificate authorities in {endpoint.ca_file!r} can't be loaded: {reason_of(error)}. "
            f"Set WORKQ_TLS_CA_FILE to a readable file of certificates in PEM form."
        ) from error
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def open_connection(endpoint: Endpoint, **overrides: Any) -> pika.BlockingConnection:
    """Open a connection without pika's log lines about failures.

    Args:
        endpoint: The broker and the login.
        **overrides: As for `connection_parameters`.

    Raises:
        BrokerError: As `translate` has it, if the connection can't be opened.
    """
    parameters = connection_parameters(endpoint, **overrides)
    try:
        with quiet_pika():
            return pika.BlockingConnection(parameters)
    except (
        pika.exceptions.AMQPError,
        connection_workflow.AMQPConnectorException,
        OSError,
        UnicodeError,  # a host name that can't be one
    ) as error:
        raise translate(error, endpoint=endpoint) from error


def probe(endpoint: Endpoint, timeout: float = 5.0) -> Version:
    """Log in once and return the broker's version.

    Raises:
        BrokerUnreachableError: If nothing answers there.
        UnsupportedBrokerError: If what answers is no RabbitMQ, or one older than `OLDEST_VERSION`.
        LoginRefusedError: If the user name or the password is refused.
        VirtualHostRefusedError: If the virtual host is missing or closed to the user.
    """
    version = _supported_version(_greeting(endpoint, timeout), endpoint)
    with quiet_pika():
        open_connection(endpoint, socket_timeout=timeout, stack_timeout=2 * timeout).close()
    return version


def accepts(endpoint: Endpoint, timeout: float = 2.0) -> bool:
    """Say whether the broker lets this login in right now; made to be asked many times a second."""
    try:
        _greeting(endpoint, timeout)  # costs a broker that is still booting next to nothing
        with quiet_pika():
            open_connection(endpoint, socket_timeout=timeout, stack_timeout=2 * timeout).close()
    except (BrokerError, pika.exceptions.AMQPError):
        return False
    return True


_quiet: ContextVar[bool] = ContextVar("workq_quiet_pika", default=False)


@contextmanager
def quiet_pika() -> Iterator[None]:
    """Keep pika's log lines back while in this block, in this thread only."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def _unless_quiet(_record: logging.LogRecord) -> bool:
    return not _quiet.get()


def _filter_pika_loggers() -> None:
    """Let `quiet_pika` decide about every record of pika, once and for all threads."""
    # A filter sees only what its own logger was told, not what comes from loggers below.
    for name in tuple(logging.root.manager.loggerDict):
        if name == "pika" or name.startswith("pika."):
            logging.getLogger(name).addFilter(_unless_quiet)


_filter_pika_loggers()


# -- the first frame of a broker --------------------------------------------------------------------------

_FRAME_HEADER_BYTES = 7
_LARGEST_GREETING_BYTES = 131_072  # RabbitMQ's default frame_max; a greeting has about 500


def _greeting(endpoint: Endpoint, timeout: float) -> Mapping[str, Any]:
    """Return the server properties with which an AMQP server greets a client, before any login."""
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), timeout) as plain,
            _secured(plain, endpoint) as sock,
        ):
            sock.sendall(PROTOCOL_HEADER)
            frame = _first_frame(sock, endpoint)
    except (OSError, UnicodeError) as error:
        raise translate(error, endpoint=endpoint) from error
    try:
        _, method_frame = pika.frame.decode_frame(frame)
        start = getattr(method_frame, "method", None)
    except Exception as error:  # pika's decoder fails on foreign bytes in whatever way it happens to
        raise _not_amqp(frame, endpoint) from error
    if not isinstance(start, pika.spec.Connection.Start):
        raise _not_amqp(frame, endpoint)
    return dict(start.server_properties or {})


@contextmanager
def _secured(plain: socket.socket, endpoint: Endpoint) -> Iterator[socket.socket]:
    if not endpoint.tls:
        yield plain
        return
    with tls_context(endpoint).wrap_socket(plain, server_hostname=endpoint.host) as sock:
        yield sock


def _first_frame(sock: socket.socket, endpoint: Endpoint) -> bytes:
    received = b""
    wanted = _FRAME_HEADER_BYTES
    while len(received) < wanted:
        try:
            chunk = sock.recv(65_536)
        except (TimeoutError, ConnectionResetError) as error:
            raise _mute(endpoint) from error
        if not chunk:
            raise _mute(endpoint)
        received += chunk
        if received[0] != pika.spec.FRAME_METHOD:
            raise _not_amqp(received, endpoint)
        if len(received) >= _FRAME_HEADER_BYTES:
            wanted = _FRAME_HEADER_BYTES + int.from_bytes(received[3:7], "big") + 1
            if wanted > _LARGEST_GREETING_BYTES:
                raise _not_amqp(received, endpoint)
    return received


def _mute(endpoint: Endpoint) -> BrokerUnreachableError:
    return BrokerUnreachableError(
        f"Something at {endpoint.place} accepts connections and does not say that it is a broker. One that "
        f"is still starting does so: try again in some seconds. Otherwise that port is not AMQP's, which is "
        f"usually 5672, or 5671 with amqps://. {endpoint.advice('Check the address')}"
    )


def _not_amqp(received: bytes, endpoint: Endpoint) -> UnsupportedBrokerError:
    seen = received[:20]
    if seen.startswith(b"\x15\x03"):
        hint = "That is TLS: write the address as amqps://."
    elif seen.startswith(b"HTTP/"):
        hint = "That is a web server: RabbitMQ's management page is on another port than AMQP (usually 5672)."
    elif seen.startswith(b"AMQP"):
        hint = "That is AMQP, but not version 0-9-1, which RabbitMQ and this course speak."
    else:
        hint = endpoint.advice("Check the address")
    return UnsupportedBrokerError(f"What listens at {endpoint.place} is no RabbitMQ: it answered {seen!r}. {hint}")


def _supported_version(properties: Mapping[str, Any], endpoint: Endpoint) -> Version:
    product, version = _text(properties.get("product")), _text(properties.get("version"))
    if product != "RabbitMQ":
        raise UnsupportedBrokerError(
            f"The AMQP server at {endpoint.place} says that it is {product or 'nameless'!r} {version}, "
            f"not RabbitMQ. The course needs RabbitMQ {OLDEST_VERSION} or later. "
            f"{_instead(endpoint)}"
        )
    try:
        # A build such as 4.3.0+beta.1.12.gabcdef is still 4.3.0 to us.
        number = Version(version.partition("+")[0])
    except InvalidVersion as error:
        raise UnsupportedBrokerError(
            f"RabbitMQ at {endpoint.place} announces the version {version!r}, which can't be compared. "
            f"The course needs RabbitMQ {OLDEST_VERSION} or later. "
            f"{_instead(endpoint)}"
        ) from error
    if number.release < OLDEST_VERSION.release:
        raise UnsupportedBrokerError(
            f"RabbitMQ at {endpoint.place} is {version}, and the course needs {OLDEST_VERSION} or later. "
            f"Upgrade it. {_instead(endpoint)}"
        )
    return number


def _instead(endpoint: Endpoint) -> str:
    """Say how to get another broker, where somebody chose this one."""
    return f"To have one started, unset {endpoint.named_by}." if endpoint.named_by else "See what `workq doctor` says."


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
