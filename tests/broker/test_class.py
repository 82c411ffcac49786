"""A class on one broker: what is made for each learner, that nobody sees another, and that lessons run."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pika
import pytest

from workq_helpers import Broker, Lesson, find_broker
from workq_helpers.classroom.classroom import Classroom
from workq_helpers.classroom.limits import Limits
from workq_helpers.classroom.roster import Learner
from workq_helpers.classroom.teachers_file import Access, TeachersFile
from workq_helpers.errors import (
    InvalidArgumentError,
    LoginRefusedError,
    ManagementUnavailableError,
    VirtualHostRefusedError,
)
from workq_helpers.rabbitmq.borrowed_virtual_host import lesson_hosts
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.url import endpoint_from_url

ROOT = Path(__file__).parents[2]

#: Runs a command as a terminal does, for what asks only where somebody sits.
IN_A_TERMINAL = (
    "import os, pty, sys; "
    """told = pty.spawn(["sh", "-c", 'stty rows 30 cols 100; exec "$@"', "sh", *sys.argv[1:]]); """
    "sys.exit(os.waitstatus_to_exitcode(told))"
)

ADA, LEI = Learner("Lovelace, Ada", "ada@hub"), Learner("李雷")
SMALL = Limits(lessons=3, connections=20, channels=40, queues=5, messages=100, megabytes=1)


@pytest.fixture
def file(tmp_path: Path) -> TeachersFile:
    return TeachersFile(tmp_path / "class-urls.csv")


@pytest.fixture
def classroom(broker: Broker, file: TeachersFile) -> Iterator[Classroom]:
    """A class that is removed in the end."""
    with Classroom(broker.endpoint, file) as opened:
        yield opened
        opened.remove()


@pytest.fixture
def named(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let users be named after learners, whatever the broker's version."""
    monkeypatch.setattr(classroom, "_names_are_private", True)


@pytest.fixture
def two(classroom: Classroom, named: None) -> tuple[Access, Access]:
    """The class of Ada and 李雷."""
    ada, lei = classroom.create([ADA, LEI], SMALL).new
    return ada, lei


@pytest.fixture
def api(broker: Broker) -> Iterator[httpx.Client]:
    """The management API as the administrator."""
    with client(broker.endpoint) as opened:
        yield opened


def client(endpoint: Endpoint) -> httpx.Client:
    login = (endpoint.username, endpoint.password)
    # RabbitMQ closes a connection after a request that it refused before it had read all of it.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=f"{endpoint.management_url}/api/", auth=login, trust_env=False, limits=limits)


def environ(access: Access) -> dict[str, str]:
    """Return the environment of a learner's notebook."""
    kept = {name: value for name, value in os.environ.items() if name not in ("WORKQ_BROKER", "WORKQ_RABBITMQ_IMAGE")}
    return kept | {"WORKQ_BROKER_URL": access.broker_url, "WORKQ_MANAGEMENT_URL": access.management_url}


def endpoint_of(access: Access) -> Endpoint:
    return endpoint_from_url(environ(access))


@contextlib.contextmanager
def lesson_of(access: Access, name: str = "round-robin") -> Iterator[Lesson]:
    """Open a lesson as a kernel of the learner's does: each has a handle of its own."""
    with find_broker(environ=environ(access)) as found, Lesson(f"{name} of {access.user}", found) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare("hello", durable=True)
        yield lesson


# -- what is made


def test_each_gets_a_user_virtual_hosts_permissions_and_limits(two: tuple[Access, Access], api: httpx.Client) -> None:
    ada, _ = two
    assert (ada.name, ada.login) == ("Lovelace, Ada", "ada@hub")
    assert sorted(api.get(f"users/{ada.user}").json()["tags"]) == ["management", "workq-class"]
    permissions = api.get(f"users/{ada.user}/permissions").json()
    hosts = [ada.user, *(f"{ada.user}.{number}" for number in (1, 2, 3))]
    assert sorted(row["vhost"] for row in permissions) == hosts
    for host in hosts:
        assert api.get(f"vhosts/{host}").json()["tags"] == ["workq-class"]
        (limits,) = api.get(f"vhost-limits/{host}").json()
        assert limits["value"] == {"max-connections": 20, "max-queues": 5}
        (policy,) = api.get(f"operator-policies/{host}").json()
        assert policy["definition"] == {"max-length": 100, "max-length-bytes": 1_000_000}
    (limits,) = api.get(f"user-limits/{ada.user}").json()
    assert limits["value"] == {"max-connections": 20, "max-channels": 40}


