"""Makes .venv and installs the course into it, with every version as constraints.txt pins it.

``scripts/setup.py`` starts it, before anything is installed, so it needs nothing but Python itself. A second
run finds by the stamp of the first that nothing changed, and is done at once without a network.
``WORKQ_VERSIONS`` asks for other versions: the ``lowest`` that pyproject.toml allows, or the ``newest``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MADE = VENV / "workq-made-for"
STAMP = VENV / "workq-installed"
#: What ``WORKQ_VERSIONS`` may be, and the file that pins those versions.
CONSTRAINTS = {"pinned": "constraints.txt", "lowest": "constraints-lowest.txt", "newest": None}
MEND = "free some room, or put the course into a folder that you may write to"
DEBIAN_WHEELS = Path("/usr/share/python-wheels")
# Where there is no terminal for a progress bar there is only noise to see.
QUIETLY = [] if sys.stdout.isatty() and sys.stderr.isatty() else ["--quiet"]


class SetupError(Exception):
    """What went wrong and what to do about it, in one sentence."""


def main() -> int:
    """Make .venv, or bring it up to date, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--exactly-this-python",
        action="store_true",
        help="make .venv anew if it was made with another Python than the one that runs this",
    )
    parser.add_argument("--also", metavar="GROUP", help="install this group of pyproject.toml too")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        with one_at_a_time():
            exactly = arguments.exactly_this_python
            if not (is_usable(exactly) and read(STAMP) == wanted()):
                set_up(exactly)
            if arguments.also:
                with step(f"Installing what only make {arguments.also} needs"):
                    install("--group", arguments.also)
    except SetupError as error:
        print(f"make setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, or a checkout that is not this user's to change
        print(f"make setup: {error.filename or ROOT} can't be used ({error.strerror}); {MEND}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"==> .venv is ready ({time.monotonic() - started:.1f} s)")
    return 0


def version_of_this() -> str:
    """The version of the Python that runs this, such as 3.11.2."""
    return ".".join(map(str, sys.version_info[:3]))


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for another setup of the same checkout; the lock ends with its process, however it ends."""
    with (ROOT / "constraints.txt").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("==> Another setup of this checkout is running; waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks: two setups at once are unlikely enough
        yield


def wanted() -> str:
    """What is installed follows from these files: when any of them changes, .venv is brought up to date."""
    pins = constraints()
    digest = hashlib.sha256(repr(pins).encode())
    for name in ("pyproject.toml", "constraints.txt", "scripts/environment.py", *filter(None, [pins])):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def constraints() -> str | None:
    """The file that pins the versions asked for, or None for the newest."""
    versions = os.environ.get("WORKQ_VERSIONS") or "pinned"
    if versions not in CONSTRAINTS:
        raise SetupError(f"WORKQ_VERSIONS={versions} is none of {', '.join(CONSTRAINTS)}; set one of them, or none")
    return CONSTRAINTS[versions]


def is_usable(exactly_this_python: bool) -> bool:
    """Whether .venv was made in this very place, with the Python that it still runs."""
    version = python_of_venv()
    if exactly_this_python and version != version_of_this():
        return False
    return version is not None and read(MADE) == made_for(version)


def made_for(version: str) -> str:
    """What .venv itself depends on: its programs name its folder, and its packages lie below the version."""
    return f"{VENV}\n{version}\n"


def python_of_venv() -> str | None:
    """The version of .venv's Python, or None if there is none or it does not run (any more)."""
    asks = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        answer = subprocess.run([str(PYTHON), "-I", "-c", asks], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def read(file: Path) -> str | None:
    """A small text file, or None where there is none that can be read."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def set_up(exactly_this_python: bool) -> None:
    """Do what is missing; the stamp comes last, so that a setup cut short is done again."""
    STAMP.unlink(missing_ok=True)
    if not is_usable(exactly_this_python):
        with step(f"Making .venv with Python {version_of_this()}"):
            make_venv()
    with step("Installing uv, the installer"):
        install_uv()
    with step("Installing JupyterLab, pika and the rest"):
        install_environment()
    STAMP.write_text(wanted())


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Print a step as it begins, and how long it took."""
    started = time.monotonic()
    print(f"==> {what}", flush=True)
    yield
    print(f"    done in {time.monotonic() - started:.1f} s", flush=True)


def make_venv() -> None:
    """Make an empty .venv; pip is in it where this Python brings one along."""
    if VENV.is_symlink():
        raise SetupError(f"{VENV} is a symbolic link; remove it and try again")
    shutil.rmtree(VENV, ignore_errors=True)
    command = [sys.executable, "-m", "venv", str(VENV)]
    if importlib.util.find_spec("venv") is None:
        raise SetupError(
            f"{sys.executable} has no module venv; on Debian and Ubuntu: sudo apt-get install python3-venv"
        )
    if importlib.util.find_spec("ensurepip") is None:
        command.append("--without-pip")
    run(
        command,
        "Python could not make .venv; look above for its reason, such as a full disk or a read-only folder",
    )
    MADE.write_text(made_for(version_of_this()))


def install_uv() -> None:
    """Install uv with whichever pip there is: .venv's own, this Python's, or the distribution's wheel."""
    install = ["install", "--disable-pip-version-check", "--no-input", *QUIETLY]
    install += ["--constraint", "constraints.txt", "uv"]
    failed = "pip could not install uv; look above for its reason: the first setup needs the package index"
    if runs([str(PYTHON), "-m", "pip", "--version"]):
        run([str(PYTHON), "-m", "pip", *install], failed)
    elif runs([sys.executable, "-m", "pip", "--python", str(PYTHON), "--version"]):
        run([sys.executable, "-m", "pip", "--python", str(PYTHON), *install], failed)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run([str(PYTHON), f"{pip_wheel(Path(folder))}/pip", *install], failed)


def pip_wheel(folder: Path) -> Path:
    """Find pip's wheel as Debian and Ubuntu package it, or fetch that package and unpack it, without root."""
    wheels = sorted(DEBIAN_WHEELS.glob("pip-*.whl"))
    if not wheels and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        print("    this Python comes without pip: fetching Debian's package of it", flush=True)
        fetch_debian_package("python3-pip-whl", folder)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", str(package), str(folder)], f"{package.name} could not be unpacked")
        wheels = sorted(folder.glob("usr/share/python-wheels/pip-*.whl"))
    if not wheels:
        raise SetupError(
            f"{sys.executable} comes without pip and none could be fetched; "
            "on Debian and Ubuntu: sudo apt-get install python3-venv"
        )
    return wheels[-1]


def fetch_debian_package(name: str, folder: Path) -> None:
    """Download one package; with package lists of our own where the machine's are missing or too old."""
    if runs(["apt-get", "download", "--quiet", name], folder):
        return
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    own = [f"-oDir::State::Lists={lists}", f"-oDir::Cache={folder}", "-oDebug::NoLocking=true"]
    if runs(["apt-get", *own, "--quiet", "update"], folder):
        runs(["apt-get", *own, "--quiet", "download", name], folder)


def install_environment() -> None:
    """Install the package, editable, with everything it and its tests need."""
    install("--editable", ".", "--group", "dev")


def install(*what: str) -> None:
    """Install something into .venv with the pinned versions; what is there already needs no network."""
    uv = [str(VENV / "bin" / "uv"), "pip", "install", *QUIETLY, "--python", str(PYTHON)]
    file = constraints()
    pins = ["--constraint", file] if file else ["--upgrade"]
    pins += ["--build-constraint", "constraints.txt"]
    run(
        [*uv, *pins, *what],
        "uv could not install the environment; look above for its reason",
        {**os.environ, **index_of_pip()},
    )


def index_of_pip() -> dict[str, str]:
    """Let uv use the package index that pip is configured with; it does not read pip's configuration."""
    if any(name in os.environ for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")):
        return {}
    pip = [str(PYTHON), "-m", "pip", "config", "get", "global.index-url"]
    answer = subprocess.run(pip, capture_output=True, text=True, check=False)
    address = os.environ.get("PIP_INDEX_URL") or answer.stdout.strip()
    return {"UV_DEFAULT_INDEX": address} if address else {}


def runs(command: list[str], folder: Path = ROOT) -> bool:
    """Whether a command succeeds; what it says is not shown, for another way follows."""
    try:
        return subprocess.run(command, cwd=str(folder), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(command: list[str], failed: str, environment: dict[str, str] | None = None) -> None:
    """Run a command in the terminal's sight, so that its progress bar shows."""
    try:
        code = subprocess.run(command, cwd=str(ROOT), env=environment, check=False).returncode
    except OSError as error:
        raise SetupError(f"{failed} ({error.strerror})") from error
    if code:
        raise SetupError(f"{failed} (exit status {code})")
