"""A file system over another folder: each call takes as long as one to a server far away, or there are no locks.

``/usr/bin/python3 far_away.py FOLDER MOUNTPOINT SECONDS yes|no``, with Debian's packages python3-fusepy and fuse. The
last says whether there are locks; some network file systems answer ENOLCK to whoever asks for one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from pathlib import Path
from typing import Any

import fusepy


class FarAway(fusepy.Operations):  # type: ignore[misc]
    """Passes everything on to a folder, late."""

    def __init__(self, folder: str, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._never = threading.Event()

    def __call__(self, operation: str, path: str, *arguments: Any) -> Any:
        if operation == "init":
            print("mounted", flush=True)
        self._never.wait(self._seconds)
        return super().__call__(operation, self._folder + path, *arguments)

    def access(self, path: str, mode: int) -> None:
        if not os.access(path, mode):
            raise fusepy.FuseOSError(13)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(path)
        names = ("st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid")
        return {name: getattr(found, name) for name in names}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(path)]

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(path, length)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, self._folder + new)

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, target)

    def link(self, target: str, source: str) -> None:
        os.link(self._folder + source, target)

    def utimens(self, path: str, times: tuple[float, float] | None = None) -> None:
        os.utime(path, times)

    def statfs(self, path: str) -> dict[str, Any]:
        found = os.statvfs(path)
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize")
        return {name: getattr(found, name) for name in (*names, "f_namemax")}

    def fsync(self, path: str, datasync: bool, fh: int) -> None:
        os.fsync(fh)

    def flush(self, path: str, fh: int) -> None:
        os.fsync(fh)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(path, mode)

    def mknod(self, path: str, mode: int, dev: int) -> None:
        os.mknod(path, mode, dev)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(path, uid, gid)

    def readlink(self, path: str) -> str:
        return os.readlink(path)


class WithoutLocks(FarAway):
    """Has neither `fcntl`'s locks nor `flock`'s."""

    def lock(self, path: str, fh: int, cmd: int, lock: object) -> None:
        raise fusepy.FuseOSError(errno.ENOLCK)

    flock = lock


def _know_flock() -> None:
    """Teach fusepy the one operation of libfuse 2.9 that it ends before."""
    file = ctypes.POINTER(fusepy.fuse_file_info)
    between = [(name, ctypes.c_void_p) for name in ("poll", "write_buf", "read_buf")]
    flock = ("flock", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, file, ctypes.c_int))

    class Operations(ctypes.Structure):
        _fields_ = [*fusepy.fuse_operations._fields_, *between, flock]

    fusepy.fuse_operations = Operations
    fusepy.FUSE.flock = lambda self, path, file, operation: self.operations("flock", path.decode(), 0, operation, None)


if __name__ == "__main__":
    folder, mountpoint, seconds, locks = sys.argv[1:]
    _know_flock()
    made = (FarAway if locks == "yes" else WithoutLocks)(str(Path(folder).resolve()), float(seconds))
    fusepy.FUSE(made, mountpoint, foreground=True, nothreads=False)
