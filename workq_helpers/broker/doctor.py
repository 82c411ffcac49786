"""`diagnose`: what there is to run RabbitMQ with, for `workq doctor`; `try_container`, `try_node`: whether it runs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from workq_helpers.broker import address_space, commands, docker_socket, packages
from workq_helpers.broker.choice import DEFAULT_IMAGE, BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.installations import find_installations, first_supported
from workq_helpers.broker.node import NodeServer, why_no_data_in, why_none_runs
from workq_helpers.broker.protocol import Status
from workq_helpers.broker.server import silent
from workq_helpers.broker.share import take_share
from workq_helpers.errors import BrokerError, BrokerStartError, InvalidArgumentError, ManagementUnavailableError
from workq_helpers.hidden import ENVIRON, Environment
from workq_helpers.private_folders import why_not_writable
from workq_helpers.rabbitmq.connecting import probe
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import Features
from workq_helpers.rabbitmq.management import Management
from workq_helpers.rabbitmq.url import BROKER_URL, MANAGEMENT_URL, endpoint_from_url
from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = ["Finding", "diagnose", "try_container", "try_node"]

Verdict = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What.
        verdict: ``"ok"``, ``"warn"`` (does not matter as things are) or ``"bad"`` (keeps the course from working).
        found: What was seen, in a sentence.
        mend: What to do about it; ``""`` where nothing need be done, or where what was seen says so itself.
        works: Whether a broker can be had there, where it is a source of one.
    """

    name: str
    verdict: Verdict
    found: str
    mend: str = ""
    works: bool = True


def diagnose(environ: Mapping[str, str] = ENVIRON, unreachable: str = "") -> list[Finding]:
    """Look at every source of a broker without starting anything, and go to one that runs as a lesson goes.

    Args:
        environ: The environment variables.
        unreachable: Why the loopback address can't be reached, as `loopback.why_unreachable` has it.

    Returns:
        The findings in the order of the sources; the last says which will be used, and why.
    """
    try:
        choice = BrokerChoice.from_environ(environ)
        folders = Folders.from_environ(environ)
    except InvalidArgumentError as error:
        return [Finding("settings", "bad", str(error))]
    if choice.uses_url:
        return [_url(environ)]
    if unreachable:
        return [Finding("will be used", "bad", unreachable)]
    running, state = _running(folders, environ)
    candidates = [found for found in (_docker(choice, environ), _node(choice, folders, environ)) if found]
    if any(found.verdict == "bad" for found in state):
        found = "None, wherever it might come from: what is said of the course broker keeps a lesson from it."
        return [*state, *_unneeded(candidates), Finding("will be used", "bad", found)]
    return [*state, *_unneeded(candidates), _decision(choice, running, candidates)]


def try_container(environ: Mapping[str, str] = ENVIRON) -> Finding | None:
    """Start a RabbitMQ in Docker and end it, as a lesson does, and say how long that took.

    Returns:
        ``None`` where Docker is not to be used, can't be, or would have to download its image first.

    Raises:
        BrokerError: It did not start; the message says why.
    """
    choice = BrokerChoice.from_environ(environ)
    docker = None if choice.uses_url else _docker(choice, environ)
    if docker is None or docker.verdict != "ok":
        return None
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="workq-") as folder:  # away from the course broker
        own = Environment(environ) | {"WORKQ_BROKER": "docker", "WORKQ_RUNTIME_DIR": str(Path(folder) / "run")}
        with contextlib.closing(take_share(Folders.from_environ(own), replace(choice, forced="docker"), own)) as share:
            up = time.monotonic()
            told = _walked(share.ready.endpoint)
            stopping = time.monotonic()
            share.stop()
    times = f"up in {up - begun:.1f} s, ended in {time.monotonic() - stopping:.1f} s"
    return Finding("Docker, tried", told.verdict, f"{times}. {told.found}", told.mend)


def try_node(environ: Mapping[str, str] = ENVIRON) -> Finding:
    """Start a private node of this user's and end it, and say how long that took.

    Raises:
        BrokerError: It did not start; the message says why.
    """
    if reason := why_none_runs():  # before anything is downloaded
        raise BrokerStartError(reason)
    folders = Folders.from_environ(environ)
    installed = first_supported(environ)
    begun = time.monotonic()
    installation = installed or packages.unpacked_installation(folders.cache, environ, silent)
    unpacked = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="workq-") as folder:  # away from where a sweep looks
        server = NodeServer(installation, Path(folder) / "node", environ)
        try:
            endpoint = server.start()
            up = time.monotonic()
            told = _walked(endpoint)
        finally:
            stopping = time.monotonic()
            server.stop()
    fetched = "" if installed or unpacked - begun < 1.0 else f"unpacked in {unpacked - begun:.1f} s, "
    times = f"{fetched}up in {up - unpacked:.1f} s, ended in {time.monotonic() - stopping:.1f} s"
    return Finding("private node, tried", told.verdict, f"{times}. {told.found}", told.mend)


def _url(environ: Mapping[str, str]) -> Finding:
    try:
        endpoint = endpoint_from_url(environ)
        told = _walked(endpoint)
    except (BrokerError, InvalidArgumentError) as error:
        return Finding("broker", "bad", str(error))
    found = f"WORKQ_BROKER_URL names it, at {endpoint.place}, and it will be used. {told.found}"
    return Finding("broker", told.verdict, found, told.mend)


