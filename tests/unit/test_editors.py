"""VS Code and dev containers: what their settings name is there, and what widgets need comes from no network."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]


def settings(name: str) -> dict[str, Any]:
    text = (ROOT / name).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    return found


def test_both_recommend_the_same_extensions() -> None:
    recommended = settings(".vscode/extensions.json")["recommendations"]
    assert settings(".devcontainer/devcontainer.json")["customizations"]["vscode"]["extensions"] == recommended
    assert "ms-toolsai.jupyter" in recommended


@pytest.mark.parametrize("name", [".vscode/settings.json", ".devcontainer/devcontainer.json"])
def test_the_interpreter_is_that_of_make_setup(name: str) -> None:
    found = settings(name)
    found = found.get("customizations", {}).get("vscode", {}).get("settings", found)
    folder, _, interpreter = found["python.defaultInterpreterPath"].partition("/")
    assert folder in ("${workspaceFolder}", "${containerWorkspaceFolder}")
    made_by_setup = (ROOT / "scripts" / "environment.py").read_text()
    assert 'VENV = ROOT / ".venv"' in made_by_setup
    assert interpreter == ".venv/bin/python"


def test_it_has_a_kernel_and_the_stages_module() -> None:
    """VS Code starts a kernel with the interpreter, and looks beside it for the module of a widget."""
    shared = Path(sys.prefix) / "share" / "jupyter"
    kernel = json.loads((shared / "kernels" / "python3" / "kernel.json").read_text())
    assert "ipykernel_launcher" in kernel["argv"]
    assert (shared / "nbextensions" / "anywidget" / "index.js").is_file()
