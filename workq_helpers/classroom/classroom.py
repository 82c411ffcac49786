"""`Classroom`: the learners of one class on one broker."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from workq_helpers.classroom.limits import Limits
from workq_helpers.classroom.roster import Learner, spelling
from workq_helpers.classroom.teachers_file import Access, TeachersFile
from workq_helpers.classroom.user_names import random_user_name, user_name
from workq_helpers.errors import (
    InvalidArgumentError,
    LoginRefusedError,
    ManagementUnavailableError,
    UnsupportedBrokerError,
)
from workq_helpers.rabbitmq.administration import Administration, Named, Use
from workq_helpers.rabbitmq.borrowed_virtual_host import lesson_hosts
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import Features
from workq_helpers.rabbitmq.url import BROKER_URL, address_of, endpoint_from_url
from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = ["Classroom", "Created", "Each", "Presence"]

#: The mark of users and virtual hosts that belong to a class.
_TAG = "workq-class"
#: Lets a user ask for the counts of queues in virtual hosts that are the user's.
_MANAGEMENT = "management"
_ADMINISTRATOR = "administrator"

_DESCRIBED = " · a class of the work queues course"

#: What a virtual host keeps open in RabbitMQ, as seen on 4.3: its message stores and its lock.
_FILES_OF_A_VIRTUAL_HOST = 3
#: What a learner has open in one lesson with some workers and an exercise.
_CONNECTIONS_OF_A_LEARNER = 10

#: Given the names of users, yields each while something is done with it: a progress bar.
Each = Callable[[Sequence[str]], Iterable[str]]


class Created(NamedTuple):
    """What became of a roster.

    Attributes:
        new: Who came to the class.
        kept: Who was in it before, with address and password as they were.
        unlisted: Who is in the teacher's file and no longer in the roster; they were left as they were.
        complaints: A sentence for each learner who could not be taken in.
    """

    new: list[Access]
    kept: list[Access]
    unlisted: list[Access]
    complaints: list[str]


class Presence(NamedTuple):
    """One learner on the broker.

    Attributes:
        name: The learner's name.
        user: The user of RabbitMQ.
        lessons: How many virtual hosts there are for lessons.
        use: What goes on in all of the learner's virtual hosts.
        missing: What there should be and is not, in words; ``""`` if nothing.
    """

    name: str
    user: str
    lessons: int
    use: Use
    missing: str


class Classroom:
    """A class on a broker; close it, or use it as a context manager.

    Args:
        endpoint: The broker, as learners reach it, with the login of an administrator.
        file: Where the learners' addresses are kept.

    Raises:
        BrokerError: The broker does not do for a class; a subclass says why.
    """

    def __init__(self, endpoint: Endpoint, file: TeachersFile) -> None:
        self._endpoint = endpoint
        self._file = file
        self._api = Administration(endpoint)
        try:
            self._check_administrator()
        except BaseException:
            self._api.close()
            raise

    def close(self) -> None:
        """Close its connections; idempotent."""
        self._api.close()

    def __enter__(self) -> Classroom:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what a teacher does

    def create(self, learners: Iterable[Learner], limits: Limits, each: Each = iter) -> Created:
        """Take learners in; those who are in already keep their address, and get what they miss.

        Raises:
            InvalidArgumentError: The teacher's file is of another broker, or can't be used.
            UnsupportedBrokerError: The broker may not open as many files as that takes.
            BrokerError: The broker did not do what was asked; the run may be repeated.
        """
        known = self._rows()
        created = self._planned(learners, known)
        self._check_room(len(created.kept) + len(created.new), limits)
        rows = {access.user: access for access in [*known, *created.kept, *created.new]}
        # Before anything is created: a password that is in use is never in no file.
        self._file.write(rows.values())
        for user in each([access.user for access in [*created.kept, *created.new]]):
            self._make(rows[user], limits)
        return created

    def status(self) -> list[Presence]:
        """Return who is in the class and what they have open, by name."""
        users, uses = self._users(), self._api.uses()
        hosts = self._hosts()
        owners = {host.partition(".")[0] for host in hosts}  # a user's name has no dot
        found = [self._presence(user, users, hosts, uses) for user in users | owners]
        return sorted(found, key=lambda presence: (spelling(presence.name), presence.user))

    def reset(self, learner: str, new_password: bool = False) -> Access | None:
        """Give a learner empty virtual hosts; what was open in them ends.

        Args:
            learner: The learner's name or user.
            new_password: Whether to make a new password too, and write it to the teacher's file.

        Returns:
            How the learner gets in, if the teacher's file says so.

        Raises:
            InvalidArgumentError: There is no such learner.
        """
        hosts = self._hosts()
        user = self._known(learner, hosts)
        rows = {access.user: access for access in self._rows()}
        if new_password:
            name = rows[user].name if user in rows else hosts.get(user, user)
            rows[user] = self._access(Learner(name, rows[user].login if user in rows else ""), user)
            self._file.write(rows.values())
            self._put_user(rows[user])
        for host in _own(user, hosts):
            limits, queue_limits = self._api.virtual_host_limits(host), self._api.queue_limits(host)
            self._api.delete_virtual_host(host)
            self._put_host(host, user, hosts[host], limits, queue_limits)
        return rows.get(user)

    def remove(self, each: Each = iter) -> list[str]:
        """Delete every user and virtual host of the class; return the users."""
        users, hosts = self._users(), self._hosts()
        ours = {host for user in users for host in _own(user, hosts)}
        for user in each(sorted(users)):
            self._api.delete_user(user)  # first, so that nobody comes back
            for host in _own(user, hosts):
                self._api.delete_virtual_host(host)
        for host in hosts:
            if host not in ours:  # left by a run that was interrupted
                self._api.delete_virtual_host(host)
        return sorted(users)

    # -- who is in

    def _planned(self, learners: Iterable[Learner], known: Iterable[Access]) -> Created:
        """Return what is to become of the learners, before anything is done."""
        rows = {spelling(access.name): access for access in known}
        users, every_host = self._api.users(), self._api.described_virtual_hosts()
        foreign = {found.name for found in [*users, *every_host] if not _is_ours(found.tags)}
        taken = {found.name.partition(".")[0] for found in [*users, *every_host]}
        taken |= {found.name for found in users} | {access.user for access in rows.values()}
        members = {user.name for user in users} - foreign
        homes = {spelling(_learner_of(host)): host.name for host in every_host if host.name in members - foreign}
        created = Created([], [], [], [])
        for learner in learners:
            row = rows.pop(spelling(learner.name), None)
            if row is not None and foreign & {row.user, *lesson_hosts(row.user, foreign)}:
                created.complaints.append(
                    f"{learner.name} is left out: {self._file.path} names the user {row.user!r}, and the broker has "
                    "a user or virtual host of that name that is not of the class. Name another file with --output."
                )
            elif row is not None:
                created.kept.append(row._replace(login=learner.login or row.login))
            elif spelling(learner.name) in homes:
                user = homes[spelling(learner.name)]
                created.complaints.append(
                    f"{learner.name} is in the class already, as user {user!r}, and {self._file.path} does not have "
                    f"the password. Name the file that has it with --output, or give a new one: "
                    f"workq class reset {user} --new-password"
                )
            else:
                user = user_name(learner.name, taken) if self._names_are_private else random_user_name(taken)
                taken.add(user)
                created.new.append(self._access(learner, user))
        created.unlisted.extend(rows.values())
        return created

    def _rows(self) -> list[Access]:
        """Return the rows of the teacher's file, which must be of this broker."""
        rows = self._file.read()
        here = _place(self._address("user", "password"))
        for row in rows:
            try:
                place = _place(row.broker_url)
            except ValueError:
                place = "no address"
            if place != here:
                raise InvalidArgumentError(
                    f"{self._file.path} is of a class at {place}, and this broker is at {here}. "
                    "Name another file with --output."
                )
        return rows

    def _users(self) -> set[str]:
        return {user.name for user in self._api.users() if _is_ours(user.tags)}

    def _hosts(self) -> dict[str, str]:
        """Return the virtual hosts of the class, with their learners' names."""
        return {host.name: _learner_of(host) for host in self._api.described_virtual_hosts() if _is_ours(host.tags)}

    def _known(self, learner: str, hosts: Mapping[str, str]) -> str:
        users = self._users()
        named = [user for user in users if learner == user or spelling(hosts.get(user, user)) == spelling(learner)]
        if not named:
            known = ", ".join(sorted(users)[:20]) or "nobody"
            raise InvalidArgumentError(
                f"There is no {learner!r} in the class. In it: {known}. `workq class status` shows all of them."
            )
        return learner if learner in named else sorted(named)[0]

    def _presence(self, user: str, users: set[str], hosts: Mapping[str, str], uses: Mapping[str, Use]) -> Presence:
        own = _own(user, hosts)
        rows = [uses.get(host, Use()) for host in own]
        missing = [] if user in users else ["the user"]
        missing += [] if user in hosts else ["the virtual host"]
        missing += [] if len(own) > 1 else ["virtual hosts for lessons"]
        return Presence(
            name=hosts[own[0]] if own else user,
            user=user,
            lessons=len(lesson_hosts(user, hosts)),
            use=Use(*map(sum, zip(*rows, strict=True))) if rows else Use(),
            missing=", ".join(missing),
        )

    # -- what is made for one

    def _make(self, access: Access, limits: Limits) -> None:
        self._put_user(access)
        self._api.limit_user(access.user, limits.of_user())
        for host in [access.user, *(f"{access.user}.{number}" for number in range(1, limits.lessons + 1))]:
            self._put_host(host, access.user, access.name, limits.of_virtual_host(), limits.of_queue())

    def _put_user(self, access: Access) -> None:
        password = unquote(urlsplit(access.broker_url).password or "")
        self._api.put_user(access.user, password, [_MANAGEMENT, _TAG])

    def _put_host(
        self, host: str, user: str, name: str, limits: Mapping[str, int], queue_limits: Mapping[str, int]
    ) -> None:
        self._api.put_virtual_host(host, f"{name}{_DESCRIBED}", [_TAG])
        self._api.limit_virtual_host(host, limits)
        if queue_limits:  # else a class that was made before there were any
            self._api.limit_queues(host, queue_limits)
        self._api.permit(user, host)  # last: nobody gets into one without limits

    def _access(self, learner: Learner, user: str) -> Access:
        address = self._address(user, secrets.token_urlsafe(18))
        found_by_itself = endpoint_from_url({BROKER_URL: address}).management_url == self._endpoint.management_url
        management = "" if found_by_itself else self._endpoint.management_url or ""
        return Access(learner.name, learner.login or user, user, address, management)

    def _address(self, user: str, password: str) -> str:
        # How the teacher's own machine verifies a certificate is no part of it.
        plain = replace(self._endpoint, verify=True, ca_file=None)
        return address_of(replace(plain, username=user, password=password, virtual_host=user))

    # -- whether the broker does for a class

    def _check_administrator(self) -> None:
        with self._teachers_words():
            version, administrator = self._api.version(), self._api.is_administrator()
        # Names are told with the limits.
        self._names_are_private = Features(version).private_limits
        if version.release < OLDEST_VERSION.release:
            raise UnsupportedBrokerError(
                f"RabbitMQ at {self._endpoint.management_url} is {version}, and a class needs {OLDEST_VERSION} or "
                "later. Upgrade it, or use another."
            )
        if not administrator:
            raise self._not_administrator()

    def _check_room(self, learners: int, limits: Limits) -> None:
        """Make sure that the broker can have so much open; one that can't fails in the middle, and for all."""
        most = self._api.most_open_files()
        needed = learners * ((1 + limits.lessons) * _FILES_OF_A_VIRTUAL_HOST + _CONNECTIONS_OF_A_LEARNER)
        if most is not None and needed > most:
            raise UnsupportedBrokerError(
                f"RabbitMQ at {self._endpoint.management_url} may open {most} files, and {learners} learners with "
                f"{limits.lessons} lessons each need about {needed}. Let it open more (RABBITMQ_MAX_OPEN_FILES, and "
                "`ulimit -n` or systemd's LimitNOFILE above it), or let learners open fewer lessons: --lessons 2"
            )

    @contextmanager
    def _teachers_words(self) -> Iterator[None]:
        """Say what a teacher can do about a refusal; what the API says is meant for learners."""
        url, user = self._endpoint.management_url, self._endpoint.username
        try:
            yield
        except LoginRefusedError as error:
            raise LoginRefusedError(
                f"RabbitMQ at {url} refused the login of the administrator {user!r}. Correct it in the broker's URL "
                "(special characters percent-encoded)."
            ) from error
        except ManagementUnavailableError as error:
            if "tag 'management'" in str(error):
                raise self._not_administrator() from error
            seen = str(error).partition(" Sending, consuming")[0]
            raise ManagementUnavailableError(
                f"A class is made through RabbitMQ's management API. {seen} Enable it on the broker with "
                "`rabbitmq-plugins enable rabbitmq_management`, or name its address with --management."
            ) from error

    def _not_administrator(self) -> ManagementUnavailableError:
        user = self._endpoint.username
        return ManagementUnavailableError(
            f"User {user!r} is no administrator of RabbitMQ at {self._endpoint.management_url}, and only one can make "
            f"a class. Use another user, or have this one become one: rabbitmqctl set_user_tags {user} administrator"
        )


def _is_ours(tags: frozenset[str]) -> bool:
    return _TAG in tags and _ADMINISTRATOR not in tags


def _learner_of(host: Named) -> str:
    return host.description.removesuffix(_DESCRIBED)


def _own(user: str, hosts: Iterable[str]) -> list[str]:
    """Return the virtual hosts of a learner, the home first."""
    known = list(hosts)
    return [host for host in (user, *lesson_hosts(user, known)) if host in known]


def _place(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port}"
