"""`Broker`: the RabbitMQ of a lesson, found or started by `find_broker`."""

from __future__ import annotations

import contextlib
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from workq_helpers import rabbitmq
from workq_helpers.broker.by_hand import ByHand, not_ours
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.progress import Shown, shown
from workq_helpers.broker.server import silent
from workq_helpers.broker.share import RESTART_SECONDS, Share, take_share
from workq_helpers.broker.virtual_hosts import VirtualHosts, wait_until_started
from workq_helpers.errors import (
    BrokerError,
    BrokerNotOursError,
    InvalidArgumentError,
    LoginRefusedError,
    ManagementError,
    WaitTimeoutError,
)
from workq_helpers.forks import abandon_in_children
from workq_helpers.hidden import ENVIRON
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import Features
from workq_helpers.rabbitmq.url import endpoint_from_url
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    import pika

    from workq_helpers.rabbitmq.management import Management, QueueCounts
    from workq_helpers.rabbitmq.restart_watch import RestartWatch
    from workq_helpers.rabbitmq.routes import Routes

__all__ = ["Broker", "find_broker"]

#: How often to look whether a broker went away or came back, in seconds: a restart takes longer than that.
_LOOK_SECONDS = 0.1
#: What is told of a broker when somebody asks this handle for it, before it is seen.
_DEEDS = ("restarting", "crashing", "stopping")
#: What is told of a broker that is there.
_ALARMS = ("blocked", "unblocked")
#: How long to wait for the user to restart a broker, in seconds.
_BY_HAND_SECONDS = 300.0
_RESTART_YOURSELF = (
    "Restart it yourself where it runs, with wait_for_restart() in the next cell; or unset WORKQ_BROKER_URL for a "
    "broker of the course's own."
)
#: How long a broker's management API may take to come up after its AMQP, in seconds.
_MANAGEMENT_SECONDS = 20.0


def find_broker(progress: Callable[[str], None] | None = None, environ: Mapping[str, str] = ENVIRON) -> Broker:
    """Find the broker to use, or start one, and return once it accepts logins.

    Args:
        progress: Called with each step in words; by default a progress bar shows them if there is anything to wait for.
        environ: The environment variables: ``WORKQ_BROKER_URL``, ``WORKQ_BROKER``, ``WORKQ_RABBITMQ_IMAGE``,
            ``WORKQ_RUNTIME_DIR``, ``WORKQ_CACHE_DIR``, ``WORKQ_LINGER_SECONDS``, ``WORKQ_RESTART_BY_HAND`` and
            ``WORKQ_CRASH_BY_HAND`` count.

    Returns:
        A handle on it; close it, or use it as a context manager. A course broker stays while anyone holds one.

    Raises:
        BrokerNotFoundError: There is none, and none could be started; the message lists the choices.
        BrokerError: The one that was asked for does not work; a subclass says why.
        InvalidArgumentError: An environment variable makes no sense.
    """
    choice = BrokerChoice.from_environ(environ)
    if choice.uses_url:
        endpoint = endpoint_from_url(environ)
        broker = Broker(endpoint, rabbitmq.connecting.probe(endpoint), by_hand=ByHand.from_environ(environ))
    else:
        folders = Folders.from_environ(environ)
        # The watch needs pika, which is slow to import; RabbitMQ starts meanwhile.
        threading.Thread(target=lambda: rabbitmq.restart_watch, name="import").start()
        with shown(progress) as show:
            share = take_share(folders, choice, environ, show)
        broker = Broker(share.ready.endpoint, share.ready.version, share)
    broker._watch()
    return broker


