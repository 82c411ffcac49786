"""`ulimit -n`: raised where it can be, told where it can't; `ulimit -v` and `ulimit -u`."""

from __future__ import annotations

import errno
import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from workq_helpers.broker import address_space, loopback, open_files, process_limit
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.doctor import diagnose, try_node
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.protocol import describe_error, revive_error
from workq_helpers.broker.share import take_share
from workq_helpers.cli import command, doctor
from workq_helpers.errors import BrokerStartError


@pytest.mark.parametrize(
    ("limits", "raised_to"),
    [
        ((64, 4096), 1024),
        ((64, 512), 512),
        ((256, resource.RLIM_INFINITY), 1024),
        ((20_000, 20_000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
        ((64, 64), None),
    ],
)
def test_a_low_limit_is_raised_as_far_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], raised_to: int | None
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _which, pair: set_to.append(pair))
    open_files.allow_enough()
    assert set_to == ([(raised_to, limits[1])] if raised_to else [])


@pytest.mark.parametrize(("hard", "few"), [(64, True), (255, True), (256, False), (resource.RLIM_INFINITY, False)])
def test_too_low_a_limit_is_told(monkeypatch: pytest.MonkeyPatch, hard: int, few: bool) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (min(hard, 64), hard))
    assert bool(open_files.why_too_few()) is few
    if few:
        assert f"only {hard} files" in open_files.why_too_few()
        assert "ulimit -n 1024" in open_files.why_too_few()


def test_too_little_address_space_is_told_before_erlang_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for allowed in (resource.RLIM_INFINITY, address_space.LEAST):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, allowed=allowed: (allowed, allowed))
        assert address_space.why_too_little() == ""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (2_000_000_000, resource.RLIM_INFINITY))
    assert "only 2000 MB of address space" in address_space.why_too_little()
    found = {
        finding.name: finding for finding in diagnose({"WORKQ_BROKER": "node", "WORKQ_RUNTIME_DIR": str(tmp_path)})
    }
    assert found["private node"].verdict == "bad"
    assert "only 2000 MB" in found["private node"].found
    assert "ulimit -v unlimited" in found["private node"].found
    assert found["will be used"].verdict == "bad"
    monkeypatch.setattr("workq_helpers.broker.doctor.first_supported", lambda _environ: pytest.fail("it looks further"))
    with pytest.raises(BrokerStartError, match="only 2000 MB"):
        try_node({})


def test_a_limit_of_processes_is_told_where_something_can_not_be_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (process_limit.ENOUGH, resource.RLIM_INFINITY))
    assert process_limit.why_too_few() == ""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (30, resource.RLIM_INFINITY))
    sentence = r"only 30 processes and threads in all \(`ulimit -u` shows it\).* `ulimit -u 1024`"

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(address_space, "why_too_little", str)
    kernel, started = doctor._tried(tmp_path)
    assert (kernel.verdict, started.verdict) == ("bad", "bad")
    assert re.search(r"no program can be started.*Resource temporarily unavailable", started.found)
    assert re.search(sentence, started.mend)
    monkeypatch.setattr(os, "geteuid", os.getuid)
    folders = Folders(tmp_path / "run", tmp_path / "cache")
    with pytest.raises(
        BrokerStartError, match=r"No process or thread can be started here \(Resource temporarily unavailable\)"
    ):
        take_share(folders, BrokerChoice(), {})
    for error in (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), RuntimeError("can't start new thread")):
        told = revive_error(describe_error(error))
        assert isinstance(told, BrokerStartError)
        assert str(told).startswith(f"No process or thread can be started here ({error.args[-1]})")
        monkeypatch.setattr(resource, "getrlimit", lambda _which: (4000, resource.RLIM_INFINITY))
        assert "pids.max" in process_limit.sentence(error)
    monkeypatch.setattr(click.Group, "invoke", refuse)
    monkeypatch.setattr(sys, "argv", ["workq", "doctor"])
    with pytest.raises(SystemExit, match=r"Error: No process or thread can be started"):
        command.main()


def test_too_many_open_files_say_nothing_of_the_loopback_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "create_server", refuse)
    told = loopback.why_unreachable()
    assert told.startswith("No connection can be opened here (Too many open files): `ulimit -n` shows")
