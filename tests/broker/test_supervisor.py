from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.broker.course import Holder, course, node_is_possible, processes_in
from tests.broker.walk import stays
from tests.fake_docker import slow_docker
from tests.support import command_of, need
from workq_helpers.broker import (
    Broker,
    commands,
    diagnose,
    docker_engine,
    docker_socket,
    find_broker,
    protocol,
    removal,
    share,
)
from workq_helpers.broker.choice import DEFAULT_IMAGE
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.supervisor import Supervisor
from workq_helpers.errors import (
    BrokerNotFoundError,
    BrokerStartError,
    BrokerUnreachableError,
    DockerUnavailableError,
    StaleStateError,
)
from workq_helpers.rabbitmq.connecting import accepts

pytestmark = pytest.mark.machine

IN_DOCKER = pytest.param("docker", marks=pytest.mark.root)
AS_A_NODE_AT_NIGHT = pytest.param("node", marks=pytest.mark.nightly)

PollFor = Callable[..., None]

SOURCES = {
    "node": {"WORKQ_BROKER": "node"},
    "docker": {
        "WORKQ_BROKER": "docker",
        "WORKQ_RABBITMQ_IMAGE": os.environ.get("WORKQ_RABBITMQ_IMAGE") or DEFAULT_IMAGE,
    },
}


def quiet(_text: str) -> None:
    """Take in progress and show nothing."""


@pytest.fixture(autouse=True)
def possible() -> None:
    need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with course() as environ:
        yield environ


def is_gone(environ: dict[str, str]) -> Callable[[], bool]:
    return lambda: not Path(environ["WORKQ_RUNTIME_DIR"]).exists() and not processes_in(environ)


# -- one broker that several tests use


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, str]]:
    need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")
    with course(WORKQ_LINGER_SECONDS="60") as environ:
        commands.start(quiet, environ)
        yield environ


@pytest.fixture
def attached(running: dict[str, str]) -> Iterator[Broker]:
    with find_broker(quiet, running) as broker:
        yield broker


@pytest.mark.nightly
def test_every_port_is_on_loopback(running: dict[str, str], attached: Broker) -> None:
    listening = [
        connection.laddr
        for process in processes_in(running)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len({address.port for address in listening}) == 4  # AMQP, management, distribution, epmd
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}


