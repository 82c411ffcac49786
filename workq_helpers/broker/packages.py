"""RabbitMQ from Debian's or Ubuntu's packages, unpacked into the user's cache: no root, no Docker."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
from packaging.version import Version

from workq_helpers.broker import processes
from workq_helpers.broker.installations import Installation, installation_in
from workq_helpers.broker.locking import lock_path
from workq_helpers.broker.server import Progress
from workq_helpers.errors import BrokerStartError, DiskFullError, PackagesError, UnsupportedBrokerError
from workq_helpers.mounts import is_noexec
from workq_helpers.private_folders import (
    is_full,
    is_private,
    make_private,
    reason_of,
    refuse_foreign,
    refuse_what_is_not_private,
    temporary_folder,
)
from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = ["PROGRAMS", "find_unpacked", "folder_for", "remove_scratch", "unpacked_installation", "why_none_runs_in"]

#: What it takes, and what Debian and Ubuntu have on every machine.
PROGRAMS = ("apt-get", "apt-cache", "dpkg-deb")

#: How long one of them may take, in seconds: a slow line needs ten minutes for 36 MB.
_DOWNLOAD_SECONDS = 1800.0
_POLL_SECONDS = 0.1
#: How long an unpacking takes to end whose programs were killed; who unpacks for longer is somebody else.
_CUT_OFF_SECONDS = 2.0
#: The packages unpack to less than this many times their size.
_UNPACKED_RATIO = 3.5

_MANIFEST = "manifest.json"
_HOME = "usr/lib/rabbitmq/lib"
_ERLANG = "usr/lib/erlang"
#: A path of Erlang's as a word, or the value of a variable, in one of its scripts.
_OF_ERLANG = re.compile(rb"(?<=[=\s])([\"']?)(/usr/lib/erlang[^\s\"']*)\1")

_OTHERWISE = (
    "Or install rabbitmq-server yourself, start Docker, or set WORKQ_BROKER_URL to a broker that runs elsewhere."
)

_MAKE_ROOM = "Free some, or set WORKQ_CACHE_DIR to a folder on another disk."


def unpacked_installation(cache: Path, environ: Mapping[str, str], progress: Progress) -> Installation:
    """Return the server unpacked in the cache, downloading and unpacking it first if need be.

    apt itself verifies every package: its hash against the lists, the lists against the distribution's signature.

    Args:
        cache: The user's cache folder; where it can't be written, a temporary folder serves instead.
        environ: The environment variables.
        progress: Told the steps, and how much has been downloaded.

    Raises:
        DiskFullError: There is no room for them.
        PackagesError: This is no Debian or Ubuntu, the network is missing, or a package is broken.
        UnsupportedBrokerError: The distribution's RabbitMQ is too old.
    """
    folder = _choose(cache, _make_ours)
    if folder != cache and (there := find_unpacked(cache)):  # where nothing can be written, nobody is changing it
        return there
    try:
        with filelock.FileLock(lock_path(folder / "lock"), mode=0o600):
            return find_unpacked(folder) or _make(folder, environ, progress)
    except OSError as error:
        raise _translated(error, folder) from error


def folder_for(cache: Path) -> Path:
    """Return where a server would be unpacked: in the user's cache, or in what serves instead, making neither.

    Raises:
        BrokerStartError: Neither can be used.
    """
    return _choose(cache, refuse_what_is_not_private)


def why_none_runs_in(cache: Path) -> str:
    """Return in a sentence why no server would run that is unpacked in a folder, ``""`` if it would."""
    there = next(each for each in (cache, *cache.parents) if os.path.isdir(each))  # noqa: PTH112 - False for what is closed
    if not is_noexec(there):
        return ""
    return (
        f"No program may run that is in {cache} (its file system is mounted noexec), where RabbitMQ would be "
        "unpacked. Set WORKQ_CACHE_DIR to a folder on another."
    )


def _make(folder: Path, environ: Mapping[str, str], progress: Progress) -> Installation:
    """Download and unpack a server; under the lock."""
    if reason := why_none_runs_in(folder):
        raise PackagesError(f"{reason} {_OTHERWISE}")
    for half in folder.glob("rabbitmq*"):
        progress(f"Removing {half.name}, which is incomplete")
        shutil.rmtree(half)
    try:
        return _unpack(_Apt(environ, folder / "apt"), folder, progress)
    finally:
        _remove_scratch(folder)


def remove_scratch(cache: Path) -> None:
    """Delete what an unpacking that was cut off has left; what somebody unpacks there at this moment stays."""
    for folder in (cache, _substitute()):
        with (
            contextlib.suppress(OSError, BrokerStartError, filelock.Timeout),
            filelock.FileLock(lock_path(folder / "lock"), timeout=_CUT_OFF_SECONDS, mode=0o600),
        ):
            _remove_scratch(folder)


def _remove_scratch(folder: Path) -> None:
    for name in ("stage", "apt"):
        shutil.rmtree(folder / name, ignore_errors=True)


def find_unpacked(cache: Path) -> Installation | None:
    """Return the complete server in the cache, or ``None``; one that others may have changed is none."""
    if not _is_ours(cache):
        return None
    for root in sorted(cache.glob("rabbitmq-*"), reverse=True):
        if _is_complete(root):
            return _installation(root)
    return None


def _choose(cache: Path, prepare: Callable[[Path], object]) -> Path:
    """Return the cache, or a folder that is as good where that can't be prepared, which raises, or not be written."""
    try:
        prepare(cache)
        there = next(each for each in (cache, *cache.parents) if os.path.lexists(each))
        if os.path.isdir(there) and os.access(there, os.W_OK):  # noqa: PTH112 - False for what is closed
            return cache
    except BrokerStartError:
        if os.path.islink(cache):  # noqa: PTH114
            raise
    prepare(_substitute())
    return _substitute()


