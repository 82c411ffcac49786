"""Whether it is worth asking for Docker at all, found out without importing its client."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["why_unavailable"]

_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_HOME_SOCKETS = (".docker/run/docker.sock", ".docker/desktop/docker.sock", ".colima/default/docker.sock")


def why_unavailable(environ: Mapping[str, str]) -> str:
    """Return in a sentence why Docker can't be there, or ``""`` if it may be.

    Args:
        environ: The environment variables.
    """
    if environ.get("DOCKER_HOST") or environ.get("DOCKER_CONTEXT"):
        return ""
    home = Path(environ.get("HOME") or "/")
    sockets = [Path(path) for path in _SOCKETS] + [home / path for path in _HOME_SOCKETS]
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        sockets.append(Path(runtime) / "docker.sock")
    if any(_exists(path) for path in sockets) or _exists(home / ".testcontainers.properties"):
        return ""
    if shutil.which("docker", path=environ.get("PATH")):
        return "Docker is installed but does not run: there is no socket of it. Start Docker and try again."
    return "Docker is not installed: there is neither a socket nor a command of it. Install and start it."


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a folder closed to us: no Docker of ours is in it
