"""What the mount of a file system forbids; of Python this needs only what is there before any folder is looked into."""

import os
import sys

__all__ = ["is_noexec"]


def is_noexec(folder: "str | os.PathLike[str]") -> bool:
    """Return whether no program may run that is in a folder that is there, and nothing compiled be imported from it."""
    return sys.platform == "linux" and bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)
