"""`translate`: pika's errors in plain sentences."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable, Iterator

import pika.exceptions
from pika.adapters.utils import connection_workflow

from workq_helpers.errors import (
    BrokerError,
    BrokerUnreachableError,
    LoginRefusedError,
    QueueError,
    UnsupportedBrokerError,
    VirtualHostRefusedError,
    WorkqError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.errors import (
    ChannelRefusedError,
    ConnectionLostError,
    QueueMismatchError,
    QueueNotFoundError,
    TransientQueuesDeniedError,
)
from workq_helpers.text import did_you_mean, said

__all__ = ["certificate_advice", "reason_of", "translate"]

#: What pika makes of an end in the middle of the greeting, whatever it was.
_PROBABLE = pika.exceptions.ProbableAuthenticationError, pika.exceptions.ProbableAccessDeniedError

#: What OpenSSL says of a certificate that is for another time (X509_V_ERR_CERT_NOT_YET_VALID, …_HAS_EXPIRED).
_ANOTHER_TIME = (9, 10)


def translate(
    error: BaseException,
    *,
    endpoint: Endpoint | None = None,
    queue: str | None = None,
    known_queues: Iterable[str] = (),
) -> WorkqError:
    """Return the exception of ours that says what pika's `error` means; raise it ``from error``.

    Args:
        error: What pika raised, or handed to a callback when a channel or connection closed.
        endpoint: The broker it is about, to name it.
        queue: The queue in question, where the error does not name one itself.
        known_queues: Queues that there are: one of them may be meant.

    Returns:
        An exception of our tree; `error` itself where it is one already.
    """
    for cause in _causes(error):
        found = _translated(cause, endpoint, queue, known_queues)
        if found is not None:
            return found
    return BrokerError(
        f"Talking to RabbitMQ{_at(endpoint)} failed: {type(error).__name__}: {reason_of(error)}. {_look(endpoint)}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that pika wrapped into this one, the innermost first, then the error itself."""
    inner = [argument for argument in error.args if isinstance(argument, BaseException)]
    if isinstance(error, connection_workflow.AMQPConnectionWorkflowFailed):
        inner.append(error.exceptions[-1])
    if isinstance(error, connection_workflow.AMQPConnectorPhaseErrorBase):
        inner.append(error.exception)
    for wrapped in inner:
        yield from _causes(wrapped)
    yield error


def _translated(
    error: BaseException, endpoint: Endpoint | None, queue: str | None, known_queues: Iterable[str]
) -> WorkqError | None:
    if isinstance(error, WorkqError):
        return error
    if isinstance(error, pika.exceptions.ChannelClosed):
        return _channel_closed(error.reply_code, error.reply_text, queue, known_queues)
    if isinstance(error, _PROBABLE) and "StreamLostError" in reason_of(error):  # RabbitMQ says it when it refuses
        return _unreachable("it hung up in the middle of the greeting, as one that stops does", endpoint)
    if isinstance(error, pika.exceptions.ProbableAuthenticationError | pika.exceptions.AuthenticationError):
        return _login_refused(endpoint)
    if isinstance(error, pika.exceptions.ProbableAccessDeniedError):
        return _virtual_host_refused(reason_of(error), endpoint)
    if isinstance(error, pika.exceptions.ConnectionClosed):
        return _connection_closed(error.reply_code, error.reply_text, endpoint, queue)
    for kind, ours, sentence in _SENTENCES:
        if isinstance(error, kind):
            words = {"at": _at(endpoint), "kind": type(error).__name__, "reason": reason_of(error)}
            return ours(sentence.format(**words, look=_look(endpoint)))
    if isinstance(error, connection_workflow.AMQPConnectorStackTimeout):
        return _unreachable("it accepts connections and did not finish the greeting in time", endpoint)
    if isinstance(error, ssl.SSLError):
        return _tls_failed(error, endpoint)
    if isinstance(error, OSError | UnicodeError):
        return _unreachable(reason_of(error), endpoint)
    return None