def test_secrets_are_in_private_files_and_in_no_argument(running: dict[str, str], attached: Broker) -> None:
    runtime = Path(running["WORKQ_RUNTIME_DIR"])
    (node,) = runtime.glob("broker-*")
    secret = [node / name for name in ("rabbitmq.conf", ".erlang.cookie")]
    for path in (*secret, runtime / "workq.log", runtime / "workq.sock"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert runtime.stat().st_mode & 0o777 == 0o700
    assert node.stat().st_mode & 0o777 == 0o700
    password = attached.endpoint.password
    assert password in secret[0].read_text()
    assert not [process for process in processes_in(running) if password in " ".join(command_of(process))]
    told = [commands.logs(running), repr(attached), attached.describe(), str(commands.status(running))]
    assert not [text for text in (*told, (runtime / "workq.log").read_text()) if password in text]


def test_a_second_handle_is_the_same_broker(running: dict[str, str], attached: Broker) -> None:
    with find_broker(quiet, running) as second:
        assert second.endpoint == attached.endpoint
        status = commands.status(running)
        assert status is not None
        assert status.shares == 2
        assert status.phase == "up"
    assert commands.url(running).startswith(f"amqp://{attached.endpoint.username}:")


def test_no_module_is_entered_twice_on_the_way_to_a_broker_that_runs(running: dict[str, str], attached: Broker) -> None:
    found: list[Broker] = []
    walked = stays(lambda: found.append(find_broker(quiet, running)))
    found[0].close()
    assert {"broker.broker", "broker.folders", "broker.share", "broker.protocol"} <= walked.keys()
    assert walked == dict.fromkeys(walked, 1)


def test_no_module_is_entered_twice_on_the_way_to_a_broker_that_starts(environ: dict[str, str]) -> None:
    found: list[Broker] = []
    walked = stays(lambda: found.append(find_broker(quiet, environ)))
    found[0].close()
    assert {"broker.broker", "broker.share", "broker.protocol", "broker.sweep", "broker.locking"} <= walked.keys()
    handed_along = {"broker.folders", "broker.progress"}  # where things are, and what is told on the way
    assert {name: times for name, times in walked.items() if name not in handed_along and times > 1} == {}


def test_a_source_that_differs_from_the_running_one_is_refused(running: dict[str, str]) -> None:
    with pytest.raises(BrokerStartError, match=r"WORKQ_BROKER=docker asks for another.*workq broker stop"):
        find_broker(quiet, running | {"WORKQ_BROKER": "docker"})


def test_virtual_hosts_of_a_killed_process_go(running: dict[str, str], attached: Broker, poll_for: PollFor) -> None:
    holder = Holder(running)
    host = holder.ready()["host"]
    assert host in attached.virtual_hosts()
    holder.kill()
    poll_for(lambda: host not in attached.virtual_hosts())


def test_a_terminals_ctrl_c_does_not_reach_the_broker(running: dict[str, str], attached: Broker) -> None:
    holder = Holder(running, stderr=subprocess.DEVNULL)
    holder.ready()
    holder.interrupt()
    holder.end()
    assert accepts(attached.endpoint)


def test_a_node_that_died_is_started_again_for_who_attaches(
    running: dict[str, str], attached: Broker, poll_for: PollFor
) -> None:
    (beam,) = [process for process in processes_in(running) if process.name() == "beam.smp"]
    beam.kill()
    poll_for(lambda: not accepts(attached.endpoint))
    told: list[str] = []
    with find_broker(told.append, running) as found:
        assert accepts(found.endpoint)
        assert found.endpoint == attached.endpoint
    assert any("is down" in text for text in told)


# -- whole lives


def test_one_supervisor_for_all_who_start_at_once_and_nothing_after_they_are_killed(
    environ: dict[str, str], poll_for: PollFor
) -> None:
    holders = [Holder(environ) for _ in range(4)]
    found = [holder.ready() for holder in holders]
    assert len({(each["port"], each["supervisor"]) for each in found}) == 1
    assert all(any("private node" in text for text in holder.progress) for holder in holders)
    for holder in holders:
        holder.kill()
    poll_for(is_gone(environ))


@pytest.mark.nightly
def test_users_sweep_where_supervisor_and_sweeper_were_killed(environ: dict[str, str], poll_for: PollFor) -> None:
    with find_broker(quiet, environ):
        sweeper, supervisor = sweeper_of(environ), psutil.Process(supervisor_of(environ))
        sweeper.kill()
        supervisor.kill()
        poll_for(is_gone(environ))


@pytest.mark.parametrize("source", [AS_A_NODE_AT_NIGHT, IN_DOCKER])
def test_a_supervisor_that_hangs_costs_seconds_and_a_sentence(
    source: str, poll_for: PollFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "docker":
        need_docker()
    monkeypatch.setattr(protocol, "SILENCE_SECONDS", 1.0)
    with course(**SOURCES[source]) as environ, find_broker(quiet, environ) as broker:
        psutil.Process(supervisor_of(environ)).suspend()
        for deed in (
            lambda: find_broker(quiet, environ),
            lambda: commands.start(quiet, environ),
            lambda: commands.status(environ),
            lambda: commands.url(environ),
            lambda: commands.logs(environ),
            broker.restart,
        ):
            with pytest.raises(BrokerUnreachableError, match=r"said nothing for 1 s: it hangs.*`workq broker stop`"):
                deed()
        broker.delete_virtual_host(broker.create_virtual_host("meanwhile"))  # a lesson that is open goes on
        found = {finding.name: finding for finding in diagnose(environ)}["course broker"]
        assert found.verdict == "bad"
        assert "it hangs" in found.found
        assert commands.stop(environ) is True
        poll_for(is_gone(environ))
        assert source == "node" or containers_of(environ) == []


@pytest.mark.nightly
def test_a_supervisor_that_hangs_while_it_starts_does_not_hold_who_waits(
    environ: dict[str, str], poll_for: PollFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SILENCE_SECONDS", 1.0)

    def hang(text: str) -> None:
        if "private node" in text:
            psutil.Process(supervisor_of(environ)).suspend()

    with pytest.raises(BrokerUnreachableError, match="it hangs"):
        find_broker(hang, environ)
    assert commands.stop(environ) is True
    poll_for(is_gone(environ))


def test_nothing_is_left_when_supervisor_and_users_are_killed_at_once(
    environ: dict[str, str], poll_for: PollFor
) -> None:
    holder = Holder(environ)
    holder.ready()
    kill_at_once(holder, psutil.Process(supervisor_of(environ)))
    poll_for(is_gone(environ))


def test_the_next_start_sweeps_when_really_all_were_killed_and_pinned_it_stays_until_it_is_stopped_for_everyone(
    environ: dict[str, str], poll_for: PollFor
) -> None:
    holder = Holder(environ)
    holder.ready()
    kill_at_once(holder, sweeper_of(environ), psutil.Process(supervisor_of(environ)))
    (left,) = Path(environ["WORKQ_RUNTIME_DIR"]).glob("broker-*")
    assert commands.status(environ) is None
    with pytest.raises(StaleStateError, match="is gone"):
        commands.url(environ)
    started = commands.start(quiet, environ | {"WORKQ_LINGER_SECONDS": "0"})
    assert not left.exists()
    assert (started.pinned, started.shares) == (True, 0)  # who starts it does not use it
    assert commands.status(environ) is not None
    holder = Holder(environ)
    holder.ready()
    with find_broker(quiet, environ) as broker:
        broker.stop()
        poll_for(lambda: is_gone_but_for(holder, environ))
        broker.stop()  # once more is no error
        assert commands.stop(environ) is False
        with pytest.raises(BrokerNotFoundError, match="No course broker runs"):
            commands.url(environ)
    holder.kill()


@pytest.mark.root
def test_a_container_that_nothing_names_any_more_goes_at_the_next_start_and_one_whose_users_and_supervisor_die_at_once(
    poll_for: PollFor,
) -> None:
    """The first as after a power cut: the runtime folder was in memory, the stopped container is on the disk."""
    need_docker()
    with course(**SOURCES["docker"]) as environ:
        holder = Holder(environ)
        holder.ready()
        kill_at_once(holder, sweeper_of(environ), psutil.Process(supervisor_of(environ)))
        shutil.rmtree(environ["WORKQ_RUNTIME_DIR"])
        (lost,) = containers_of(environ)
        holder = Holder(environ)
        holder.ready()
        poll_for(lambda: lost not in containers_of(environ))
        assert len(containers_of(environ)) == 1
        kill_at_once(holder, psutil.Process(supervisor_of(environ)))
        poll_for(is_gone(environ))
        assert containers_of(environ) == []


def kill_at_once(holder: Holder, *others: psutil.Process) -> None:
    """Kill them so that none has a moment to put away what another one left."""
    for process in (psutil.Process(holder.pid), *others):
        process.suspend()
    for process in others:
        process.kill()
        psutil.wait_procs([process])
    holder.kill()


def test_a_start_that_nobody_waits_for_is_given_up(environ: dict[str, str], poll_for: PollFor) -> None:
    holder = Holder(environ)
    while "private node" not in holder.read().get("progress", ""):
        pass
    holder.kill()
    poll_for(is_gone(environ))


@pytest.mark.parametrize("by", ["command", pytest.param("signal", marks=pytest.mark.nightly)])
def test_who_waits_for_a_start_hears_that_it_was_stopped(by: str, environ: dict[str, str], poll_for: PollFor) -> None:
    stopping: list[threading.Thread] = []

    def stop(text: str) -> None:
        if "private node" not in text or stopping:
            return
        supervisor = supervisor_of(environ)
        deed = (lambda: commands.stop(environ)) if by == "command" else (lambda: os.kill(supervisor, signal.SIGTERM))
        stopping.append(threading.Thread(target=deed))
        stopping[0].start()

    with pytest.raises(BrokerStartError, match="was stopped while it started"):
        find_broker(stop, environ)
    stopping[0].join()
    poll_for(is_gone(environ))


@pytest.mark.root
@pytest.mark.parametrize("killed", [pytest.param("users", marks=pytest.mark.nightly), "supervisor too"])
def test_a_container_that_comes_when_nobody_waits_for_it_any_more_goes(
    killed: str, poll_for: PollFor, tmp_path: Path
) -> None:
    """Docker makes what it was asked for, though whoever asked is dead."""
    need_docker()
    with (
        slow_docker(tmp_path) as docker,
        course(**SOURCES["docker"], DOCKER_HOST=docker.host) as environ,
    ):
        holder = Holder(environ)
        assert docker.asked.wait(30)
        if killed == "users":
            holder.kill()
        else:
            kill_at_once(holder, psutil.Process(supervisor_of(environ)))
        assert docker.looked.wait(30)
        docker.go_on()
        assert docker.made.wait(30)
        poll_for(lambda: containers_of(environ) == [])
        poll_for(is_gone(environ))


@pytest.mark.root
def test_a_docker_that_says_nothing_any_more_keeps_nobody_from_a_broker_that_runs(tmp_path: Path) -> None:
    need_docker()
    with (
        slow_docker(tmp_path) as docker,
        course(**SOURCES["docker"], DOCKER_HOST=docker.host) as environ,
    ):
        docker.go_on()
        with find_broker(quiet, environ):
            docker.hush()
            status = commands.status(environ)
            assert status is not None
            assert status.phase == "up"
            assert "up: RabbitMQ" in commands.logs(environ)
            find_broker(quiet, environ).close()
            docker.talk()


@pytest.mark.root
def test_who_stops_a_broker_hears_once_that_docker_says_nothing_and_what_may_still_run(
    poll_for: PollFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Folders] = []

    def note(folders: Folders) -> None:
        if threading.current_thread() is threading.main_thread() and not folders.cluster:
            swept.append(folders)

    need_docker()
    with (
        slow_docker(tmp_path) as docker,
        course(**SOURCES["docker"], DOCKER_HOST=docker.host) as environ,
    ):
        docker.go_on()
        with find_broker(quiet, environ):
            docker.hush()
            monkeypatch.setattr(share, "sweep", note)
            with pytest.raises(BrokerStartError, match=r"may still run, in the container workq-rabbitmq-.* Docker "):
                commands.stop(environ)
            monkeypatch.undo()
            assert not swept  # Docker would be asked once more
            docker.talk()
        commands.stop(environ)
        poll_for(is_gone(environ))
        assert containers_of(environ) == []


def test_what_docker_can_not_remove_keeps_nobody_from_another_broker(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BrokerStartError("RabbitMQ may still run.")

    folders = Folders.from_environ(environ)
    folders.make_runtime()
    named = folders.runtime / "workq-rabbitmq-0123456789ab"
    named.touch()
    with monkeypatch.context() as silent:
        silent.setattr(removal, "remove", fail)
        with find_broker(quiet, environ) as broker:
            assert accepts(broker.endpoint)
            assert folders.containers == [named]
            named.unlink()  # a container of that name would be waited for


@pytest.mark.parametrize("source", [AS_A_NODE_AT_NIGHT, IN_DOCKER])
def test_a_broker_whose_runtime_folder_can_not_be_used_any_more_ends_nevertheless(
    source: str, poll_for: PollFor
) -> None:
    """As when the server is gone on which the folder is."""
    if source == "docker":
        need_docker()
    with course(**SOURCES[source]) as environ:
        holder = Holder(environ)
        holder.ready()
        runtime = Path(environ["WORKQ_RUNTIME_DIR"])
        runtime.rename(runtime.with_name("elsewhere"))
        runtime.touch()
        holder.kill()
        poll_for(lambda: not processes_in(environ))
        assert source == "node" or containers_of(environ) == []
        runtime.unlink()


def test_a_container_that_can_not_be_removed_stays_named(environ: dict[str, str]) -> None:
    class Stuck:
        def stop(self) -> None:
            raise BrokerStartError("Docker could not remove a container: driver failed.")

    folders = Folders.from_environ(environ)
    folders.make_runtime()
    named = folders.runtime / "workq-rabbitmq-0123456789ab"
    named.touch()
    supervisor = Supervisor(folders, environ | {"WORKQ_LINGER_SECONDS": "0"})
    supervisor._server = Stuck()  # type: ignore[assignment]
    assert supervisor._put_away()
    assert folders.containers == [named]
    named.unlink()  # a container of that name would be waited for


def is_gone_but_for(holder: Holder, environ: dict[str, str]) -> bool:
    if Path(environ["WORKQ_RUNTIME_DIR"]).exists():
        return False
    return not [process for process in processes_in(environ) if process.pid != holder.pid]


def test_the_supervisor_holds_no_descriptor_of_who_started_it_and_what_it_leaves_goes_while_others_live(
    environ: dict[str, str], poll_for: PollFor
) -> None:
    reading, writing = os.pipe()
    holder = Holder(environ | {"WORKQ_LINGER_SECONDS": "60"}, pass_fds=[writing])
    os.close(writing)
    holder.ready()
    holder.kill()
    assert commands.status(environ) is not None
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor
        assert pipe.read() == b""  # would wait for ever if the supervisor held the other end
    with find_broker(quiet, environ) as broker:
        os.kill(supervisor_of(environ), signal.SIGKILL)
        poll_for(is_gone(environ))
        with pytest.raises(BrokerUnreachableError, match="call find_broker"):
            broker.restart()


@pytest.mark.nightly
def test_a_long_path_puts_the_socket_elsewhere(poll_for: PollFor, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100) / "run"
    with course(WORKQ_RUNTIME_DIR=str(long)) as environ:
        with find_broker(quiet, environ) as broker:
            elsewhere = socket_of(environ)
            assert elsewhere.exists()
            assert accepts(broker.endpoint)
        poll_for(is_gone(environ))
        assert not elsewhere.parent.exists()


def test_a_failed_start_raises_its_own_error_and_leaves_nothing(environ: dict[str, str], poll_for: PollFor) -> None:
    nowhere = {"WORKQ_BROKER": "docker", "DOCKER_HOST": "tcp://127.0.0.1:1"}
    with pytest.raises(DockerUnavailableError):
        find_broker(quiet, environ | nowhere)
    poll_for(is_gone(environ))


def supervisor_of(environ: dict[str, str]) -> int:
    status = commands.status(environ)
    assert status is not None
    return status.supervisor


def sweeper_of(environ: dict[str, str]) -> psutil.Process:
    parent = psutil.Process(supervisor_of(environ)).parent()
    assert parent is not None
    assert "workq_helpers.broker.supervisor" in command_of(parent)
    return parent


def need_docker() -> None:
    if os.environ.get("WORKQ_BROKER", "docker") != "docker":
        pytest.skip(f"WORKQ_BROKER is {os.environ['WORKQ_BROKER']}, so Docker is not to be used")
    need(not docker_socket.why_unavailable(os.environ), "Docker does not run")
    need(docker_engine.has_image(SOURCES["docker"]["WORKQ_RABBITMQ_IMAGE"]), "the image is not here")


def containers_of(environ: dict[str, str]) -> list[str]:
    with docker_engine.client() as client:
        label = f"{removal.FOLDER_LABEL}={removal.owner(Path(environ['WORKQ_RUNTIME_DIR']))}"
        return [each.name for each in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)]


def socket_of(environ: dict[str, str]) -> Path:
    return Folders.from_environ(environ).socket
