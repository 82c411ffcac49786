"""Sets the course up on Google Colab's machine; the first cell of a lesson there runs it.

What Colab's own notebook is made of stays as it is, in the versions that Colab has: its kernel runs already, and would
not survive another. Docker is not there, so RabbitMQ comes from Ubuntu's packages when the lesson asks for it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from environment import step  # found beside this file, which `%run` runs as a program
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

#: Colab has a notebook of its own, and no Docker.
LEFT_OUT = {"jupyterlab", "ipykernel", "ipywidgets", "testcontainers"}


def main() -> None:
    """Install the course into the Python that runs this, and prepare this process for its lessons."""
    wanted = [
        Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ]
    missing = [each for each in wanted if each.name not in LEFT_OUT and not is_installed(each)]
    if missing:
        with step(f"Installing {', '.join(each.name for each in missing)}"):
            install_beside_the_rest(missing)
    with step("Installing the course"):
        pip("--no-deps", str(ROOT))
    importlib.invalidate_caches()
    os.chdir(ROOT / "notebooks")  # as JupyterLab does: the last lesson starts programs from here
    if not os.environ.get("WORKQ_BROKER_URL"):
        os.environ["WORKQ_BROKER"] = "node"
    allow_the_stage()
    print("==> Ready: run the lesson's cells")


def is_installed(requirement: Requirement) -> bool:
    """Return whether a version that does is there."""
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def install_beside_the_rest(requirements: Iterable[Requirement]) -> None:
    """Install packages, and leave all that are not asked for in the versions that they have."""
    asked = {canonicalize_name(each.name) for each in requirements}
    present = {canonicalize_name(each.name): each.version for each in metadata.distributions() if each.name}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in present.items() if name not in asked)
        file.flush()
        pip("--constraint", file.name, *map(str, requirements))


def pip(*arguments: str) -> None:
    """Let pip install something; what it says is shown if it fails."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-4000:]}\nThe course could not be installed; pip says above why.")


def allow_the_stage() -> None:
    """Let Colab show widgets that are not its own."""
    try:
        output = importlib.import_module("google.colab.output")
    except ImportError:
        print("    This is not Google Colab: its leave for widgets was not asked for")
        return
    output.enable_custom_widget_manager()


if __name__ == "__main__":
    main()
