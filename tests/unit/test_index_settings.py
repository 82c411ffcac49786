"""Of a user's settings of pip and uv, the setup gets where packages come from, and nothing else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.unit.test_bootstrap import load

settings = load("index_settings")

#: Each would have pip or uv install elsewhere, for another Python, or something else.
FOR_SOMETHING_ELSE = {
    "PIP_USER": "1",
    "PIP_TARGET": "/elsewhere",
    "PIP_PREFIX": "/elsewhere",
    "PIP_ROOT": "/elsewhere",
    "PIP_PYTHON": "/usr/bin/python3",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_REQUIRE_HASHES": "1",
    "PIP_NO_BINARY": ":all:",
    "PIP_CONSTRAINT": "/elsewhere/constraints.txt",
    "PIP_NO_DEPS": "1",
    "UV_PYTHON": "3.9",
    "UV_SYSTEM_PYTHON": "1",
    "UV_REQUIRE_HASHES": "1",
    "UV_RESOLUTION": "lowest",
    "UV_EXCLUDE_NEWER": "2020-01-01",
    "UV_CONSTRAINT": "/elsewhere/constraints.txt",
    "UV_NO_BUILD_ISOLATION": "1",
    "PYTHONPATH": "/elsewhere",
    "PYTHONHOME": "/elsewhere",
    "PYTHONUSERBASE": "/elsewhere",
    "PYTHONSTARTUP": "/elsewhere/startup.py",
    "VIRTUAL_ENV": "/elsewhere",
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine whose configuration is in one folder."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "system"), "PATH": os.environ["PATH"]}


@pytest.fixture(autouse=True)
def _no_files_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = settings._pip_files
    monkeypatch.setattr(
        settings, "_pip_files", lambda environ: (file for file in usual(environ) if file.is_relative_to(tmp_path))
    )


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_what_is_for_something_else_reaches_neither(environ: dict[str, str], tmp_path: Path) -> None:
    for told in (
        settings.for_pip(environ | FOR_SOMETHING_ELSE),
        settings.for_uv(environ | FOR_SOMETHING_ELSE, tmp_path / "uv.toml"),
        settings.for_python(environ | FOR_SOMETHING_ELSE),
    ):
        assert not told.keys() & FOR_SOMETHING_ELSE.keys()
        assert told["PATH"] == environ["PATH"]


def test_where_packages_come_from_reaches_pip(environ: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "system" / "pip" / "pip.conf", "[global]\nindex-url = https://old/simple\nproxy = http://p:3128\n")
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        "[global]\nindex-url = https://mirror/simple\nuser = true\n[install]\ntarget = /elsewhere\ncert = /ca.pem\n",
    )
    told = settings.for_pip(environ | {"PIP_TRUSTED_HOST": "mirror"})
    ours = {name: value for name, value in told.items() if name.startswith("PIP_")}
    assert ours == {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_PROXY": "http://p:3128",
        "PIP_CERT": "/ca.pem",
        "PIP_TRUSTED_HOST": "mirror",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    assert (
        settings.for_pip(environ | {"PIP_INDEX_URL": "https://mine/simple"})["PIP_INDEX_URL"] == "https://mine/simple"
    )


def test_uvs_cache_is_found_where_its_settings_have_it(environ: dict[str, str], tmp_path: Path) -> None:
    assert settings.uv_cache(environ) == tmp_path / ".cache" / "uv"
    assert settings.uv_cache(environ | {"XDG_CACHE_HOME": "/caches"}) == Path("/caches/uv")
    write(tmp_path / ".config" / "uv" / "uv.toml", 'cache-dir = "/mine"\n')
    assert settings.uv_cache(environ) == Path("/mine")
    assert settings.uv_cache(environ | {"UV_CACHE_DIR": "/here"}) == Path("/here")


def test_pips_folder_on_macos_is_read(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "Library/Application Support/pip/pip.conf", "[global]\nindex-url = https://mirror/simple\n")
    assert settings.pip_settings(environ) == {}
    monkeypatch.setattr("sys.platform", "darwin")
    assert settings.pip_settings(environ) == {"index-url": "https://mirror/simple"}


def test_a_file_that_a_variable_names_stands_for_the_users_own(environ: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://own/simple\n")
    write(tmp_path / "named.conf", "[global]\nextra-index-url = https://named/simple\n")
    named = environ | {"PIP_CONFIG_FILE": str(tmp_path / "named.conf")}
    assert settings.pip_settings(named) == {"extra-index-url": "https://named/simple"}
    assert settings.pip_settings(environ | {"PIP_CONFIG_FILE": os.devnull}) == {}
    assert settings.pip_settings(environ | {"PIP_CONFIG_FILE": "/no/such/file"}) == {"index-url": "https://own/simple"}


@pytest.mark.parametrize("text", ["[global\n", "index-url = x\n", "[global]\nx = \xff\n"])
def test_a_broken_file_of_pips_is_passed_over(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    file = tmp_path / ".config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("latin-1"))
    assert settings.pip_settings(environ) == {}


def test_uv_is_told_what_pip_knows_where_it_knows_of_no_index(environ: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        "[global]\nindex-url = https://mirror/simple\nextra-index-url = https://more/simple file:///no/such\n"
        f"find-links = {tmp_path} /no/such\ntrusted-host = mirror\ncert = /ca.pem\nno-index = true\n",
    )
    file = tmp_path / "uv.toml"
    told = settings.for_uv(environ, file)
    assert told["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert told["UV_INDEX"] == "https://more/simple"
    assert told["UV_FIND_LINKS"] == str(tmp_path)
    assert told["UV_INSECURE_HOST"] == "mirror"
    assert told["SSL_CERT_FILE"] == "/ca.pem"
    assert tomllib.loads(file.read_text()) == {"no-index": True}
    assert not {"UV_DEFAULT_INDEX", "UV_FIND_LINKS"} & settings.for_uv(environ | {"UV_INDEX": "https://x"}, file).keys()


def test_uvs_own_files_are_read_for_where_packages_come_from(environ: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / ".config" / "uv" / "uv.toml",
        'exclude-newer = "2020-01-01"\nnative-tls = true\n[[index]]\nname = "ours"\nurl = "https://anna:pw@mirror/simple"\n'
        'default = true\n[pip]\ntarget = "/elsewhere"\nno-binary = [":all:"]\nfind-links = ["/wheels-😀"]\n',
    )
    write(tmp_path / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://other/simple\n")
    file = tmp_path / "own.toml"
    told = settings.for_uv(environ, file)
    assert "UV_DEFAULT_INDEX" not in told
    assert told["UV_CONFIG_FILE"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tomllib.loads(file.read_text()) == {
        "native-tls": True,
        "find-links": ["/wheels-😀"],
        "index": [{"name": "ours", "url": "https://anna:pw@mirror/simple", "default": True}],
    }
    assert settings.uv_settings(environ | {"UV_NO_CONFIG": "1"}) == {}


@pytest.mark.once
def test_pip_and_uv_themselves_take_it_so(environ: dict[str, str], tmp_path: Path) -> None:
    """What reaches the two is what they say themselves that they were told."""
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        "[global]\nuser = true\ntarget = /elsewhere\nindex-url = https://m/s\n",
    )
    told = settings.for_pip(environ | FOR_SOMETHING_ELSE)
    uv = Path(sys.executable).with_name("uv")
    wheels = [*Path(sys.base_prefix).glob("lib*/python3*/ensurepip/_bundled/pip-*.whl")]
    wheels += Path("/usr/share/python-wheels").glob("pip-*.whl")
    if wheels:
        command = [sys.executable, f"{wheels[0]}/pip", "config", "list"]
        listed = subprocess.run(command, env=told, capture_output=True, text=True, check=True, timeout=60).stdout
        assert "index-url='https://m/s'" in listed
        assert "elsewhere" not in listed
        assert "user" not in listed
    write(tmp_path / ".config" / "uv" / "uv.toml", '[pip]\ntarget = "/elsewhere"\n')
    told = settings.for_uv(environ | FOR_SOMETHING_ELSE, tmp_path / "own.toml")
    command = [
        str(uv),
        "pip",
        "install",
        "--python",
        sys.executable,
        "--dry-run",
        "--offline",
        "--show-settings",
        "pika",
    ]
    shown = subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=60).stdout
    assert "https://m/s" in shown
    assert "elsewhere" not in shown
