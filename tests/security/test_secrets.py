"""No secret is in a process list, a log, a notebook, a traceback, a repr, a widget's state or an error."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.broker.course import course, node_is_possible
from tests.support import need
from workq_helpers import Broker, Lesson
from workq_helpers.broker import commands, find_broker
from workq_helpers.cli.main import main
from workq_helpers.errors import InvalidArgumentError, WorkqError
from workq_helpers.rabbitmq.connecting import open_connection, probe
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.management import Management
from workq_helpers.rabbitmq.url import address_of, endpoint_from_url

ROOT = Path(__file__).parents[2]


def spellings(secret: str) -> list[str]:
    """Return a secret as it may stand somewhere: as it is, in a URL, in a header."""
    return [secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]]


def holds(text: str, *secrets: str) -> list[str]:
    return [spelling for secret in secrets for spelling in spellings(secret) if spelling in text]


# -- process lists


class ProcessList:
    """What anybody on this machine could read in the list of processes, again and again while something goes on."""

    def __init__(self) -> None:
        #: Every command line that was seen.
        self.seen: set[str] = set()
        #: How often it was looked.
        self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> ProcessList:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for entry in os.scandir("/proc") if Path("/proc/self").exists() else ():
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):
                        self.seen.add(Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1"))
            self.looks += 1
            self._over.wait(0.01)  # no program ends as soon as it has begun; without this it takes a whole processor


@pytest.mark.once
@pytest.mark.parametrize("source", [pytest.param("node", marks=pytest.mark.nightly), "docker"])
def test_a_start_shows_no_secret_in_the_list_of_processes(source: str) -> None:
    settings = {"WORKQ_BROKER": source}
    if source == "docker":
        if os.environ.get("WORKQ_BROKER") == "node":
            pytest.skip("this machine has no Docker to look at")
        need("WORKQ_RABBITMQ_IMAGE" in os.environ, "no image of RabbitMQ is named")
        settings["WORKQ_RABBITMQ_IMAGE"] = os.environ["WORKQ_RABBITMQ_IMAGE"]
    else:
        need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")
    with course(**settings) as environ:
        with ProcessList() as processes, find_broker(lambda _: None, environ) as broker:
            broker.restart()
            secrets = [broker.endpoint.password]
            secrets += [path.read_text() for path in Path(environ["WORKQ_RUNTIME_DIR"]).glob("*/.erlang.cookie")]
            with Lesson("listed", broker) as lesson:
                program = lesson.start_program(ROOT / "notebooks" / "programs" / "worker.py")
                program.wait_for("Waiting")
        assert processes.looks > 20
        every = "\n".join(processes.seen)
        assert "workq_helpers.broker.supervisor" in every
        assert "worker.py" in every
        assert ("beam.smp" in every) or sys.platform != "linux"
        assert holds(every, *secrets) == []


def test_docker_tells_nobody_the_password(broker: Broker) -> None:
    if broker.source != "docker":
        pytest.skip("this broker is no container")
    import docker

    with contextlib.closing(docker.from_env()) as client:
        ours = [
            each.attrs
            for each in client.containers.list(filters={"label": "org.workq.supervisor"}, ignore_removed=True)
            if str(broker.endpoint.port) in str(each.ports)
        ]
    assert len(ours) == 1
    assert holds(json.dumps(ours), broker.endpoint.password) == []


# -- logs


_EVERYTHING_LOGGED = """
import logging
logging.basicConfig(level=logging.DEBUG)
import sys
from workq_helpers import Lesson, find_broker, print_and_work
with find_broker() as broker, Lesson("logged", broker) as lesson:
    with lesson.connect() as connection:
        connection.channel().queue_declare(queue="hello", durable=True)
    worker = lesson.start_worker(print_and_work, queue="hello", auto_ack=True)
    lesson.start_publisher(["one"], queue="hello")
    lesson.wait_until_idle(timeout=30)
    program = lesson.start_program(sys.argv[1])
    program.wait_for("Waiting")
    print(lesson, worker, program, broker, broker.describe(), lesson.queue_counts(), lesson.events(), lesson.log)
    print(vars(lesson), vars(worker), vars(program))
    lesson.worker("nobody")
