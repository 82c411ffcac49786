"""The command `workq`: what it prints, and its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import psutil
import pytest
from click.testing import CliRunner, Result

from workq_helpers import broker as brokers
from workq_helpers.anonymity import anonymous
from workq_helpers.broker import Finding, Status
from workq_helpers.cli import command, doctor, lab, lab_trial
from workq_helpers.cli.kernels import START, LessonKernels
from workq_helpers.cli.main import main
from workq_helpers.errors import BrokerNotFoundError, BrokerStartError, PortTakenError

UP = Status(
    phase="up",
    description="Docker (rabbitmq:4.3-management)",
    version="4.3.6",
    address="127.0.0.1:34567",
    management_url="http://127.0.0.1:34568",
    shares=2,
    pinned=True,
    supervisor=4242,
    folder="/run/user/1000/workq",
)


@pytest.fixture
def workq() -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


@pytest.mark.parametrize(
    "command", [[], ["lab"], ["doctor"], ["broker"], *(["broker", c] for c in ("start", "stop", "url"))]
)
def test_every_command_has_help(workq: Callable[..., Result], command: list[str]) -> None:
    result = workq(*command, "--help")
    assert result.exit_code == 0
    assert all(len(line) <= 90 for line in result.output.splitlines())
    assert "..." not in result.output.partition("Commands:")[2]  # no summary is cut short


def test_an_error_of_ours_is_one_sentence(workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(progress: object) -> None:
        raise PortTakenError("Port 5672 is taken. Stop the program that listens there.")

    monkeypatch.setattr(brokers, "start", start)
    result = workq("broker", "start")
    assert result.exit_code == 1
    assert result.stderr == "Error: Port 5672 is taken. Stop the program that listens there.\n"
    assert result.stdout == ""


def test_a_mistake_of_the_course_keeps_its_traceback(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(brokers, "stop", stop)
    assert isinstance(workq("broker", "stop").exception, ZeroDivisionError)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where the system does not know the user
    with pytest.raises(SystemExit, match=rf"user {os.geteuid()} has no home folder: HOME is not set.*HOME=/path"):
        command.main()


@pytest.mark.parametrize(
    ("redirections", "variables", "statuses", "told"),
    [
        (
            ">/dev/full",
            {"PYTHONUNBUFFERED": "1"},
            (1,),
            "can't be written where it goes (No space left on device). Send",
        ),
        (">/dev/full 2>/dev/full", {}, (1, 120), ""),  # Python's own, from 3.13 on, where it can't end in peace
        ("<&- >&- 2>&-", {}, (0,), ""),
        ("| head -n 1", {}, (), "Usage: workq"),
        ("", {"PYTHONIOENCODING": "latin-1"}, (0,), "and more?"),
    ],
)
def test_what_it_prints_goes_where_it_can_or_a_sentence_says_why_not(
    redirections: str, variables: dict[str, str], statuses: tuple[int, ...], told: str
) -> None:
    program = (
        "import sys; from workq_helpers.cli import command, main; main.main.help = 'and more\N{HORIZONTAL ELLIPSIS}'; "
        "sys.argv = ['workq', '--help']; command.main()"
    )
    command = ["sh", "-c", f"{shlex.join([sys.executable, '-c', program])} {redirections}"]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert told in done.stdout + done.stderr
    assert not statuses or done.returncode in statuses


def test_what_it_starts_has_streams_too() -> None:
    looks = [sys.executable, "-c", "import os; [os.fstat(number) for number in range(3)]"]
    program = (
        "import subprocess, sys; from workq_helpers.cli import streams; streams.prepare(); "
        f"sys.exit(subprocess.call({looks!r}))"
    )
    command = f"{shlex.join([sys.executable, '-c', program])} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


def test_what_can_not_be_imported_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    library = f"{psutil.__path__[0]}/_psutil.so"
    error = ImportError(f"{library}: failed to map segment from shared object", path=library)

    def examine(_try: bool) -> None:
        raise error

    monkeypatch.setattr(doctor, "examine", examine)
    monkeypatch.setattr(sys, "argv", ["workq", "doctor"])
    with pytest.raises(SystemExit, match=r"failed to map segment.*`make clean`, then `make setup`"):
        command.main()
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC))
    with pytest.raises(SystemExit, match=rf"{library} .* mounted noexec .* on another\."):
        command.main()


def test_status_shows_where_it_is_and_who_uses_it(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "status", lambda: UP)
    result = workq("broker", "status")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "RabbitMQ 4.3.6 · Docker (rabbitmq:4.3-management) · up",
        "  AMQP         127.0.0.1:34567",
        "  management   http://127.0.0.1:34568",
        "  used by      2, kept until `workq broker stop`",
        "  folder       /run/user/1000/workq",
    ]


def test_status_says_that_nobody_uses_it(workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "status", lambda: replace(UP, shares=0, pinned=False))
    assert "  used by      nobody\n" in workq("broker", "status").output


@pytest.mark.parametrize("found", [None, replace(UP, phase="down")])
def test_status_is_1_unless_it_is_up(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, found: Status | None
) -> None:
    monkeypatch.setattr(brokers, "status", lambda: found)
    assert workq("broker", "status").exit_code == 1


def test_start_says_how_it_is(workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(progress: Callable[[str], None]) -> Status:
        progress("Starting a container")
        return UP

    monkeypatch.setattr(brokers, "start", start)
    lines = workq("broker", "start").output.splitlines()
    assert lines[0] == "    Starting a container"
    assert lines[1].endswith("· up")


@pytest.mark.parametrize(("ran", "said"), [(True, "is stopped"), (False, "No course broker ran")])
def test_stop_says_whether_there_was_one(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, ran: bool, said: str
) -> None:
    monkeypatch.setattr(brokers, "stop", lambda: ran)
    result = workq("broker", "stop")
    assert (result.exit_code, said in result.output) == (0, True)


def test_url_and_logs_are_printed_as_they_are(workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "url", lambda: "amqp://user:secret@127.0.0.1:5672/%2F")
    monkeypatch.setattr(brokers, "logs", lambda: "one\ntwo\n")
    assert workq("broker", "url").stdout == "amqp://user:secret@127.0.0.1:5672/%2F\n"
    assert workq("broker", "logs").stdout == "one\ntwo\n"


def test_a_folder_that_is_gone_is_told_in_a_sentence(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for name in ("doctor", "lab"):
        result = workq(name)
        assert result.exit_code == 1
        assert (
            "is run in can't be used (No such file or directory). Change to another one: cd FOLDER\n" in result.output
        )


@pytest.mark.parametrize(("verdict", "status"), [("ok", 0), ("warn", 0), ("bad", 1)])
def test_doctor_is_1_if_anything_is_bad(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, verdict: str, status: int
) -> None:
    findings = [Finding("Python", "ok", "3.12.1"), Finding("RabbitMQ", verdict, "none", "Install one.")]  # type: ignore[arg-type]
    monkeypatch.setattr(doctor, "examine", lambda *_: findings)
    result = workq("doctor")
    assert result.exit_code == status
    assert "-> Install one." in result.output


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_doctor_honors_no_color(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colored: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(doctor, "examine", lambda *_: [Finding("Python", "ok", "3.12.1")])
    output = CliRunner(env=variables).invoke(main, ["doctor"], color=None if not colored else True).output
    assert ("\x1b[" in output) is colored


def test_doctor_finds_this_environment_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "diagnose", lambda **_: [])
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["Python"].verdict == "ok"
    assert findings["Lessons"].verdict == "ok"
    assert "JupyterLab's port" in findings
    assert findings["Modules"].verdict == "ok"
    assert findings["Machine"].verdict == "ok"
    assert findings["Kernel"].verdict == "ok"
    assert findings["JupyterLab"].verdict == "ok"
    assert re.fullmatch(r"started in [\d.]+ s, imported a lesson in [\d.]+ s", findings["Kernel"].found)


def test_doctor_starts_the_kernel_that_a_lesson_gets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kernels" / "python3").mkdir(parents=True)
    foreign = {"argv": ["/no/such/python", "-f", "{connection_file}"], "display_name": "Another", "language": "python"}
    (tmp_path / "kernels" / "python3" / "kernel.json").write_text(json.dumps(foreign))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    finding, _ = doctor._tried(tmp_path)
    assert finding.verdict == "ok", finding.found
    for name in ("enum", "heapq", "re", "sched", "types"):  # what is beside the notebook comes behind Python's own
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('mine')\n")
    (tmp_path / "of_mine.py").write_text("x = 1\n")
    cell = f"import heapq, of_mine, sched; {lab_trial.CELL}"
    trial = f"from workq_helpers.cli import lab_trial; lab_trial.CELL = {cell!r}; lab_trial.main()"
    command = [sys.executable, "-P", "-c", trial, str(tmp_path)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout.splitlines()[-1])["kernel"] == ""
    (tmp_path / "cycler.py").write_text("print('Cannot read my file')\nraise RuntimeError('mine')\n")
    finding, _ = doctor._tried(tmp_path)
    assert (finding.verdict, finding.found) == ("bad", "RuntimeError: mine; Cannot read my file")
    (tmp_path / "pandas.py").write_text("1 / 0\n")
    finding, _ = doctor._tried(tmp_path)
    assert finding.found.startswith(f"ImpostorError: `import pandas` finds {tmp_path}/pandas.py and not the pandas")


@pytest.mark.pinned
def test_doctor_prepares_the_jupyterlab_that_a_learner_gets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "jupyter_server_config.py"
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    settings.write_text("print(c)\nc.ServerApp.ip = '203.0.113.5'\nc.IdentityProvider.token = 's3cret'\n")
    _, finding = doctor._tried(doctor.course_folder(Path.cwd()))
    assert (finding.verdict, finding.found) == ("bad", "does not start (Cannot assign requested address)")
    assert finding.mend.startswith(f"Without the settings in {tmp_path} it does: correct those")
    settings.write_text("c.IdentityProvider.token = 53_079\n")
    failure = doctor._trial(doctor.course_folder(Path.cwd()), {})["lab"]
    assert failure
    assert not re.search("53.?079", failure)
    settings.write_text("print('mine')\nc.KernelManager.ip = '203.0.113.5'\nc.KernelManager.transport = 'ipc'\n")
    kernel, finding = doctor._tried(doctor.course_folder(Path.cwd()))  # which `make lab` does without
    assert (kernel.verdict, finding.verdict) == ("ok", "ok"), kernel.found
    settings.write_text("c.KernelProvisionerFactory.default_provisioner_name = 'none.that.is.here'\n")
    kernel, finding = doctor._tried(doctor.course_folder(Path.cwd()))
    assert (kernel.verdict, finding.verdict) == ("bad", "ok")
    assert kernel.mend.startswith(f"Without the settings in {tmp_path} it does: correct those")


@pytest.mark.pinned
@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("startup/00-mine.py", "raise SystemExit(3)", "Kernel died before replying"),
        ("ipython_kernel_config.py", "raise SystemExit('not today')", "(not today)"),
    ],
)
def test_doctor_tells_a_kernel_that_ipythons_settings_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, text: str, said: str
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "ipython" / "profile_default" / file).parent.mkdir(parents=True)
    (tmp_path / "ipython" / "profile_default" / file).write_text(text)
    finding, _ = doctor._tried(tmp_path)
    assert finding.verdict == "bad"
    assert said in finding.found
    assert finding.found.endswith(f"without the settings and startup files in {tmp_path}/ipython it does not fail")


@pytest.mark.pinned
def test_doctor_starts_its_kernel_with_what_make_lab_gives_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MPLBACKEND", "none.that.is.here")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        finding, _ = doctor._tried(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert finding.verdict == "ok", finding.found


@pytest.mark.pinned
def test_doctor_leaves_no_kernel_where_nothing_can_be_asked_of_it(tmp_path: Path) -> None:
    program = """