class Broker:
    """A RabbitMQ to use: the course's own, or one that somebody else runs.

    Args:
        endpoint: Its address and login.
        version: What it announced.
        share: Our share in it, where the course started it.
        by_hand: How its user restarts it, where somebody else did.
    """

    def __init__(
        self, endpoint: Endpoint, version: Version, share: Share | None = None, by_hand: ByHand | None = None
    ) -> None:
        self.endpoint = endpoint
        self.version = version
        self.by_hand = by_hand or ByHand()
        self._share = share
        self._lock = threading.Lock()
        self._management: Management | None = None
        self._features: Features | None = None
        self._virtual_hosts = VirtualHosts(endpoint, share)
        self._restart_watch: RestartWatch | None = None
        self._outages = 0  # that it had seen when the broker was found, restarted by this handle or waited for last
        self._listeners: list[Callable[[str], None]] = []
        self._telling = threading.RLock()
        self._told = "up"
        self._hangs = False  # where it is still down after the supervisor has waited for it
        self._deeds = 0  # of this handle, under way
        self._progress: Callable[[str], None] = silent  # of the last of them
        self._closed = False
        abandon_in_children(self)

    # -- what it is

    @property
    def ours(self) -> bool:
        """Whether the course started it, and so may stop, restart and crash it."""
        return self._share is not None

    @property
    def restartable(self) -> bool:
        """Whether `restart` does something: the broker is ours, or its user has said how to do it by hand."""
        return self.ours or bool(self.by_hand.restart)

    @property
    def source(self) -> str:
        """Where it comes from: ``"url"``, ``"docker"`` or ``"node"``."""
        return self._share.ready.source if self._share else "url"

    @property
    def where(self) -> str:
        """How it was found and where it runs, for people to read."""
        return self._share.ready.description if self._share else self.endpoint.place

    @property
    def features(self) -> Features:
        """What this version can do, where versions differ."""
        if self._features is None:
            self._features = self._ask_features()
        return self._features

    def _ask_features(self) -> Features:
        try:
            return Features.ask(self.version, self._api())
        except (ManagementError, LoginRefusedError):
            return Features.ask(self.version, None)

    def describe(self) -> str:
        """Return its version, where it comes from, and whether it is up, for people to read."""
        state = "closed" if self._closed else "up" if rabbitmq.connecting.accepts(self.endpoint) else "down"
        unverified = " · certificate not verified" if self.endpoint.tls and not self.endpoint.verify else ""
        return f"RabbitMQ {self.version} · {self.where} · {state}{unverified}"

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Broker RabbitMQ {self.version} from {self.source} at {self.endpoint.place}, {state}>"

    @property
    def unmanaged(self) -> str:
        """Why its management API can't be asked, where a lesson goes on without it; ``""`` where it can."""
        return self._virtual_hosts.unmanaged

    # -- virtual hosts and queues

    def connection_parameters(self, virtual_host: str, **overrides: Any) -> pika.ConnectionParameters:
        """Return pika's parameters for a connection to `virtual_host`.

        Args:
            virtual_host: Its name.
            **overrides: Any argument of `pika.ConnectionParameters`, to set or replace one.
        """
        return rabbitmq.connecting.connection_parameters(self.endpoint.on(virtual_host), **overrides)

    def create_virtual_host(self, label: str) -> str:
        """Create an empty virtual host, and return its name; it is deleted when this handle's process ends.

        On a broker that somebody else runs and where the user may not create any, one of those that a teacher made
        for the user is emptied and used instead (`workq_helpers.rabbitmq.borrowed_virtual_host` says more); where there
        are none, the virtual host that the address names, unless that is ``/``. Without its management API nobody can
        make one or empty one: the one that the address names is used as it is, and `unmanaged` says why.

        Args:
            label: What it is for, such as ``"round-robin"``; becomes part of the name.

        Raises:
            VirtualHostRefusedError: The user may not create one, and the address names none but ``/``; or all that
                the user has are in use.
            ManagementError: The management API does not work.
        """
        return self._virtual_hosts.create(label, self._api)

    def delete_virtual_host(self, name: str) -> None:
        """Delete a virtual host and everything in it; no error if it is gone.

        Args:
            name: As `create_virtual_host` returned it. One that was there before is emptied, where that can be
                done, and stays.
        """
        self._virtual_hosts.delete(name, self._api)

    def virtual_hosts(self) -> list[str]:
        """Return the names of all virtual hosts that the user may see."""
        return self._api().virtual_hosts()

    def queue_counts(self, virtual_host: str) -> dict[str, QueueCounts]:
        """Return the queues of `virtual_host` and what is in them at this moment, as the broker says."""
        return self._api().queue_counts(virtual_host)

    def published(self, virtual_host: str) -> dict[str, int]:
        """Return how many messages clients published to each queue of `virtual_host`, as it tells some seconds late.

        Of a virtual host that others had before nothing is told: the count may be of a queue that they had there.
        """
        return self._api().published(virtual_host) if self._virtual_hosts.has_made(virtual_host) else {}

    def queue_declaration(self, virtual_host: str, queue: str) -> Mapping[str, Any]:
        """Return how `queue` was declared, as the broker says; nothing if it is gone."""
        return self._api().queue_declaration(virtual_host, queue)

    def routes(self, virtual_host: str) -> Routes:
        """Return the exchanges, bindings and dead-letter routes of `virtual_host`, as the broker says."""
        return self._api().routes(virtual_host)

    def _api(self) -> Management:
        with self._lock:
            if self._management is None:
                self._management = rabbitmq.management.Management(self.endpoint)
            return self._management

    # -- stopping and starting

    def restart(self, progress: Callable[[str], None] = silent) -> None:
        """Stop it gracefully and start it again with the same data; return when it accepts AMQP again.

        Where ``WORKQ_RESTART_BY_HAND`` says how the user does that, show it and wait until it is done.

        Args:
            progress: Called with each step in words, in any thread.

        Raises:
            BrokerNotOursError: The course did not start it.
            BrokerError: It is gone, or did not come up again.
            WaitTimeoutError: It was to be done by hand, and was not.
        """
        self._take_down("restart", "restarting", self.by_hand.restart, progress)

    def crash(self, progress: Callable[[str], None] = silent) -> None:
        """SIGKILL it and start it again with the same data; return when it accepts AMQP again.

        Where ``WORKQ_CRASH_BY_HAND`` says how the user does that, show it and wait until it is done.

        Args:
            progress: As for `restart`.

        Raises:
            As `restart`.
        """
        self._take_down("crash", "crashing", self.by_hand.crash, progress)

    def _take_down(self, deed: str, change: str, by_hand: str, progress: Callable[[str], None]) -> None:
        if self._share is None and by_hand:
            self._wait_for_hand(by_hand)
            return
        share = self._ours(f"the course does not {deed} it", _RESTART_YOURSELF)
        watch = self._restart_watch
        outages = watch.outages - (not watch.is_up) if watch else 0  # that are over
        with self._doing(change, progress):
            progress("RabbitMQ is told to stop." if deed == "restart" else "RabbitMQ is killed.")
            share.request(deed, RESTART_SECONDS)
            progress("It takes connections again.")
            wait_until_started(self._api)
            if watch is not None:
                wait_until(lambda: watch.is_up and watch.outages != outages, _MANAGEMENT_SECONDS)
            self._remember_this_boot()
            self._tell("up")

    @contextlib.contextmanager
    def _doing(self, change: str, progress: Callable[[str], None] = silent) -> Iterator[None]:
        """Tell what this handle does, and nothing that is seen meanwhile; then what is seen, however this ended."""
        self._deeds += 1
        self._progress = progress
        try:
            self._tell(change)
            yield
        finally:
            self._progress = silent
            self._deeds -= 1

    def stop(self) -> None:
        """Stop it for everyone and remove its data; return when it is gone. No error if it is gone already.

        Raises:
            BrokerNotOursError: The course did not start it.
        """
        share = self._ours("the course does not stop it", _RESTART_YOURSELF)
        with self._doing("stopping"):
            share.stop()
            self._tell("down")

    def rabbitmqctl(self, *arguments: str) -> str:
        """Run RabbitMQ's own command-line tool where the broker runs, and return what it printed.

        Args:
            *arguments: Its command line, for example ``"list_queues", "name", "messages_ready"``.

        Raises:
            BrokerNotOursError: The course did not start it.
            InvalidArgumentError: An argument is not a text.
            BrokerError: The tool failed; the message has what it printed.
        """
        for argument in arguments:
            if not isinstance(argument, str) or "\0" in argument:
                raise InvalidArgumentError(f"{argument!r} can't be an argument of rabbitmqctl. Pass texts.")
        yourself = f"Where that RabbitMQ runs, type: rabbitmqctl {' '.join(arguments)}"
        share = self._ours("the course runs no command there", yourself)
        return str(share.request("rabbitmqctl", RESTART_SECONDS, arguments=list(arguments)))

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with each `BrokerChange` of the broker, whoever made it, until it is unsubscribed.

        Args:
            listener: Called with "restarting", "crashing" or "stopping" when that is asked of this handle, and with
                "down", "up", "blocked" or "unblocked" when it is seen; that in a thread of its own.
        """
        self._listeners.append(listener)
        self._watch()

    def unsubscribe(self, listener: Callable[[str], None]) -> None:
        """Call `listener` no more."""
        self._listeners.remove(listener)

    def _tell(self, change: str) -> None:
        with self._telling:
            if change == self._told:
                return
            if change not in _ALARMS:
                self._told = change
            for listener in list(self._listeners):
                listener(change)

    def _saw(self, change: str) -> None:
        """Take in what the watch sees: again and again how it is, and alarms."""
        if self._deeds:
            if change == "down":
                self._progress("It is down.")
        elif change == "up" and self._told in _DEEDS:
            # Whoever did it did not wait for its end: when it is over, it is looked at anew.
            self._revive()
            self._told = ""
        elif change != self._told:
            self._tell(change)
            if change == "down":
                self._revive()
            elif change == "up":
                self._virtual_hosts.claim_again()
        elif change == "down" and self._hangs:
            self._revive()

    def _revive(self) -> None:
        """Have the supervisor start a server of ours again that has died, once it is done with all else.

        Nobody does that for a broker of somebody else's. One that did not come up does so no better at once; one that
        ran on and accepts nobody may die later.
        """
        self._hangs = False
        if self._share is not None:
            with contextlib.suppress(BrokerError, WaitTimeoutError):
                self._share.request("revive", RESTART_SECONDS)
                self._hangs = True

    def _watch(self) -> None:
        """Watch the broker from now on; one that can't be watched at this moment is not."""
        if self._restart_watch is None:
            me = weakref.ref(self)  # a handle that is dropped closes itself

            def told(change: str) -> None:
                broker = me()
                if broker is not None:
                    broker._saw(change)

            with contextlib.suppress(BrokerError):
                self._restart_watch = rabbitmq.restart_watch.RestartWatch(self.endpoint, told)
                self._outages, self._told = 0, "up"

    def _ours(self, so: str, yourself: str) -> Share:
        """Return our share in it; raise where somebody else runs it, with what follows and what to do instead."""
        if self._share is not None:
            return self._share
        raise BrokerNotOursError(f"{not_ours(self.endpoint, so)} {yourself}")

    def wait_for_restart(self, timeout: float = 300.0) -> None:
        """Wait until the broker goes away and comes back: for one that is restarted elsewhere.

        Returns at once if it has done so already, since it was found, restarted by this handle or waited for last.

        Args:
            timeout: How long to wait in all, in seconds.

        Raises:
            WaitTimeoutError: It did not go away, or did not come back, in time.
        """
        place = self.endpoint.place

        def wait(text: str, condition: Callable[[], bool], seen: str) -> None:
            def look() -> bool:
                show(text)
                return condition()

            if not wait_until(look, timeout, interval_seconds=_LOOK_SECONDS):
                raise WaitTimeoutError(
                    f"RabbitMQ at {place} was not restarted within {timeout:.0f} s: {seen}. "
                    "Restart it where it runs, and call wait_for_restart() again."
                )

        with Shown() as show:
            going = f"Waiting for RabbitMQ at {place} to go down: restart it now"
            wait(going, self._went_away, "it never stopped answering")
            coming = f"RabbitMQ at {place} is down: waiting for it to come back"
            wait(coming, self._remember_this_boot, "it went down and did not come back")

    def _wait_for_hand(self, command: str) -> None:
        wait_until(self._remember_this_boot, _MANAGEMENT_SECONDS)  # what happened before does not count
        asked = f"Type this now in a terminal of the machine that runs RabbitMQ, in the course's folder: {command}"
        print(asked)  # noqa: T201 - for whoever waits in front of it
        self.wait_for_restart(_BY_HAND_SECONDS)
        wait_until_started(self._api)

    def _went_away(self) -> bool:
        """Say whether the broker has gone away since it was last remembered, or is away now."""
        if self._restart_watch is not None:
            return self._restart_watch.outages != self._outages
        return not rabbitmq.connecting.accepts(self.endpoint)

    def _remember_this_boot(self) -> bool:
        """Notice from now on that the broker goes away; say whether it is there at all."""
        self._watch()
        if self._restart_watch is None or not self._restart_watch.is_up:
            return False
        self._outages = self._restart_watch.outages
        return True

    # -- the end

    def close(self) -> None:
        """Give up this handle: its virtual hosts go, and the course broker soon after its last handle; idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            management, self._management = self._management, None
        self._virtual_hosts.release()
        if self._restart_watch is not None:
            self._restart_watch.close()
        if self._share is not None:
            self._share.close()  # the supervisor deletes its virtual hosts
        if management is not None:
            if self._share is None:
                self._virtual_hosts.delete_made(management)
            management.close()

    def abandon(self) -> None:
        """Leave everything to the parent in a forked child; what is asked from there goes over a client of its own."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._closed = True
        self._management = self._restart_watch = None
        self._virtual_hosts.abandon()

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()
