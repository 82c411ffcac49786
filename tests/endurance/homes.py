"""Homes that are not as they should be: read-only, full, far away, or without locks. It takes root and Linux."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.endurance.kills import broker_settings

__all__ = ["Home", "environ_of", "home"]

ROOT = Path(__file__).parents[2]

#: In a mount namespace of its own: a /tmp of its own, and the home made what it is to be. Then the command.
_ENTER = """
set -e
home=$1 kind=$2; shift 2
case $kind in
    read-only) mount --bind "$home" "$home"; mount -o remount,bind,ro "$home" ;;
    full) dd if=/dev/zero of="$home/filler" bs=4k 2>/dev/null || true ;;
esac
mount -t tmpfs -o mode=1777 none /tmp
cd "$home"
exec "$@"
"""


#: How long each call takes, in seconds, as to a server in the next town; and whether there are locks.
_FAR_AWAY = {"slow": (0.005, "yes"), "lockless": (0.0, "no")}


@dataclass
class Home:
    """A home with the course in it.

    Attributes:
        path: Where it is.
        kind: ``"read-only"``, ``"full"``, ``"slow"``, ``"lockless"``, or ``"usual"``.
    """

    path: Path
    kind: str

    def visit(self, **settings: str) -> dict[str, Any]:
        """Have a learner spend an evening there, and return what came of it."""
        done = self.run([sys.executable, "-m", "tests.endurance.visitor"], **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def run(self, command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        enter = ["unshare", "--mount", "--propagation", "private", "bash", "-c", _ENTER, "enter"]
        environ = environ_of(self.path) | settings
        return subprocess.run(
            [*enter, str(self.path), self.kind, *command], env=environ, capture_output=True, text=True, check=False
        )


def environ_of(path: Path) -> Mapping[str, str]:
    """Return the environment variables of somebody at home there."""
    gone = ("WORKQ_", "JUPYTER", "XDG_", "IPYTHON", "MPL", "PYTEST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(gone)}
    ours = {"HOME": str(path), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "WORKQ_LINGER_SECONDS": "0.5"}
    return kept | broker_settings() | ours


@contextlib.contextmanager
def home(kind: str) -> Iterator[Home]:
    """Make a home of a kind, with the lessons in it, and remove it in the end."""
    path = Path(tempfile.mkdtemp(prefix="workq-home-", dir="/var/tmp"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, path)
        if kind == "full":
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", str(path)], check=True)
            stack.callback(subprocess.run, ["umount", str(path)], check=True)
        elif kind in _FAR_AWAY:
            path = stack.enter_context(_far_away(path, *_FAR_AWAY[kind]))
        shutil.copytree(ROOT / "notebooks", path / "notebooks", ignore=shutil.ignore_patterns(".*", "__pycache__"))
        yield Home(path, kind)


@contextlib.contextmanager
def _far_away(path: Path, seconds: float, locks: str) -> Iterator[Path]:
    """Put a file system over folders of `path`, as one to a server is."""
    near, far = path / "near", path / "far"
    near.mkdir()
    far.mkdir()
    program = [_debians_python(), str(Path(__file__).with_name("far_away.py")), str(near), str(far)]
    program += [str(seconds), locks]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mounted\n"
        try:
            yield far
        finally:
            subprocess.run(["fusermount", "-u", "-z", str(far)], check=True)
            process.kill()  # it would wait for whoever still has a file open there


def _debians_python() -> str:
    return "/usr/bin/python3"  # which has Debian's python3-fusepy
