"""What `make lab` opens: JupyterLab on the first lesson, with a RabbitMQ for as long as it runs."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from workq_helpers import broker as brokers
from workq_helpers.broker import loopback, open_files, processes
from workq_helpers.cli import kernels
from workq_helpers.cli.jupyter_folders import put_stand_ins, without_saving
from workq_helpers.errors import BrokerStartError, JupyterLabError, WorkqError
from workq_helpers.waiting import wait_until

__all__ = ["course_folder", "end_with_process", "jupyterlab", "lab_arguments", "open_lab"]

#: The lesson that opens first, below the course's folder.
FIRST_LESSON = "notebooks/00_start_here.ipynb"

#: Seconds for JupyterLab to shut its kernels down before it is ended without them; they follow by themselves.
SECONDS_TO_END = 20.0
#: How soon its end is noticed.
SECONDS_BETWEEN_LOOKS = 0.2

_LAB_APP = "jupyterlab.labapp"
#: The variables that it reads as it is imported.
_PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")

Say = Callable[[str], None]


def open_lab(arguments: Sequence[str], say: Say, progress: Say | None = None) -> None:
    """Find or start a RabbitMQ, then run JupyterLab in this process until it is stopped.

    Without a RabbitMQ the lessons open all the same: reading them needs none, and their first cell says again
    what is missing.

    Args:
        arguments: Options for JupyterLab; they win over the course's own.
        say: Is told each step, in a line.
        progress: Is told what takes its time meanwhile; by default a progress bar shows it.

    Raises:
        BrokerStartError: Nothing is reached at the loopback address here, no kernel either.
        JupyterLabError: JupyterLab did not start, or ended by an error.
    """
    if reason := loopback.why_unreachable():
        raise BrokerStartError(reason)
    folder = course_folder(Path.cwd())
    if not (folder / FIRST_LESSON).is_file():
        say(f"    There are no lessons in {folder}. Copy them: workq course copy work-queues && cd work-queues")
    open_files.allow_enough()
    lessons = (folder / FIRST_LESSON).parent
    for sentence in filter(None, [without_saving(lessons), put_stand_ins(os.environ), open_files.why_too_few()]):
        say(f"    {sentence}")
    # JupyterLab takes as long to import as RabbitMQ to boot, so both happen at once.
    threading.Thread(target=_import_ahead, daemon=True).start()
    with contextlib.ExitStack() as until_the_end:
        with _step("RabbitMQ", say):
            until_the_end.enter_context(_broker(say, progress))
        say("==> JupyterLab; press Ctrl-C twice in this terminal to stop it")
        _run_jupyterlab(lab_arguments(arguments, folder, os.geteuid() == 0))


def _import_ahead() -> None:
    with contextlib.suppress(Exception):  # whoever runs it imports it again
        importlib.import_module(_LAB_APP)


def jupyterlab() -> Any:
    """Return JupyterLab's application.

    As it is imported it makes a client for the user's proxies, to install extensions with, which the lessons have no
    use for: where it can't make one, for a proxy by SOCKS, say, it is imported as if there were none.
    """
    try:
        return importlib.import_module(_LAB_APP).LabApp
    except Exception:
        proxies = {name: os.environ.pop(name) for name in _PROXIES if name in os.environ}
        if not proxies:
            raise
        try:
            return importlib.import_module(_LAB_APP).LabApp
        finally:
            os.environ.update(proxies)


def _run_jupyterlab(arguments: list[str]) -> None:
    lab_app = jupyterlab()
    try:
        lab_app.launch_instance(arguments)
    except Exception as error:  # of any kind: settings of the user's name classes and addresses
        raise JupyterLabError(
            f"JupyterLab ended by an error, {type(error).__name__}: {error}. Where settings of yours are why, "
            "JUPYTER_NO_CONFIG=1 in the environment has it start without them; `workq doctor` looks at the rest."
        ) from error


@contextlib.contextmanager
def _broker(say: Say, progress: Say | None) -> Iterator[None]:
    """Hold a share in the course broker: it is there before the first cell and between two notebooks."""
    try:
        broker = brokers.find_broker(progress)
    except WorkqError as error:
        say(f"    {error}")
        say("    The lessons open without it; `.venv/bin/workq doctor` says more.")
        yield
        return
    say(f"    {broker.describe()}")
    with broker:
        yield


@contextlib.contextmanager
def _step(what: str, say: Say) -> Iterator[None]:
    started = time.monotonic()
    say(f"==> {what}")
    yield
    say(f"    done in {time.monotonic() - started:.1f} s")


def course_folder(here: Path) -> Path:
    """Return the folder with the notebooks: `here`, else the checkout that this package is installed from."""
    checkout = Path(__file__).resolve().parents[2]
    return next((folder for folder in (here, checkout) if (folder / FIRST_LESSON).is_file()), here)


def lab_arguments(arguments: Sequence[str], folder: Path, as_root: bool) -> list[str]:
    """Return JupyterLab's command line.

    Args:
        arguments: The user's own; where they name an option, the course's value for it is left out.
        folder: What JupyterLab shows as its root.
        as_root: Whether root runs it, which JupyterLab refuses unless told otherwise.
    """
    named = {argument.partition("=")[0] for argument in arguments}
    ours = {
        "--ServerApp.root_dir": str(folder),
        "--LabApp.default_url": f"/lab/tree/{FIRST_LESSON}",
        # Else a lesson may get another environment's kernel, which has nothing of what it imports.
        "--ServerApp.kernel_spec_manager_class": "workq_helpers.cli.kernels.LessonKernels",
        # Nor one of another machine, though JUPYTER_GATEWAY_URL names it: no broker of the course is there.
        "--GatewayClient.url": "",
        # No news and no updates: both would ask the Internet, and the first asks the learner too.
        "--LabApp.news_url": "None",
        "--LabApp.check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        # Nor the question whether there should be any.
        "--LabApp.app_settings_dir": str(Path(__file__).resolve().parent / "lab_settings"),
        # What it installs goes into the course's environment, and proxies that its client can't use end in a traceback.
        "--LabApp.extension_manager": "readonly",
    }
    if not _knows_localhost() and "--ip" not in named:
        ours["--ServerApp.ip"] = "127.0.0.1"
    for setting, value in kernels.of_the_manager().items():
        ours[f"--KernelManager.{setting}"] = value
    command = [f"{option}={value}" for option, value in ours.items() if option not in named]
    if as_root and "--allow-root" not in named:
        command.append("--allow-root")
    return [*command, *arguments]


def _knows_localhost() -> bool:
    """Whether the name that JupyterLab listens at by itself is an address here; some /etc/hosts do not have it."""
    try:
        socket.getaddrinfo("localhost", None)
    except OSError:
        return False
    return True


def end_with_process(process_id: int) -> None:
    """End this process when another one has ended, however that went: no JupyterLab survives its `make`.

    Raises:
        BrokerStartError: No process can be followed here.
    """
    if reason := processes.why_unseen():
        raise BrokerStartError(reason)
    try:
        followed = psutil.Process(process_id)
    except psutil.NoSuchProcess:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    threading.Thread(target=_follow, args=(followed,), name="workq-follow", daemon=True).start()


def _follow(followed: psutil.Process) -> None:
    wait_until(lambda: not _lives(followed), math.inf, interval_seconds=SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)  # JupyterLab's own way to stop, kernels included
    threading.Event().wait(SECONDS_TO_END)
    os.kill(os.getpid(), signal.SIGKILL)


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; a dead one that its own parent has not noticed yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
