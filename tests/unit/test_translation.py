"""pika's errors in sentences."""

from __future__ import annotations

import socket

import pika.exceptions
import pytest
from pika.adapters.utils import connection_workflow

from tests.fake_servers import endpoint_at
from workq_helpers.errors import (
    BrokerError,
    BrokerUnreachableError,
    LoginRefusedError,
    QueueError,
    UnsupportedBrokerError,
    VirtualHostRefusedError,
    WorkqError,
)
from workq_helpers.rabbitmq.errors import (
    ChannelRefusedError,
    ConnectionLostError,
    QueueMismatchError,
    QueueNotFoundError,
    TransientQueuesDeniedError,
)
from workq_helpers.rabbitmq.translation import translate

WHERE = endpoint_at(5672).on("course")


def mismatch(text: str) -> str:
    whole = f"PRECONDITION_FAILED - inequivalent arg {text}"
    found = translate(pika.exceptions.ChannelClosedByBroker(406, whole), endpoint=WHERE)
    assert type(found) is QueueMismatchError
    return str(found)


def test_406_says_which_argument_differs_and_how() -> None:
    text = mismatch("'durable' for queue 'hello' in vhost 'v': received 'true' but current is 'false'")
    assert "Queue 'hello' exists already with other arguments: durable is false, and you asked for true" in text
    assert "channel.queue_delete(queue='hello')" in text
    text = mismatch(
        "'x-max-length' for queue 'hello' in vhost 'v': received the value '3' of type 'signedint' but current is none"
    )
    assert "x-max-length is none, and you asked for 3" in text


