"""Docker's command line, and containers that tests start with it and that end with them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["ROOT", "Container", "course_image", "docker", "put_course_in", "put_course_into", "running"]

ROOT = Path(__file__).parents[2]

#: For one command of Docker's; those that run all lessons are given more.
COMMAND_SECONDS = 120.0


def docker(*arguments: str, stdin: bytes | None = None, timeout: float = COMMAND_SECONDS) -> str:
    """Run a command of Docker's and return what it says; a failure shows all of that."""
    done = subprocess.run(
        ["docker", *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"docker {arguments[0]} ended with {done.returncode}:\n{said[-8000:]}"
    return said.strip()


def course_image() -> str:
    """Return the image with Binder's packages and environment, building it if it is not there."""
    built = subprocess.run([ROOT / ".ci" / "course_image"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-8000:]
    return built.stdout.strip()


class Container:
    """A container that runs.

    Args:
        name: Its name or id.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, timeout: float = COMMAND_SECONDS) -> str:
        """Run a command in it, as its user, and return what it says."""
        return docker("exec", self.name, *command, timeout=timeout)

    def logs(self) -> str:
        """Return what its own command has said."""
        return docker("logs", self.name)

    def port(self, inside: int) -> int:
        """Return the port of this machine's loopback that leads to one of its ports."""
        host, _, port = docker("port", self.name, f"{inside}/tcp").splitlines()[0].rpartition(":")
        assert host == "127.0.0.1"
        return int(port)

    def user_ids(self) -> set[str]:
        """Return the numbers of the users whose processes run in it."""
        return set(docker("top", self.name, "-o", "pid,uid").split()[3::2])


@contextlib.contextmanager
def running(image: str, *command: str, options: Sequence[str] = ()) -> Iterator[Container]:
    """Run a container until the block ends.

    Args:
        image: Its image.
        *command: What it runs.
        options: Of ``docker run``.
    """
    container = Container(docker("run", "--detach", *options, image, *command).splitlines()[-1])
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.name)


def packed_course() -> bytes:
    """Return a tar file of what a checkout of the course holds."""
    # As it lies here: a change is tested before it is committed.
    listed = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    files = b"\0".join(name for name in names.split(b"\0") if name and (ROOT / name.decode()).exists())
    packing = ["tar", "--null", "--files-from=-", "-c"]
    return subprocess.run(packing, cwd=ROOT, input=files, stdout=subprocess.PIPE, check=True).stdout


def put_course_into(container: Container) -> None:
    """Copy the course into a container's working folder, as its user."""
    docker("exec", "--interactive", container.name, "tar", "-x", stdin=packed_course())


def put_course_in(folder: Path) -> Path:
    """Copy the course into a folder of this machine, which is made, and return it."""
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=packed_course(), check=True)
    return folder
