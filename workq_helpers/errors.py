"""Every exception the course raises on purpose.

::

    WorkqError
    ├── InvalidArgumentError            an argument that makes no sense (also a ValueError)
    ├── WaitTimeoutError                something awaited did not happen in time (also a TimeoutError)
    ├── ImpostorError                   a file of yours is imported in the place of a module (also an ImportError)
    ├── CheckFailedError                a lesson's claim was not observed (also an AssertionError)
    ├── JupyterLabError                 JupyterLab can't start, or ended by an error
    ├── RunFileError                    a file is no saved run, or can't be read or written
    ├── BrokerError                     the broker itself
    │   ├── BrokerNotFoundError         no RabbitMQ to use, and none that could be started
    │   ├── BrokerUnreachableError      nothing answers at the address
    │   ├── ConnectionLostError         an open connection ended; also pika's AMQPConnectionError
    │   ├── UnreadableMessageError      a message came that pika can't read; also pika's StreamLostError
    │   ├── LoginRefusedError           wrong user name or password
    │   ├── VirtualHostRefusedError     the virtual host is missing or closed to the user
    │   ├── UnsupportedBrokerError      too old, or not a RabbitMQ
    │   ├── ManagementError             the management API did not do what was asked
    │   │   └── ManagementUnavailableError  it is not there, or not for this user
    │   ├── BrokerNotOursError          restart, crash or stop of a broker the course did not start
    │   ├── BrokerStartError            a broker of ours did not come up
    │   │   ├── PortTakenError          another program has one of its ports
    │   │   ├── DockerUnavailableError  Docker is not installed, not running or not ours to use
    │   │   │   └── DockerSilentError   Docker is there, and gives no answer that can be used
    │   │   ├── ImageUnavailableError   the image is not here and can't be pulled
    │   │   └── PackagesError           RabbitMQ's packages can't be had or unpacked
    │   │       └── DiskFullError       no room left to unpack them
    │   └── StaleStateError             what says that a course broker runs is left of one that is gone
    ├── QueueError                      a queue; each is also pika's own exception
    │   ├── QueueMismatchError          406: it exists with other arguments
    │   ├── QueueNotFoundError          404: there is no such queue
    │   ├── TransientQueuesDeniedError  541: this broker refuses queues that are not durable
    │   └── ChannelRefusedError         any other reason for which the broker closed a channel
    └── WorkerError                     a worker
        ├── CallbackSignatureError      the callback can't be called as pika calls it
        ├── UnknownWorkerError          no worker of that name in the lesson
        └── WorkerStartError            it could not begin to consume

A message says what happened, the value seen and the next step, and never holds a password.

Those that are pika's own too are defined in `workq_helpers.rabbitmq.errors`: whoever starts a broker needs errors at
once, and pika, which takes a while to import, only when the broker is up.
"""

from __future__ import annotations

from collections.abc import Callable

from workq_helpers.text import printable

__all__ = [
    "BrokerError",
    "BrokerNotFoundError",
    "BrokerNotOursError",
    "BrokerStartError",
    "BrokerUnreachableError",
    "CallbackSignatureError",
    "CheckFailedError",
    "DiskFullError",
    "DockerSilentError",
    "DockerUnavailableError",
    "ImageUnavailableError",
    "ImpostorError",
    "InvalidArgumentError",
    "JupyterLabError",
    "LoginRefusedError",
    "ManagementError",
    "ManagementUnavailableError",
    "PackagesError",
    "PortTakenError",
    "QueueError",
    "RunFileError",
    "StaleStateError",
    "UnknownWorkerError",
    "UnsupportedBrokerError",
    "VirtualHostRefusedError",
    "WaitTimeoutError",
    "WorkerError",
    "WorkerStartError",
    "WorkqError",
]


class WorkqError(Exception):
    """Base of every exception the course raises on purpose."""

    def __str__(self) -> str:
        # Some hold a broker's own words, which hold names that anybody may have chosen.
        return printable(str(self.args[0]), lines=True) if self.args else type(self).__name__

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in a notebook: IPython asks an exception for its own traceback here."""
        return [f"{type(self).__name__}: {self}"]


class InvalidArgumentError(WorkqError, ValueError):
    """An argument makes no sense; the message names it and the value seen."""


class WaitTimeoutError(WorkqError, TimeoutError):
    """Something awaited did not happen before its deadline; the message says what was seen instead."""


class ImpostorError(WorkqError, ImportError):
    """A file of the user's is imported in the place of a module that the course needs; the message names it."""


class CheckFailedError(WorkqError, AssertionError):
    """A lesson's claim was not observed; the message says what is missing.

    Attributes:
        show_why: Shows why in a notebook, above the message; ``None`` where there is nothing to see.
    """

    show_why: Callable[[], None] | None = None

    def _render_traceback_(self) -> list[str]:
        if self.show_why is not None:
            self.show_why()
        return super()._render_traceback_()


class RunFileError(WorkqError):
    """A file is no saved run, or can't be read or written; the message says what is wrong with it."""


class JupyterLabError(WorkqError):
    """JupyterLab can't start, or ended by an error."""


class BrokerError(WorkqError):
    """Base of what can go wrong with a broker."""


class BrokerNotFoundError(BrokerError):
    """There is no RabbitMQ to use and none could be started; the message lists the choices."""


class BrokerUnreachableError(BrokerError):
    """Nothing answers at the broker's address."""


class LoginRefusedError(BrokerError):
    """The broker refused the user name or the password."""


class VirtualHostRefusedError(BrokerError):
    """The virtual host does not exist, or the user may not use or create it."""


class UnsupportedBrokerError(BrokerError):
    """The broker is older than RabbitMQ 3.10, or not a RabbitMQ at all."""


class ManagementError(BrokerError):
    """The broker's management API did not do what was asked of it."""


class ManagementUnavailableError(ManagementError):
    """The broker has no management API, or none for this user; the message says what works without it."""


class BrokerNotOursError(BrokerError):
    """The course did not start this broker and so does not stop, restart or crash it."""


class BrokerStartError(BrokerError):
    """A broker that the course tried to start did not come up."""


class PortTakenError(BrokerStartError):
    """Another program has a port that the broker needs."""


class DockerUnavailableError(BrokerStartError):
    """Docker is not installed, does not run, or may not be used by this user."""


class DockerSilentError(DockerUnavailableError):
    """Docker is there and gives no answer, or none that can be used: what it runs is not known."""


class ImageUnavailableError(BrokerStartError):
    """The image is not on this machine and can't be pulled."""


class PackagesError(BrokerStartError):
    """RabbitMQ's packages can't be downloaded, or can't be unpacked."""


class DiskFullError(PackagesError):
    """There is no room left for RabbitMQ's packages."""


class StaleStateError(BrokerError):
    """What says that a course broker runs is left of one that is gone."""


class QueueError(WorkqError):
    """Base of what a broker refuses about a queue."""


class WorkerError(WorkqError):
    """Base of what can go wrong with a worker."""


class CallbackSignatureError(WorkerError, TypeError):
    """A callback does not take pika's four arguments: channel, method, properties, body."""


class UnknownWorkerError(WorkerError, LookupError):
    """The lesson has no worker of that name."""


class WorkerStartError(WorkerError):
    """A worker could not begin to consume."""
