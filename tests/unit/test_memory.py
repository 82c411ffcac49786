from __future__ import annotations

from pathlib import Path

import psutil

from workq_helpers.broker.memory import free_bytes


def group(folder: Path, limit: str, current: int, reclaimable: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(current))
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {reclaimable}\n")


def test_without_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert 0 < free_bytes(tmp_path / "none", tmp_path / "nowhere") <= psutil.virtual_memory().total


def test_the_tightest_group_above_counts(tmp_path: Path) -> None:
    mine = tmp_path / "cgroup"
    mine.write_text("0::/user/notebook\n")
    group(tmp_path / "groups" / "user", "5000000", 2_000_000)
    group(tmp_path / "groups" / "user" / "notebook", "max", 1_000_000)
    assert free_bytes(tmp_path / "groups", mine) == 3_000_000
    group(tmp_path / "groups" / "user" / "notebook", "2000000", 1_500_000, reclaimable=100_000)
    assert free_bytes(tmp_path / "groups", mine) == 600_000


def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    mine = tmp_path / "cgroup"
    mine.write_text("0::/\n")
    group(tmp_path / "groups", "4000000", 1_000_000)
    assert free_bytes(tmp_path / "groups", mine) == 3_000_000


def test_version_1_is_read_too(tmp_path: Path) -> None:
    mine = tmp_path / "cgroup"
    mine.write_text("5:memory:/docker/ab\n1:cpu:/docker/ab\n")
    folder = tmp_path / "groups" / "memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("1000000")
    (folder / "memory.usage_in_bytes").write_text("400000")
    (folder / "memory.stat").write_text("inactive_file 0\n")
    assert free_bytes(tmp_path / "groups", mine) == 600_000
