"""The worked example for JupyterHub gives each user the user's own broker URL, and no other."""

from __future__ import annotations

import logging
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workq_helpers.classroom.teachers_file import Access, TeachersFile

pytestmark = pytest.mark.text

EXAMPLE = Path(__file__).parents[2] / "docs" / "jupyterhub_config.py"
ADA = Access("Ada Lovelace", "ada@hub", "ada-lovelace", "amqp://ada-lovelace:one@broker:5672/ada-lovelace", "")
BOB = Access("Bob", "bob", "bob", "amqp://bob:two@broker:5672/bob", "http://broker:8080")

Hook = Callable[[Any], None]


@pytest.fixture
def file(tmp_path: Path) -> TeachersFile:
    written = TeachersFile(tmp_path / "class-urls.csv")
    written.write([ADA, BOB])
    return written


@pytest.fixture
def hook(file: TeachersFile, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """What the example gives JupyterHub to call."""
    monkeypatch.setenv("WORKQ_CLASS_FILE", str(file.path))
    config = SimpleNamespace(Spawner=SimpleNamespace())
    runpy.run_path(str(EXAMPLE), init_globals={"get_config": lambda: config})
    return config.Spawner.pre_spawn_hook  # type: ignore[no-any-return]  # whatever the example put there


def spawner(name: str, environment: dict[str, str]) -> Any:
    user = SimpleNamespace(name=name)
    return SimpleNamespace(user=user, environment=environment, log=logging.getLogger("hub"))


def test_each_user_gets_the_own_address(hook: Hook) -> None:
    shared = {"LANG": "C.UTF-8"}
    ada, bob = spawner("ada@hub", shared), spawner("bob", shared)
    hook(ada)
    hook(bob)
    assert ada.environment == {"LANG": "C.UTF-8", "WORKQ_BROKER_URL": ADA.broker_url}
    assert bob.environment == {
        "LANG": "C.UTF-8",
        "WORKQ_BROKER_URL": BOB.broker_url,
        "WORKQ_MANAGEMENT_URL": BOB.management_url,
    }
    assert shared == {"LANG": "C.UTF-8"}


def test_capitals_make_no_difference_as_for_the_hub(hook: Hook, file: TeachersFile) -> None:
    file.write([ADA._replace(login="Ada@Hub")])
    started = spawner("ada@hub", {})
    hook(started)
    assert started.environment == {"WORKQ_BROKER_URL": ADA.broker_url}


def test_of_two_with_one_login_neither_gets_the_address_of_the_other(
    hook: Hook, file: TeachersFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.write([ADA, BOB._replace(login="ada@hub")])
    started = spawner("ada@hub", {})
    hook(started)
    assert started.environment == {}
    assert "ada@hub is 2 times in" in caplog.text


def test_a_newcomer_needs_no_restart_of_the_hub(hook: Hook, file: TeachersFile) -> None:
    carol = Access("Carol", "carol", "carol", "amqp://carol:three@broker:5672/carol", "")
    file.write([ADA, BOB, carol])
    started = spawner("carol", {})
    hook(started)
    assert started.environment == {"WORKQ_BROKER_URL": carol.broker_url}


def test_somebody_else_gets_nothing(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    stranger = spawner("ada", {})  # not what Ada is called on this hub
    hook(stranger)
    assert stranger.environment == {}
    assert "ada is 0 times in" in caplog.text
    assert "amqp://" not in caplog.text
