"""scripts/: what `make setup` does on machines that are not like this one."""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
import http.server
import importlib.util
import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest
import trustme
from packaging.tags import sys_tags

from tests.conftest import poll_for
from workq_helpers.cli.kernels import START

pytestmark = pytest.mark.once  # it runs before there is any dependency, and for real in each part

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"workq_scripts_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))  # as Python does for a script: they import each other
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """environment.py for a checkout of its own, whose commands are not run."""
    module = load("environment")
    monkeypatch.delenv("WORKQ_VERSIONS", raising=False)
    monkeypatch.setattr(module, "uv_on_this_machine", lambda: None)
    extension = "workq_helpers/stage/bundle/lab_extension/package.json"
    texts = ("pyproject.toml", "constraints.txt", "constraints-lowest.txt", "overrides.txt")
    for name in (*texts, "scripts/environment.py", extension):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    for name, path in {
        "VENV": ".venv",
        "PYTHON": ".venv/bin/python",
        "MADE": ".venv/made",
        "STAMP": ".venv/installed",
        "PACKAGES": ".venv/packages",
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


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "overrides.txt", "scripts/environment.py"])
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


@pytest.mark.parametrize(
    ("deleted", "gone"),
    [
        ("pika/channel.py", "site-packages/pika/channel.py"),
        ("pika-1.4.0.dist-info/RECORD", "pika-1.4.0.dist-info/RECORD"),
        ("pika-1.4.0.dist-info", "pika"),
        ("pika/__pycache__/channel.cpython-313.pyc", ""),  # Python makes it anew
        ("pika-1.4.0.dist-info -> pika-2.0.0.dist-info", ""),  # the learner's choice
    ],
)
def test_a_venv_of_which_something_was_deleted_is_made_anew(
    checkout: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deleted: str,
    gone: str,
) -> None:
    make_venv_by_hand(checkout)
    packages = checkout.VENV / "lib" / "python3.13" / "site-packages"
    files = ["pika/channel.py", "pika/__pycache__/channel.cpython-313.pyc", "pika-1.4.0.dist-info/RECORD"]
    for file in files:
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_text("".join(f"{each},,\n" for each in files if "RECORD" not in each))
    checkout.done(checkout.STAMP)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    monkeypatch.setattr(checkout, "set_up", lambda _exactly: pytest.fail("it set up again"))
    assert checkout.main() == 0
    old, _, new = deleted.partition(" -> ")
    place = packages / old
    place.rename(packages / new if new else checkout.ROOT / "deleted")
    made: list[bool] = []
    monkeypatch.setattr(checkout, "set_up", lambda _exactly: made.append(not checkout.is_usable(False)))
    assert checkout.main() == 0
    assert made == ([True] if gone else [])
    assert (f"{gone} is gone" in capsys.readouterr().out) is bool(gone)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("ends", ["well", "killed", "fails in the middle", "fails before"])
def test_a_venv_that_uv_left_half_done_is_made_anew(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, ends: str, whole: bool
) -> None:
    make_venv_by_hand(checkout)
    if whole:
        checkout.done(checkout.STAMP)

    def uv(*_: object) -> None:
        if ends != "fails before":
            (checkout.VENV / "lib" / "python3.13" / "site-packages" / "pika-1.4.0.dist-info").mkdir(parents=True)
        if ends == "killed":
            raise KeyboardInterrupt
        if ends != "well":
            raise checkout.SetupError(ends)

    monkeypatch.setattr(checkout, "unpack_uv", str)
    monkeypatch.setattr(checkout, "run", uv)
    with contextlib.suppress(KeyboardInterrupt, checkout.SetupError):
        checkout.install("pika")
    assert checkout.is_usable(False) is (ends == "well" or (whole and ends == "fails before"))


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
    assert ran == [[sys.executable, "-I", "-m", "venv", "--without-pip", str(checkout.VENV)]]


def test_without_venv_there_is_a_sentence(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "venv")
    with pytest.raises(checkout.SetupError, match="apt-get install python3-venv"):
        checkout.make_venv()