def _walked(endpoint: Endpoint) -> Finding:
    """Go the way that a lesson goes, to AMQP and then to the management API, and say what can be seen on this broker.

    Raises:
        BrokerError: A lesson could not be opened either.
    """
    version = probe(endpoint)
    try:
        with Management(endpoint) as management:
            management.version()
            features = Features.ask(version, management)
    except ManagementUnavailableError as error:
        told = f"RabbitMQ {version}; {Features.ask(version, None).describe()}"
        return Finding("broker", "warn", told, str(error))
    return Finding("broker", "ok", f"RabbitMQ {version}:\n{features.describe()}")


def _running(folders: Folders, environ: Mapping[str, str]) -> tuple[Status | None, list[Finding]]:
    try:
        status = commands.status(environ)
    except BrokerError as error:
        return None, [Finding("course broker", "bad", str(error))]
    if status is None and (reason := why_not_writable(folders.runtime)):
        found = f"None runs, and none can be started: nothing can be kept in {folders.runtime} ({reason})."
        mend = "Set WORKQ_RUNTIME_DIR to a folder that you may write to, on a disk that has room."
        return None, [Finding("course broker", "bad", found, mend)]
    if status is None:
        return None, [Finding("course broker", "ok", "None runs; the first notebook starts one.")]
    if status.phase == "up":
        return status, [_course_broker(status, environ)]
    found = f"{status.phase}: RabbitMQ {status.version}, {status.description}, used by {status.shares}."
    mend = "Restart it with `workq broker stop`, then `workq broker start`." if status.phase == "down" else ""
    return status, [Finding("course broker", "warn" if mend else "ok", found, mend)]


def _course_broker(status: Status, environ: Mapping[str, str]) -> Finding:
    """Look at the one that runs, as a lesson would that joins."""
    try:
        address = {BROKER_URL: commands.url(environ), MANAGEMENT_URL: status.management_url}
        told = _walked(replace(endpoint_from_url(address), named_by=""))
    except BrokerError as error:
        return Finding("course broker", "bad", str(error))
    found = f"{status.phase}, {status.description}, used by {status.shares}. {told.found}"
    return Finding("course broker", told.verdict, found, told.mend)


def _docker(choice: BrokerChoice, environ: Mapping[str, str]) -> Finding | None:
    if not choice.allows("docker"):
        return None
    reason = docker_socket.why_unavailable(environ)
    image = choice.image or DEFAULT_IMAGE
    if not reason:
        try:
            from workq_helpers.broker import docker_engine  # noqa: PLC0415 - its import may fail, of Docker's settings

            return _image(image, docker_engine.has_image(image), last=not choice.allows("node"))
        except BrokerError as error:
            reason = str(error)
    verdict: Verdict = "bad" if choice.forced else "warn"
    return Finding("Docker", verdict, reason, works=False)


def _image(image: str, here: bool, last: bool) -> Finding:
    if here:
        return Finding("Docker", "ok", f"Docker runs, and the image {image} is here.")
    or_else = "" if last else "; if that fails, the next source is tried"
    return Finding(
        "Docker",
        "warn",
        f"Docker runs; the image {image} is not here: it will be downloaded first{or_else}.",
        f"`docker pull {image}` downloads it now; WORKQ_RABBITMQ_IMAGE names another (`docker images` lists yours).",
    )


def _node(choice: BrokerChoice, folders: Folders, environ: Mapping[str, str]) -> Finding | None:
    if not choice.allows("node"):
        return None
    if reason := address_space.why_too_little() or why_no_data_in(folders.runtime):
        return Finding("private node", "bad" if choice.forced else "warn", reason, works=False)
    too_old = ""
    for installation in find_installations(environ):
        if installation.supported:
            return Finding("private node", "ok", f"RabbitMQ {installation.version} in {installation.home}.")
        too_old = f"RabbitMQ {installation.version} in {installation.home} is older than {OLDEST_VERSION}. "
    try:
        folder = folders.cache if packages.find_unpacked(folders.cache) else packages.folder_for(folders.cache)
        reason = packages.why_none_runs_in(folder)
    except BrokerStartError as error:
        reason = str(error)
    if reason:
        return Finding("private node", "bad" if choice.forced else "warn", f"{too_old}{reason}", works=False)
    unpacked = packages.find_unpacked(folder)
    if unpacked is not None:
        return Finding("private node", "ok", f"{too_old}RabbitMQ {unpacked.version}, unpacked in {folder}.")
    if all(shutil.which(program, path=environ.get("PATH")) for program in packages.PROGRAMS):
        return Finding(
            "private node", "ok", f"{too_old}The system's packages can be unpacked (about 40 MB to download)."
        )
    return Finding(
        "private node",
        "bad" if choice.forced else "warn",
        f"{too_old}There is no rabbitmq-server here, nor the programs of Debian and Ubuntu that fetch and unpack one.",
        "Install it, for example with `brew install rabbitmq` or your system's package manager.",
        works=False,
    )


def _unneeded(candidates: list[Finding]) -> list[Finding]:
    """Say of each source that does not work whether another one does, with which nothing need be done."""
    works = next((found.name for found in candidates if found.works), None)
    if works is None:
        return candidates
    mend = f"The course does without it: the {works} works."
    return [found if found.works else replace(found, mend=mend) for found in candidates]


def _decision(choice: BrokerChoice, running: Status | None, candidates: list[Finding]) -> Finding:
    why = f"WORKQ_BROKER={choice.forced} asks for it" if choice.forced else "it is the first that works"
    if running is not None:
        return Finding("will be used", "ok", f"The course broker that runs already: {running.description}.")
    for found in (candidate for candidate in candidates if candidate.works):
        return Finding("will be used", "ok", f"{found.name}: {why}. {found.found}")
    return Finding(
        "will be used",
        "bad",
        "There is no RabbitMQ to use, and none that could be started.",
        "Start Docker, install rabbitmq-server, or set WORKQ_BROKER_URL to a broker that runs elsewhere.",
    )
