"""`write_private` and `staged_file`: files that others can't read, written so that nobody ever reads half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["staged_file", "write_private"]


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, and for this user alone, whatever the umask.

    Raises:
        OSError: There is no room for it, for example; the file is as it was.
    """
    with staged_file(path, text.encode()) as staged:
        staged.replace(path)


@contextlib.contextmanager
def staged_file(path: Path, content: bytes) -> Iterator[Path]:
    """Make a file beside `path`, with all of its content on the disk, for the caller to move there.

    It is this user's alone until the caller changes that, and gone at the end where it has not been moved.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield staged
    finally:
        with contextlib.suppress(OSError):
            staged.unlink()
