"""Makes .venv and installs the course into it, with every version as constraints.txt pins it.

``scripts/setup.py`` starts it, before anything is installed, so it needs nothing but Python itself. What the lessons
need is installed always, a developer's tools where they are asked for; each has a stamp, by which a second run finds
that nothing changed, and is done at once without a network. ``WORKQ_VERSIONS`` asks for other versions: the ``lowest``
that pyproject.toml allows, or the ``newest``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import index_settings
import installed_files
import simple_index
from commands import ON_A_TERMINAL, SetupError, run, runs

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MADE = VENV / "workq-made-for"
STAMP = VENV / "workq-installed"
PACKAGES = VENV / "workq-packages"
#: What ``WORKQ_VERSIONS`` may be, and the file that pins those versions.
CONSTRAINTS = {"pinned": "constraints.txt", "lowest": "constraints-lowest.txt", "newest": None}
MEND = "free some room, or put the course into a folder that you may write to"
DEBIAN_WHEELS = Path("/usr/share/python-wheels")
QUIETLY = [] if ON_A_TERMINAL else ["--quiet"]
#: What is imported to see that this Python finds its packages in this very place, and that compiled ones fit it.
TRIED = "import numpy, zmq, pika, workq_helpers.rabbitmq.endpoint"
#: What `workq` runs.
COMMAND = "workq_helpers.cli.command"
#: How a kernel starts: as `workq_helpers.cli.kernels` has it.
KERNEL = (
    "import sys; sys.path = list(filter(None, sys.path)); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__')"
)
#: The oldest uv that does what is asked of it here.
OLDEST_UV = (0, 8)


def main() -> int:
    """Make .venv, or bring it up to date, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--exactly-this-python",
        action="store_true",
        help="make .venv anew if it was made with another Python than the one that runs this",
    )
    parser.add_argument(
        "--also", metavar="GROUP", nargs="*", default=[], help="install these groups of pyproject.toml too"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        refuse_what_runs_no_program()
        with one_at_a_time():
            remove_a_broken_venv()
            exactly = arguments.exactly_this_python
            if not (is_usable(exactly) and read(STAMP) == wanted()):
                set_up(exactly)
            for group in arguments.also:
                if read(stamp_of(group)) != wanted():
                    add_group(group)
        say(f"==> .venv is ready ({time.monotonic() - started:.1f} s)")
    except SetupError as error:
        print(f"make setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, or a checkout that is not this user's to change
        print(f"make setup: {error.filename or ROOT} can't be used ({error.strerror}); {MEND}", file=sys.stderr)
        return 1
    return 0


def say(line: str) -> None:
    """Print a line at once; raise SetupError if that can't be."""
    try:
        print(line, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python, which tries again as it ends
        raise SetupError(
            f"what it says can't be written where it goes ({error.strerror}); send it elsewhere"
        ) from error


def refuse_what_runs_no_program() -> None:
    """Say so where no program can be started that is in the checkout, and nothing compiled be imported.

    As `workq_helpers.mounts` has it, which can't be imported before what the course needs is there.
    """
    if sys.platform == "linux" and os.statvfs(ROOT).f_flag & os.ST_NOEXEC:
        raise SetupError(
            f"no program may run that is in {ROOT}, whose file system is mounted noexec (`findmnt -T .` shows it); "
            "put the course into a folder on another"
        )


def remove_a_broken_venv() -> None:
    """Have .venv made anew where something of it was deleted: an installer believes what is written there."""
    if (packages := read(PACKAGES)) and (gone := installed_files.what_is_gone(VENV, packages.split())):
        say(f"==> .venv is not whole, {gone} is gone: it is made anew")
        MADE.unlink(missing_ok=True)


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
            say("==> Another setup of this checkout is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks: two setups at once are unlikely enough
        yield


def wanted() -> str:
    """What is installed follows from these files: when any of them changes, .venv is brought up to date."""
    pins = constraints()
    digest = hashlib.sha256(repr(pins).encode())
    # JupyterLab reads its extension where it was copied to; this names the very one.
    extension = "workq_helpers/stage/bundle/lab_extension/package.json"
    texts = ("pyproject.toml", "constraints.txt", "overrides.txt", "scripts/environment.py")
    for name in (*texts, extension, *filter(None, [pins])):
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


def stamp_of(group: str) -> Path:
    """Where it stands for what a group of pyproject.toml was installed."""
    return STAMP.with_name(f"{STAMP.name}-{group}")


def made_for(version: str) -> str:
    """What .venv itself depends on: its programs name its folder, and its packages lie below the version."""
    return f"{VENV}\n{version}\n"


def python_of_venv() -> str | None:
    """The version of .venv's Python, or None if there is none or it does not run (any more)."""
    asks = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        answer = subprocess.run(
            [str(PYTHON), "-I", "-c", asks],
            capture_output=True,
            text=True,
            check=True,
            env=index_settings.for_python(os.environ),
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def read(file: Path) -> str | None:
    """A small text file, or None where there is none that can be read."""
    try:
        return os.fsdecode(file.read_bytes())
    except OSError:
        return None


def write(file: Path, text: str) -> None:
    """Write a small text file that reads the same in every locale, whatever the folder is called.

    It is a new one: what uv installed may be one file with what is in its cache, and in other environments.
    """
    file.unlink(missing_ok=True)
    file.write_bytes(os.fsencode(text))


def set_up(exactly_this_python: bool) -> None:
    """Do what is missing; the stamp comes last, so that a setup cut short is done again."""
    for stamp in (STAMP, *VENV.glob(f"{STAMP.name}-*")):
        stamp.unlink(missing_ok=True)
    if not is_usable(exactly_this_python):
        with step(f"Making .venv with Python {version_of_this()}"):
            make_venv()
    with step("Getting uv, the installer"):
        get_uv()
    with step("Installing JupyterLab, pika and the rest"):
        install_lessons()
    with step("Trying what was installed"):
        try_it()
    done(STAMP)


def add_group(group: str) -> None:
    """Install what a developer needs beside the lessons."""
    stamp_of(group).unlink(missing_ok=True)
    with step(f"Installing the group {group} of pyproject.toml"):
        install("--group", group)
    done(stamp_of(group))


def done(stamp: Path) -> None:
    """Note that something is installed, and with which packages."""
    write(PACKAGES, "\n".join(installed_files.names(VENV)))
    write(stamp, wanted())


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Print a step as it begins, and how long it took."""
    started = time.monotonic()
    say(f"==> {what}")
    yield
    say(f"    done in {time.monotonic() - started:.1f} s")


def make_venv() -> None:
    """Make an empty .venv; pip is in it where this Python brings one along."""
    if VENV.is_symlink():
        raise SetupError(f"{VENV} is a symbolic link; remove it and try again")
    if os.pathsep in str(VENV):  # which would end it in PATH
        raise SetupError(
            f"the path {ROOT} has a {os.pathsep!r} in it, where no Python can make .venv; rename that folder"
        )
    shutil.rmtree(VENV, ignore_errors=True)
    if importlib.util.find_spec("venv") is None:
        raise SetupError(
            f"{sys.executable} has no module venv; on Debian and Ubuntu: sudo apt-get install python3-venv"
        )
    # pip comes later, by uv, which takes 0.1 s where venv takes 4.
    run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", str(VENV)],
        ROOT,
        "Python could not make .venv",
        index_settings.for_python(os.environ),
    )
    write(MADE, made_for(version_of_this()))


def get_uv() -> None:
    """Get uv from where pip would, or with this Python's pip, the one it brings along, or the distribution's wheel."""
    if uv_on_this_machine():
        return  # it installs the pinned one with everything else
    environ = index_settings.for_pip(os.environ)
    wheel = None if has_pip() else bundled_pip()
    if simple_index.download_wheel("uv", pinned("uv"), VENV, environ, wheel):
        return
    # What pip would do more than download, uv does in less time.
    get = ["download", "--no-deps", "--only-binary", ":all:", "--no-input", *QUIETLY, "--dest", str(VENV)]
    get += ["--constraint", "constraints.txt", "uv"]
    environ.setdefault("PIP_RETRIES", "1")  # one without a network is told so in seconds
    failed = "pip could not install uv"
    if wheel:  # nothing of it is compiled, which takes it another second or two
        run([str(PYTHON), f"{wheel}/pip", *get], ROOT, failed, environ)
    elif has_pip():
        run([sys.executable, "-I", "-m", "pip", *get], ROOT, failed, environ)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run([str(PYTHON), f"{pip_wheel(Path(folder))}/pip", *get], ROOT, failed, environ)


def pinned(name: str) -> str:
    """The version of a package in constraints.txt."""
    (line,) = (line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith(f"{name}=="))
    return line.removeprefix(f"{name}==").split()[0]


def unpack_uv() -> str:
    """Take the program out of the wheel that pip has got, and return its path."""
    program = VENV / "bin" / "uv"
    for wheel in VENV.glob("uv-*.whl"):
        with zipfile.ZipFile(wheel) as opened:
            (member,) = (name for name in opened.namelist() if name.endswith(".data/scripts/uv"))
            program.write_bytes(opened.read(member))
        program.chmod(0o755)
    return str(program)


def uv_on_this_machine() -> str | None:
    """A uv that is new enough: .venv's own, one that is on PATH, or one that lies in uv's cache."""
    for program in (str(VENV / "bin" / "uv"), shutil.which("uv"), *uv_in_its_cache()):
        try:
            told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        numbers = re.match(r"uv (\d+)\.(\d+)", told)
        if numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST_UV:
            return program
    return None


def uv_in_its_cache() -> list[str]:
    """What uv unpacked of itself when it last installed itself; pip would take seconds to fetch it again."""
    cache = index_settings.uv_cache(os.environ)
    return [str(program) for program in sorted(cache.glob("archive-v*/*/uv-*.data/scripts/uv"))]


def has_pip() -> bool:
    """Whether this Python has a pip of its own."""
    return importlib.util.find_spec("pip") is not None


def bundled_pip() -> Path | None:
    """The wheel of pip that this Python brings along for new environments."""
    found = importlib.util.find_spec("ensurepip")
    own = Path(found.origin).parent / "_bundled" if found and found.origin else DEBIAN_WHEELS
    wheels = [*sorted(own.glob("pip-*.whl")), *sorted(DEBIAN_WHEELS.glob("pip-*.whl"))]
    return wheels[0] if wheels else None


def pip_wheel(folder: Path) -> Path:
    """Fetch pip's wheel as Debian and Ubuntu package it, and unpack it, without root."""
    wheels: list[Path] = []
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        say("    this Python comes without pip: fetching Debian's package of it")
        fetch_debian_package("python3-pip-whl", folder)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", str(package), str(folder)], ROOT, f"{package.name} could not be unpacked")
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
    if runs(["apt-get", *own, "--quiet", "update"], folder) and runs(
        ["apt-get", *own, "--quiet", "download", name], folder
    ):
        return
    # Asked to be strict it says why not, and ends with another status than 0.
    failed = f"{sys.executable} comes without pip, and apt-get could not fetch Debian's package of it"
    run(["apt-get", *own, "--quiet", "update", "--error-on=any"], folder, failed)


def install_lessons() -> None:
    """Install the package, editable, with everything that the lessons need, and pip for what a learner likes to add."""
    wheels = [*VENV.glob("uv-*.whl")]
    # By its name in the checkout: whatever that is called, uv does not read it as anything else than a path.
    uv = [f"./{wheel.relative_to(ROOT)}" for wheel in wheels] or ["uv"]
    install("--editable", ".", *uv, *map(str, filter(None, [bundled_pip()])))
    for wheel in wheels:
        wheel.unlink()
    name_the_checkout_in_ascii()
    isolate_what_a_learner_starts()


def name_the_checkout_in_ascii() -> None:
    """Write the path of the checkout so that Python reads it in every locale: it reads this one file in the user's."""
    for file in VENV.glob("lib*/python*/site-packages/*workq_helpers*.pth"):
        write(file, f"import os, sys; sys.path.append(os.fsdecode({os.fsencode(ROOT)!r}))\n")


def isolate_what_a_learner_starts() -> None:
    """Have `workq`, and each kernel, import Python's own modules whatever lies in the folder where it is started.

    `workq` does without Python's variables too; a kernel that the learner starts without `workq` has them.
    """
    (VENV / "bin").mkdir(parents=True, exist_ok=True)
    # These two tell even an isolated Python that it is another one.
    script = (
        f'#!/bin/sh\nunset PYTHONEXECUTABLE __PYVENV_LAUNCHER__\nexec {shlex.quote(str(PYTHON))} -I -m {COMMAND} "$@"\n'
    )
    write(VENV / "bin" / "workq", script)
    (VENV / "bin" / "workq").chmod(0o755)
    for file in VENV.glob("share/jupyter/kernels/python3/kernel.json"):
        kernel = json.loads(file.read_bytes())
        if kernel["argv"][1] == "-m":
            kernel["argv"][1:2] = ["-c", KERNEL]
            write(file, json.dumps(kernel, indent=1))


def try_it() -> None:
    """See that the lessons' Python imports what they import, in this user's locale, before anybody relies on it."""
    command = [str(PYTHON), "-I", "-c", TRIED]
    run(command, ROOT, "what was installed does not run here", index_settings.for_python(os.environ))


def install(*what: str) -> None:
    """Install something into .venv with the pinned versions; what is there already needs no network."""
    program = uv_on_this_machine() or unpack_uv()
    uv = [program, "pip", "install", *QUIETLY, "--python", str(PYTHON)]
    file = constraints()
    pins = ["--constraint", file] if file else ["--upgrade"]
    pins += ["--build-constraint", "constraints.txt", "--override", "overrides.txt"]
    environ = index_settings.for_uv(os.environ, VENV / "workq-uv.toml")
    with made_anew_if_cut_off():
        run([*uv, *pins, *what], ROOT, "uv could not install the environment", environ)


@contextlib.contextmanager
def made_anew_if_cut_off() -> Iterator[None]:
    """Trust .venv again only when uv has ended: of what it had half installed it can't read the half itself."""
    made, before = read(MADE), installed_files.packages(VENV)
    MADE.unlink(missing_ok=True)
    try:
        yield
    except SetupError:
        if made and PACKAGES.exists() and installed_files.packages(VENV) == before:
            write(MADE, made)  # it was whole, and uv failed before it changed anything
        raise
    if made:
        write(MADE, made)
