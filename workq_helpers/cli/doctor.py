"""`examine`: everything `workq doctor` looks at and tries, from Python to RabbitMQ."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from IPython.paths import get_ipython_dir
from jupyter_core.paths import jupyter_config_dir
from packaging.requirements import Requirement

from workq_helpers.broker import (
    Finding,
    address_space,
    diagnose,
    loopback,
    open_files,
    process_limit,
    processes,
    try_container,
    try_node,
)
from workq_helpers.broker.ports import LOOPBACK
from workq_helpers.cli.jupyter_folders import unwritable, without_saving
from workq_helpers.cli.lab import FIRST_LESSON, course_folder
from workq_helpers.cli.python_settings import PYTHON_SETTINGS
from workq_helpers.clients.pace import seconds_per_dot
from workq_helpers.errors import BrokerStartError, WorkqError
from workq_helpers.impostors import INSTALLED, PACKAGES_FOLDERS, file_names, find_impostors, sentence
from workq_helpers.private_folders import obstacle_in
from workq_helpers.teaching.progress import data_folder

__all__ = ["examine"]

#: What a learner meets by name; of the others only trouble is told.
_NAMED = ("jupyterlab", "ipykernel", "pika", "pandas", "matplotlib", "testcontainers")
_OLDEST_PYTHON = (3, 11)
_JUPYTERLAB_PORT = 8888
#: How long JupyterLab may take to be ready to start, a kernel of its to start and to import a lesson, in seconds: more
#: than in the trial.
_TRIAL_SECONDS = 200.0


def examine(try_sources: bool = False) -> list[Finding]:
    """Look at this machine and try what can be tried; what will be used as RabbitMQ comes last.

    Args:
        try_sources: Whether to start and end a private node, which may download RabbitMQ's packages first; and one in
            Docker, where there is an image of it.
    """
    unreachable = loopback.why_unreachable()
    looked_at = [
        _python(),
        _packages(),
        _impostors((course_folder(Path.cwd()) / FIRST_LESSON).parent),
        _machine(unreachable),
        *_settings(),
        _folder(Path.cwd()),
        _jupyter(),
        *_started(course_folder(Path.cwd()), unreachable),
        _port(_JUPYTERLAB_PORT),
    ]
    tried = [*_tried_container(unreachable), _tried_node(unreachable)] if try_sources else []
    return [*looked_at, *tried, *_brokers(unreachable)]


def _python() -> Finding:
    found = f"{platform.python_version()}, {sys.executable}, on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Finding("Python", "bad", found, "Install Python 3.11 or newer, then: make lab PYTHON=python3.12")
    return Finding("Python", "ok", found)


def _packages() -> Finding:
    try:
        requirements = metadata.requires("workq-helpers") or []
    except metadata.PackageNotFoundError:
        return Finding("Packages", "bad", "the course's own package is not installed", "Run `make setup`.")
    trouble = list(_unmet(map(Requirement, requirements)))
    if trouble:
        return Finding("Packages", "bad", "; ".join(trouble), "Run `make setup`.")
    return Finding("Packages", "ok", ", ".join(f"{name} {metadata.version(name)}" for name in _NAMED))


def _unmet(requirements: Iterable[Requirement]) -> Iterable[str]:
    """Say of each requirement that does not hold what is there instead."""
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"{requirement.name} is missing"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement.name} is {version}, and the course needs {requirement.specifier}"


def _impostors(lessons: Path) -> Finding:
    """Look where a kernel of the lessons looks: in the folder of its notebook behind what is Python's own."""
    behind = next((index for index, each in enumerate(sys.path) if Path(each).name in PACKAGES_FOLDERS), 0)
    found = find_impostors(path=[*sys.path[:behind], str(lessons), *sys.path[behind:]])
    for file in sorted(found, key=lambda file: file_names(file) not in INSTALLED):
        return Finding("Modules", "bad" if file_names(file) in INSTALLED else "warn", sentence(file))
    for file in find_impostors(path=PYTHON_SETTINGS.get("PYTHONPATH", "").split(os.pathsep)):
        mend = (
            "`make lab` and `workq` do without PYTHONPATH; a kernel that another program starts does not: rename that "
            "file, or take its folder out of PYTHONPATH."
        )
        return Finding("Modules", "warn", f"{file} in PYTHONPATH has the name of a module that the course needs", mend)
    return Finding("Modules", "ok", "each is imported from where it belongs")


def _machine(unreachable: str) -> Finding:
    if reason := open_files.why_too_few() or processes.why_unseen() or unreachable:
        return Finding("Machine", "bad", reason)
    try:
        socket.getaddrinfo("localhost", None)
    except OSError as error:
        mend = "The course does without it; other programs may not: add the line `127.0.0.1 localhost` to /etc/hosts."
        return Finding("Machine", "warn", f"the name localhost has no address here ({error.strerror})", mend)
    return Finding("Machine", "ok", "localhost has an address, and enough files may be open")


def _settings() -> list[Finding]:
    """Try what the lessons read of the environment when they come to it; which broker is wanted is told with it."""
    try:
        seconds_per_dot()
        folder = data_folder()
    except WorkqError as error:
        return [Finding("Settings", "bad", str(error))]
    if found := obstacle_in(folder):
        mend = found.mend or "Set WORKQ_DATA_DIR to a folder that you may write to"
        forgotten = f"{mend}: what you have done is forgotten otherwise."
        return [Finding("Settings", "warn", f"your progress can't be kept in {folder} ({found.reason})", forgotten)]
    return []


