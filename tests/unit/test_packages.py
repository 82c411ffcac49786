from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
from packaging.version import Version

from workq_helpers import private_folders
from workq_helpers.broker import packages
from workq_helpers.broker.doctor import diagnose
from workq_helpers.broker.installations import Installation
from workq_helpers.broker.packages import find_unpacked, unpacked_installation
from workq_helpers.broker.server import silent
from workq_helpers.errors import BrokerStartError, DiskFullError, PackagesError, UnsupportedBrokerError

pytestmark = pytest.mark.pinned  # of the course alone

DOWNLOAD = (
    "'http://packages.invalid/r.deb' rabbitmq-server_{version}_all.deb 1000 SHA256:0\n"
    "'http://packages.invalid/e.deb' erlang-base_1%3a25_amd64.deb 1000 SHA256:0"
)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Stand in for apt: a folder of programs, each of which does what the file named after it says."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in packages.PROGRAMS:
        say(folder, name, "exit 0")
    say(folder, "apt-cache", "printf 'rabbitmq-server\\n  Depends: erlang-base\\nerlang-base\\n'")
    return folder


def say(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def offer(folder: Path, version: str, otherwise: str = "exit 0") -> None:
    """Let apt-get offer the server of a version, and do something else for any other request."""
    text = DOWNLOAD.format(version=version)
    say(folder, "apt-get", f'case "$*" in *--print-uris*) cat <<END\n{text}\nEND\n;; *) {otherwise};; esac')


def unpack(programs: Path, cache: Path) -> None:
    unpacked_installation(cache, {"PATH": f"{programs}:/usr/bin:/bin"}, silent)


def test_no_apt(tmp_path: Path) -> None:
    with pytest.raises(PackagesError, match=r"there is no apt-get.*WORKQ_BROKER_URL"):
        unpacked_installation(tmp_path / "cache", {"PATH": str(tmp_path)}, silent)


def test_no_network(programs: Path, tmp_path: Path) -> None:
    say(programs, "apt-get", "echo 'E: Could not resolve deb.invalid' >&2; exit 100")
    with pytest.raises(PackagesError, match=r"Could not resolve deb\.invalid.*Connect this machine"):
        unpack(programs, tmp_path / "cache")
    say(programs, "apt-get", "echo 'E: Release file is not valid yet (invalid for another 2h)' >&2; exit 100")
    with pytest.raises(
        PackagesError, match=r"not valid yet .*\. This machine's clock says .*: set it if it is wrong\. Or "
    ):
        unpack(programs, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_stale_lists_are_replaced_by_our_own(programs: Path, tmp_path: Path) -> None:
    offer(
        programs, "4.0.5-1", f'case "$*" in *update*) echo "$*" >{tmp_path}/updated;; *) echo "E: 404"; exit 100;; esac'
    )
    with pytest.raises(PackagesError, match="404"):
        unpack(programs, tmp_path / "cache")
    assert f"Dir::State::lists={tmp_path}/cache/apt/lists" in (tmp_path / "updated").read_text()


def test_the_system_has_too_old_a_server(programs: Path, tmp_path: Path) -> None:
    offer(programs, "3.8.2-1")
    with pytest.raises(UnsupportedBrokerError, match=r"3\.8\.2.*3\.10"):
        unpack(programs, tmp_path / "cache")


def test_a_full_disk_is_seen_before_the_download(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(programs, "4.0.5-1")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 10, 0))
    with pytest.raises(DiskFullError, match="WORKQ_CACHE_DIR"):
        unpack(programs, tmp_path / "cache")


@pytest.mark.parametrize("program", ["apt-get", "dpkg-deb"])
def test_a_disk_that_fills_up_meanwhile(program: str, programs: Path, tmp_path: Path) -> None:
    full = "echo 'E: write failed (No space left on device)'; exit 100"
    offer(programs, "4.0.5-1", full if program == "apt-get" else "exit 0")
    say(programs, "dpkg-deb", full)
    with pytest.raises(DiskFullError, match=f"{program} says so"):
        unpack(programs, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def packed_erlang(programs: Path, says: str) -> None:
    """Let dpkg-deb unpack an Erlang that does something, whatever it is told to run."""
    erlexec = '"$3/usr/lib/erlang/erts-1/bin/erlexec"'
    make = f"mkdir -p \"$3/usr/lib/erlang/erts-1/bin\" \"$3/usr/lib/erlang/bin\" && printf '#!/bin/sh\\n%s\\n' '{says}'"
    say(programs, "dpkg-deb", f"{make} >{erlexec} && chmod +x {erlexec}")
    offer(programs, "4.0.5-1")


def test_the_users_variables_of_erlang_do_not_reach_the_trial_of_it(programs: Path, tmp_path: Path) -> None:
    packed_erlang(programs, f"env >{tmp_path}/environ")
    users = {"ERL_AFLAGS": "-name ada", "ERL_LIBS": "/nowhere", "ERL_EPMD_PORT": "1", "DEFAULT_USER": "ada"}
    with pytest.raises(PackagesError, match="hold no RabbitMQ server"):
        unpacked_installation(tmp_path / "cache", {"PATH": f"{programs}:/usr/bin:/bin"} | users, silent)
    names = {line.partition("=")[0] for line in (tmp_path / "environ").read_text().splitlines()}
    assert {"ROOTDIR", "BINDIR"} <= names
    assert not names & users.keys()


def test_an_erlang_that_does_not_run_here_is_no_matter_of_the_network(programs: Path, tmp_path: Path) -> None:
    packed_erlang(programs, "echo libfoo.so.3 is missing; exit 3")
    with pytest.raises(PackagesError, match=r"erlexec failed: libfoo\.so\.3 is missing\. Try again\. Or ") as caught:
        unpack(programs, tmp_path / "cache")
    assert "network" not in str(caught.value)


def test_a_folder_where_no_program_may_run_is_named_before_anything_is_fetched(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_erlang(programs, f"touch {tmp_path}/ran")
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC))
    with pytest.raises(PackagesError, match=r"mounted noexec.*Set WORKQ_CACHE_DIR") as caught:
        unpack(programs, tmp_path / "cache")
    assert str(tmp_path / "cache") in str(caught.value)
    assert not (tmp_path / "ran").exists()
    environ = {"WORKQ_BROKER": "node", "WORKQ_CACHE_DIR": str(tmp_path), "WORKQ_RUNTIME_DIR": str(tmp_path / "run")}
    found = {finding.name: finding for finding in diagnose(environ)}
    assert "mounted noexec" in found["private node"].found
    assert found["will be used"].verdict == "bad"


def test_doctor_looks_at_the_folder_that_serves_instead_of_the_cache(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", str(programs))
    runtime = tmp_path / "run"
    for cache in ("/proc/x", "/dev/null/x"):
        chosen = {"WORKQ_BROKER": "node", "WORKQ_CACHE_DIR": cache, "WORKQ_RUNTIME_DIR": str(runtime)}
        found = {finding.name: finding for finding in diagnose(os.environ | chosen)}
        assert found["private node"].verdict == "ok", found["private node"].found


@pytest.mark.parametrize(
    ("where", "serves"),
    [("new/cache", False), ("there", False), ("file", True), ("file/cache", True), ("planted", True)],
)
def test_what_doctor_looks_at_is_what_a_start_uses(
    where: str, serves: bool, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for folder in ("there", "planted"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").touch()
    planted = tmp_path / "planted"
    monkeypatch.setattr(private_folders, "_foreign", lambda folder: "theirs" if folder == planted else None)
    before = {*tmp_path.iterdir()}
    folder = packages.folder_for(tmp_path / where)
    assert {*tmp_path.iterdir()} == before
    assert folder == (packages._substitute() if serves else tmp_path / where)
    packed_erlang(programs, "exit 3")
    with pytest.raises(PackagesError, match="erlexec failed"):
        unpack(programs, tmp_path / where)
    assert (folder / "lock").exists()


def test_a_link_in_the_place_of_the_cache_is_refused_and_doctor_says_so(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    cache = tmp_path / "link"
    cache.symlink_to(tmp_path / "there")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(BrokerStartError, match="is not a folder of yours"):
        unpack(programs, cache)
    chosen = {"WORKQ_BROKER": "node", "WORKQ_CACHE_DIR": str(cache), "WORKQ_RUNTIME_DIR": str(tmp_path / "run")}
    found = {finding.name: finding for finding in diagnose(os.environ | chosen)}
    assert found["private node"].verdict == "bad"
    assert "is not a folder of yours" in found["private node"].found


def test_a_server_in_a_cache_that_can_only_be_read_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    there = Installation(cache, cache, Version("4.0.5"), "unpacked packages")
    monkeypatch.setattr(packages, "find_unpacked", {cache: there}.get)
    monkeypatch.setattr(packages, "_substitute", lambda: tmp_path / "substitute")
    monkeypatch.setattr(os, "access", lambda folder, _mode: folder != cache)
    assert unpacked_installation(cache, {"PATH": ""}, silent) is there


def test_a_cache_that_can_not_even_be_looked_at_has_a_substitute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the home of somebody else, which `sudo -u` leaves in HOME."""
    cache, substitute = tmp_path / ("x" * 300), tmp_path / "substitute"
    there = Installation(substitute, substitute, Version("4.0.5"), "unpacked packages")
    monkeypatch.setattr(packages, "find_unpacked", {substitute: there}.get)
    monkeypatch.setattr(packages, "_substitute", lambda: substitute)
    with pytest.raises(OSError, match="File name too long"):
        cache.is_dir()
    assert packages.why_none_runs_in(cache) == ""
    assert unpacked_installation(cache, {"PATH": ""}, silent) is there


def test_a_half_unpacked_cache_is_never_used(tmp_path: Path) -> None:
    half = tmp_path / "rabbitmq-4.0.5" / "usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5/sbin"
    half.mkdir(parents=True)
    shutil.copy(sys.executable, half / "rabbitmq-server")
    assert find_unpacked(tmp_path) is None


def test_who_gives_up_leaves_alone_what_another_process_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_CUT_OFF_SECONDS", 0.0)
    monkeypatch.setattr(packages, "_substitute", lambda: tmp_path / "substitute")
    stage = tmp_path / "stage"
    stage.mkdir()
    with filelock.FileLock(tmp_path / "lock"):
        packages.remove_scratch(tmp_path)
        assert stage.exists()
    packages.remove_scratch(tmp_path)
    assert not stage.exists()


@pytest.mark.parametrize("folder", ["bin", "erts-15.2.7/bin"])
def test_erlang_finds_itself_from_either_of_its_scripts(folder: str, tmp_path: Path) -> None:
    """RabbitMQ 4.0 starts the second one, to ask the other nodes of a cluster."""
    tree, root = tmp_path / "unpacking", tmp_path / "Ada's own $HOME ü" / "rabbitmq-4.0.5"
    for each in ("bin", "erts-15.2.7/bin"):
        (tree / "usr/lib/erlang" / each).mkdir(parents=True)
    script = tree / "usr/lib/erlang" / folder / "erl"
    script.write_text('#!/bin/sh\nROOTDIR=/usr/lib/erlang\nBINDIR="/usr/lib/erlang/bin"\necho "$ROOTDIR $BINDIR"\n')
    packages._relocate(tree, root)
    said = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True).stdout
    assert said == f"{root}/usr/lib/erlang {root}/usr/lib/erlang/bin\n"
