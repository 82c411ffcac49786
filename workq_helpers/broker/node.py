"""`NodeServer`: a RabbitMQ installation started as a private node of this user."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from workq_helpers import rabbitmq
from workq_helpers.broker import address_space, loopback, open_files, process_limit, processes
from workq_helpers.broker.installations import Installation
from workq_helpers.broker.member import ERLANG_ARGUMENTS, Member, members
from workq_helpers.broker.ports import LOOPBACK, hold, port_taken, taken
from workq_helpers.broker.server import NO_BUSY_WAIT, Progress, last_words, printed, silent
from workq_helpers.errors import BrokerError, BrokerStartError, PortTakenError
from workq_helpers.private_folders import obstacle_in
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import ADVANCED_CONFIG
from workq_helpers.waiting import wait_until

__all__ = ["NodeServer", "why_no_data_in", "why_none_runs"]

#: How long a node may take to accept AMQP, in seconds; a slow laptop with a full disk needs 30.
BOOT_SECONDS = 120.0
#: How long a node may take to stop gracefully before it is killed, in seconds.
STOP_SECONDS = 30.0
#: How long it may take where its data goes anyway, in seconds: enough to close its connections in good order. The
#: management plugin alone takes 5 s to end, for nothing that anybody needs.
FAREWELL_SECONDS = 1.0
#: How long rabbitmqctl may take, in seconds: it starts an Erlang of its own, on a busy machine for many of them.
TOOL_SECONDS = 60.0
#: How often to ask whether it accepts, in seconds: often enough not to add to the time of a boot.
POLL_SECONDS = 0.04

_CONFIG = """\
listeners.tcp.1 = {host}:{amqp}
management.tcp.ip = {host}
management.tcp.port = {management}
default_user = {username}
default_pass = {password}
loopback_users = none
log.console = true
log.console.level = info
log.file = false
"""

# Where `localhost`, which the node's name ends with, is asked for first: some machines' /etc/hosts does not have it.
_INETRC = """\
{host, {127,0,0,1}, ["localhost"]}.
{lookup, [file, native]}.
"""

#: What the node and epmd print when a port is taken.
_PORT_TAKEN = re.compile(r"eaddrinuse|dist_port_already_used|address already in use", re.IGNORECASE)

#: What Erlang, and the shells that start it, print where they may have no more threads or processes.
_NO_THREAD = re.compile(r"[Ff]ailed to create .*thread|[Cc]annot fork|fork: |Resource temporarily unavailable")

# Erlang's distribution listens everywhere unless told not to. The server script does not add -noinput when it is
# told to become the server itself instead of waiting for it.
_LOOPBACK_ALONE = "-kernel inet_dist_use_interface {127,0,0,1}"
#: What makes a shell wait, or ends a command, in the path that RabbitMQ's disk monitor tells it.
_OF_THE_SHELL = frozenset("'\"`()<>&|;\\\n")
#: Where the installation is to be found from a node's own folder, in which it runs: RabbitMQ's scripts read each other
#: by a path that they do not quote, and that of a home may have spaces.
_SERVER = "server"
_ERLANG_ARGUMENTS = f"-noinput {_LOOPBACK_ALONE} {NO_BUSY_WAIT}"


def why_none_runs() -> str:
    """Return in a sentence why this process can start no private node, whichever and wherever; ``""`` if it can."""
    return (
        open_files.why_too_few()
        or address_space.why_too_little()
        or processes.why_unseen()
        or loopback.why_unreachable()
    )


def why_no_data_in(folder: Path) -> str:
    """Return in a sentence why RabbitMQ can't keep its data below a folder of this name, ``""`` if it can."""
    found = next((each for each in str(folder) if each in _OF_THE_SHELL), "")
    if not found:
        return ""
    return (
        f"RabbitMQ asks a shell for the free room of its folder, and does not quote the path, which has {found!r} in "
        f"it: {folder}. Set WORKQ_RUNTIME_DIR to a folder without."
    )


