"""What the course installs is what it names: pinned, whole, from wheels, under licenses that let anybody use it."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import need
from workq_helpers.cli.kernels import START

ROOT = Path(__file__).parents[2]

#: Words of licenses that let anybody use, change and share what is under them.
_FREE = re.compile(
    r"MIT|BSD|Apache|Python Software Foundation|PSF|ISC|Mozilla|MPL|LGPL|Lesser|HPND|Historical Permission|"
    r"Artistic|Unlicense|0BSD|CC0|Public Domain|Zlib|CNRI|GPL-Compatible|ZPL|Academic",
    re.IGNORECASE,
)

#: Installed beside them, by whoever made the environment.
_NOT_OURS = {"pip", "setuptools", "wheel", "workq-helpers"}


@functools.cache  # reading them takes a second
def installed() -> dict[str, metadata.Distribution]:
    found = {canonicalize_name(each.metadata["Name"]): each for each in metadata.distributions()}
    return {name: each for name, each in found.items() if name not in _NOT_OURS}


def pins() -> dict[str, set[str]]:
    """Return the versions that constraints.txt pins, by name; some differ by Python or system."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            (pin,) = pinned.specifier
            assert pin.operator == "==", line
            found.setdefault(canonicalize_name(pinned.name), set()).add(pin.version)
    return found


def reachable() -> set[str]:
    """Return everything that the course's own requirements lead to here, development included."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())
    waiting = [*groups["project"]["dependencies"]]
    waiting += [each for group in groups["dependency-groups"].values() for each in group if isinstance(each, str)]
    known, seen = installed(), set()
    while waiting:
        wanted = Requirement(waiting.pop())
        name = canonicalize_name(wanted.name)
        extras = ["", *wanted.extras]
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if name in known and (name, *extras) not in seen:
            seen.add((name, *extras))
            for text in known[name].requires or ():
                inner = Requirement(text)
                if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                    inner.marker = None
                    waiting.append(str(inner))
    return {name for name, *_ in seen}


@pytest.mark.once
def test_every_dependency_is_pinned_and_the_pin_is_what_is_here() -> None:
    known, pinned = installed(), pins()
    ours = reachable()
    assert len(ours) > 100
    assert sorted(ours - set(pinned)) == []
    assert {name: known[name].version for name in ours if known[name].version not in pinned[name]} == {}


@pytest.mark.once
def test_nothing_is_installed_that_nobody_asked_for() -> None:
    assert sorted(set(installed()) - set(pins())) == []


def test_they_agree_with_each_other() -> None:
    uv = Path(sys.executable).with_name("uv")
    need(uv.exists(), "there is no uv in this environment")
    checked = subprocess.run(
        [uv, "pip", "check", "--python", sys.executable], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_came_as_a_wheel_and_no_program_of_its_own_ran_to_install_it() -> None:
    assert [name for name in reachable() if not (installed()[name].read_text("WHEEL") or "").startswith("Wheel-")] == []


def as_installed(name: str, content: bytes) -> bytes:
    """Return what a file was before setup wrote into it, which it does into one: how a kernel starts."""
    if name != "kernel.json":
        return content
    kernel = json.loads(content)
    assert kernel["argv"][1:3] == ["-c", START]
    kernel["argv"][1:3] = ["-m"]
    return json.dumps(kernel, indent=1).encode()


@pytest.mark.once
def test_each_file_is_what_its_wheel_says() -> None:
    changed = []
    checked = 0
    for name in sorted(reachable()):
        for file in installed()[name].files or ():
            if file.hash is None or file.name.endswith(".pyc"):
                continue
            try:
                with open(str(file.locate()), "rb") as opened:  # noqa: PTH123 - a path of metadata's own kind
                    found = hashlib.new(file.hash.mode, as_installed(file.name, opened.read())).digest()
            except FileNotFoundError:
                changed.append(f"{name}: {file} is missing")
                continue
            checked += 1
            if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != file.hash.value:
                changed.append(f"{name}: {file}")
    assert checked > 5_000
    assert changed == []


@pytest.mark.once
def test_each_is_free_to_use() -> None:
    unknown = {}
    for name in reachable():
        about = installed()[name].metadata
        told = [about.get("License-Expression") or "", about.get("License") or ""]
        told += [each for each in about.get_all("Classifier") or () if each.startswith("License")]
        if not _FREE.search(" ".join(told)):
            unknown[name] = " ".join(told)[:80]
    assert unknown == {}


def test_advisories_are_asked_for_where_there_is_a_network() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "audit.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert any("pip_audit --requirement constraints.txt" in step for step in steps)
    dependabot = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert {each["package-ecosystem"] for each in dependabot["updates"]} == {"pip", "github-actions"}