#: What pika raises, what we raise in its place, and what that says; the first that fits counts.
_SENTENCES: tuple[tuple[type[BaseException], type[WorkqError], str], ...] = (
    (
        pika.exceptions.NoFreeChannels,
        QueueError,
        "This connection to RabbitMQ{at} has as many channels open as it may have. Close one with channel.close(), or "
        "open another connection, for example with lesson.connect().",
    ),
    (
        pika.exceptions.IncompatibleProtocolError,
        UnsupportedBrokerError,
        "What listens{at} hung up at AMQP's first words, as what is no RabbitMQ does, and one that expects TLS. {look}",
    ),
    (
        pika.exceptions.AMQPHeartbeatTimeout,
        ConnectionLostError,
        "The connection to RabbitMQ{at} was dropped: no heartbeat came for too long, as where a machine sleeps, the "
        "network fails, or a callback keeps the connection's own thread busy. Open a new connection.",
    ),
    (
        pika.exceptions.ConnectionBlockedTimeout,
        ConnectionLostError,
        "RabbitMQ{at} blocks publishers for want of memory or disk, for longer than this connection waits. Free some "
        "of either on the broker's machine, then open a new connection.",
    ),
    (
        pika.exceptions.ConnectionWrongStateError,
        ConnectionLostError,
        "This connection to RabbitMQ{at} is closed already. Open a new one, for example with lesson.connect().",
    ),
    (
        pika.exceptions.StreamLostError,
        ConnectionLostError,
        "The connection to RabbitMQ{at} was lost: {reason}. The broker stopped, or the connection was cut. When the "
        "broker is up again, open a new connection.",
    ),
    (
        pika.exceptions.AMQPChannelError,
        QueueError,
        "RabbitMQ{at} did not do what was asked on this channel: {kind}: {reason}. Go on with a new channel: "
        "connection.channel().",
    ),
)


def _channel_closed(code: int, text: str, queue: str | None, known_queues: Iterable[str]) -> WorkqError:
    name = _named_queue(text) or queue or ""
    if code == 406 and "inequivalent arg" in text:
        return QueueMismatchError(
            f"Queue {name!r} exists already with other arguments{_difference(text)} (406 {text}). A queue "
            "can't be changed: declare it with the arguments it has, choose another name, or delete it "
            f"first with channel.queue_delete(queue={name!r}).",
            code,
            text,
        )
    if code == 404 and "no queue" in text:
        return QueueNotFoundError(
            f"There is no queue {name!r} in this virtual host (404 {text}){did_you_mean(name, known_queues) or '.'} "
            f"Declare it first with channel.queue_declare(queue={name!r}), and look at the spelling; a queue that is "
            "not durable is gone after a restart of the broker.",
            code,
            text,
        )
    words = text.rstrip(".")
    return ChannelRefusedError(f"RabbitMQ closed the channel: {code} {words}. {_advice(text)}", code, text)


def _advice(text: str) -> str:
    """Return the next step for a reason to close a channel that is not about a queue's existence."""
    if "unknown delivery tag" in text:
        return (
            "A delivery was acknowledged twice, on another channel than it came from, or although the "
            "worker consumes with auto_ack=True. Acknowledge each once, on the channel the callback was "
            "given."
        )
    if "timed out" in text:
        return (
            "The worker kept a message longer than the broker waits for an acknowledgment. The message is "
            "ready again; do shorter tasks, or raise consumer_timeout."
        )
    if "in exclusive use" in text:
        return (
            "A consumer can have a queue to itself only while there is no other: cancel the other one, or consume "
            "without exclusive=True."
        )
    if "exclusive" in text:
        return "Another connection holds that queue for itself: close it, or use another queue name."
    if text.startswith("ACCESS_REFUSED"):
        return "The user has no permission for it: use another name, or ask the broker's administrator."
    if "no exchange" in text:
        return "Declare the exchange first, or publish to the default exchange with exchange=''."
    return "Correct what it names, and go on with a new channel: connection.channel()."


def _connection_closed(code: int, text: str, endpoint: Endpoint | None, queue: str | None) -> WorkqError:
    if code == 541 and "transient_nonexcl_queues" in text:
        named = f"queue {queue!r}" if queue else "a queue"
        return TransientQueuesDeniedError(
            f"This RabbitMQ refuses queues that are not durable, so it closed the connection when {named} "
            f"was declared (541 {text}). Open a new connection and declare it with durable=True, or allow "
            "them in rabbitmq.conf with deprecated_features.permit.transient_nonexcl_queues = true.",
            code,
            text,
        )
    if code == 403:
        return _login_refused(endpoint)
    if code == 530 and "channel_max" in text:
        return ConnectionLostError(
            f"RabbitMQ{_at(endpoint)} closed the connection, which had as many channels as it may have: {code} {text}. "
            "Open a new one, and close channels that nobody needs any more: channel.close()."
        )
    if code == 530:
        return _virtual_host_refused(text, endpoint)
    if code == 320:
        return ConnectionLostError(
            f"RabbitMQ{_at(endpoint)} closed the connection: {code} {text}. It is stopping, or somebody "
            "closed the connection or deleted its virtual host. When the broker is up again, open a new "
            "connection."
        )
    return ConnectionLostError(
        f"The connection to RabbitMQ{_at(endpoint)} was closed: {code} {text}. Correct what it names and "
        "open a new one; a connection may be used by one thread only."
    )


