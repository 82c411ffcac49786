"""Binder: the course in a container made like Binder's, met through a base URL."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from scripts.index_settings import for_uv
from tests.anywhere.docker import ROOT, Container, docker, put_course_into, running
from tests.anywhere.jupyter import ContainedServer
from tests.browser.lab import SCREENSHOTS, Lab, Tab
from tests.browser.stage import open_stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BASE_URL = "/user/someone/"
JOVYAN = "1000"
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
LESSONS_SECONDS = 1200.0

#: Nothing may be gained at run time either, by whichever program.
POWERLESS = ("--cap-drop=ALL", "--security-opt=no-new-privileges")

TWO_WORKERS = 'workers = lesson.start_workers(2, callback, queue="hello", prefetch_count=1)\n'


@pytest.fixture(scope="module")
def built(image: str) -> Iterator[str]:
    """The image that Binder would have at the end: with the course in it, and after ``postBuild``."""
    name = f"workq-binder:{os.getpid()}"
    with running(image, options=["--init"]) as container:
        put_course_into(container)
        container.run("binder/postBuild")
        docker("commit", container.name, name)
    yield name
    docker("image", "rm", name)


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def binder(built: str, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """JupyterLab as BinderHub starts it."""
    secret = tmp_path_factory.mktemp("binder") / "environment"
    secret.write_text(f"JUPYTER_TOKEN={token}\n")
    options = ["--init", "--publish=127.0.0.1::8888", f"--env-file={secret}", *POWERLESS]
    options += [f"--user={JOVYAN}", "--entrypoint=/home/jovyan/binder/start"]
    # BinderHub's command, but for its own names of things; the browser tests need the last of the options.
    command = ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", f"--ServerApp.base_url={BASE_URL}"]
    with running(built, *command, "--LabApp.expose_app_in_browser=True", options=options) as container:
        yield container


@pytest.fixture(scope="module")
def server(binder: Container, token: str) -> ContainedServer:
    found = ContainedServer(f"http://127.0.0.1:{binder.port(8888)}{BASE_URL.rstrip('/')}", token)
    found.wait_until_ready()
    return found


def test_repo2docker_makes_a_plan_of_the_folder(tmp_path: Path) -> None:
    uvx = [str(Path(sys.executable).with_name("uv")), "tool", "run", "--quiet"]
    planned = subprocess.run(
        [*uvx, "--from=jupyter-repo2docker", "jupyter-repo2docker", "--no-build", "--debug", str(ROOT)],
        cwd=tmp_path,
        env=for_uv(os.environ, tmp_path / "uv.toml"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert planned.returncode == 0, planned.stdout[-4000:]
    steps = [
        r"conda environment for python=3\.1[2-9]",
        r"apt-get install .*\brabbitmq-server\b",
        r"COPY .* src/ \$\{REPO_DIR\}",
        r'pip install .*-r "binder/requirements\.txt"',
        r"RUN \./binder/postBuild",
        r'ENV R2D_ENTRYPOINT="\$\{REPO_DIR\}/binder/start"',
    ]
    found = [re.search(step, planned.stdout) for step in steps]
    assert None not in found, planned.stdout
    places = [match.start() for match in found if match]
    assert places == sorted(places)


def test_there_is_neither_root_nor_docker(binder: Container, server: ContainedServer) -> None:
    assert server.ask("GET", "status")["kernels"] == 0
    assert binder.run("id", "--name", "--user") == "jovyan"
    assert binder.user_ids() == {JOVYAN}
    assert binder.run("sh", "-c", "command -v docker sudo; ls -d /run/docker.sock 2>/dev/null || echo none") == "none"


def test_jupyterlab_opens_the_first_lesson_with_the_stage_beside_it(browser: Browser, server: ContainedServer) -> None:
    tab = Tab(browser, server, "default")
    page = tab.page
    page.goto(server.url("lab"))
    page.locator(".jp-NotebookPanel .jp-Notebook").wait_for()
    expect(page.locator(".jp-Terminal")).to_have_count(2)
    expect(page.locator("#workq-stage-panel")).to_contain_text("press Shift+Enter")
    expect(page.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)
    lesson = page.evaluate("() => jupyterapp.shell.currentWidget.context.path")
    assert lesson == "notebooks/00_start_here.ipynb"
    notebook, panel = (page.locator(where).bounding_box() for where in (".jp-NotebookPanel", "#workq-stage-panel"))
    assert notebook is not None
    assert panel is not None
    assert panel["x"] >= notebook["x"] + notebook["width"] - 1
    assert {terminal["name"] for terminal in server.ask("GET", "terminals")} == {"1", "2"}
    (SCREENSHOTS / "binder-opened.png").parent.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "binder-opened.png").write_bytes(page.screenshot())
    assert tab.faults == []
    tab.close()


def test_the_stage_is_alive_behind_the_base_url(lab: Lab, binder: Container) -> None:
    stage = open_stage(lab, seconds_per_dot=0.25, before_stage=TWO_WORKERS)
    assert "private node (installed)" in stage.notebook.evaluate("lesson.broker.describe()")
    stage.record()
    stage.send("Long task" + 20 * ".")
    expect(stage.worker("worker-1").locator(".workq-message[data-place='working']")).to_contain_text("Long task")
    stage.press("kill", "worker-1")
    redelivered = stage.worker("worker-2").locator(".workq-message[data-place='working']", has_text="Long task")
    expect(redelivered.get_by_text("redelivered")).to_be_visible()
    stage.screenshot("binder-stage")
    expect(stage.message("Long task", "done")).to_be_visible()
    stage.expect_counts(ready=0, unacknowledged=0)
    assert binder.user_ids() == {JOVYAN}


def test_rabbitmq_is_restarted_from_the_stage(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.record()
    stage.press("restart")
    expect(stage.broker).to_have_attribute("data-state", "down")
    expect(stage.broker).to_have_attribute("data-state", "up")


def _parameters(item: pytest.Item) -> dict[str, str]:
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.fixture(scope="module")
def lessons_said(binder: Container, server: ContainedServer, request: pytest.FixtureRequest) -> str:
    """What pytest says inside of the lessons that are asked for; what failed is asked for once more alone."""
    asked = [_parameters(item)["lesson"] for item in request.session.items if "lesson" in _parameters(item)]
    assert server.ask("GET", "kernels") == []
    tests = ["python", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rpfE", "tests/notebooks/output_filters.cfg"]
    start = ["env", "CI=true", "/home/jovyan/binder/start", *tests, "-k", " or ".join(asked)]
    unless_a_test_failed = ["sh", "-c", '"$@" || test $? = 1', "sh"]
    return binder.run(*unless_a_test_failed, *start, timeout=LESSONS_SECONDS)


@pytest.mark.timeout(LESSONS_SECONDS)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_inside(lesson: str, lessons_said: str, binder: Container) -> None:
    ended = re.findall(rf"^([A-Z]+) notebooks/{lesson}\.ipynb::", lessons_said, re.MULTILINE)
    assert set(ended) == {"PASSED"}, lessons_said
    assert len(ended) >= int(binder.run("grep", "-c", '"cell_type": "code"', f"notebooks/{lesson}.ipynb"))
    assert binder.user_ids() == {JOVYAN}
