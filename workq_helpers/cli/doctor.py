"""`examine`: everything `workq doctor` looks at, from Python to RabbitMQ."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from workq_helpers.broker import Finding, diagnose
from workq_helpers.cli.jupyter_folders import unwritable, without_saving
from workq_helpers.cli.lab import FIRST_LESSON, course_folder
from workq_helpers.errors import WorkqError

__all__ = ["examine"]

#: What a learner meets by name; of the others only trouble is told.
_NAMED = ("jupyterlab", "ipykernel", "pika", "pandas", "matplotlib", "testcontainers")
_OLDEST_PYTHON = (3, 11)
_JUPYTERLAB_PORT = 8888


def examine() -> list[Finding]:
    """Look at this machine without changing anything; what will be used as RabbitMQ comes last."""
    return [_python(), _packages(), _folder(Path.cwd()), _jupyter(), _port(_JUPYTERLAB_PORT), *_brokers()]


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


def _folder(here: Path) -> Finding:
    folder = course_folder(here)
    if not (folder / FIRST_LESSON).is_file():
        mend = "Run `workq` in the folder of the course, or copy the lessons: workq course copy DIR"
        return Finding("Lessons", "bad", f"there is no {FIRST_LESSON} in {folder}", mend)
    notebooks = (folder / FIRST_LESSON).parent
    sentence, _, mend = without_saving(notebooks).partition(". ")
    if sentence:
        return Finding("Lessons", "warn", sentence, mend)
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


def _brokers() -> list[Finding]:
    try:
        return diagnose()
    except WorkqError as error:  # an environment variable that makes no sense, say
        return [Finding("RabbitMQ", "bad", str(error))]