def _login_refused(endpoint: Endpoint | None) -> LoginRefusedError:
    user = f" of user {endpoint.username!r}" if endpoint else ""
    guest = (
        " The user 'guest' may log in from the broker's own machine only."
        if endpoint is None or endpoint.username == "guest"
        else ""
    )
    encoded = " Special characters of a URL are percent-encoded." if endpoint and endpoint.named_by else ""
    return LoginRefusedError(
        f"RabbitMQ{_at(endpoint)} refused the login{user}.{guest} {_step(endpoint, 'Correct the login')}{encoded}"
    )


def _virtual_host_refused(text: str, endpoint: Endpoint | None) -> VirtualHostRefusedError:
    name = repr(endpoint.virtual_host) if endpoint else "asked for"
    user = f" for user {endpoint.username!r}" if endpoint else ""
    # pika hands on the broker's words inside a repr: ConnectionClosedByBroker: (530) 'NOT_ALLOWED - ...'
    told = re.search(r"""(['"]|^)([A-Z]+_[A-Z]+ - .*)\1""", text)
    said = f" ({told[2]})" if told else ""
    if "not found" in text:
        fault = f"has no virtual host {name}"
        step = (
            f"Correct the name at the end of {endpoint.named_by}, or have the broker's administrator create it."
            if endpoint and endpoint.named_by
            else "Open the lesson again to get a new one."
        )
    elif "limit" in text:
        fault = f"has too many connections or queues for virtual host {name}"
        step = "Close some (restart other notebooks' kernels), or ask its administrator to raise the limit."
    elif "down" in text:
        fault = f"has virtual host {name}, but it is down"
        step = "Try again in some seconds; if it stays so, its administrator must restart it."
    else:
        fault = f"refused virtual host {name}{user}"
        step = (
            f"Name another at the end of {endpoint.named_by}, or ask its administrator for permission."
            if endpoint and endpoint.named_by
            else "Open the lesson again to get one that is yours."
        )
    return VirtualHostRefusedError(f"RabbitMQ{_at(endpoint)} {fault}{said}. {step}")


def _tls_failed(error: ssl.SSLError, endpoint: Endpoint | None) -> BrokerUnreachableError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerUnreachableError(
            f"The TLS certificate of the server{_at(endpoint)} can't be trusted: {error.verify_message}. "
            f"{certificate_advice(error)}"
        )
    if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
        step = "It answered without TLS: write the address as amqp:// (usually with port 5672)."
    else:
        step = _look(endpoint)
    return BrokerUnreachableError(f"TLS with the server{_at(endpoint)} failed: {reason_of(error)}. {step}")


def certificate_advice(error: ssl.SSLCertVerificationError) -> str:
    """Return what to do about a certificate that can't be trusted."""
    if error.verify_code in _ANOTHER_TIME:
        return (
            f"This machine's clock says {time.strftime('%F %R %Z')}. Set it if it is wrong; else whoever runs that "
            "server has to renew the certificate."
        )
    return (
        "If you know who issued it, set WORKQ_TLS_CA_FILE to their certificate; WORKQ_TLS_VERIFY=no accepts any "
        "certificate, which lets others on the way read the login."
    )


def _unreachable(reason: str, endpoint: Endpoint | None) -> BrokerUnreachableError:
    return BrokerUnreachableError(f"No RabbitMQ answers{_at(endpoint)}: {reason}. {_look(endpoint)}")


def _look(endpoint: Endpoint | None) -> str:
    return _step(endpoint, "Check the address")


def _step(endpoint: Endpoint | None, change: str) -> str:
    return endpoint.advice(change) if endpoint else "See what `workq doctor` says."


def _at(endpoint: Endpoint | None) -> str:
    return f" at {endpoint.place}" if endpoint else ""


def reason_of(error: BaseException) -> str:
    """Return in a few words why something could not be reached."""
    if isinstance(error, TimeoutError) and not error.strerror:
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(map(said, error.args)) or type(error).__name__


def _named_queue(text: str) -> str | None:
    found = re.search(r"queue '(.*?)' in vhost", text)
    return found[1] if found else None


def _difference(text: str) -> str:
    """Put 'received X but current is Y' into words: what was asked for and what there is."""
    found = re.search(r"inequivalent arg '(.*?)' for .*: received (.*) but current is (.*)", text)
    if not found:
        return ""
    argument, asked, present = found.groups()
    return f": {argument} is {_plain(present)}, and you asked for {_plain(asked)}"


def _plain(value: str) -> str:
    """Return what the broker calls ``the value '3' of type 'signedint'``, or ``'3'``, as ``3``."""
    found = re.fullmatch(r"(?:the value )?'(.*?)'(?: of type '.*')?", value)
    return found[1] if found else value
