from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from workq_helpers import errors
from workq_helpers.broker import docker_engine, docker_socket, doctor, packages, sources
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.installations import Installation, installation_in
from workq_helpers.broker.node import NodeServer
from workq_helpers.broker.progress import spoken
from workq_helpers.broker.protocol import Ready, describe_error, revive_error
from workq_helpers.broker.server import Server, silent
from workq_helpers.broker.share import why_unwanted
from workq_helpers.errors import (
    BrokerNotFoundError,
    BrokerStartError,
    DockerUnavailableError,
    InvalidArgumentError,
    PackagesError,
    UnsupportedBrokerError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    found = Folders(tmp_path / "run", tmp_path / "cache")
    found.make_runtime()
    return found


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Make this machine one with neither Docker nor a server nor apt, and return its environment."""
    monkeypatch.setattr(docker_socket, "_DEFAULT_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(sources, "find_installations", lambda _environ: [])
    monkeypatch.setattr(doctor, "find_installations", lambda _environ: [])
    return {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "WORKQ_RUNTIME_DIR": str(tmp_path / "run"),
        "WORKQ_CACHE_DIR": str(tmp_path / "cache"),
    }


def start(choice: BrokerChoice, folders: Folders, environ: dict[str, str]) -> None:
    recorded: list[Server] = []
    sources.start_server(choice, folders, environ, silent, recorded.append)


def test_a_machine_with_nothing_hears_of_every_choice(folders: Folders, bare_machine: dict[str, str]) -> None:
    with pytest.raises(BrokerNotFoundError) as raised:
        start(BrokerChoice(), folders, bare_machine)
    for part in ("Docker is not installed", "no apt-get", "start Docker", "apt install", "brew", "WORKQ_BROKER_URL"):
        assert part in str(raised.value)


@pytest.mark.parametrize(("forced", "kind"), [("docker", DockerUnavailableError), ("node", PackagesError)])
def test_a_forced_source_raises_its_own_error(
    forced: str, kind: type[Exception], folders: Folders, bare_machine: dict[str, str]
) -> None:
    with pytest.raises(kind):
        start(BrokerChoice(forced), folders, bare_machine)


@pytest.mark.parametrize(("forced", "told"), [(None, ["Docker can't be used"]), ("docker", []), ("node", [])])
def test_a_source_is_told_to_be_passed_over_only_if_another_follows(
    forced: str | None, told: list[str], folders: Folders, bare_machine: dict[str, str]
) -> None:
    steps: list[str] = []
    with pytest.raises(BrokerStartError if forced else BrokerNotFoundError):
        sources.start_server(
            BrokerChoice(forced), folders, bare_machine, lambda text, *_: steps.append(text), lambda _: None
        )
    assert [text.partition(":")[0] for text in steps if "can't be used" in text] == told


def test_docker_that_does_not_run(folders: Folders, bare_machine: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    with pytest.raises(DockerUnavailableError, match="does not run: there is no socket"):
        start(BrokerChoice("docker"), folders, bare_machine)


def test_a_server_that_is_too_old(
    folders: Folders, bare_machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = Installation(tmp_path / "old", tmp_path, Version("3.9.27"), "installed")
    monkeypatch.setattr(sources, "find_installations", lambda _environ: [old])
    with pytest.raises(BrokerNotFoundError, match=r"3\.9\.27.*is too old: the course needs 3\.10") as raised:
        start(BrokerChoice("node"), folders, bare_machine)
    assert isinstance(raised.value.__cause__, PackagesError)


def test_versions_are_read_off_the_plugin(tmp_path: Path) -> None:
    script = tmp_path / "sbin" / "rabbitmq-server"
    script.parent.mkdir()
    script.touch(mode=0o755)
    (tmp_path / "plugins" / "rabbit-4.1.0.ez").mkdir(parents=True)
    (tmp_path / "plugins" / "rabbit_common-4.9.9").mkdir()
    found = installation_in(tmp_path, tmp_path, "installed")
    assert found is not None
    assert found.version == Version("4.1.0")
    assert found.supported
    script.unlink()
    assert installation_in(tmp_path, tmp_path, "installed") is None


# -- what was asked for


def test_choices() -> None:
    assert BrokerChoice.from_environ({}) == BrokerChoice()
    assert BrokerChoice.from_environ({"WORKQ_BROKER_URL": "amqp://x"}).uses_url
    assert not BrokerChoice.from_environ({"WORKQ_BROKER_URL": "amqp://x", "WORKQ_BROKER": "node"}).uses_url
    choice = BrokerChoice.from_environ({"WORKQ_BROKER": " Docker ", "WORKQ_RABBITMQ_IMAGE": "r:4"})
    assert choice == BrokerChoice("docker", "r:4")


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_time_that_is_none_is_a_sentence(value: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"WORKQ_LINGER_SECONDS is '{value}', which is not a number of"):
        BrokerChoice.from_environ({"WORKQ_LINGER_SECONDS": value})
    assert BrokerChoice.from_environ({"WORKQ_LINGER_SECONDS": "0.5"}).linger_seconds == 0.5
    assert doctor.diagnose({"WORKQ_LINGER_SECONDS": value})[0].verdict == "bad"


@pytest.mark.parametrize(
    ("value", "message"),
    [("podman", "'podman'. Set it to url, docker or node"), ("url", "WORKQ_BROKER_URL is not set")],
)
def test_a_choice_that_makes_no_sense(value: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        BrokerChoice.from_environ({"WORKQ_BROKER": value})


def test_a_running_broker_is_refused_only_if_another_was_asked_for() -> None:
    node = Ready(Endpoint("127.0.0.1", 5672, "u", "p"), "node", "a node", Version("4.3"))
    assert why_unwanted(node, BrokerChoice()) == ""
    assert why_unwanted(node, BrokerChoice("node")) == ""
    assert why_unwanted(node, BrokerChoice(image="r:4")) == ""
    docker = replace(node, source="docker", description="Docker (r:3)", image="r:3")
    assert "WORKQ_RABBITMQ_IMAGE=r:4 asks for another" in why_unwanted(docker, BrokerChoice(image="r:4"))
    assert "unset WORKQ_BROKER to" in why_unwanted(node, BrokerChoice("docker"))


# -- what is told


@pytest.mark.parametrize("kind", [BrokerStartError, PackagesError, UnsupportedBrokerError])
def test_errors_cross_to_another_process(kind: type[errors.WorkqError]) -> None:
    revived = revive_error(describe_error(kind("What happened. What to do.")))
    assert type(revived) is kind
    assert str(revived) == "What happened. What to do."


def test_other_peoples_errors_become_ours() -> None:
    revived = revive_error(describe_error(ZeroDivisionError("oh")))
    assert type(revived) is errors.BrokerError
    assert "ZeroDivisionError: oh" in str(revived)


def test_downloads_are_told_in_a_few_lines() -> None:
    told: list[str] = []
    progress = spoken(told.append)
    for done in range(0, 4_000_001, 1_000):
        progress("Pulling", done, 4_000_000)
    progress("Done")
    assert told == [*(f"Pulling: {done} of 4 MB" for done in (0, 1, 2, 2, 3, 4)), "Done"]


def test_the_doctor_names_what_is_missing(bare_machine: dict[str, str]) -> None:
    findings = doctor.diagnose(bare_machine)
    assert [(finding.name, finding.verdict) for finding in findings] == [
        ("course broker", "ok"),
        ("Docker", "warn"),
        ("private node", "warn"),
        ("will be used", "bad"),
    ]
    assert findings[1].found.startswith("Docker is not installed: ")
    assert findings[1].found.endswith("Install it.")
    assert all(finding.mend for finding in findings[2:])


def test_the_doctor_asks_for_nothing_that_another_source_makes_needless(
    monkeypatch: pytest.MonkeyPatch, bare_machine: dict[str, str]
) -> None:
    unpacked = Installation(Path("/x"), Path("/y"), Version("4.3.0"), "unpacked packages")
    monkeypatch.setattr(packages, "find_unpacked", lambda _: unpacked)
    (docker,) = [found for found in doctor.diagnose(bare_machine) if found.name == "Docker"]
    assert docker.mend == "The course does without it: the private node works."


def test_the_doctor_promises_no_source_where_nothing_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, bare_machine: dict[str, str], tmp_path: Path
) -> None:
    unpacked = Installation(Path("/x"), Path("/y"), Version("4.3.0"), "unpacked packages")
    monkeypatch.setattr(packages, "find_unpacked", lambda _: unpacked)
    (tmp_path / "file").touch()
    runtime = {"WORKQ_RUNTIME_DIR": str(tmp_path / "file" / "run")}
    found = {finding.name: finding for finding in doctor.diagnose(bare_machine | runtime)}
    assert "(Not a directory)" in found["course broker"].found
    assert "room" not in found["course broker"].found
    assert {found[name].verdict for name in ("course broker", "will be used")} == {"bad"}
    runtime = {"WORKQ_RUNTIME_DIR": str(tmp_path / "Ada's"), "WORKQ_BROKER": "node"}
    found = {finding.name: finding for finding in doctor.diagnose(bare_machine | runtime)}
    assert {found[name].verdict for name in ("private node", "will be used")} == {"bad"}
    with pytest.raises(BrokerStartError, match=r"has \"'\" in it: .*/Ada's/node\. Set WORKQ_RUNTIME_DIR"):
        NodeServer(unpacked, tmp_path / "Ada's" / "node", {}).start()


@pytest.mark.parametrize(
    ("forced", "here", "verdict", "text"),
    [
        (None, True, "ok", "the image r:4 is here."),
        (None, False, "warn", "will be downloaded first; if that fails, the next source is tried."),
        ("docker", False, "warn", "will be downloaded first."),
    ],
)
def test_the_doctor_says_whether_the_image_is_here(
    monkeypatch: pytest.MonkeyPatch,
    bare_machine: dict[str, str],
    forced: str | None,
    here: bool,
    verdict: str,
    text: str,
) -> None:
    monkeypatch.setattr(docker_engine, "has_image", lambda image: here and image == "r:4")
    choice = {"WORKQ_BROKER": forced} if forced else {}
    findings = doctor.diagnose(
        bare_machine | choice | {"DOCKER_HOST": "tcp://127.0.0.1:1", "WORKQ_RABBITMQ_IMAGE": "r:4"}
    )
    found = {finding.name: finding for finding in findings}
    assert found["Docker"].verdict == verdict
    assert found["Docker"].found.endswith(text)
    assert bool(found["Docker"].mend) is not here
    assert found["will be used"].verdict == "ok"  # it will, once it is downloaded
    assert found["will be used"].found.endswith(text)


def test_the_doctor_on_settings_that_make_no_sense() -> None:
    (finding,) = doctor.diagnose({"WORKQ_BROKER": "podman"})
    assert finding.verdict == "bad"
    assert "podman" in finding.found
