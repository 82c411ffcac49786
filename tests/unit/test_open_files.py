"""`ulimit -n`: raised where it can be, told where it can't; and `ulimit -v`."""

from __future__ import annotations

import errno
import resource
import socket

import pytest

from workq_helpers.broker import address_space, loopback, open_files
from workq_helpers.broker.doctor import diagnose, try_node
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


def test_too_little_address_space_is_told_before_erlang_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed in (resource.RLIM_INFINITY, address_space.LEAST):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, allowed=allowed: (allowed, allowed))
        assert address_space.why_too_little() == ""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (2_000_000_000, resource.RLIM_INFINITY))
    assert "only 2000 MB of address space" in address_space.why_too_little()
    found = {finding.name: finding for finding in diagnose({"WORKQ_BROKER": "node"})}
    assert found["private node"].verdict == "bad"
    assert "only 2000 MB" in found["private node"].found
    assert "ulimit -v unlimited" in found["private node"].found
    assert found["will be used"].verdict == "bad"
    monkeypatch.setattr("workq_helpers.broker.doctor.first_supported", lambda _environ: pytest.fail("it looks further"))
    with pytest.raises(BrokerStartError, match="only 2000 MB"):
        try_node({})


def test_too_many_open_files_say_nothing_of_the_loopback_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "create_server", refuse)
    told = loopback.why_unreachable()
    assert told.startswith("No connection can be opened here (Too many open files): `ulimit -n` shows")