"""


def test_no_log_however_talkative_holds_the_password(broker: Broker) -> None:
    program = ROOT / "notebooks" / "programs" / "worker.py"
    ran = subprocess.run(
        [sys.executable, "-c", _EVERYTHING_LOGGED, str(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=ROOT,
    )
    said = ran.stdout + ran.stderr
    assert "UnknownWorkerError" in said  # with its traceback
    assert "DEBUG:pika" in said
    assert "DEBUG:httpcore" in said
    assert holds(said, broker.endpoint.password) == []


@pytest.mark.once
def test_the_commands_say_it_only_where_asked_for_it(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    need(broker.ours, "only a broker that the course started is asked")
    password = broker.endpoint.password
    runner = CliRunner()
    for command in ("doctor", "broker status", "broker start", "broker logs"):
        told = runner.invoke(main, command.split())
        assert told.exit_code == 0, told.output
        assert told.output
        assert holds(told.output, password) == [], command
    assert password in runner.invoke(main, ["broker", "url"]).output
    log = Path(os.environ["WORKQ_RUNTIME_DIR"]) / "workq.log"
    assert holds(log.read_text(), password) == []
    monkeypatch.delenv("WORKQ_BROKER", raising=False)
    monkeypatch.setenv("WORKQ_BROKER_URL", commands.url())
    monkeypatch.setenv("WORKQ_MANAGEMENT_URL", broker.endpoint.management_url or "")
    assert holds(runner.invoke(main, ["doctor"]).output, password) == []


@pytest.mark.once
def test_a_class_is_told_of_without_passwords(broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need(broker.ours, "only on a broker of our own is a class made")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKQ_BROKER", raising=False)
    monkeypatch.setenv("WORKQ_BROKER_URL", commands.url())
    monkeypatch.setenv("WORKQ_MANAGEMENT_URL", broker.endpoint.management_url or "")
    Path("roster.csv").write_text("name\nAda\n")
    runner = CliRunner()
    told = []
    try:
        for command in ("create roster.csv --lessons 1", "status", "reset Ada --new-password", "status"):
            result = runner.invoke(main, ["class", *command.split()])
            assert result.exit_code == 0, result.output
            told.append(result.output)
        addresses = Path("class-urls.csv").read_text()
    finally:
        removed = runner.invoke(main, ["class", "remove", "--yes"])
    learners = endpoint_from_url({"WORKQ_BROKER_URL": addresses.splitlines()[1].split(",")[3]})
    assert len(learners.password) >= 24
    assert holds("".join([*told, removed.output]), learners.password, broker.endpoint.password) == []


# -- notebooks


@pytest.mark.once
@pytest.mark.timeout(240)
def test_a_saved_lesson_with_its_widgets_holds_no_password(broker: Broker, tmp_path: Path) -> None:
    lesson = nbformat.read(ROOT / "notebooks" / "01_round_robin.ipynb", as_version=4)
    shown = ["lesson", "lesson.broker", "lesson.broker.endpoint", "lesson.connect", "vars(lesson.broker)"]
    lesson.cells += [nbformat.v4.new_code_cell(source) for source in shown]
    lesson.cells.append(nbformat.v4.new_code_cell("lesson.broker.connection_parameters('x')"))
    lesson.cells.append(nbformat.v4.new_code_cell("lesson.worker('nobody')"))
    nbformat.write(lesson, tmp_path / "lesson.ipynb")
    # In a process of its own: a client of a kernel keeps sockets open until it is collected.
    command = [sys.executable, "-m", "nbconvert", "--to=notebook", "--execute", "--allow-errors", "--output=run.ipynb"]
    subprocess.run([*command, "lesson.ipynb"], cwd=tmp_path, check=True, capture_output=True, timeout=200)
    saved = (tmp_path / "run.ipynb").read_text()
    assert "application/vnd.jupyter.widget-state+json" in saved
    assert "UnknownWorkerError" in saved
    assert holds(saved, broker.endpoint.password) == []


# -- errors


def wrong(endpoint: Endpoint, secret: str) -> dict[str, Callable[[], object]]:
    """Return what goes wrong with a login, by name."""
    import dataclasses

    other = dataclasses.replace(endpoint, password=secret)
    nowhere = dataclasses.replace(other, port=1, management_url="http://127.0.0.1:1")
    return {
        "a wrong password": lambda: probe(other),
        "a wrong password for management": lambda: version_of(other),
        "no such virtual host": lambda: probe(dataclasses.replace(endpoint, virtual_host="no such")),
        "nobody there": lambda: open_connection(nowhere),
        "no management there": lambda: version_of(nowhere),
        "TLS where none is": lambda: probe(dataclasses.replace(other, tls=True)),
        "no name": lambda: probe(dataclasses.replace(other, host="x" * 300)),
    }


def version_of(endpoint: Endpoint) -> object:
    with contextlib.closing(Management(endpoint)) as management:
        return management.version()


@pytest.mark.parametrize("what", wrong(Endpoint("", 0, "", ""), ""))
def test_no_error_holds_a_password(what: str, broker: Broker) -> None:
    secret = "Tr0ub4dor&3-made-up"
    with pytest.raises(WorkqError) as caught:
        wrong(broker.endpoint, secret)[what]()
    whole = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(vars(caught.value))
    assert holds(whole, secret, broker.endpoint.password) == []


def verbose(deed: Callable[[], object]) -> str:
    """Return what IPython shows after ``%xmode Verbose`` of whatever a deed raises, and of all that led to it."""
    from IPython.core.ultratb import VerboseTB

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        deed()
    shown: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(VerboseTB().text(type(error), error, error.__traceback__))
        error = error.__cause__ or error.__context__
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown))


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "moment",
    [
        "socket.create_connection", "pika.BlockingConnection", "httpx.Client.request", "httpx.Client.send",
        "workq_helpers.rabbitmq.url._split", "workq_helpers.rabbitmq.url._decoded", "subprocess.Popen.__init__",
        "subprocess.Popen._execute_child", "workq_helpers.clients.program.address_of",
        "workq_helpers.clients.pace.ENVIRON.get",
    ],
)  # fmt: skip
def test_a_verbose_traceback_of_an_interrupt_holds_no_password(
    moment: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKQ_BROKER", raising=False)
    monkeypatch.setenv("WORKQ_BROKER_URL", address_of(broker.endpoint))
    monkeypatch.setenv("WORKQ_MANAGEMENT_URL", broker.endpoint.management_url or "")

    def deed() -> None:
        with Lesson("interrupted") as lesson:
            lesson.start_program(ROOT / "notebooks" / "programs" / "new_task.py")

    with monkeypatch.context() as patched:
        patched.setattr(moment, interrupted)
        shown = verbose(deed)
    assert "KeyboardInterrupt" in shown
    assert holds(shown, broker.endpoint.password) == []


@pytest.mark.parametrize(
    "address",
    [
        "amqp://anna:SECRET@host:x",
        "amqp://anna:SECRET@127.0.0.1:1/a/b",
        "amqp://an%FF:SECRET@h",
        "amqp://anna:SECRET%FF@h",
        "amqp://anna:SECRET@127.0.0.1:1",
    ],
)
def test_a_verbose_traceback_of_what_followed_from_an_error_holds_no_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hunter2hunter2"
    monkeypatch.delenv("WORKQ_BROKER", raising=False)
    monkeypatch.setenv("WORKQ_BROKER_URL", address.replace("SECRET", secret))

    def deed() -> None:
        try:
            Lesson("never")
        except WorkqError:
            raise RuntimeError("a learner's own") from None

    assert holds(verbose(deed), secret) == []


def test_a_verbose_traceback_of_a_call_with_a_wrong_argument_holds_no_password(lesson_of: Lesson) -> None:
    shown = verbose(lambda: lesson_of.connect(no_such_argument=1))
    assert "no_such_argument" in shown
    assert holds(shown, lesson_of.broker.endpoint.password) == []


@pytest.fixture
def lesson_of(broker: Broker) -> Iterator[Lesson]:
    with Lesson("secrets", broker) as lesson:
        yield lesson


_ODD = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)


@given(user=_ODD, rest=_ODD, scheme=st.sampled_from(["amqp", "amqps", "http", "", "amq p"]), host=_ODD)
def test_no_address_however_wrong_gives_its_password_away(user: str, rest: str, scheme: str, host: str) -> None:
    secret = "hunter2hunter2"
    address = f"{scheme}://{user}:{secret}{rest}@{host}"
    for variable in ("WORKQ_BROKER_URL", "WORKQ_MANAGEMENT_URL"):
        environ = {"WORKQ_BROKER_URL": "amqp://localhost", variable: address}
        try:
            found = endpoint_from_url(environ)
        except InvalidArgumentError as error:
            whole = "".join(traceback.format_exception(error))
            assert secret not in whole.replace(f"environ = {environ!r}", "")
        else:
            assert secret not in repr(found)
