"""scripts/: what `make setup` does on machines that are not like this one."""

from __future__ import annotations

import ast
import errno
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"workq_scripts_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """environment.py for a checkout of its own, whose commands are not run."""
    module = load("environment")
    monkeypatch.delenv("WORKQ_VERSIONS", raising=False)
    for name in ("pyproject.toml", "constraints.txt", "constraints-lowest.txt", "scripts/environment.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    for name, path in {
        "VENV": ".venv",
        "PYTHON": ".venv/bin/python",
        "MADE": ".venv/made",
        "STAMP": ".venv/installed",
    }.items():
        monkeypatch.setattr(module, name, tmp_path / path)
    return module


def make_venv_by_hand(checkout: ModuleType) -> None:
    checkout.PYTHON.parent.mkdir(parents=True)
    checkout.PYTHON.symlink_to(sys.executable)
    checkout.MADE.write_text(checkout.made_for(checkout.version_of_this()))
    checkout.STAMP.write_text(checkout.wanted())


def commands_of(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    ran: list[list[str]] = []
    monkeypatch.setattr(checkout, "run", lambda command, *rest: ran.append(list(map(str, command))))
    return ran


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in modules else find_spec(name, *rest)
    )


# ---- which Python


def test_any_python_3_can_read_the_check() -> None:
    ast.parse((SCRIPTS / "setup.py").read_text(), feature_version=(3, 4))


@pytest.mark.parametrize("version", [(3, 6), (3, 10)])
def test_an_old_python_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    setup = load("setup")
    monkeypatch.setattr(setup.shutil, "which", lambda name: name == "python3.12" or None)
    sentence = setup.too_old(version)
    assert f"Python 3.{version[1]}" in sentence
    assert "3.11 or newer" in sentence
    assert sentence.endswith("make lab PYTHON=python3.12")


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (4, 0)])
def test_a_new_python_will_do(version: tuple[int, int]) -> None:
    assert load("setup").too_old(version) is None


# ---- what is ready already


def test_a_second_run_does_nothing(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    monkeypatch.setattr(checkout, "set_up", lambda exactly: pytest.fail("it set up again"))
    monkeypatch.setattr(sys, "argv", ["setup.py", "--exactly-this-python"])
    assert checkout.main() == 0
    assert ".venv is ready" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "scripts/environment.py"])
def test_a_changed_file_calls_for_a_new_run(checkout: ModuleType, name: str) -> None:
    make_venv_by_hand(checkout)
    with (checkout.ROOT / name).open("a") as file:
        file.write("\n# changed\n")
    assert checkout.read(checkout.STAMP) != checkout.wanted()
    assert checkout.is_usable(exactly_this_python=True)


def test_a_venv_that_was_moved_is_made_anew(checkout: ModuleType) -> None:
    make_venv_by_hand(checkout)
    checkout.MADE.write_text(checkout.MADE.read_text().replace(str(checkout.VENV), "/elsewhere/.venv"))
    assert not checkout.is_usable(exactly_this_python=False)


def test_a_venv_whose_python_is_gone_is_made_anew(checkout: ModuleType) -> None:
    make_venv_by_hand(checkout)
    checkout.PYTHON.unlink()
    checkout.PYTHON.symlink_to("/no/such/python")
    assert not checkout.is_usable(exactly_this_python=False)


def test_another_python_counts_only_if_it_was_asked_for(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv_by_hand(checkout)
    monkeypatch.setattr(checkout, "version_of_this", lambda: "3.99.0")
    assert checkout.is_usable(exactly_this_python=False)
    assert not checkout.is_usable(exactly_this_python=True)


# ---- the ways to uv


def test_without_ensurepip_the_venv_is_made_without_pip(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = commands_of(checkout, monkeypatch)
    without(monkeypatch, "ensurepip")
    checkout.VENV.mkdir()
    monkeypatch.setattr(checkout.shutil, "rmtree", lambda *_, **__: None)
    checkout.make_venv()
    assert ran == [[sys.executable, "-m", "venv", str(checkout.VENV), "--without-pip"]]


def test_without_venv_there_is_a_sentence(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "venv")
    with pytest.raises(checkout.SetupError, match="apt-get install python3-venv"):
        checkout.make_venv()


@pytest.mark.parametrize(
    ("there", "used"),
    [
        ("venv", ["{python}", "-m", "pip", "install"]),
        ("system", ["{this}", "-m", "pip", "--python", "{python}", "install"]),
        ("wheel", ["{python}", "/usr/share/python-wheels/pip-25-py3-none-any.whl/pip", "install"]),
    ],
)
def test_uv_comes_with_whichever_pip_there_is(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, there: str, used: list[str]
) -> None:
    ran = commands_of(checkout, monkeypatch)
    works = {"venv": str(checkout.PYTHON), "system": sys.executable}.get(there)
    monkeypatch.setattr(checkout, "runs", lambda command, *_: command[0] == works)
    wheel = Path("/usr/share/python-wheels/pip-25-py3-none-any.whl")
    monkeypatch.setattr(checkout, "pip_wheel", lambda folder: wheel)
    checkout.install_uv()
    expected = [part.format(python=checkout.PYTHON, this=sys.executable) for part in used]
    assert ran[0][: len(expected)] == expected
    assert ran[0][-3:] == ["--constraint", "constraints.txt", "uv"]


def test_no_pip_at_all_gets_a_sentence(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkout, "DEBIAN_WHEELS", tmp_path / "none")
    monkeypatch.setattr(checkout.shutil, "which", lambda name: None)
    with pytest.raises(checkout.SetupError, match=r"comes without pip .* apt-get install python3-venv"):
        checkout.pip_wheel(tmp_path)


def test_everything_is_pinned_build_tools_too(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = commands_of(checkout, monkeypatch)
    monkeypatch.setattr(checkout, "index_of_pip", dict)
    checkout.install_environment()
    command = " ".join(ran[0])
    assert "--constraint constraints.txt --build-constraint constraints.txt" in command
    assert "--editable . --group dev" in command


def test_a_further_group_is_installed_where_one_is_asked_for(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    ran = commands_of(checkout, monkeypatch)
    monkeypatch.setattr(checkout, "index_of_pip", dict)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 0
    assert ran == []
    monkeypatch.setattr(sys, "argv", ["setup.py", "--also", "bench"])
    assert checkout.main() == 0
    assert ran[0][-2:] == ["--group", "bench"]
    assert "--constraint" in ran[0]
    assert "Installing what only make bench needs" in capsys.readouterr().out


def test_uv_follows_pips_index(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv_by_hand(checkout)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    assert checkout.index_of_pip() == {"UV_DEFAULT_INDEX": "https://mirror.example/simple"}
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://other.example/simple")
    assert checkout.index_of_pip() == {}


@pytest.mark.parametrize(
    ("versions", "pins"), [("lowest", "--constraint constraints-lowest.txt"), ("newest", "--upgrade")]
)
def test_other_versions_are_installed_if_they_are_asked_for(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, versions: str, pins: str
) -> None:
    make_venv_by_hand(checkout)
    monkeypatch.setenv("WORKQ_VERSIONS", versions)
    assert checkout.read(checkout.STAMP) != checkout.wanted()
    ran = commands_of(checkout, monkeypatch)
    monkeypatch.setattr(checkout, "index_of_pip", dict)
    checkout.install_environment()
    assert f" {pins} --build-constraint constraints.txt " in " ".join(ran[0])


def test_versions_that_there_are_not_get_a_sentence(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    monkeypatch.setenv("WORKQ_VERSIONS", "oldest")
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    assert "WORKQ_VERSIONS=oldest is none of pinned, lowest, newest" in capsys.readouterr().err


# ---- when it fails


def test_a_failing_command_is_a_sentence_and_leaves_no_stamp(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    checkout.STAMP.write_text("an older one")
    monkeypatch.setattr(checkout, "install_uv", lambda: checkout.run(["/no/such/program"], "pip failed"))
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    assert "make setup: pip failed (No such file or directory)" in capsys.readouterr().err
    assert not checkout.STAMP.exists()


def test_a_failing_exit_status_is_told(checkout: ModuleType) -> None:
    with pytest.raises(checkout.SetupError, match=r"pip failed \(exit status 3\)"):
        checkout.run([sys.executable, "-c", "raise SystemExit(3)"], "pip failed")


def test_a_disk_without_room_is_a_sentence(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_exactly: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write does, which names no file

    monkeypatch.setattr(checkout, "set_up", full)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence == (
        f"make setup: {checkout.ROOT} can't be used (No space left on device); "
        "free some room, or put the course into a folder that you may write to"
    )


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF])
def test_a_file_system_without_locks_is_no_reason_to_stop(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(_file: object, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(checkout.fcntl, "flock", flock)
    make_venv_by_hand(checkout)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 0
