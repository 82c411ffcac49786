"""Two users on one machine, two JupyterLabs of one user, and two `make lab` in a checkout that is not set up yet."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.anywhere.docker import put_course_in
from tests.endurance.homes import environ_of, home
from tests.endurance.kills import left
from tests.support import LAB_URL, jupyter_client, need

pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]

VISIT = [sys.executable, "-m", "tests.endurance.visitor", "--wait"]

#: As another user, in a mount namespace in which that user may read the Python that runs this and has a name.
AS_USER = """
set -e
user=$1 groups=$2 python=$3; shift 3
case $python in /root/*)
    mkdir -p /mnt/python; mount --bind "$python" /mnt/python
    mount -t tmpfs -o mode=755 none /root; mkdir -p "$python"; mount --bind /mnt/python "$python" ;;
esac
cp /etc/passwd /root/passwd; echo "learner$user:x:$user:$user::$HOME:/bin/sh" >>/root/passwd
mount --bind /root/passwd /etc/passwd
cd "$HOME"
exec setpriv --reuid "$user" --regid "$user" --groups "$groups" "$@"
"""


class Visitor:
    """Somebody who opens the lessons and waits, then does the rest."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, **options
        )
        self.seen: dict[str, Any] = {}

    def wait_until_open(self) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == "opened\n"

    def go_on(self) -> dict[str, Any]:
        out, _ = self._process.communicate()
        self.seen = json.loads(out.splitlines()[-1])
        assert (self.seen["kernel"], self.seen["saved"], self.seen["lesson_failed"]) == (201, 200, ""), self.seen
        return self.seen

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.communicate()


@contextlib.contextmanager
def visiting(*visitors: Visitor) -> Iterator[None]:
    try:
        for visitor in visitors:
            visitor.wait_until_open()
        yield
    finally:
        for visitor in visitors:
            visitor.end()


def broker_port(seen: dict[str, Any]) -> int:
    return int(seen["lesson"].split()[0])


def virtual_hosts(seen: dict[str, Any]) -> list[str]:
    return re.findall(r"'([^']+)'", seen["lesson"].splitlines()[0])


@pytest.mark.nightly
def test_two_labs_of_one_user_share_a_broker_that_outlives_the_first(
    tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    with home("usual") as there:
        environ = {**environ_of(there.path), "WORKQ_RUNTIME_DIR": str(there.path / "run")}
        first, second = (Visitor(VISIT, cwd=there.path, env=environ) for _ in range(2))
        with visiting(first, second):
            one = first.go_on()  # ends its JupyterLab, too
            other = second.go_on()
        assert one["address"] != other["address"]
        assert broker_port(one) == broker_port(other)
        poll_for(lambda: not left(environ), 60)


@pytest.mark.nightly
def test_two_users_have_nothing_to_do_with_each_other(poll_for: Callable[..., None]) -> None:
    need(sys.platform == "linux" and os.geteuid() == 0, "it takes root to be other users")
    need(shutil.which("setpriv"), "there is no setpriv")
    with home("usual") as here, home("usual") as there:
        docker = Path("/var/run/docker.sock")
        groups = str(docker.stat().st_gid if docker.exists() else 0)
        visitors = []
        for number, each in enumerate((here, there), 61_001):
            subprocess.run(["chown", "-R", str(number), str(each.path)], check=True)
            environ = {**environ_of(each.path), "USER": f"learner{number}"}
            enter = ["unshare", "--mount", "--propagation", "private", "bash", "-c", AS_USER, "enter"]
            command = [*enter, str(number), groups, sys.base_prefix, *VISIT]
            visitors.append(Visitor(command, env=environ))
        with visiting(*visitors):
            runtimes = [Path(f"/tmp/workq-{number}") for number in (61_001, 61_002)]  # noqa: S108 - theirs, to look at
            assert [path.stat().st_uid for path in runtimes] == [61_001, 61_002]
            assert [path.stat().st_mode & 0o777 for path in runtimes] == [0o700] * 2
            one, other = (visitor.go_on() for visitor in visitors)
        assert (one["user"], other["user"]) == (61_001, 61_002)
        assert one["address"] != other["address"]
        assert broker_port(one) != broker_port(other)
        assert not set(virtual_hosts(one)[1:]) & set(virtual_hosts(other)[1:])
        for path in runtimes:
            poll_for(lambda: not left({"WORKQ_RUNTIME_DIR": str(path)}), 60)  # noqa: B023 - called here and now


WAITING = "==> Another setup of this checkout is running; waiting for it\n"


class Typed:
    """A command that somebody typed in a checkout, and what it said so far."""

    def __init__(self, command: list[str], checkout: Path, environ: dict[str, str]) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            command,
            cwd=checkout,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        """Return the first match in what it says from now on."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
            if LAB_URL.search(line):
                break  # the last word of a JupyterLab
        pytest.fail(f"it was open or ended without saying {pattern!r}:\n{''.join(self.said)}")

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


@pytest.mark.nightly
def test_two_make_lab_at_once_in_a_fresh_checkout_make_one_environment(
    tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    checkout = put_course_in(tmp_path / "course")
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    folders |= {f"WORKQ_{name}_DIR": str(tmp_path / name.lower()) for name in ("RUNTIME", "DATA")}
    gone = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environ = {name: value for name, value in os.environ.items() if name not in gone}
    environ |= folders | {"WORKQ_LINGER_SECONDS": "0.5"}
    asked = ["python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]
    python = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    options = "LAB_ARGS=--no-browser --port 0"
    with contextlib.ExitStack() as stack:
        with (checkout / "constraints.txt").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # so that both have to wait, however busy the machine is
            labs = [
                Typed(command, checkout, environ)
                for command in (["make", "lab", options], ["make", "lab", f"PYTHON={python}", options])
            ]
            for lab in labs:
                stack.callback(lab.end)
            for lab in labs:
                lab.wait_for(re.escape(WAITING))
        opened = [lab.wait_for(LAB_URL).groups() for lab in labs]
        assert sorted("==> Making .venv" in "".join(lab.said) for lab in labs) == [False, True]
        assert len({address for address, _ in opened}) == 2
        for address, token in opened:
            with jupyter_client(token) as client:
                client.get(f"{address}/api/contents/notebooks/00_start_here.ipynb").raise_for_status()
        workq = [str(checkout / ".venv/bin/workq"), "broker", "status"]
        told = subprocess.run(workq, env=environ, capture_output=True, text=True, check=True).stdout
        assert re.search(r"used by +2$", told, re.MULTILINE), told
    again = subprocess.run(
        ["make", "setup", "GROUPS="], cwd=checkout, env=environ, capture_output=True, text=True, check=True
    )
    assert again.stdout.startswith("==> .venv is ready")
    poll_for(lambda: not left(environ), 60)
