"""How long the course takes to start RabbitMQ beside the bare server, and to attach to one that runs.

Run it with ``python benchmarks/boot.py``; ``WORKQ_BROKER`` chooses Docker or a node, as everywhere. In each round, one
after the other: the bare server (the server's own script with the same settings, run by hand; with Docker,
``docker run`` of the image) up to its first accepted AMQP login; `find_broker` in a new process up to its return;
`find_broker` in another new process that finds it running. The ratios that have a goal are of whole processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench, alone
from benchmarks.row import Goal, Row
from workq_helpers.broker import commands, packages
from workq_helpers.broker.choice import DEFAULT_IMAGE, BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.installations import first_supported
from workq_helpers.broker.ports import LOOPBACK, free_ports
from workq_helpers.broker.server import NO_BUSY_WAIT, silent
from workq_helpers.rabbitmq.connecting import accepts
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import ADVANCED_CONFIG
from workq_helpers.waiting import wait_until

PART = "boot"

#: What booting may cost beside the bare server, and attaching beside booting.
BOOT_GOAL, ATTACH_GOAL = Goal("<=", 1.2), Goal("<=", 0.1)

# As the course starts Erlang, on both sides: what is measured is what the course adds to a start.
_ERLANG_ARGUMENTS = f"-kernel inet_dist_use_interface {{127,0,0,1}} {NO_BUSY_WAIT}"

_FIND = """
import json, time
from workq_helpers.broker import find_broker
import workq_helpers.broker.broker
begun = time.perf_counter()
with find_broker(lambda text: None):
    print(json.dumps(time.perf_counter() - begun))
"""


def measure(bench: Bench) -> None:
    """Measure booting and attaching."""
    image = image_of(bench)
    rounds = [_one_round(image) for _ in range(bench.rounds)]
    figures = {name: [row[name] for row in rounds] for name in rounds[0]}
    what = f"boot, {image or 'private node'}"
    bench.report.add(Row(PART, what, "bare server", "s", figures["bare"]))
    bench.report.add(
        Row(PART, what, "helpers", "s", figures["boot_process"], figures["bare"], "bare server", BOOT_GOAL)
    )
    bench.report.add(Row(PART, what, "without imports", "s", figures["boot"], figures["bare"], "bare server"))
    attach, boot = figures["attach_process"], figures["boot_process"]
    bench.report.add(Row(PART, "attach", "helpers", "s", attach, boot, "boot", ATTACH_GOAL))
    bench.report.add(Row(PART, "attach", "without imports", "s", figures["attach"], figures["boot"], "boot"))


def image_of(bench: Bench) -> str | None:
    """Return the image that the course uses here, or ``None`` where it starts a node."""
    return BrokerChoice.from_environ(os.environ).image or DEFAULT_IMAGE if bench.broker.source == "docker" else None


def _one_round(image: str | None) -> dict[str, float]:
    bare = bare_container(image) if image else bare_node()
    with course(image) as environ:
        boot, boot_process = find(environ)
        attach, attach_process = find(environ)
    return {
        "bare": bare,
        "boot": boot,
        "boot_process": boot_process,
        "attach": attach,
        "attach_process": attach_process,
    }


# -- the course


@contextlib.contextmanager
def course(image: str | None) -> Iterator[dict[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="wq-"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WORKQ_")}
    environ |= {"WORKQ_RUNTIME_DIR": str(home / "run"), "WORKQ_BROKER": "docker" if image else "node"}
    environ |= {"WORKQ_RABBITMQ_IMAGE": image} if image else {}
    environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    try:
        yield environ
    finally:
        commands.stop(environ)
        shutil.rmtree(home)


def find(environ: dict[str, str]) -> tuple[float, float]:
    """Return how long `find_broker` takes in a new process, and how long that process takes in all."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", _FIND], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        whole = time.perf_counter() - begun
    return float(json.loads(line)), whole


# -- the bare server


def bare_node() -> float:
    cache = Folders.from_environ(os.environ).cache
    installation = first_supported(os.environ) or packages.unpacked_installation(cache, os.environ, silent)
    amqp, management, distribution, epmd_port = free_ports(4)
    with tempfile.TemporaryDirectory(prefix="wq-") as name:
        folder = Path(name)
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {LOOPBACK}:{amqp}\nmanagement.tcp.ip = {LOOPBACK}\n"
            f"management.tcp.port = {management}\ndefault_user = bare\ndefault_pass = bare\n"
            "loopback_users = none\nlog.console = true\nlog.file = false\n"
        )
        (folder / "advanced.config").write_text(ADVANCED_CONFIG)
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (folder / "env.conf").touch()
        environ = {
            "HOME": name,
            "PATH": f"{installation.erlang}:{os.environ['PATH']}",
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"bare-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(amqp),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": f"{name}/data",
            "RABBITMQ_LOG_BASE": f"{name}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{name}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{name}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{name}/advanced.config",
            "RABBITMQ_CONF_ENV_FILE": f"{name}/env.conf",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{name}/generated",
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-noinput {_ERLANG_ARGUMENTS}",
        }
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        begun = time.perf_counter()
        with (
            subprocess.Popen([str(installation.erlang / "epmd")], env=environ, **quiet) as epmd,
            subprocess.Popen([str(installation.server_script)], env=environ, cwd=name, **quiet) as node,
        ):
            try:
                return until_it_accepts(Endpoint(LOOPBACK, amqp, "bare", "bare"), begun)
            finally:
                node.kill()
                epmd.kill()


def bare_container(image: str) -> float:
    amqp, management = free_ports(2)
    name = f"bare-{secrets.token_hex(4)}"
    ports = ["-p", f"{LOOPBACK}:{amqp}:5672", "-p", f"{LOOPBACK}:{management}:15672"]
    login = ["-e", "RABBITMQ_DEFAULT_USER=bare", "-e", "RABBITMQ_DEFAULT_PASS=bare"]
    erlang = ["-e", f"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS={_ERLANG_ARGUMENTS}"]
    begun = time.perf_counter()
    subprocess.run(
        ["docker", "run", "-d", "--name", name, *ports, *login, *erlang, image], check=True, stdout=subprocess.DEVNULL
    )
    try:
        return until_it_accepts(Endpoint(LOOPBACK, amqp, "bare", "bare"), begun)
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", name], check=True, stdout=subprocess.DEVNULL)


def until_it_accepts(endpoint: Endpoint, begun: float) -> float:
    if not wait_until(lambda: accepts(endpoint), 120, interval_seconds=0.01):
        raise SystemExit("the bare server accepted nobody for two minutes")
    return time.perf_counter() - begun


if __name__ == "__main__":
    alone(PART, measure, __doc__)
