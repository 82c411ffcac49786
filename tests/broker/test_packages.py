from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import need
from workq_helpers.broker.node import NodeServer
from workq_helpers.broker.packages import PROGRAMS, find_unpacked, unpacked_installation
from workq_helpers.rabbitmq.connecting import probe

pytestmark = pytest.mark.machine


@pytest.fixture
def cache() -> Iterator[Path]:
    need(all(shutil.which(program) for program in PROGRAMS), "this is neither Debian nor Ubuntu")
    folder = Path(tempfile.mkdtemp(prefix="wq-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.timeout(600)  # it downloads 36 MB
def test_the_systems_packages_become_a_node(cache: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(text: str, done: int = 0, total: int = 0) -> None:
        told.append((text, done, total))

    installation = unpacked_installation(cache, os.environ, progress)
    downloads = [(done, total) for _, done, total in told if total]
    assert downloads[-1][0] == downloads[-1][1] > 10_000_000
    assert sorted(path.name.partition("-")[0] for path in cache.iterdir()) == ["lock", "rabbitmq"]
    assert installation.home.is_relative_to(cache)
    assert installation.erlang.is_relative_to(cache)

    server = NodeServer(installation, cache / "node", os.environ)
    try:
        assert probe(server.start()) == installation.version
    finally:
        server.stop()

    told.clear()
    assert unpacked_installation(cache, os.environ, progress) == installation
    assert told == []  # neither apt nor the network was needed

    next(iter(installation.home.glob("plugins/rabbit-*/ebin/rabbit.app"))).unlink()
    assert find_unpacked(cache) is None  # half of it is never used