@pytest.mark.pinned
def test_a_second_run_keeps_addresses_and_takes_newcomers_in(
    classroom: Classroom, file: TeachersFile, two: tuple[Access, Access]
) -> None:
    zoe = Learner("Zoë")
    again = classroom.create([zoe, LEI], SMALL)
    assert [access.name for access in again.new] == ["Zoë"]
    assert (again.kept, again.unlisted, again.complaints) == ([two[1]], [two[0]], [])
    assert file.read() == [*two, *again.new]
    for access in file.read():
        with lesson_of(access):
            pass


@pytest.mark.pinned
def test_a_run_that_was_interrupted_is_repeated(
    classroom: Classroom, file: TeachersFile, monkeypatch: pytest.MonkeyPatch, api: httpx.Client
) -> None:
    def interrupted(users: Any) -> Iterator[str]:
        yield users[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classroom.create([ADA, LEI], SMALL, interrupted)
    promised = file.read()
    assert api.get(f"users/{promised[1].user}").status_code == 404
    assert classroom.create([ADA, LEI], SMALL).kept == promised == file.read()
    with lesson_of(promised[1]):
        pass


@pytest.mark.pinned
def test_users_are_named_after_learners_where_no_other_can_read_it(broker: Broker, classroom: Classroom) -> None:
    users = [access.user for access in classroom.create([ADA, LEI], SMALL).new]
    if broker.features.private_limits:
        assert users == ["lovelace-ada", "li-lei"]
    else:
        assert all(re.fullmatch(r"learner-[0-9a-f]{8}", user) for user in users)


@pytest.mark.pinned
def test_two_who_would_have_one_name_get_two(classroom: Classroom, named: None) -> None:
    created = classroom.create([Learner("Zoë"), Learner("Zoe")], SMALL)
    assert [access.user for access in created.new] == ["zoe", "zoe-2"]


def test_what_is_not_of_the_class_is_never_touched(
    classroom: Classroom, broker: Broker, api: httpx.Client, tmp_path: Path, named: None
) -> None:
    api.put("users/bob", json={"password": "made-up", "tags": ""}).raise_for_status()
    api.put("vhosts/zoe.1", json={}).raise_for_status()
    try:
        created = classroom.create([Learner("Bob"), Learner("Zoe")], SMALL)
        assert [access.user for access in created.new] == ["bob-2", "zoe-2"]
        with pytest.raises(InvalidArgumentError, match=r"There is no .* In it: bob-2, zoe-2\. "):
            classroom.reset(broker.endpoint.username)
        assert classroom.remove() == ["bob-2", "zoe-2"]
        assert api.get("users/bob").status_code == api.get("vhosts/zoe.1").status_code == 200
        # The class's file still names it, and somebody else has it now.
        api.put("users/zoe-2", json={"password": "made-up", "tags": ""}).raise_for_status()
        (complaint,) = classroom.create([Learner("Zoe")], SMALL).complaints
        assert "names the user 'zoe-2', and the broker has a user or virtual host of that name" in complaint
        assert api.get("vhosts/zoe-2").status_code == 404
    finally:
        for path in ("users/bob", "users/zoe-2", "vhosts/zoe.1"):
            api.delete(path)


@pytest.mark.pinned
def test_without_the_file_nobody_is_made_twice(
    two: tuple[Access, Access], broker: Broker, api: httpx.Client, tmp_path: Path
) -> None:
    before = len(api.get("users").json())
    with Classroom(broker.endpoint, TeachersFile(tmp_path / "another.csv")) as other:
        created = other.create([ADA], SMALL)
        assert created.new == created.kept == []
        assert "is in the class already, as user 'lovelace-ada'" in created.complaints[0]
        assert len(api.get("users").json()) == before
        renewed = other.reset("Lovelace, Ada", new_password=True)
        assert renewed is not None
        with pytest.raises(LoginRefusedError), lesson_of(two[0]):
            pass
        with lesson_of(renewed):
            pass


@pytest.mark.pinned
def test_a_file_of_another_broker_is_refused(classroom: Classroom, file: TeachersFile) -> None:
    file.write([Access("Ada", "ada", "ada", "amqp://ada:made-up@elsewhere:5672/ada", "")])
    with pytest.raises(InvalidArgumentError, match=r"is of a class at elsewhere:5672, and this broker is at"):
        classroom.create([ADA], SMALL)


@pytest.mark.pinned
def test_status_counts_what_is_open_and_says_what_is_missing(
    classroom: Classroom, two: tuple[Access, Access], api: httpx.Client, poll_for: Any
) -> None:
    with lesson_of(two[0]) as lesson:
        lesson.start_publisher("task", "hello", count=4, confirm=True)
        poll_for(lambda: lesson.queue_counts()["hello"].ready == 4)
        ada, lei = classroom.status()
        assert (ada.name, ada.user, ada.lessons, ada.missing) == ("Lovelace, Ada", "lovelace-ada", 3, "")
        assert ada.use.queues >= 1  # and the claim, which is one too
        assert ada.use.messages == 4
        assert (lei.name, lei.use.queues, lei.use.messages) == ("李雷", 0, 0)
        poll_for(lambda: classroom.status()[0].use.connections > 0)  # statistics, some seconds old
    api.delete("users/li-lei").raise_for_status()
    api.delete("vhosts/lovelace-ada").raise_for_status()
    assert [presence.missing for presence in classroom.status()] == ["the virtual host", "the user"]
    classroom.create([ADA, LEI], SMALL)
    assert [presence.missing for presence in classroom.status()] == ["", ""]


@pytest.mark.pinned
def test_reset_empties_what_one_learner_has(
    classroom: Classroom, two: tuple[Access, Access], api: httpx.Client
) -> None:
    with lesson_of(two[0]) as ada, lesson_of(two[1]) as lei:
        connection = ada.connect()
        assert classroom.reset("lovelace-ada") == two[0]
        with pytest.raises(pika.exceptions.AMQPError):
            connection.channel()
        assert "hello" in lei.queue_counts()
    with find_broker(environ=environ(two[0])) as found:
        assert found.queue_counts("lovelace-ada.1") == {}
    (limits,) = api.get("vhost-limits/lovelace-ada.1").json()
    assert limits["value"] == {"max-connections": 20, "max-queues": 5}
    (policy,) = api.get("operator-policies/lovelace-ada.1").json()
    assert policy["definition"] == {"max-length": 100, "max-length-bytes": 1_000_000}


def test_remove_leaves_nothing_of_the_class(
    classroom: Classroom, two: tuple[Access, Access], broker: Broker, api: httpx.Client
) -> None:
    assert classroom.remove() == ["li-lei", "lovelace-ada"]
    assert not [host for host in broker.virtual_hosts() if host.startswith(("li-lei", "lovelace-ada"))]
    assert not [user["name"] for user in api.get("users").json() if "workq-class" in user["tags"]]
    assert classroom.status() == []


@pytest.mark.once
def test_a_teacher_types_it_all(broker: Broker, file: TeachersFile, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("name,login\nAda Lovelace,ada\n")
    there = broker.endpoint
    options = ["--broker", f"amqp://{there.username}@{there.host}:{there.port}/"]
    options += ["--management", there.management_url or ""]

    def workq(*command: str) -> str:
        """Run a command in a terminal, and give the password when it asks for that."""
        program = [str(Path(sys.executable).with_name("workq")), "class", *command, *options]
        with subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL, *program],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as typed:
            assert typed.stdin is not None
            assert typed.stdout is not None
            asked = b""
            while not asked.endswith(b": ") and (character := typed.stdout.read(1)):
                asked += character
            assert asked.decode() == f"Password of {there.username} at {there.host}: "
            typed.stdin.write(f"{there.password}\n".encode())
            typed.stdin.flush()
            said = typed.stdout.read().decode().replace("\r\n", "\n")
        assert typed.returncode == 0, said
        assert there.password not in said
        return said

    created = workq("create", "roster.csv")
    assert "1 new in the class, 0 were in it; their addresses: class-urls.csv\n" in created
    assert re.search(r"100%.*\b1/1\b.*learners", created), "a progress bar"
    try:
        assert file.path.stat().st_mode & 0o777 == 0o600
        assert re.search(r"^Ada Lovelace +\S+ +0 +0 +0$", workq("status"), re.MULTILINE)
        assert "The virtual hosts of Ada Lovelace are empty.\n" in workq("reset", "Ada Lovelace")
        (before,) = file.read()
        assert "There is a new password, in class-urls.csv." in workq("reset", "Ada Lovelace", "--new-password")
        (after,) = file.read()
        assert (before.user, before.broker_url == after.broker_url) == (after.user, False)
    finally:
        assert "Learners removed from the broker: 1.\n" in workq("remove", "--yes")
    assert "There is no class on this broker.\n" in workq("status")


def test_a_learner_is_no_teacher(two: tuple[Access, Access], file: TeachersFile) -> None:
    with pytest.raises(ManagementUnavailableError, match="User 'lovelace-ada' is no administrator of RabbitMQ"):
        Classroom(endpoint_of(two[0]), file)


# -- nobody sees or disturbs another


def test_a_learner_gets_into_no_other_virtual_host(two: tuple[Access, Access], broker: Broker) -> None:
    ada, lei = two
    for host in (lei.user, f"{lei.user}.1", "/"):
        address = endpoint_of(ada).on(host)
        parameters = pika.ConnectionParameters(
            address.host, address.port, host, pika.PlainCredentials(address.username, address.password)
        )
        with pytest.raises(pika.exceptions.ProbableAccessDeniedError):
            pika.BlockingConnection(parameters)


def test_a_learner_sees_nothing_of_another_through_the_management_api(classroom: Classroom) -> None:
    ada, lei = classroom.create([ADA, LEI], SMALL).new
    with lesson_of(ada) as mine, lesson_of(lei) as other, client(endpoint_of(ada)) as api:
        with other.connect() as connection:
            connection.channel().queue_declare("secret", durable=True)
        names = [queue["name"] for queue in api.get("queues", params={"disable_stats": "true"}).json()]
        assert sorted(names) == ["hello", mine.virtual_host]  # its claim
        assert sorted(row["name"] for row in api.get("vhosts").json()) == [
            ada.user,
            *lesson_hosts(ada.user, [f"{ada.user}.{number}" for number in (1, 2, 3)]),
        ]
        listings = ("connections", "channels", "consumers", "exchanges", "bindings", "vhosts", "overview", "users")
        told = api.get("user-limits").text
        if mine.broker.features.private_limits:
            assert lei.user not in told
        else:  # which tell everybody's limits, by user: nobody knows whose they are
            assert not re.search(r"lei|雷|lovelace", told, re.IGNORECASE)
        for listing in (*listings, "permissions", "definitions", "nodes", "vhost-limits"):
            assert lei.user not in api.get(listing).text, listing
            assert "secret" not in api.get(listing).text, listing
        host = quote(other.virtual_host, safe="")
        for method, path in (
            ("GET", f"queues/{host}"),
            ("GET", f"queues/{host}/secret"),
            ("DELETE", f"queues/{host}/secret"),
            ("DELETE", f"queues/{host}/secret/contents"),
            ("PUT", f"queues/{host}/mine"),
            ("DELETE", f"vhosts/{host}"),
            ("DELETE", f"users/{lei.user}"),
            ("PUT", f"permissions/{host}/{ada.user}"),
            ("PUT", "vhosts/mine-too"),
            ("DELETE", f"operator-policies/{quote(mine.virtual_host, safe='')}/workq-limits"),
            ("DELETE", f"vhost-limits/{quote(mine.virtual_host, safe='')}/max-queues"),
            ("DELETE", f"user-limits/{ada.user}/max-channels"),
        ):
            body = {"configure": ".*", "write": ".*", "read": ".*"} if method == "PUT" else None
            answer = api.request(method, path, json=body)
            assert answer.status_code in (401, 403, 404), (method, path, answer.text)
        assert set(other.queue_counts()) == {"hello", "secret"}


# -- lessons


def test_lessons_of_one_learner_have_a_virtual_host_each(two: tuple[Access, Access]) -> None:
    ada, _ = two
    with lesson_of(ada, "a") as first, lesson_of(ada, "b") as second:
        assert (first.virtual_host, second.virtual_host) == ("lovelace-ada.1", "lovelace-ada.2")
        with second.connect() as connection:
            connection.channel().basic_publish("", "hello", b"of the second")
        assert first.queue_counts()["hello"].ready == 0
        with lesson_of(ada, "c") as third:
            assert third.virtual_host == "lovelace-ada.3"
            with pytest.raises(VirtualHostRefusedError, match=r"All 3 virtual hosts .* shut its kernel down"):
                lesson_of(ada, "d").__enter__()
        with lesson_of(ada, "e") as next_one:
            assert next_one.virtual_host == "lovelace-ada.3"
            assert set(next_one.queue_counts()) == {"hello"}


@pytest.mark.pinned
def test_a_kernel_that_is_killed_lets_go_of_its_virtual_host(two: tuple[Access, Access], poll_for: Any) -> None:
    ada, _ = two
    program = (
        "from workq_helpers import Lesson\n"
        "lesson = Lesson('killed')\n"
        "with lesson.connect() as connection:\n"
        "    connection.channel().queue_declare('left over', durable=True)\n"
        "print(lesson.virtual_host, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, env=environ(ada), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as kernel:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "lovelace-ada.1\n"
        with lesson_of(ada) as beside:
            assert beside.virtual_host == "lovelace-ada.2"
        kernel.kill()

    def taken_over() -> bool:
        with lesson_of(ada) as lesson:
            return lesson.virtual_host == "lovelace-ada.1" and set(lesson.queue_counts()) == {"hello"}

    poll_for(taken_over)


@pytest.mark.once
def test_a_lesson_holds_its_virtual_host_after_a_restart(two: tuple[Access, Access], broker: Broker) -> None:
    if not broker.ours:
        pytest.skip("only a broker that the course started is restarted by tests")
    ada, _ = two
    with lesson_of(ada) as lesson:
        broker.restart()
        lesson.broker.wait_for_restart(timeout=60)
        with lesson_of(ada, "another") as other:
            assert (lesson.virtual_host, other.virtual_host) == ("lovelace-ada.1", "lovelace-ada.2")


def test_limits_are_kept(two: tuple[Access, Access]) -> None:
    with lesson_of(two[0]) as lesson, lesson.connect() as connection:
        channel = connection.channel()
        for number in range(4):
            channel.queue_declare(f"more {number}", durable=True)
        with pytest.raises(pika.exceptions.AMQPError, match="queue limit"):
            channel.queue_declare("one too many", durable=True)


@pytest.mark.parametrize("arguments", [{}, {"x-max-length": 1_000_000}, {"x-queue-type": "quorum"}])
def test_no_queue_holds_more_than_it_may(two: tuple[Access, Access], arguments: dict[str, Any], poll_for: Any) -> None:
    with lesson_of(two[0]) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare("many", durable=True, arguments=arguments)
            connection.channel().queue_declare("large", durable=True, arguments=arguments)
        lesson.start_publisher("task", "many", count=250, confirm=True).wait()
        lesson.start_publisher("." * 180_000, "large", count=10, confirm=True).wait()
        poll_for(lambda: lesson.queue_counts()["many"].ready == 100)
        poll_for(lambda: lesson.queue_counts()["large"].ready == 5)


@pytest.mark.nightly
@pytest.mark.once
def test_ten_learners_at_once(classroom: Classroom, work_and_ack: Any) -> None:
    learners = classroom.create([Learner(f"Learner {number}") for number in range(10)], SMALL).new

    def course(access: Access) -> tuple[list[int], set[str]]:
        with lesson_of(access) as lesson:
            workers = lesson.start_workers(2, work_and_ack, "hello", prefetch_count=1)
            lesson.start_publisher([f"{access.user} {number}." for number in range(5)], "hello")
            lesson.wait_until_idle()
            bodies = set(lesson.deliveries()["task"])
            return [worker.finished for worker in workers], bodies

    with ThreadPoolExecutor(len(learners)) as pool:
        results = list(pool.map(course, learners))
    for access, (done, bodies) in zip(learners, results, strict=True):
        assert sum(done) == 5
        assert bodies == {f"{access.user} {number}." for number in range(5)}


def what_failed(said: str) -> str:
    """Return what a pytest said from its first failure on: of a test that failed once, CI keeps the first line."""
    _, failures, end = said.partition("= FAILURES =")
    lines = [text for line in (end if failures else said).splitlines() if (text := line.strip(" =_"))]
    return "; ".join(lines[:4]) + f"\n{said}"


@pytest.mark.nightly
@pytest.mark.once
@pytest.mark.timeout(300)
def test_notebooks_need_nothing_but_the_address(classroom: Classroom, tmp_path: Path) -> None:
    """With an exercise, which opens a second lesson, among them."""
    ada = classroom.create([ADA], Limits()).new[0]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/notebooks/output_filters.cfg"]
    done = subprocess.run(
        [*command, "-k", "00_start or 01_round"],
        cwd=ROOT,
        env=environ(ada),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, what_failed(done.stdout)
    assert " passed" in done.stdout
