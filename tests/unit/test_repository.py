"""What must hold for the files of the project as they are committed."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import workq_helpers
from workq_helpers.broker.choice import DEFAULT_IMAGE

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Names in pieces, so that this file does not find itself.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry." + "npmjs",
    "deb." + "debian",
    "archive." + "ubuntu",
]
NOT_OURS = (ROOT / ".gitignore").read_text().split()


def project_files() -> Iterator[Path]:
    """Every file of the project, without what .gitignore names: a copy need not be a git repository."""
    for folder, names, files in os.walk(ROOT):
        here = Path(folder)
        names[:] = [
            name for name in names if name != ".git" and not any(here.joinpath(name).match(p) for p in NOT_OURS)
        ]
        yield from (here / name for name in files if not any(Path(name).match(p) for p in NOT_OURS))


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(workq_helpers.__path__, "workq_helpers."):
        yield found.name


def requirements() -> list[Requirement]:
    groups = PYPROJECT["dependency-groups"].values()
    texts = [*PYPROJECT["build-system"]["requires"], *PYPROJECT["project"]["dependencies"]]
    grouped = [text for group in groups for text in group if isinstance(text, str)]  # not those that include a group
    return [Requirement(text) for text in [*texts, *grouped]]


def pins(file: str = "constraints.txt") -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / file).read_text().splitlines():
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_no_file_names_a_package_registry() -> None:
    files = list(project_files())
    assert ROOT / "Makefile" in files
    named = {
        str(file.relative_to(ROOT)): host
        for file in files
        for host in REGISTRY_HOSTS
        if host.encode() in file.read_bytes()
    }
    assert named == {}


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-lowest.txt"])
def test_constraints_pin_exactly_and_hold_no_address(file: str) -> None:
    for pinned in pins(file).values():
        for pin in pinned:
            assert pin.url is None
            assert not pin.extras, f"pip refuses extras in a constraint: {pin}"
            assert [specifier.operator for specifier in pin.specifier] == ["=="], pin


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pinned = pins().get(canonicalize_name(requirement.name), [])
    assert pinned, f"make constraints: {requirement.name} is not in constraints.txt"
    for pin in pinned:
        version = next(iter(pin.specifier)).version
        assert requirement.specifier.contains(version, prereleases=True), f"{pin} is not {requirement}"


@pytest.mark.parametrize(
    "requirement",
    [Requirement(text) for text in PYPROJECT["project"]["dependencies"]],
    ids=lambda requirement: requirement.name,
)
def test_the_lowest_version_allowed_is_one_that_ci_runs(requirement: Requirement) -> None:
    [pin] = pins("constraints-lowest.txt")[canonicalize_name(requirement.name)]
    [pinned], [allowed] = pin.specifier, [each for each in requirement.specifier if each.operator == ">="]
    assert Version(pinned.version).release[: len(Version(allowed.version).release)] == Version(allowed.version).release


@pytest.mark.parametrize("python", ["3.11.2", "3.12.0", "3.13.5"])
def test_each_python_gets_one_version_of_each_package(python: str) -> None:
    environment = {
        "python_full_version": python,
        "python_version": python[:4],
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for name, pinned in pins().items():
        apply = [pin for pin in pinned if pin.marker is None or pin.marker.evaluate(environment)]
        assert len(apply) <= 1, f"Python {python} gets {apply} of {name}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text()))))
def test_the_readme_names_targets_that_there_are(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", list(modules()))
def test_all_is_honest(name: str) -> None:
    module = importlib.import_module(name)
    if name.endswith("__main__"):
        return
    assert len(module.__all__) == len(set(module.__all__))
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
    defined = {
        public for public, value in vars(module).items() if not public.startswith("_") and is_defined_in(module, value)
    }
    assert defined <= set(module.__all__), "a public name is in __all__, or begins with an underscore"


def is_defined_in(module: ModuleType, value: object) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_pre_commit_checks_what_make_lint_checks(command: str) -> None:
    assert f"entry: .venv/bin/{command}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
    assert f"$(BIN)/{command}" in (ROOT / "Makefile").read_text()


def test_pre_commit_checks_the_stage_as_make_lint_does() -> None:
    assert "entry: make lint-stage\n" in (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.search(r"^lint:.* lint-stage\b", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_compose_runs_the_version_that_the_course_starts() -> None:
    assert f"${{WORKQ_RABBITMQ_IMAGE:-{DEFAULT_IMAGE}}}" in (ROOT / "docker-compose.yml").read_text()


def test_only_the_stages_own_javascript_is_modules() -> None:
    # .venv lies below the root, and JupyterLab runs a program in it that is no module.
    assert "type" not in json.loads((ROOT / "package.json").read_text())
    assert json.loads((ROOT / "workq_helpers" / "stage" / "js" / "package.json").read_text()) == {"type": "module"}


def test_npm_packages_are_pinned_exactly_and_without_addresses() -> None:
    package, lock = (json.loads((ROOT / name).read_text()) for name in ("package.json", "package-lock.json"))
    assert "dependencies" not in package, "what the stage needs in the browser is its own"
    assert [
        version for version in package["devDependencies"].values() if not re.fullmatch(r"\d+\.\d+\.\d+", version)
    ] == []
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert [name for name, locked in lock["packages"].items() if "resolved" in locked] == []


@pytest.mark.parametrize(
    "script",
    [
        *(".ci/run", ".ci/images", ".ci/learner", ".ci/campaign", ".ci/course_image", ".ci/compose"),
        *("binder/postBuild", "binder/start"),
    ],
)
def test_scripts_are_programs_that_bash_can_read(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_notebooks_hold_no_widget_state() -> None:
    notebooks = [file for file in project_files() if file.suffix == ".ipynb"]
    assert notebooks
    for notebook in notebooks:
        assert "widgets" not in json.loads(notebook.read_text())["metadata"], notebook
