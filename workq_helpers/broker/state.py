"""`State`: the file that says which course broker runs, and what to bury if its keeper died."""

from __future__ import annotations

import errno
import json
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from workq_helpers.broker.folders import is_private
from workq_helpers.broker.server import Remains
from workq_helpers.errors import StateFileError, StateVersionError

__all__ = ["VERSION", "State", "read_state", "write_state"]

#: Of the file's format; one more whenever its meaning changes.
VERSION = 3


@dataclass(frozen=True)
class State:
    """What the file holds; no password is in it, the keeper tells that to lease holders alone.

    Attributes:
        socket: The path on which the keeper listens. The keeper lives exactly as long as it accepts there.
        remains: What to bury once it does not.
    """

    socket: str
    remains: Remains = field(default_factory=Remains)

    def with_remains(self, remains: Remains) -> State:
        """Return the same state with something else to bury."""
        return replace(self, remains=remains)


def read_state(path: Path) -> State | None:
    """Return what the state file says, or ``None`` if there is no such file.

    Raises:
        StateVersionError: Another version of the course wrote it.
        StateFileError: It can't be read, makes no sense, or others may have written it.
    """
    try:
        text = _read_own(path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateFileError(f"The state file {path} can't be read: {error}. Delete it and try again.") from error
    try:
        data = json.loads(text)
        version = data["version"]
        if version == VERSION:
            return State(str(data["socket"]), Remains.from_json(data["remains"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StateFileError(
            f"The state file {path} makes no sense ({type(error).__name__}: {error}). "
            "Run `workq broker stop`, which puts away what it can, and try again."
        ) from error
    raise StateVersionError(
        f"The state file {path} was written by another version of the course (its format is {version!r}, "
        f"ours is {VERSION}). Close the notebooks that use the other version, delete the file and try again."
    )


def _read_own(path: Path) -> str:
    """Return a file's text: what it names is trusted, killed and deleted, so it must be this user's work."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        if not is_private(os.fstat(descriptor)):
            raise PermissionError(errno.EPERM, "others may have written it")
        return file.read()


def write_state(path: Path, state: State) -> None:
    """Replace the state file at once, so that nobody ever reads half of it.

    Raises:
        OSError: There is no room for it, for example; the file is as it was.
    """
    data = {"version": VERSION, "socket": state.socket, "remains": state.remains.to_json()}
    staged = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(data, file)
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