@pytest.mark.parametrize(
    ("error", "kind", "seen"),
    [
        (
            pika.exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'helo' in vhost '/'"),
            QueueNotFoundError,
            ("no queue 'helo'", "Declare it first"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no exchange 'logs' in vhost '/'"),
            ChannelRefusedError,
            ("no exchange 'logs'", "Declare the exchange first"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED - unknown delivery tag 9"),
            ChannelRefusedError,
            ("unknown delivery tag 9", "acknowledged twice"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(
                406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out."
            ),
            ChannelRefusedError,
            ("timed out", "shorter tasks"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(405, "RESOURCE_LOCKED - exclusive access"),
            ChannelRefusedError,
            ("405", "Another connection"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED - queue 'hello' in vhost 'a' in exclusive use"),
            ChannelRefusedError,
            ("403", "only while there is no other", "without exclusive=True"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED - reserved prefix 'amq.*'"),
            ChannelRefusedError,
            ("403", "another name"),
        ),
        (
            pika.exceptions.ChannelClosedByBroker(540, "NOT_IMPLEMENTED - immediate=true"),
            ChannelRefusedError,
            ("540", "new channel"),
        ),
        (
            pika.exceptions.ConnectionClosedByBroker(
                541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use..."
            ),
            TransientQueuesDeniedError,
            ("queue 'hello'", "541", "durable=True"),
        ),
        (
            pika.exceptions.ProbableAuthenticationError("ConnectionClosedByBroker: (403) 'ACCESS_REFUSED'"),
            LoginRefusedError,
            ("refused the login of user 'anna'. Correct the login in WORKQ_BROKER_URL",),
        ),
        (
            pika.exceptions.ProbableAuthenticationError("StreamLostError: ('Transport indicated EOF',)"),
            BrokerUnreachableError,
            ("hung up in the middle of the greeting", "WORKQ_BROKER_URL"),
        ),
        (
            pika.exceptions.ProbableAccessDeniedError(
                "ConnectionClosedByBroker: (530) 'NOT_ALLOWED - vhost course not found'"
            ),
            VirtualHostRefusedError,
            ("no virtual host 'course'", "(NOT_ALLOWED - vhost course not found)", "administrator"),
        ),
        (
            pika.exceptions.ConnectionClosedByBroker(
                530, "NOT_ALLOWED - access to vhost 'course' refused for user 'anna'"
            ),
            VirtualHostRefusedError,
            ("refused virtual host 'course' for user 'anna'", "permission"),
        ),
        (
            pika.exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - connection limit (1) is reached"),
            VirtualHostRefusedError,
            ("too many", "Close some"),
        ),
        (
            pika.exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - vhost 'course' is down"),
            VirtualHostRefusedError,
            ("it is down", "Try again"),
        ),
        (
            pika.exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED - broker forced connection"),
            ConnectionLostError,
            ("320", "open a new connection"),
        ),
        (
            pika.exceptions.ConnectionClosedByBroker(505, "UNEXPECTED_FRAME - expected content header"),
            ConnectionLostError,
            ("505", "one thread only"),
        ),
        (
            pika.exceptions.StreamLostError("Stream connection lost: ConnectionResetError"),
            ConnectionLostError,
            ("was lost", "open a new connection"),
        ),
        (
            pika.exceptions.AMQPHeartbeatTimeout("No activity or too many missed heartbeats"),
            ConnectionLostError,
            ("heartbeat", "Open a new connection"),
        ),
        (
            pika.exceptions.ConnectionBlockedTimeout("Blocked connection timeout expired."),
            ConnectionLostError,
            ("memory or disk", "Free some"),
        ),
        (pika.exceptions.ConnectionWrongStateError(), ConnectionLostError, ("closed already", "Open a new one")),
        (pika.exceptions.NoFreeChannels(), QueueError, ("as many channels open", "Close one")),
        (
            pika.exceptions.ConnectionClosedByBroker(
                530, "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)"
            ),
            ConnectionLostError,
            ("channel_max (2)", "close channels"),
        ),
        (pika.exceptions.ChannelWrongStateError("Channel is closed."), QueueError, ("closed", "new channel")),
        (
            pika.exceptions.IncompatibleProtocolError("StreamLostError"),
            UnsupportedBrokerError,
            ("no RabbitMQ", "workq doctor"),
        ),
        (
            pika.exceptions.AMQPConnectionError(
                connection_workflow.AMQPConnectionWorkflowFailed(
                    [connection_workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "refused"))]
                )
            ),
            BrokerUnreachableError,
            ("refused", "workq doctor"),
        ),
        (socket.gaierror(-2, "Name or service not known"), BrokerUnreachableError, ("Name or service",)),
        (TimeoutError(), BrokerUnreachableError, ("did not answer in time",)),
        (connection_workflow.AMQPConnectorStackTimeout(), BrokerUnreachableError, ("in time",)),
        (RuntimeError("something else"), BrokerError, ("RuntimeError: something else", "workq doctor")),
    ],
)
def test_translate(error: BaseException, kind: type[WorkqError], seen: tuple[str, ...]) -> None:
    found = translate(error, endpoint=WHERE, queue="hello")
    assert type(found) is kind
    for words in seen:
        assert words in str(found)
    assert WHERE.password not in str(found) + repr(found)
    assert str(translate(error))  # works with nothing known, too


def test_ours_stay_themselves_and_are_still_pikas() -> None:
    error = translate(pika.exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'q' in vhost '/'"))
    assert translate(error) is error
    assert isinstance(error, pika.exceptions.ChannelClosedByBroker)
    assert error.reply_code == 404
    assert isinstance(translate(pika.exceptions.StreamLostError()), pika.exceptions.AMQPConnectionError)


@pytest.mark.parametrize("named_by", ["", "WORKQ_BROKER_URL"])
def test_a_variable_is_named_only_where_it_names_the_broker(named_by: str) -> None:
    endpoint = endpoint_at(1, named_by=named_by)
    errors = [
        OSError(111, "Connection refused"),
        pika.exceptions.ProbableAuthenticationError("(403) ACCESS_REFUSED"),
        pika.exceptions.ProbableAccessDeniedError("NOT_ALLOWED - vhost not found"),
        pika.exceptions.ProbableAccessDeniedError("NOT_ALLOWED - access refused"),
        ValueError("something else"),
    ]
    for error in errors:
        assert ("WORKQ_BROKER_URL" in str(translate(error, endpoint=endpoint))) is bool(named_by)