import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from workq_helpers.cli import lab_trial

def without_threads(client):
    raise RuntimeError("can't start new thread")

BlockingKernelClient.start_channels = BlockingKernelClient.stop_channels = without_threads
lab_trial.main()
left = [each.cmdline() for each in psutil.Process().children(recursive=True)]
print([each for each in left if "ipykernel_launcher" in each])
"""
    command = [sys.executable, "-P", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    told, left = done.stdout.splitlines()[-2:]
    assert "can't start new thread" in json.loads(told)["kernel"]
    assert left == "[]"


@pytest.mark.pinned
def test_jupyterlab_opens_with_a_proxy_that_it_can_not_use(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environ |= {"ALL_PROXY": "socks5://ada:s3cret@127.0.0.1:9", "SSL_CERT_FILE": "/no/such/file"}
    program = (
        "import os; from workq_helpers.cli import lab, lab_trial; lab._import_ahead(); lab_trial.main(); "
        "print(os.environ['ALL_PROXY'])"
    )
    command = [sys.executable, "-P", "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=120)
    told, proxy = done.stdout.splitlines()[-2:]
    assert (json.loads(told)["lab"], json.loads(told)["kernel"]) == ("", "")
    assert proxy == environ["ALL_PROXY"]
    assert "Traceback" not in done.stderr


def test_doctor_blames_no_settings_for_what_fails_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    once = [{"lab": "", "kernel": "the kernel does not start (Address already in use)"}]
    works = {"lab": "", "kernel": "", "start": 1.0, "import": 2.0}
    monkeypatch.setattr(doctor, "_trial", lambda *_: once.pop() if once else works)
    assert [finding.verdict for finding in doctor._tried(tmp_path)] == ["ok", "ok"]


def test_doctors_kernel_writes_where_make_lab_has_it_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def prepared(_folder: Path) -> tuple[None, str]:
        assert Path(os.environ["IPYTHONDIR"]).is_relative_to(tmp_path)
        return None, "looked"

    monkeypatch.setattr(lab_trial, "_prepared", prepared)
    monkeypatch.setattr(sys, "argv", ["lab_trial", str(tmp_path)])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", "/dev/null/full")
    lab_trial.main()


@pytest.mark.parametrize(
    ("variable", "value", "verdict", "said"),
    [
        ("WORKQ_SECONDS_PER_DOT", "slow", "bad", "WORKQ_SECONDS_PER_DOT is 'slow', which is not a number of seconds."),
        ("WORKQ_DATA_DIR", "here", "bad", "WORKQ_DATA_DIR is 'here', which is relative."),
        ("WORKQ_DATA_DIR", "/etc/passwd/x", "warn", "be kept in /etc/passwd/x (Not a directory) -> Set WORKQ_DATA_DIR"),
    ],
)
def test_doctor_names_settings_that_a_lesson_comes_to_later(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, verdict: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    (finding,) = doctor._settings()
    assert finding.verdict == verdict
    assert said in f"{finding.found} -> {finding.mend}"


def test_doctor_tells_of_a_kernel_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor.sys, "executable", "/bin/false")
    kernel, finding = doctor._tried(tmp_path)
    assert (kernel.verdict, finding.verdict) == ("bad", "bad")
    assert finding.mend


def test_what_doctor_says_names_nobody() -> None:
    environ = {
        "HOME": "/home/ada",
        "USER": "ada",
        "WORKQ_BROKER_URL": "amqp://bert:s3cret@broker.example/",
    }
    text = (
        "/home/ada/course, /home/adam, /tmp/pytest-of-ada, /media/ada/stick, RabbitMQ refused user 'bert' at "
        "amqp://bert:s3cret@broker.example, adapter"
    )
    assert anonymous(text, environ) == (
        "~/course, /home/adam, /tmp/pytest-of-USER, /media/USER/stick, RabbitMQ refused user 'USER' at "
        "amqp://broker.example, adapter"
    )


@pytest.mark.parametrize(
    ("environ", "found", "shown"),
    [
        ({"USER": "ada"}, "can't be kept in /media/ada (No space left on device)", "in /media/USER (No"),
        ({"USER": "ada"}, "not in /media/ada. Next", "not in /media/USER. Next"),
        ({"USER": "node"}, "a private node, in '/srv/node/x'", "a private node, in '/srv/USER/x'"),
        ({"USER": "root", "SUDO_USER": "ada"}, "in /media/ada/x", "in /media/USER/x"),
        ({"LOGNAME": "a.b"}, "in /srv/a.b/axb", "in /srv/USER/axb"),
        ({"HOME": "/"}, "in /srv/x", "in /srv/x"),
        ({"HOME": "/data"}, "in /srv/data/x, file:///data/y, =/data", "in /srv/data/x, file://~/y, =~"),
        ({}, f"in {pwd.getpwuid(os.getuid()).pw_dir}/x", "in ~/x"),
        ({"WORKQ_BROKER_URL": "amqp://ada%20b:x@h"}, "refused user 'ada b'", "refused user 'USER'"),
        ({"WORKQ_BROKER_URL": " amqp://ada:s/x@h"}, "refused user 'ada'", "refused user 'USER'"),
        ({"WORKQ_BROKER_URL": "amqp://host/"}, "amqp://host/ is not", "amqp://host/ is not"),
        ({"USER": "ada"}, "nothing answers at ada@host", "nothing answers at USER@host"),
        ({}, "the proxy http://ada:s3/cr@et@proxy:3128", "the proxy http://proxy:3128"),
    ],
)
def test_what_doctor_says_names_nobody_wherever_the_name_stands(
    environ: dict[str, str], found: str, shown: str
) -> None:
    assert shown in anonymous(found, environ)


@pytest.mark.parametrize(("arguments", "tried"), [([], False), (["--try"], True)])
def test_doctor_tries_a_node_if_it_is_asked_to(
    workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: list[str], tried: bool
) -> None:
    monkeypatch.setattr(doctor, "diagnose", lambda **_: [])
    monkeypatch.setattr(doctor, "_tried", lambda _folder: [Finding("Kernel", "ok", "started")])
    monkeypatch.setattr(doctor, "try_node", lambda: Finding("private node, tried", "ok", "up in 5.0 s"))
    monkeypatch.setattr(doctor, "try_container", lambda: Finding("Docker, tried", "ok", "up in 6.0 s"))
    output = workq("doctor", *arguments).output
    assert ("up in 5.0 s" in output, "up in 6.0 s" in output) == (tried, tried)


def test_doctor_says_why_a_container_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise BrokerStartError("Docker's disk is full.")

    monkeypatch.setattr(doctor, "try_container", fail)
    assert doctor._tried_container("") == [Finding("Docker, tried", "bad", "Docker's disk is full.")]
    assert doctor._tried_container("no loopback") == []


def test_doctor_names_a_package_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["pika<1", "no-such-package-of-ours>=2", "click>=8", "colorama; sys_platform == 'never'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needs)
    finding = doctor._packages()
    assert finding.verdict == "bad"
    assert "pika is 1." in finding.found
    assert "no-such-package-of-ours is missing" in finding.found
    assert "click" not in finding.found
    assert "colorama" not in finding.found


def test_doctor_tells_a_taken_port() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = doctor._port(taken.getsockname()[1])
    assert finding.verdict == "warn"
    assert "--port" in finding.mend


def test_lab_hands_options_on(monkeypatch: pytest.MonkeyPatch, workq: Callable[..., Result]) -> None:
    seen: list[object] = []
    monkeypatch.setattr(lab, "open_lab", lambda options, say, progress: seen.append(options))
    assert workq("lab", "--no-browser", "--port", "8899", "--ServerApp.ip=127.0.0.1").exit_code == 0
    assert seen == [("--no-browser", "--port", "8899", "--ServerApp.ip=127.0.0.1")]


def test_lab_opens_the_first_lesson_and_keeps_the_token(tmp_path: Path) -> None:
    command = lab.lab_arguments(["--no-browser"], tmp_path, as_root=False)
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert command[-1] == "--no-browser"
    assert "--allow-root" not in command
    assert not any("token" in option for option in command)


def test_lab_as_root_and_with_options_of_the_users_own(tmp_path: Path) -> None:
    command = lab.lab_arguments(["--LabApp.default_url=/lab"], tmp_path, as_root=True)
    assert "--allow-root" in command
    assert [option for option in command if "default_url" in option] == ["--LabApp.default_url=/lab"]


def test_the_lessons_kernel_is_this_environments_whatever_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = {"argv": ["/no/such/python", "-m", "ipykernel_launcher"], "display_name": "Another", "language": "python"}
    for name in ("python3", "other"):
        (tmp_path / "kernels" / name).mkdir(parents=True)
        (tmp_path / "kernels" / name / "kernel.json").write_text(json.dumps(foreign))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    kernels = LessonKernels()
    assert kernels.get_kernel_spec("python3").argv[:3] == [sys.executable, "-c", START]
    assert kernels.get_all_specs()["python3"]["spec"]["argv"][0] == sys.executable
    assert Path(kernels.find_kernel_specs()["python3"]).is_dir()
    assert kernels.get_kernel_spec("other").argv == foreign["argv"]  # what else there is stays
    command = lab.lab_arguments([], tmp_path, as_root=False)
    assert "--ServerApp.kernel_spec_manager_class=workq_helpers.cli.kernels.LessonKernels" in command


@pytest.mark.parametrize("named", [[], ["--ip=0.0.0.0"]])
def test_jupyterlab_listens_at_an_address_where_localhost_is_no_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: list[str]
) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    assert not any("ServerApp.ip" in word for word in lab.lab_arguments(named, tmp_path, as_root=False))
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    command = lab.lab_arguments(named, tmp_path, as_root=False)
    assert ("--ServerApp.ip=127.0.0.1" in command) is not bool(named)


def test_lab_opens_without_a_rabbitmq(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_broker(progress: object) -> None:
        raise BrokerNotFoundError("There is no RabbitMQ to use.")

    said: list[str] = []
    monkeypatch.setattr(brokers, "find_broker", find_broker)
    with lab._broker(said.append, None):
        assert any("There is no RabbitMQ to use." in line for line in said)
        assert any("workq doctor" in line for line in said)


def test_the_course_is_found_from_any_folder(tmp_path: Path) -> None:
    course = Path(__file__).parents[2]
    assert lab.course_folder(course) == course
    assert lab.course_folder(tmp_path) == course


def follower(process_id: int) -> subprocess.Popen[str]:
    program = "import sys; from workq_helpers.cli.lab import end_with_process as end; end(int(sys.argv[1])); input()"
    return subprocess.Popen([sys.executable, "-c", program, str(process_id)], stdin=subprocess.PIPE, text=True)


def test_ends_when_the_followed_process_is_killed() -> None:
    followed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with followed, follower(followed.pid) as following:
        followed.kill()
        assert following.wait(30) == -signal.SIGTERM


def test_ends_at_once_when_the_followed_process_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as followed:
        followed.wait(30)
    with follower(followed.pid) as following:
        assert following.wait(30) == -signal.SIGTERM


def test_a_machine_without_proc_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    with pytest.raises(BrokerStartError, match="mount -t proc proc /proc"):
        lab.end_with_process(os.getpid())
    finding = doctor._machine("")
    assert (finding.verdict, "/proc says nothing" in finding.found) == ("bad", True)


_WHERE_NOTHING_REACHES_ITSELF = """
from workq_helpers import broker
from workq_helpers.cli import doctor, lab
from workq_helpers.errors import BrokerStartError

