"""Packages that are unpacked without root are verified as apt does it, and reach nothing outside their folder."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.debian import Repository, repository
from workq_helpers.broker.installations import Installation
from workq_helpers.broker.packages import find_unpacked, unpacked_installation
from workq_helpers.broker.server import silent
from workq_helpers.errors import PackagesError

Served = tuple[Repository, dict[str, str]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with repository(tmp_path / "repository") as made:
        yield made


def unpack(served: Served, cache: Path) -> Installation:
    return unpacked_installation(cache, served[1], silent)


def refused(served: Served, cache: Path) -> str:
    """Try to unpack, and return why that was refused; nothing of it is left."""
    with pytest.raises(PackagesError) as caught:
        unpack(served, cache)
    assert [path.name for path in cache.iterdir()] == ["lock"]
    assert find_unpacked(cache) is None
    return str(caught.value)


def test_what_is_signed_and_whole_is_unpacked(served: Served, tmp_path: Path) -> None:
    found = unpack(served, tmp_path / "cache")
    assert str(found.version) == "4.0.5"
    assert found.home.is_relative_to(tmp_path / "cache")


def test_a_package_that_was_changed_on_its_way_is_refused(served: Served, tmp_path: Path) -> None:
    package = served[0].package("rabbitmq-server")
    content = bytearray(package.read_bytes())
    content[-20] ^= 1  # of the same size
    package.write_bytes(content)
    assert "Hash Sum mismatch" in refused(served, tmp_path / "cache")


def test_an_index_that_was_changed_to_fit_is_refused(served: Served, tmp_path: Path) -> None:
    repository, _ = served
    signed = (repository.served / "InRelease").read_bytes()
    repository.put("rabbitmq-server", {"usr/bin/evil": b"evil"})
    repository.publish()
    (repository.served / "InRelease").write_bytes(signed)
    assert "RabbitMQ's packages can't be had" in refused(served, tmp_path / "cache")


def test_a_signature_of_somebody_else_is_refused(served: Served, tmp_path: Path) -> None:
    repository, _ = served
    repository.publish(repository.another_key())
    assert "RabbitMQ's packages can't be had" in refused(served, tmp_path / "cache")


def test_no_signature_is_refused(served: Served, tmp_path: Path) -> None:
    served[0].publish("")
    assert "is not signed" in refused(served, tmp_path / "cache")


def test_a_package_reaches_nothing_outside_its_folder(served: Served, tmp_path: Path) -> None:
    repository, _ = served
    outside = tmp_path / "outside"
    outside.mkdir()
    members = []
    for number, path in enumerate(("./../../../escaped", f"{outside}/absolute", "./link/through")):
        if number == 2:
            link = tarfile.TarInfo("./link")
            link.type, link.linkname = tarfile.SYMTYPE, str(outside)
            members.append(link)
        member = tarfile.TarInfo(path)
        member.size = len(b"planted")
        members.append(member)
    for member in members:
        files = {"usr/share/doc/readme": b"x"}
        both = [members[2], member] if member.name == "./link/through" else [member]
        repository.put("erlang-base", files, *both)
        repository.publish()
        with pytest.raises(PackagesError):
            unpack(served, tmp_path / "cache")
        assert list(outside.iterdir()) == []
        planted = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"planted"]
        assert planted == [], member.name


def test_a_cache_that_was_open_is_filled_anew(served: Served, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    found = unpack(served, cache)
    (found.home / "sbin" / "rabbitmq-server").write_bytes(b"#!/bin/sh\nexit 1\n")  # of the same size
    cache.chmod(0o777)
    assert find_unpacked(cache) is None
    again = unpack(served, cache)
    assert (again.home / "sbin" / "rabbitmq-server").read_bytes() == b"#!/bin/sh\nexit 0\n"
    assert cache.stat().st_mode & 0o777 == 0o700
