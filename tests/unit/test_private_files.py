from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from workq_helpers.private_files import staged_file, write_private


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Everything may be read by everybody, unless it is said otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_file_is_its_users_alone_also_where_it_replaces_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old, and longer")
    write_private(path, "été")
    assert path.read_bytes() == "été".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "secret"
    write_private(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_moved_is_gone(tmp_path: Path) -> None:
    with staged_file(tmp_path / "lesson", b"text") as staged:
        assert staged.read_bytes() == b"text"
        assert staged.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