def _started(folder: Path, unreachable: str) -> list[Finding]:
    if unreachable:  # a kernel would be waited for, and nobody would hear how it fails
        return [Finding("Kernel", "bad", f"not tried, nor JupyterLab: they would listen at {LOOPBACK}")]
    return _tried(folder)


def _tried(folder: Path) -> list[Finding]:
    """Prepare JupyterLab and have it start a kernel; what does not start is tried without the user's settings."""
    told = _trial(folder, {})
    if not _starts(told):  # once more, as Jupyter does: where a port was taken meanwhile, no settings are to blame
        told = _trial(folder, {})
    without = told if _starts(told) else _trial(folder, {"JUPYTER_NO_CONFIG": "1"})
    lab = _lab(told["lab"], without["lab"])
    if told["lab"]:
        told = without
    if told["lab"]:
        return [Finding("Kernel", "bad", "not tried: it is JupyterLab that would start it"), lab]
    if not told["kernel"]:
        found = f"started in {told['start']:.1f} s, imported a lesson in {told['import']:.1f} s"
        return [Finding("Kernel", "ok", found), lab]
    if not _starts(told) and _starts(without):
        return [Finding("Kernel", "bad", told["kernel"], _settings_of_jupyter()), lab]
    return [_failed_kernel(told["kernel"], folder), lab]


def _lab(failure: str, without_settings: str) -> Finding:
    if not failure:
        return Finding("JupyterLab", "ok", "starts with the settings that it finds")
    mend = _mend("`make lab` shows its own words.") if without_settings else _settings_of_jupyter()
    return Finding("JupyterLab", "bad", f"does not start ({failure})", mend)


def _settings_of_jupyter() -> str:
    return f"Without the settings in {jupyter_config_dir()} it does: correct those, or JUPYTER_NO_CONFIG=1 make lab"


def _failed_kernel(failure: str, folder: Path) -> Finding:
    mend = _mend("Mend what it names; if it is the environment itself: make clean, then make setup.")
    with tempfile.TemporaryDirectory() as empty:
        without = _trial(folder, {"IPYTHONDIR": empty})
    if not (without["lab"] or without["kernel"]):
        failure += f"; without the settings and startup files in {get_ipython_dir()} it does not fail"
    return Finding("Kernel", "bad", failure, mend)


def _starts(told: Mapping[str, Any]) -> bool:
    """Return whether a kernel started, whatever became of the lesson's imports in it."""
    return "start" in told


def _mend(usual: str) -> str:
    """Return which limit of this process is too low for it, where one is."""
    return address_space.why_too_little() or process_limit.why_too_few() or usual


def _trial(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return how JupyterLab and a kernel of its fail with these variables, ``""`` for what does not."""
    command = [sys.executable, "-P", "-m", "workq_helpers.cli.lab_trial", str(folder)]
    environ = {**os.environ, **variables}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=_TRIAL_SECONDS)
    except OSError as error:
        failure = f"no program can be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        failure = f"nothing came of it within {_TRIAL_SECONDS:.0f} s"
    else:
        with contextlib.suppress(ValueError, IndexError):
            told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return told
        failure = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return {"lab": failure, "kernel": failure}


def _tried_container(unreachable: str) -> list[Finding]:
    if unreachable:
        return []
    try:
        found = try_container()
    except WorkqError as error:
        return [Finding("Docker, tried", "bad", str(error))]
    return [found] if found else []


def _tried_node(unreachable: str) -> Finding:
    try:
        if unreachable:
            raise BrokerStartError(unreachable)
        return try_node()
    except WorkqError as error:
        return Finding("private node, tried", "bad", str(error))


def _folder(here: Path) -> Finding:
    folder = course_folder(here)
    if not (folder / FIRST_LESSON).is_file():
        mend = "Run `workq` in the folder of the course, or copy the lessons: workq course copy DIR"
        return Finding("Lessons", "bad", f"there is no {FIRST_LESSON} in {folder}", mend)
    notebooks = (folder / FIRST_LESSON).parent
    if reason := without_saving(notebooks):
        return Finding("Lessons", "warn", reason)
    return Finding("Lessons", "ok", str(notebooks))


def _jupyter() -> Finding:
    found = unwritable(os.environ)
    if not found:
        return Finding("Jupyter's files", "ok", "can be kept")
    folder, reason = next(iter(found.values()))
    mend = "`make lab` keeps them in a temporary folder meanwhile: settings and layout will be lost."
    return Finding("Jupyter's files", "warn", f"can't be kept in {folder} ({reason})", mend)


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            found = f"port {port} can't be used: {error.strerror}"
            mend = 'JupyterLab looks for another one by itself, or choose it: make lab LAB_ARGS="--port 8899"'
            return Finding("JupyterLab's port", "warn", found, mend)
    return Finding("JupyterLab's port", "ok", f"{port} is free")


def _brokers(unreachable: str) -> list[Finding]:
    try:
        return diagnose(unreachable=unreachable)
    except WorkqError as error:  # an environment variable that makes no sense, say
        return [Finding("RabbitMQ", "bad", str(error))]
