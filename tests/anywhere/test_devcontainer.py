""".devcontainer: its commands name what there is. They run for real only in a dev container."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.anywhere.docker import ROOT


@pytest.fixture
def devcontainer() -> dict[str, Any]:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    found: dict[str, Any] = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    return found


def test_binders_packages_are_installed(devcontainer: dict[str, Any], tmp_path: Path) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\necho "$@"\n')
    sudo.chmod(0o755)
    command = ["bash", "-euc", f"PATH={tmp_path}:$PATH; {devcontainer['onCreateCommand']}"]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert said == ["apt-get update", "apt-get install --yes --no-install-recommends rabbitmq-server"]


def test_what_it_sets_up_and_opens_is_there(devcontainer: dict[str, Any]) -> None:
    subprocess.run(["make", "--dry-run", *devcontainer["postCreateCommand"].split()[1:]], cwd=ROOT, check=True)
    assert all((ROOT / file).is_file() for file in devcontainer["customizations"]["codespaces"]["openFiles"])
    assert devcontainer["remoteEnv"] == {"WORKQ_BROKER": "node"}