class NodeServer:
    """A private node: all ports on loopback, its own epmd, cookie, login and data, in one folder of its own.

    Args:
        installation: What to start.
        folder: A folder that does not exist yet; the server makes and removes it.
        environ: The environment variables it starts from.
        member: What it is in a cluster; the epmd of the first node is that of all.
    """

    source = "node"
    image = None

    def __init__(
        self, installation: Installation, folder: Path, environ: Mapping[str, str], member: Member | None = None
    ) -> None:
        self.description = f"private node ({installation.origin})"
        self._installation = installation
        self._folder = folder
        self._member = member
        self._name = member.node_name if member else f"workq-{secrets.token_hex(4)}@localhost"
        self._has_epmd = member is None or member.node_name == member.peers[0]
        self._outer_environ = environ
        self._environ: dict[str, str] = {}
        self._ports: tuple[int, ...] = ()
        self._held = contextlib.ExitStack()  # the ports, whether it runs or not
        self._endpoint: Endpoint | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._logged_before = 0  # how much of the log is of the boots before this one

    def start(self, progress: Progress = silent) -> Endpoint:
        """Start epmd and the node, and return once the node accepts AMQP logins.

        Raises:
            PortTakenError: A port that was free has been taken, twice.
            BrokerStartError: The node did not come up; the message ends with the last lines of its log.
        """
        progress(f"Starting RabbitMQ {self._installation.version} as a private node")
        try:
            try:
                return self._first_boot()
            except PortTakenError:
                self.stop()  # another program was quicker: once more with other ports
                return self._first_boot()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the node, then epmd, and delete the folder."""
        self._stop_node(FAREWELL_SECONDS)
        if self._epmd is not None:
            self._end(self._epmd, grace=0.0)
            self._epmd = None
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def restart(self) -> None:
        """Stop the node gracefully if it runs, start it with the same data, return when it accepts AMQP."""
        self._stop_node(STOP_SECONDS)
        self._boot()

    def crash(self) -> None:
        """SIGKILL the node, start it with the same data, return when it accepts AMQP."""
        self.kill()
        self._boot()

    # -- in a cluster, where the others go on meanwhile

    def launch(self) -> None:
        """Start it, or start it again with the same data, and return at once.

        Raises:
            BrokerStartError: The system does not let it have the files that it needs.
        """
        if self._endpoint is None:
            self._prepare()
        self._launch()

    def wait_until_it_accepts(self) -> None:
        """Return when it accepts AMQP, once it was launched.

        Raises:
            PortTakenError: A port that was free has been taken.
            BrokerStartError: It did not come up; the message ends with the last lines of its log.
        """
        if self._endpoint is None or self._node is None:
            raise BrokerStartError("This private node was never started. Start it first.")
        self._wait_until_it_accepts(self._endpoint, self._node)

    def shut_down(self) -> None:
        """Stop it gracefully; its data stays."""
        self._stop_node(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL it; its data stays."""
        self._stop_node(0.0)

    def rabbitmqctl(self, arguments: Sequence[str]) -> str:
        """Run the installation's own rabbitmqctl on this node, and return what it printed.

        Raises:
            BrokerError: It failed, or took too long; the message has what it printed.
        """
        command = [str(self._installation.server_script.with_name("rabbitmqctl")), "--quiet", *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environ,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TOOL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BrokerError(f"rabbitmqctl {' '.join(arguments)} did not run: {error}.") from error
        return printed(arguments, done.returncode, done.stdout)

    def is_running(self) -> bool:
        """Return whether the node's process runs."""
        return self._node is not None and self._node.poll() is None

    def logs(self) -> str:
        """Return the node's log so far."""
        try:
            return self._log.read_text(errors="replace")
        except OSError:
            return ""

    @property
    def _log(self) -> Path:
        return self._folder / "node.log"

    # -- starting

    def _first_boot(self) -> Endpoint:
        endpoint = self._prepare()
        self._boot()
        return endpoint

    def _prepare(self) -> Endpoint:
        open_files.allow_enough()
        if reason := why_none_runs() or why_no_data_in(self._folder):
            raise BrokerStartError(reason)
        # A node by itself is a cluster of one.
        member = self._member or members(1)[0]
        endpoint = self._endpoint = member.endpoint
        self._ports = (endpoint.port, member.management, member.distribution, member.epmd)
        self._held = hold(self._ports if self._has_epmd else self._ports[:3])
        self._write_files(member)
        self._environ = self._node_environ(member)
        return endpoint

    def _write_files(self, member: Member) -> None:
        endpoint = member.endpoint
        self._folder.mkdir(mode=0o700, parents=True)
        config = _CONFIG.format(
            host=LOOPBACK,
            amqp=endpoint.port,
            management=member.management,
            username=endpoint.username,
            password=endpoint.password,
        )
        self._write("rabbitmq.conf", config + (self._member.settings if self._member else ""))
        self._write("advanced.config", ADVANCED_CONFIG)
        self._write("enabled_plugins", "[rabbitmq_management].\n")
        self._write("rabbitmq-env.conf", "")
        self._write("inetrc", _INETRC)
        (self._folder / _SERVER).symlink_to(self._installation.home)
        # The cookie lets its reader run any code in the node: as good as a password. Erlang wants it private, too.
        self._write(".erlang.cookie", member.cookie, mode=0o400)

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)

    def _node_environ(self, member: Member) -> dict[str, str]:
        ours = processes.bare(self._outer_environ)
        folder = self._folder
        search_path = f"{self._installation.erlang}{os.pathsep}{ours.get('PATH', os.defpath)}"
        return ours | {
            "HOME": str(folder),  # holds the cookie
            "PATH": search_path,
            # It is there whether the user's own locale is or not: without UTF-8 Erlang garbles names.
            "LC_ALL": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
            "ERL_EPMD_PORT": str(member.epmd),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_INETRC": str(folder / "inetrc"),
            "RABBITMQ_HOME": str(self._installation.home),
            "RABBITMQ_SCRIPTS_DIR": f"{_SERVER}/sbin",
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(member.endpoint.port),
            "RABBITMQ_DIST_PORT": str(member.distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_ALLOW_INPUT": "true",  # the script becomes the server: one process, which signals reach
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_ERLANG_ARGUMENTS} {ERLANG_ARGUMENTS if self._member else ''}",
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK_ALONE,  # rabbitmqctl is an Erlang node, too
        }

    def _boot(self) -> None:
        if self._endpoint is None:
            raise BrokerStartError("This private node was never started. Start it first.")
        self._wait_until_it_accepts(self._endpoint, self._launch())

    def _launch(self) -> subprocess.Popen[bytes]:
        self._logged_before = len(self.logs())
        if self._has_epmd and (self._epmd is None or self._epmd.poll() is not None):
            self._epmd = self._spawn([str(self._installation.erlang / "epmd")])
        self._node = self._spawn([str(self._installation.server_script)])
        return self._node

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return processes.spawn(command, environ=self._environ, folder=self._folder, output=log)

    def _wait_until_it_accepts(self, endpoint: Endpoint, node: subprocess.Popen[bytes]) -> None:
        def settled() -> bool:
            return node.poll() is not None or rabbitmq.connecting.accepts(endpoint)

        if not wait_until(settled, BOOT_SECONDS, interval_seconds=POLL_SECONDS):
            raise self._failure(f"did not accept AMQP within {BOOT_SECONDS:.0f} s")
        if node.poll() is not None:
            raise self._failure(f"ended with status {node.returncode} while it started")

    def _failure(self, what: str) -> BrokerStartError:
        """Return the error for a node that `what`; to be made before the log is deleted."""
        log = self.logs()[self._logged_before :]
        if not self.is_running() and (held := self._held_ports(log)):
            return port_taken(f"{self._installation.version} {what}", held)
        end = "\n".join(last_words(log))
        mend = (_NO_THREAD.search(log) and process_limit.why_too_few()) or self._why_no_room() or "Run `workq doctor`."
        return BrokerStartError(
            f"RabbitMQ {self._installation.version} in {self._installation.home} {what}. {mend} Its log ends with:\n"
            f"{end}"
        )

    def _why_no_room(self) -> str:
        found = obstacle_in(self._folder)
        if found is None:
            return ""
        mend = found.mend or "Set WORKQ_RUNTIME_DIR to a folder that you may write to"
        return f"It keeps its data in {self._folder}, where nothing can be written ({found.reason}). {mend}."

    def _held_ports(self, log: str) -> str:
        """Return which of the ports another program has, or had when the node wanted it; "" for none."""
        epmd_lives = self._epmd is not None and self._epmd.poll() is None
        if still := taken(self._ports[:3] if epmd_lives else self._ports):
            return f"port {still[0]}"
        # Who had it for a short connection of its own has given it back: the node takes 5 s to end.
        if _PORT_TAKEN.search(log):
            return f"one of the ports {', '.join(map(str, self._ports))}"
        return ""

    # -- stopping

    def _stop_node(self, grace: float) -> None:
        if self._node is not None:
            self._end(self._node, grace)
            self._node = None

    def _end(self, process: subprocess.Popen[bytes], grace: float) -> None:
        """End a process: gracefully if it manages to within so many seconds."""
        if grace and process.poll() is None:
            process.terminate()  # Erlang answers SIGTERM by stopping the applications in order
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
        if process.poll() is None:
            processes.kill([psutil.Process(process.pid)])
        process.wait()