for finding in doctor.examine(try_sources=True):
    print(finding.verdict, finding.name, finding.found, sep="|")
for open_it in (broker.find_broker, lambda: lab.open_lab([], print)):
    try:
        open_it()
    except BrokerStartError as error:
        print("refused", error, sep="|")
"""


def test_a_machine_without_loopback_is_named_at_once_and_nothing_is_started(tmp_path: Path) -> None:
    enter = ["unshare", "--net", "--map-root-user"]  # whose loopback interface is down
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only Linux, and not everywhere, gives a program another network: `unshare --net` does not")
    environ = {**os.environ, "WORKQ_BROKER": "node", "WORKQ_RUNTIME_DIR": str(tmp_path / "runtime")}
    command = [*enter, sys.executable, "-c", _WHERE_NOTHING_REACHES_ITSELF]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=40)
    assert done.returncode == 0, done.stderr
    told = [line.split("|") for line in done.stdout.splitlines()]
    bad = {name: found for verdict, name, found in (line for line in told if len(line) == 3) if verdict == "bad"}
    assert bad.keys() == {"Machine", "Kernel", "private node, tried", "will be used"}
    sentence = r"127\.0\.0\.1 can't be reached \(Network is unreachable\), .* `ip link set lo up`"
    for found in (bad["Machine"], bad["will be used"], *(line[1] for line in told if line[0] == "refused")):
        assert re.search(sentence, found)
    assert [line[0] for line in told[-2:]] == ["refused", "refused"]
    assert not list(tmp_path.iterdir())


def test_an_error_of_jupyterlabs_is_a_sentence(workq: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """As where jupyter_server_config.py names an address that this machine does not have."""

    def launch(_arguments: list[str]) -> None:
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setitem(sys.modules, lab._LAB_APP, SimpleNamespace(LabApp=SimpleNamespace(launch_instance=launch)))
    monkeypatch.setattr(lab, "_broker", lambda *_: contextlib.nullcontext())
    result = workq("lab")
    assert isinstance(result.exception, SystemExit)
    sentence = (
        "Error: JupyterLab ended by an error, OSError: [Errno 99] Cannot assign requested address. Where settings"
    )
    assert sentence in result.output
    assert "JUPYTER_NO_CONFIG=1" in result.output


def test_stays_while_the_followed_process_lives() -> None:
    followed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with followed, follower(followed.pid) as following:
        following.communicate("\n", timeout=30)  # ends by itself, having read its line
        assert following.returncode == 0
        assert followed.poll() is None
        followed.kill()


def test_the_entry_point_is_the_click_group() -> None:
    assert isinstance(main, click.Group)