def _is_ours(cache: Path) -> bool:
    """Return whether the cache is there, this user's, and closed to whoever might have put a server into it."""
    try:
        found = refuse_foreign(cache)
    except BrokerStartError:
        return False
    return found is not None and is_private(found)


def _make_ours(cache: Path) -> None:
    """Make the cache private; a server in it that others could have changed goes, and is downloaded anew."""
    there = os.path.isdir(cache) and not os.path.islink(cache)  # noqa: PTH112, PTH114 - False in a folder closed to us
    suspect = there and not _is_ours(cache)
    make_private(cache)
    if suspect:
        for root in cache.glob("rabbitmq-*"):
            shutil.rmtree(root)


def _substitute() -> Path:
    return Path(temporary_folder()) / f"workq-cache-{os.geteuid()}"


# -- downloading


@dataclass(frozen=True)
class _Package:
    """One package as apt would download it."""

    name: str
    file: str
    size: int


class _Apt:
    """The system's apt, asked as an ordinary user, at first with the system's own lists of packages.

    Args:
        environ: The environment variables.
        private: Where to keep lists of our own, should the system's be missing or stale.
    """

    def __init__(self, environ: Mapping[str, str], private: Path) -> None:
        missing = [program for program in PROGRAMS if shutil.which(program, path=environ.get("PATH")) is None]
        if missing:
            raise PackagesError(
                f"RabbitMQ can't be unpacked from packages here: there is no {missing[0]} on PATH, which Debian "
                f"and Ubuntu have. {_OTHERWISE}"
            )
        self.environ = dict(environ) | {"LC_ALL": "C"}
        self._private = private
        # As root apt would become another user, who can't write here.
        self._options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []

    def refresh(self) -> None:
        """Download lists of our own, which takes no root, and use them from now on."""
        shutil.rmtree(self._private, ignore_errors=True)
        for name in ("lists/partial", "cache/archives/partial"):
            (self._private / name).mkdir(parents=True, exist_ok=True)
        self._options += ["-o", f"Dir::State::lists={self._private}/lists", "-o", f"Dir::Cache={self._private}/cache"]
        # Without this, apt-get update ends with status 0 although it got nothing.
        self.run(["apt-get", "-qq", "update", "--error-on=any"])

    def server_packages(self) -> list[_Package]:
        """Return the server's package and those of Erlang that it needs."""
        flags = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
        tree = self.run(["apt-cache", "depends", "--recurse", *flags, "rabbitmq-server"])
        names = sorted(set(re.findall(r"^(rabbitmq-server|erlang-[a-z0-9-]+)$", tree, re.MULTILINE)))
        if "rabbitmq-server" not in names:
            raise PackagesError("apt knows no package rabbitmq-server.")
        lines = self.run(["apt-get", "download", "--print-uris", *names])
        found = re.findall(r"^'[^']*' (([^_\s]+)_\S+\.deb) (\d+) \S+$", lines, re.MULTILINE)
        if not any(name == "rabbitmq-server" for _, name, _ in found):
            raise PackagesError("apt can't say where the package rabbitmq-server is.")
        return [_Package(name, file, int(size)) for file, name, size in found]

    def download(self, packages: Iterable[_Package], folder: Path, progress: Progress) -> None:
        """Download them into `folder`."""
        wanted = list(packages)
        total = sum(package.size for package in wanted)

        def report() -> None:
            done = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            progress("Downloading RabbitMQ's packages", min(done, total), total)

        self.run(["apt-get", "-qq", "download", *(package.name for package in wanted)], folder, report)
        report()

    def run(
        self,
        command: list[str],
        folder: Path = Path("/"),
        report: Callable[[], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a program and return what it wrote.

        Args:
            command: One of apt's programs and its arguments, or an absolute path and arguments.
            folder: Where to run it.
            report: Called again and again meanwhile.
            environ: Its whole environment, by default apt's.

        Raises:
            PackagesError: It failed; the message holds its own first error.
        """
        options = self._options if command[0].startswith("apt-") else []
        program = shutil.which(command[0], path=self.environ.get("PATH")) or command[0]
        with tempfile.TemporaryFile() as output:
            process = processes.spawn(
                [program, *options, *command[1:]],
                environ=self.environ if environ is None else environ,
                folder=folder,
                output=output,
            )
            _finish(process, report)
            output.seek(0)
            text = output.read().decode(errors="replace")
        if process.returncode:
            raise _failure(command[0], text)
        return text


def _finish(process: subprocess.Popen[bytes], report: Callable[[], None] | None) -> None:
    for _ in range(int(_DOWNLOAD_SECONDS / _POLL_SECONDS)):
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if report is not None:
                report()
        else:
            return
    process.kill()
    process.wait()


def _failure(program: str, text: str) -> PackagesError:
    if re.search(r"No space left on device|enough free space|Disk quota exceeded", text):
        return DiskFullError(f"There is no room left for RabbitMQ's packages ({program} says so). {_MAKE_ROOM}")
    errors = re.findall(r"^E: (.*)$", text, re.MULTILINE) or text.strip().splitlines()[-1:] or ["it said nothing"]
    if re.search(r"not valid yet|not yet valid|expired", errors[0]):
        next_step = f"This machine's clock says {time.strftime('%F %R %Z')}: set it if it is wrong"
    else:
        next_step = "Connect this machine to the network and try again" if program == "apt-get" else "Try again"
    return PackagesError(
        f"RabbitMQ's packages can't be had: {Path(program).name} failed: {errors[0].rstrip('.')}. {next_step}. "
        f"{_OTHERWISE}"
    )


# -- unpacking


def _unpack(apt: _Apt, folder: Path, progress: Progress) -> Installation:
    progress("Looking for RabbitMQ's packages")
    stage = folder / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    debs, tree = stage / "debs", stage / "tree"
    debs.mkdir(parents=True)
    packages = _download(apt, debs, progress)
    version = next(package.file for package in packages if package.name == "rabbitmq-server").split("_")[1]
    root = folder / f"rabbitmq-{re.sub(r'[^A-Za-z0-9.+~-]', '-', version)}"
    for number, package in enumerate(packages, 1):
        progress(f"Unpacking {package.name}, {number} of {len(packages)}")
        apt.run(["dpkg-deb", "--extract", str(debs / package.file), str(tree)])
    _relocate(tree, root)
    _try_out(apt, tree)
    (tree / _MANIFEST).write_text(json.dumps(_census(tree) | _made_as(root)))
    tree.replace(root)
    installation = _installation(root)
    if installation is None:
        raise PackagesError(f"The packages unpacked to {root} hold no RabbitMQ server. {_OTHERWISE}")
    return installation


def _download(apt: _Apt, debs: Path, progress: Progress) -> list[_Package]:
    try:
        return _fetch(apt, debs, progress)
    except DiskFullError:
        raise
    except PackagesError:
        progress("The system's lists of packages are missing or stale: downloading lists of our own")
    apt.refresh()
    for half in debs.iterdir():
        half.unlink()
    return _fetch(apt, debs, progress)


def _fetch(apt: _Apt, debs: Path, progress: Progress) -> list[_Package]:
    packages = apt.server_packages()
    file = next(package.file for package in packages if package.name == "rabbitmq-server")
    numbers = re.match(r"[^_]+_(?:\d+%3a)?(\d+(?:\.\d+)*)", file)
    if numbers and Version(numbers[1]) < OLDEST_VERSION:
        raise UnsupportedBrokerError(
            f"This system's package is RabbitMQ {numbers[1]}, and the course needs {OLDEST_VERSION} or later. "
            f"{_OTHERWISE}"
        )
    _check_room(debs, sum(package.size for package in packages))
    apt.download(packages, debs, progress)
    return packages


def _check_room(folder: Path, size: int) -> None:
    needed = int(size * (1 + _UNPACKED_RATIO))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"RabbitMQ's packages need {needed / 1e6:.0f} MB in {folder.parents[1]}, and {free / 1e6:.0f} MB are "
            f"free. {_MAKE_ROOM}"
        )


def _relocate(tree: Path, root: Path) -> None:
    """Tell Erlang's scripts where it will be; they name the place that its packages expect.

    Some are there twice. RabbitMQ starts by the second `erl`, to look for the other nodes of a cluster.
    """
    for script in (*(tree / _ERLANG / "bin").iterdir(), *(tree / _ERLANG).glob("erts-*/bin/*")):
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        moved = _OF_ERLANG.sub(lambda found: _word(root, found[2]), content)
        if moved != content and content.startswith(b"#!"):
            script.write_bytes(moved)


def _word(root: Path, path: bytes) -> bytes:
    """Return a path below a folder as a shell reads it, whatever the folder is called."""
    return os.fsencode(shlex.quote(f"{root}{os.fsdecode(path)}"))


def _try_out(apt: _Apt, tree: Path) -> None:
    """See that Erlang runs on this system before anybody relies on it."""
    home = tree / _ERLANG
    programs = next(iter(sorted(home.glob("erts-*/bin"))), None)
    if programs is None:
        raise PackagesError(f"The packages hold no Erlang. {_OTHERWISE}")
    where = {"ROOTDIR": str(home), "BINDIR": str(programs), "EMU": "beam", "PROGNAME": "erl", "HOME": str(tree)}
    program = str(programs / "erlexec")
    trial = [program, "-noshell", "-boot", "start_clean", "-eval", "ok = crypto:start(), halt(0)."]
    apt.run(trial, environ=processes.bare(apt.environ) | where)


# -- what is there


def _installation(root: Path) -> Installation | None:
    homes = sorted((root / _HOME).glob("rabbitmq_server-*"))
    return installation_in(homes[-1], root / _ERLANG / "bin", "unpacked packages") if homes else None


def _is_complete(root: Path) -> bool:
    """Return whether nothing of it is missing and nobody has moved it."""
    try:
        manifest = json.loads((root / _MANIFEST).read_text())
        return bool(manifest == _census(root) | _made_as(root))
    except (OSError, ValueError):
        return False


def _made_as(root: Path) -> dict[str, int | str]:
    """Return where it was made, and how: what was made otherwise is made anew."""
    return {"root": shlex.quote(str(root)), "relocated_folders": 2}


def _census(tree: Path) -> dict[str, int | str]:
    """Count what is there; raises PermissionError for what is somebody else's or may be written by others."""
    files = size = 0
    for folder, _, names in os.walk(tree):
        for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118 - thousands of files
            found = os.lstat(path)
            if not is_private(found):
                raise PermissionError(errno.EPERM, "it may have been changed by others", path)
            if path != folder and not path.endswith(f"/{_MANIFEST}"):
                files += 1
                size += found.st_size
    return {"files": files, "bytes": size}


def _translated(error: OSError, folder: Path) -> PackagesError:
    if is_full(error):
        return DiskFullError(
            f"There is no room left in {folder} for RabbitMQ's packages ({reason_of(error, folder)}). {_MAKE_ROOM}"
        )
    return PackagesError(
        f"RabbitMQ's packages can't be unpacked into {folder}: {error.strerror or error}. "
        "Set WORKQ_CACHE_DIR to a folder that you may write to."
    )
