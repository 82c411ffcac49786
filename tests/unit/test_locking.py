"""Locks where the file system has none, as some over a network."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import filelock
import pytest

from workq_helpers.broker.folders import Folders
from workq_helpers.broker.locking import lock_path, locked
from workq_helpers.errors import BrokerStartError
from workq_helpers.teaching.progress import CourseProgress


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a file system without locks; others have them."""
    network, local = tmp_path / "network", tmp_path / "local"
    network.mkdir()
    local.mkdir()
    real = fcntl.flock

    def flock(file: Any, operation: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(str(network)):
            raise OSError(request.param, os.strerror(request.param))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("tempfile.tempdir", str(local))
    return network


def test_a_file_system_with_locks_is_used(tmp_path: Path) -> None:
    assert lock_path(tmp_path / "lock") == tmp_path / "lock"


def test_another_place_is_the_same_for_everybody_and_private(elsewhere: Path) -> None:
    first, second = lock_path(elsewhere / "lock"), lock_path(elsewhere / "lock")
    assert first == second
    assert elsewhere not in first.parents
    assert first != lock_path(elsewhere / "other")
    assert first.parent.stat().st_mode & 0o077 == 0


def test_the_broker_is_locked_all_the_same(elsewhere: Path) -> None:
    folders = Folders(elsewhere / "run", elsewhere / "cache")
    with (
        locked(folders, timeout=5),
        pytest.raises(BrokerStartError, match="Another process has been starting"),
        locked(folders, timeout=0.01),
    ):
        pass
    with locked(folders, timeout=5):
        pass


def test_progress_is_kept_and_still_under_a_lock(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = CourseProgress(elsewhere)
    assert progress.mark_lesson("00_start_here.ipynb"), progress.trouble
    assert progress.done().lessons == {"start_here"}
    monkeypatch.setattr("workq_helpers.teaching.progress._LOCK_SECONDS", 0.01)
    with filelock.FileLock(lock_path(progress.path.with_suffix(".lock"))):
        assert not progress.mark_lesson("01_round_robin.ipynb")
    assert "could not be kept" in progress.trouble