@pytest.mark.parametrize(
    ("there", "used"),
    [
        ("bundled", ["{python}", "/usr/lib/python3/ensurepip/_bundled/pip-24-py3-none-any.whl/pip", "download"]),
        ("system", ["{this}", "-I", "-m", "pip", "download"]),
        ("wheel", ["{python}", "/usr/share/python-wheels/pip-25-py3-none-any.whl/pip", "download"]),
    ],
)
def test_uv_comes_with_whichever_pip_there_is(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, there: str, used: list[str]
) -> None:
    ran = commands_of(checkout, monkeypatch)
    bundled = Path("/usr/lib/python3/ensurepip/_bundled/pip-24-py3-none-any.whl")
    monkeypatch.setattr(checkout, "bundled_pip", lambda: bundled if there == "bundled" else None)
    monkeypatch.setattr(checkout, "has_pip", lambda: there == "system")
    wheel = Path("/usr/share/python-wheels/pip-25-py3-none-any.whl")
    monkeypatch.setattr(checkout, "pip_wheel", lambda folder: wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip is to look elsewhere
    checkout.get_uv()
    expected = [part.format(python=checkout.PYTHON, this=sys.executable) for part in used]
    assert ran[0][: len(expected)] == expected
    assert ran[0][-3:] == ["--constraint", "constraints.txt", "uv"]


@contextlib.contextmanager
def index(files: dict[str, bytes], folder: Path, elsewhere: str = "../..") -> Iterator[dict[str, str]]:
    """An index that has these files of uv, and pip's settings for it; below /moved it sends all who ask elsewhere."""
    listed = [
        {
            "filename": name,
            "url": f"{elsewhere}/files/{name}",
            "hashes": {"sha256": hashlib.sha256(b"wheel").hexdigest()},
        }
        for name in files
    ]
    answers = {f"/files/{name}": content for name, content in files.items()}
    answers["/simple/uv/"] = json.dumps({"files": listed}).encode()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = self.path.startswith("/moved/")
            self.send_response(302 if moved else 200 if self.path in answers else 404)
            self.send_header("Location", f"{elsewhere}/simple/uv/")
            self.end_headers()
            self.wfile.write(answers.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"https://127.0.0.1:{server.server_port}/simple/"
        yield {"PIP_INDEX_URL": address, "PIP_CERT": str(folder / "ca.pem")}
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("files", "settings", "found"),
    [
        ({"uv-{v}-{this}.whl": b"wheel", "uv-{v}-py3-none-win32.whl": b"wheel", "uv-{v}.tar.gz": b""}, {}, True),
        ({"uv-{v}-{this}.whl": b"something else"}, {}, False),
        ({"uv-0.1-{this}.whl": b"wheel"}, {}, False),
        ({"uv-{v}-py3-none-win32.whl": b"wheel"}, {}, False),
        ({"uv-{v}-{this}.whl": b"wheel"}, {"PIP_NO_INDEX": "1"}, False),
        ({"uv-{v}-{this}.whl": b"wheel"}, {"all_proxy": "socks5://127.0.0.1:1"}, False),
        ({"uv-{v}-{this}.whl": b"wheel"}, {"PIP_PROXY": "http://127.0.0.1:1"}, False),
        ({"uv-{v}-{this}.whl": b"wheel"}, {"PIP_CERT": "/missing"}, False),
    ],
)
def test_uv_is_downloaded_from_the_index_or_left_to_pip(
    checkout: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    files: dict[str, bytes],
    settings: dict[str, str],
    found: bool,
) -> None:
    if not (checkout.has_pip() or checkout.bundled_pip()):
        pytest.skip("this Python comes without pip, which knows the index and what fits this machine")
    version, this = checkout.pinned("uv"), next(sys_tags())
    checkout.VENV.mkdir()
    ran = commands_of(checkout, monkeypatch)
    named = {name.format(v=version, this=this): content for name, content in files.items()}
    with index(named, tmp_path) as where:
        monkeypatch.setattr(checkout.index_settings, "for_pip", lambda _environ: where | settings)
        checkout.get_uv()
    assert [wheel.name for wheel in checkout.VENV.glob("*.whl")] == [f"uv-{version}-{this}.whl"] * found
    assert bool(ran) is not found


@pytest.mark.parametrize(
    "settings",
    [
        {},  # the index's file lies there
        {"PIP_INDEX_URL": "{index}/moved/"},
        {"PIP_INDEX_URL": "{other}/simple/"},
        {"PIP_INDEX_URL": "https://anna:s3cret@127.0.0.1:1/simple/", "PIP_PROXY": "{other}"},
        {"PIP_INDEX_URL": "https://s3cret@127.0.0.1:1/simple/", "PIP_PROXY": "{other}"},
        {"PIP_PROXY": "https://anna:s3cret@{other_address}"},
    ],
)
def test_nothing_is_asked_or_told_without_tls(checkout: ModuleType, tmp_path: Path, settings: dict[str, str]) -> None:
    heard = threading.Event()

    class Listener(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            if self.rfile.peek(1)[:1] != b"\x16":  # how TLS begins
                heard.set()

    files = {f"uv-{checkout.pinned('uv')}-{next(sys_tags())}.whl": b"wheel"}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"127.0.0.1:{server.server_port}"
        with index(files, tmp_path, f"http://{address}") as where:
            named = {"index": where["PIP_INDEX_URL"].removesuffix("/simple/"), "other": f"http://{address}"}
            told = {name: text.format(**named, other_address=address) for name, text in settings.items()}
            assert not checkout.simple_index.download_wheel("uv", checkout.pinned("uv"), tmp_path, where | told)
        server.shutdown()
        thread.join()
    assert not heard.is_set()


@pytest.mark.parametrize(
    ("version", "used"), [("0.13.9 (x86_64)", True), ("0.8.0", True), ("0.7.22", False), ("what?", False)]
)
def test_a_uv_that_lies_in_its_cache_is_not_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, used: bool
) -> None:
    environment = load("environment")
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    assert environment.uv_on_this_machine() is None
    program = tmp_path / "cache" / "archive-v0" / "a1b2" / "uv-0.13.9.data" / "scripts" / "uv"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'uv {version}'\n")
    assert environment.uv_on_this_machine() is None  # it may not be run
    program.chmod(0o755)
    assert environment.uv_on_this_machine() == (str(program) if used else None)


@pytest.mark.parametrize("words", ["Temporary failure resolving deb.invalid", "Could not connect to proxy:3128"])
def test_no_pip_and_no_network_names_the_network(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str
) -> None:
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text(
        f"#!/bin/sh\ncase \"$*\" in *--error-on=any*) echo 'E: {words}';; *update*) exit 0;; esac; exit 100\n"
    )
    apt.chmod(0o755)
    (tmp_path / "bin" / "dpkg-deb").symlink_to(apt)
    monkeypatch.setenv("PATH", str(apt.parent))
    with pytest.raises(
        checkout.SetupError, match=r"comes without pip, .*: the network, or .* can't be reached"
    ) as caught:
        checkout.pip_wheel(tmp_path)
    assert words in str(caught.value)


def test_no_pip_at_all_gets_a_sentence(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkout.shutil, "which", lambda name: None)
    with pytest.raises(checkout.SetupError, match=r"comes without pip .* apt-get install python3-venv"):
        checkout.pip_wheel(tmp_path)


@pytest.mark.parametrize("name", ["a;b #c [d]", "${HOME}", "new\nline"])
def test_what_was_fetched_is_named_so_that_uv_takes_it_for_a_path(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(checkout, "ROOT", tmp_path / name)
    monkeypatch.setattr(checkout, "VENV", tmp_path / name / ".venv")
    ran = commands_of(checkout, monkeypatch)
    checkout.VENV.mkdir(parents=True)
    (checkout.VENV / "uv-1-py3-none-any.whl").touch()
    monkeypatch.setattr(checkout, "unpack_uv", lambda: "uv")
    checkout.install_lessons()
    assert "./.venv/uv-1-py3-none-any.whl" in ran[0]
    assert not list(checkout.VENV.glob("*.whl"))


def test_a_folder_in_which_python_makes_no_environment_is_named(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = commands_of(checkout, monkeypatch)
    monkeypatch.setattr(checkout, "ROOT", Path("/work/co:urse"))
    monkeypatch.setattr(checkout, "VENV", Path("/work/co:urse/.venv"))
    with pytest.raises(checkout.SetupError, match=r"the path /work/co:urse has a ':' in it, .*; rename that folder"):
        checkout.make_venv()
    assert ran == []


def test_everything_is_pinned_build_tools_too(checkout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = commands_of(checkout, monkeypatch)
    checkout.VENV.mkdir()
    checkout.install_lessons()
    checkout.add_group("dev")
    for command in map(" ".join, ran):
        assert "--constraint constraints.txt --build-constraint constraints.txt" in command
    assert "--editable ." in " ".join(ran[0])
    assert "--group" not in ran[0]  # what a learner does not need
    assert ran[1][-2:] == ["--group", "dev"]


def test_a_further_group_is_installed_where_one_is_asked_for(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    ran = commands_of(checkout, monkeypatch)
    monkeypatch.setattr(sys, "argv", ["setup.py", "--also"])
    assert checkout.main() == 0
    assert ran == []
    monkeypatch.setattr(sys, "argv", ["setup.py", "--also", "dev", "bench"])
    assert checkout.main() == 0
    assert [command[-2:] for command in ran] == [["--group", "dev"], ["--group", "bench"]]
    assert all("--constraint" in command for command in ran)
    assert "Installing the group bench of pyproject.toml" in capsys.readouterr().out
    assert checkout.main() == 0  # they have stamps of their own
    assert len(ran) == 2


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
    checkout.install_lessons()
    assert f" {pins} --build-constraint constraints.txt " in " ".join(ran[0])


def test_versions_that_there_are_not_get_a_sentence(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    monkeypatch.setenv("WORKQ_VERSIONS", "oldest")
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    assert "WORKQ_VERSIONS=oldest is none of pinned, lowest, newest" in capsys.readouterr().err


# ---- in whatever folder and locale


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "xx_XX.NOSUCH"])
@pytest.mark.parametrize("name", ["plain", "käse und 日本", "with 'quotes' \\ and % too", "\udcff\udcfe"])
def test_the_checkout_is_found_whatever_its_folder_is_called(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, locale: str
) -> None:
    packages = checkout.VENV / "lib" / "python3" / "site-packages"
    packages.mkdir(parents=True)
    root = tmp_path / name
    (root / "workq_helpers").mkdir(parents=True)
    (root / "workq_helpers" / "__init__.py").touch()
    monkeypatch.setattr(checkout, "ROOT", root)
    installed = packages / "_workq_helpers.pth"
    installed.write_bytes(os.fsencode(root))  # as installers do
    checkout.name_the_checkout_in_ascii()
    assert installed.read_bytes().isascii()
    code = f"import site; site.addsitedir({str(packages)!r}); import workq_helpers; print(ascii(workq_helpers))"
    done = subprocess.run(
        [sys.executable, "-ISc", code],
        env={"LC_ALL": locale},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "workq_helpers" in done.stdout


def test_the_stamp_of_a_folder_reads_the_same_in_every_locale(checkout: ModuleType, tmp_path: Path) -> None:
    for text in ("käse\n", "\udcff\n"):
        checkout.write(tmp_path / "stamp", text)
        assert checkout.read(tmp_path / "stamp") == text


def test_what_does_not_run_is_not_stamped(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    checkout.STAMP.write_text("an older one")
    monkeypatch.setattr(checkout, "get_uv", lambda: None)
    monkeypatch.setattr(checkout, "install_lessons", lambda: None)
    monkeypatch.setattr(checkout, "TRIED", "raise SystemExit('libfoo.so.3: cannot open shared object file')")
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("make setup: what was installed does not run here")
    assert "libfoo.so.3" in error
    assert not checkout.STAMP.exists()


# ---- when it fails


def test_a_failing_command_is_a_sentence_and_leaves_no_stamp(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv_by_hand(checkout)
    checkout.STAMP.write_text("an older one")
    monkeypatch.setattr(checkout, "get_uv", lambda: checkout.run(["/no/such/program"], checkout.ROOT, "pip failed"))
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    assert "make setup: pip failed (No such file or directory)" in capsys.readouterr().err
    assert not checkout.STAMP.exists()


def test_a_failing_exit_status_is_told(checkout: ModuleType) -> None:
    with pytest.raises(checkout.SetupError, match=r"pip failed \(exit status 3\)"):
        checkout.run([sys.executable, "-c", "raise SystemExit(3)"], checkout.ROOT, "pip failed")


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


def test_a_checkout_in_which_no_program_may_run_is_named_before_anything_is_made(
    checkout: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC))
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert checkout.main() == 1
    assert (
        f"no program may run that is in {checkout.ROOT}, whose file system is mounted noexec" in capsys.readouterr().err
    )
    assert not checkout.VENV.exists()


@pytest.mark.parametrize(
    ("redirections", "told"),
    [
        (">/dev/full", "can't be written where it goes (No space left on device); send it"),
        ("<&- >&- 2>&-", ""),
        ("2>&-", ""),
    ],
)
def test_what_is_said_goes_where_it_can_or_a_sentence_says_why_not(redirections: str, told: str) -> None:
    looks = [sys.executable, "-c", "import os; [os.fstat(number) for number in range(3)]"]
    program = (
        f"import sys; sys.path.append({str(SCRIPTS)!r}); import setup; setup.open_what_is_closed(); import subprocess; "
        f"import environment; environment.remove_a_broken_venv = lambda: subprocess.run({looks!r}, check=True); "
        "environment.is_usable = lambda _: True; "
        "environment.read = lambda _: environment.wanted(); sys.argv[1:] = []; sys.exit(setup.main())"
    )
    command = ["sh", "-c", f"{shlex.join([sys.executable, '-I', '-c', program])} {redirections}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert told in done.stderr
    assert bool(done.returncode) is bool(told)


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


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "WARNING: Retrying: NewConnectionError: [Errno -3] Temporary failure in name resolution\n"
            "ERROR: Could not find a version that satisfies the requirement uv (from versions: none)\n"
            "ERROR: No matching distribution found for uv",
            "the network, or the package index (UV_INDEX_URL=https://mirror/simple), can't be reached",
        ),
        (
            "ERROR: Cannot install uv because these package versions have conflicting dependencies.\n"
            "ERROR: ResolutionImpossible: see the documentation",
            "no place where pip and uv are configured to look has such a version",
        ),
        ("error: Failed to fetch\n  Caused by: dns error: failed to lookup address information", "the network, or"),
        (
            "OSError: Could not find a suitable TLS CA certificate bundle, invalid path: /no/such.pem",
            "there is no file of certificates at /no/such.pem; correct that where it is named",
        ),
        ("ProxyError('Cannot connect to proxy.')", "PIP_PROXY=http://other:3128, HTTPS_PROXY=socks5://proxy:1080"),
        (
            "invalid peer certificate: UnknownIssuer",
            "the TLS certificate of the package index is not trusted (SSL_CERT_FILE=/no/such.pem)",
        ),
        (
            "SSLCertVerificationError: certificate verify failed: certificate is not yet valid",
            "this machine's clock says",
        ),
        ("invalid peer certificate: certificate expired: verification time 9 (UNIX)", "this machine's clock says"),
        ("tunnel error: failed to create underlying connection", "HTTPS_PROXY=socks5://proxy:1080"),
        ("ERROR: Could not install: Missing dependencies for SOCKS support.", "HTTPS_PROXY=socks5://proxy:1080"),
        ("HTTP status client error (401 Unauthorized) for url", "the package index refused the login"),
        ("error: failed to write: No space left on device (os error 28)", "no room is left"),
        ("Permission denied (os error 13)", "it may not write there"),
        (
            "your requirements are unsatisfiable.\nhint: Packages were unavailable because the network was disabled.",
            "uv is told to do without the network, and its cache has not all that is needed; unset UV_OFFLINE",
        ),
        (
            "error: Failed to initialize cache at `/proc/x y`\n  cause: No such file or directory (os error 2)",
            "uv can't keep its cache at /proc/x y; name a folder",
        ),
        (
            "Failed to parse environment variable `UV_HTTP_TIMEOUT` with invalid value `abc`: invalid digit",
            "UV_HTTP_TIMEOUT is set to what uv can't use",
        ),
        ("error: invalid value 'bogus' for '--link-mode <LINK_MODE>'", "--link-mode is set to what uv can't use"),
        (
            "Traceback (most recent call last):\n  File 'x.py', line 1\n    ^^\nInvalidURL: Failed to parse: http://a:b",
            "the address of a proxy or of the package index is none (PIP_PROXY=http://other:3128, "
            "HTTPS_PROXY=socks5://proxy:1080, UV_INDEX_URL=https://mirror/simple); correct that",
        ),
        (
            "tcp connect error",
            "the network, or the package index (UV_INDEX_URL=https://mirror/simple), can't be reached",
        ),
    ],
)
def test_each_failure_of_an_installer_has_its_own_reason_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, reason: str
) -> None:
    commands = load("commands")
    environ = {
        "HTTPS_PROXY": "socks5://anna:s3cret@proxy:1080",
        "PIP_PROXY": "http://anna:s3cret@other:3128",
        "SSL_CERT_FILE": "/no/such.pem",
        "UV_INDEX_URL": "https://anna:s3cret@mirror/simple",
    }
    with pytest.raises(commands.SetupError) as caught:
        commands.run([sys.executable, "-c", f"import sys; sys.exit({words!r})"], tmp_path, "uv failed", environ)
    first, *rest = str(caught.value).splitlines()
    is_a_proxy = reason.startswith(("PIP_PROXY", "HTTPS_PROXY"))
    assert first.startswith("uv failed: the proxy did not" if is_a_proxy else f"uv failed: {reason}")
    assert reason in first
    assert "s3cret" not in str(caught.value)
    assert words.splitlines()[-1] in rest[-1]
    assert not any("File" in line for line in rest)


def test_what_an_installer_says_of_a_login_is_not_shown(tmp_path: Path) -> None:
    commands = load("commands")
    with pytest.raises(commands.SetupError) as caught:
        commands.run(
            [sys.executable, "-c", "import sys; sys.exit('from https://anna:s3cret@x/simple')"], tmp_path, "pip"
        )
    assert "https://x/simple" in str(caught.value)


def test_ctrl_c_is_one_line_and_ends_what_was_begun(checkout: ModuleType, tmp_path: Path) -> None:
    """Ctrl-C goes to all that a terminal runs; each program would print a traceback of its own."""
    (tmp_path / "scripts" / "environment.py").write_text(
        "import sys, pathlib\n"
        "from commands import run\n"
        "def main():\n"
        "    code = 'import os, time, pathlib; pathlib.Path(\"pid\").write_text(str(os.getpid())); time.sleep(60)'\n"
        "    run([sys.executable, '-c', code], pathlib.Path.cwd(), 'failed')\n"
    )
    for name in ("setup.py", "commands.py"):
        (tmp_path / "scripts" / name).write_bytes((SCRIPTS / name).read_bytes())
    begun = tmp_path / "pid"
    process = subprocess.Popen(
        [sys.executable, "scripts/setup.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    poll_for(lambda: begun.exists() and begun.read_text())
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=100)
    assert output.strip().splitlines() == ["make setup: interrupted; run it again, and it goes on from here"]
    assert process.returncode == 130
    assert not psutil.pid_exists(int(begun.read_text()))


@pytest.mark.parametrize("program", ["true", "echo", "false", "/missing"])
def test_what_is_no_python_gets_a_sentence(program: str) -> None:
    done = subprocess.run(
        ["make", "setup", f"PYTHON={program}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert f"make setup: {program} does not run what a Python runs; name one" in done.stderr
    assert done.returncode == 2


# ---- files and variables that are meant for other Pythons


def test_setup_imports_its_own_files_and_none_in_the_folder_where_it_starts(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup.py").write_bytes((SCRIPTS / "setup.py").read_bytes())
    (tmp_path / "scripts" / "environment.py").write_text("def main():\n    print('set up')\n")
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("enum", "re", "types", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("1 / 0\n")
    settings = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/no/such/folder", "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "set up\n", "")


def test_no_recipe_of_make_sees_pythons_variables(tmp_path: Path) -> None:
    variables = {"PYTHONPATH": "/a", "PYTHONHOME": "/b", "PYTHONEXECUTABLE": "/c", "PYTHONDONTWRITEBYTECODE": "1"}
    variables["__PYVENV_LAUNCHER__"] = "/d"
    done = subprocess.run(
        ["make", "--file", str(ROOT / "Makefile"), "up", "PYTHON=:", "COMPOSE=env;:"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert {name for name in names if "PY" in name} - {"PYTHON"} == {"PYTHONDONTWRITEBYTECODE"}


def test_what_a_learner_starts_is_isolated(checkout: ModuleType, tmp_path: Path) -> None:
    make_venv_by_hand(checkout)
    kernel = checkout.VENV / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    in_the_cache = tmp_path / "kernel.json"  # uv links what it installs
    in_the_cache.write_text('{"argv": ["python", "-m", "ipykernel_launcher"]}')
    kernel.hardlink_to(in_the_cache)
    (checkout.VENV / "bin" / "workq").write_text("#!/no/such/python\n")
    (checkout.VENV / "bin" / "workq").chmod(0o755)
    for _ in range(2):
        checkout.isolate_what_a_learner_starts()
        assert json.loads(kernel.read_text())["argv"] == ["python", "-c", START, "ipykernel_launcher"]
    assert json.loads(in_the_cache.read_text())["argv"] == ["python", "-m", "ipykernel_launcher"]
    (tmp_path / "enum.py").write_text("1 / 0\n")
    command = [str(checkout.VENV / "bin" / "workq"), "--version"]
    another = {"PYTHONEXECUTABLE": "/no/such/python", "__PYVENV_LAUNCHER__": "/no/such/python"}
    environ = os.environ | another | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    # This .venv is a link without packages, so it gets as far as looking for the course's own.
    assert "No module named" in done.stderr or done.stdout.startswith("workq ")
    assert "enum.py" not in done.stderr
    assert "/no/such/python" not in done.stderr
