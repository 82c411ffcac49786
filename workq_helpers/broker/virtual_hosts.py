"""`VirtualHosts`: those that one handle on a broker has made, or has borrowed from whoever runs it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from workq_helpers import rabbitmq
from workq_helpers.broker.share import Share
from workq_helpers.errors import (
    BrokerError,
    LoginRefusedError,
    ManagementError,
    ManagementUnavailableError,
    VirtualHostRefusedError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.borrowed_virtual_host import Claim
    from workq_helpers.rabbitmq.management import Management

__all__ = ["VirtualHosts", "wait_until_started"]

_Api = Callable[[], "Management"]

#: How long a broker's management API may take to come up after its AMQP, in seconds.
_STARTED_SECONDS = 20.0


def wait_until_started(api: _Api) -> None:
    """Wait until a broker has finished starting, some 0.1 s after it accepted its first connection."""

    def is_started() -> bool:
        with contextlib.suppress(ManagementError):
            return api().is_started()
        return False

    wait_until(is_started, _STARTED_SECONDS)  # one that is still not ready says itself what it can't do


class VirtualHosts:
    """The virtual hosts of one handle; any thread may ask, with what returns the broker's management API.

    Args:
        endpoint: The broker's address and login.
        share: Our share in it, where the course started it.
    """

    def __init__(self, endpoint: Endpoint, share: Share | None) -> None:
        self._endpoint = endpoint
        self._share = share
        self._lock = threading.Lock()
        self._made: set[str] = set()
        # Those that the broker did not delete when it was asked to, or made when it seemed not to.
        self._overdue: set[str] = set()
        self._claims: dict[str, Claim] = {}
        #: Why the management API can't be asked, where a lesson goes on without it.
        self.unmanaged = ""

    def create(self, label: str, api: _Api) -> str:
        """Create an empty virtual host, or borrow one, and return its name; `Broker.create_virtual_host` says more."""
        name = _named(label)
        if self._share is not None:
            self._create_ours(self._share, name, api)
        else:
            try:
                api().create_virtual_host(name)
            except ManagementUnavailableError as error:
                self.unmanaged = str(error)
                return self._endpoint.virtual_host
            except (VirtualHostRefusedError, LoginRefusedError):
                return self._borrow(api)
        with self._lock:
            self._made.add(name)
        return name

    def has_made(self, name: str) -> bool:
        """Return whether a virtual host was made here, and so is nobody else's."""
        return name in self._made

    def delete(self, name: str, api: _Api) -> None:
        """Delete a virtual host, or empty it and give it back where it is borrowed; no error if it is gone."""
        with self._lock:
            claim = self._claims.pop(name, None)
        if claim is not None:
            self._give_back(claim, api)
            return
        if self.unmanaged:
            return
        if self._share is None and name == self._endpoint.virtual_host:
            api().empty_virtual_host(name)
            return
        with self._lock:
            self._overdue.add(name)
        api().delete_virtual_host(name)
        self._is_deleted(name)
        self._delete_overdue(api)

    def delete_made(self, management: Management) -> None:
        """Delete all that were made here."""
        for name in self._made:
            with contextlib.suppress(BrokerError):  # a broker that is gone has nothing to delete
                management.delete_virtual_host(name)

    # -- made

    def _create_ours(self, share: Share, name: str, api: _Api) -> None:
        # Told before it exists, so that the supervisor deletes it whenever this process dies.
        share.note(name, made=True)
        wait_until_started(api)
        self._delete_overdue(api)
        try:
            api().create_virtual_host(name)
        except BrokerError:
            # A broker in trouble, with a full disk for example, may make it all the same.
            self._overdue.add(name)
            raise

    def _is_deleted(self, name: str) -> None:
        with self._lock:
            self._made.discard(name)
            self._overdue.discard(name)
        if self._share is not None:
            self._share.note(name, made=False)

    def _delete_overdue(self, api: _Api) -> None:
        """Try again to delete what a broker in trouble did not; if that fails too, the next time may not."""
        with contextlib.suppress(BrokerError):
            for name in list(self._overdue):
                api().delete_virtual_host(name)
                self._is_deleted(name)

    # -- borrowed

    def _borrow(self, api: _Api) -> str:
        name = self._endpoint.virtual_host
        if name == "/":
            raise VirtualHostRefusedError(
                f"User {self._endpoint.username!r} may not create virtual hosts on "
                f"{self._endpoint.place}, and WORKQ_BROKER_URL names none of its own; the course "
                "never uses '/', where others' queues may be. Ask for the tag 'administrator', or put a virtual "
                "host that may be emptied at the end of the URL, such as amqp://user:password@host:5672/lessons."
            )
        made_for_lessons = rabbitmq.borrowed_virtual_host.lesson_hosts(name, api().virtual_hosts())
        if made_for_lessons:
            claim = rabbitmq.borrowed_virtual_host.Claim(self._endpoint, made_for_lessons)
            return self._claim(claim, api)
        api().empty_virtual_host(name)
        return name

    def _claim(self, claim: Claim, api: _Api) -> str:
        try:
            api().empty_virtual_host(claim.virtual_host)
        except BaseException:
            claim.release()
            raise
        with self._lock:
            self._claims[claim.virtual_host] = claim
        return claim.virtual_host

    def _give_back(self, claim: Claim, api: _Api) -> None:
        try:
            if not claim.lost:  # else somebody else may hold it now
                api().empty_virtual_host(claim.virtual_host)
        finally:
            claim.release()

    def claim_again(self) -> None:
        """Hold what was held before the broker was restarted, as far as nobody else took it meanwhile."""
        with self._lock:
            for name, claim in self._claims.items():
                if claim.lost:
                    claim.release()
                    with contextlib.suppress(BrokerError):
                        self._claims[name] = rabbitmq.borrowed_virtual_host.Claim(self._endpoint, [name])

    def release(self) -> None:
        """Let go of all that is borrowed: whoever takes it next empties it."""
        with self._lock:
            claims, self._claims = self._claims, {}
        for claim in claims.values():
            claim.release()

    def abandon(self) -> None:
        """Leave everything to the parent in a forked child."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._claims = {}


def _named(label: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", label).strip("-")[:60] or "lesson"
    return f"workq.{plain}.{os.getpid()}.{secrets.token_hex(3)}"
