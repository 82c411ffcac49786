"""Files with the name of a module, in PYTHONPATH or beside a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import workq_helpers
from workq_helpers.cli import doctor as examined
from workq_helpers.impostors import INSTALLED, find_impostors

pytestmark = pytest.mark.pinned  # of the course alone

#: Where IPython puts the folder of the notebook.
IPYTHON = "import os, sys; sys.path.insert([os.path.basename(each) for each in sys.path].index('site-packages'), '')"
LESSON = "import os; from workq_helpers import Lesson, work; print('imported')"


def run(code: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return python("-c", code, folder=folder, **environ)


def python(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_there_is_none_here() -> None:
    assert find_impostors() == []


@pytest.mark.parametrize("beside", [True, False], ids=["beside", "PYTHONPATH"])
@pytest.mark.parametrize("name", ["pika.py", "pandas/__init__.py", "secrets.py"])
def test_a_file_in_the_place_of_a_module_is_named(tmp_path: Path, name: str, beside: bool) -> None:
    folder = tmp_path / "mine"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("x = 1\n")
    done = run(LESSON, folder, PYTHONPATH="") if beside else run(LESSON, tmp_path, PYTHONPATH=str(folder))
    assert done.returncode == 1
    shown = done.stderr.splitlines()[-1]
    assert shown.startswith("workq_helpers.errors.ImpostorError: `import ")
    assert str(folder / name.partition("/")[0]) in shown
    assert "Rename that file" in shown


@pytest.mark.parametrize("name", ["pika.py", "pandas/__init__.py"])
def test_a_file_beside_a_notebook_is_named_where_ipython_looks_for_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "json.py").write_text("1 / 0\n")  # no kernel finds it
    done = python("-P", "-c", f"{IPYTHON}; {LESSON}", folder=tmp_path, PYTHONPATH="")
    assert done.returncode == 1
    named = name.partition("/")[0]
    assert f"`import {named.partition('.')[0]}` finds {tmp_path / named} and" in done.stderr.splitlines()[-1]
    found = examined._impostors(tmp_path)
    assert (found.verdict, str(tmp_path / named) in found.found) == ("bad", True)


def test_a_file_beside_a_notebook_with_a_name_of_pythons_own_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("1 / 0\n")
    assert python("-P", "-c", f"{IPYTHON}; {LESSON}", folder=tmp_path, PYTHONPATH="").stdout == "imported\n"
    assert examined._impostors(tmp_path).verdict == "ok"


def test_what_hides_the_courses_own_package_is_seen_and_that_itself_is_not(tmp_path: Path) -> None:
    (tmp_path / "workq_helpers.py").touch()
    assert examined._impostors(tmp_path).found.startswith("`import workq_helpers` finds ")
    assert find_impostors(path=[str(Path(workq_helpers.__file__).parents[1])]) == []


def test_a_file_of_another_name_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("raise SystemExit\n")
    (tmp_path / "turtle.py").write_text("a stdlib module that nobody here needs\n")
    (tmp_path / "pika").mkdir()  # no package, so the real one is found
    assert run(LESSON, tmp_path).stdout == "imported\n"


def test_the_command_names_it_too(tmp_path: Path) -> None:
    (tmp_path / "click.py").touch()
    command = "from workq_helpers.cli.command import main; main()"
    done = run(command, Path("/"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: `import click` finds {tmp_path}/click.py")


@pytest.mark.parametrize("text", ["x = 1\n", "1 / 0\n"], ids=["lacks something", "fails"])
def test_the_command_names_what_it_imports_later(tmp_path: Path, text: str) -> None:
    (tmp_path / "selectors.py").write_text(text)
    done = python(
        *("-c", "from workq_helpers.cli.command import main; main()", "doctor"),
        folder=Path("/"),
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: `import selectors` finds {tmp_path}/selectors.py")
    assert "Traceback" not in done.stderr


def test_what_the_course_installs_is_what_is_looked_for() -> None:
    for name in INSTALLED:
        assert __import__(name)


#: The script that an installer makes of the command `workq`.
SCRIPT = "import sys\nfrom workq_helpers.cli.command import main\nsys.exit(main())\n"


@pytest.mark.parametrize("text", ["x = 1\n", "1 / 0\n"], ids=["lacks something", "fails"])
@pytest.mark.parametrize("name", ["__future__", "enum", "heapq", "re", "signal", "threading", "types", "typing"])
def test_the_command_names_what_is_imported_before_anything_of_the_course(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"{name}.py").write_text(text)
    script = tmp_path / "bin" / "workq"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    done = python(str(script), "--version", folder=Path("/"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: `import {name}` finds {tmp_path}/{name}.py")


def test_the_checkouts_command_and_what_it_starts_do_without_pythons_variables(tmp_path: Path) -> None:
    for name in ("enum", "pika", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("1 / 0\n")
    settings = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/no/such/folder",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "PYTHONINSPECT": "1",
        "PYTHONUTF8": "0",
        "PYTHONMALLOC": "debug",
        "PYTHONDEVMODE": "1",
        "PYTHONSTARTUP": str(tmp_path / "enum.py"),
        "PYTHONIOENCODING": "ascii",
    }
    started = "import os, sys; from workq_helpers.cli.python_settings import *; pass_on_nothing_that_is_ignored(); "
    told = f"{started}print(sorted(PYTHON_SETTINGS), [name for name in os.environ if name.startswith('PYTHON')])"
    for command in (["-m", "workq_helpers.cli.command", "--version"], ["-c", told]):
        done = subprocess.run(
            [sys.executable, "-I", *command],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"} | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("workq 0") or done.stdout == f"{sorted(settings)} ['PYTHONUNBUFFERED']\n"


def test_what_is_imported_first_of_a_folder_is_found_by_path(tmp_path: Path) -> None:
    (tmp_path / "enum.py").touch()
    assert find_impostors(path=[str(tmp_path)]) == [str(tmp_path / "enum.py")]
    assert find_impostors(path=[str(Path(os.__file__).parent), str(tmp_path)]) == []
