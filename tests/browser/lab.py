"""JupyterLab as a person meets it: notebooks in tabs of a browser, their cells, kernels and themes."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil

from tests.browser.server import Server
from tests.conftest import poll_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Error, ViewportSize

__all__ = ["SCREENSHOTS", "Lab", "Notebook", "Tab"]

#: Where pictures go, for people to look at.
SCREENSHOTS = Path(os.environ.get("WORKQ_SCREENSHOTS") or Path(__file__).parents[2] / "build" / "screenshots")

#: How long a run of all cells, and a page or a kernel may take, in seconds; on a busy machine each takes its time.
CELL_SECONDS = 300.0
PAGE_SECONDS = 90.0
KERNEL_SECONDS = 30.0

VIEWPORT: ViewportSize = {"width": 1280, "height": 1300}

_LOCAL = re.compile(r"(data|blob):|about:blank$")

# What every script below needs: the notebook's panel, its kernel, and the cells' outputs.
_HELPERS = """
const panel = () => [...jupyterapp.shell.widgets("main")].find(
    widget => widget.context && widget.context.path === path);
const session = () => panel().context.sessionContext;
const outputs = index => panel().content.model.cells.get(index).outputs?.toJSON() ?? [];
"""


# Ends what JupyterLab asks or tells meanwhile, and starts a kernel where there is none. All at once: a dialog that is
# looked for first and pressed afterwards may be gone by then, and not every dialog has a button to accept it.
_ASK_AGAIN = """() => {
    for (const dialog of document.querySelectorAll(".jp-Dialog")) {
        [...dialog.querySelectorAll("button.jp-Dialog-button")].at(-1)?.click();
    }
    if (!session().session) session().changeKernel({name: 'python3'}).catch(() => null);
}"""

#: JupyterLab's own, where a notebook is closed before its kernel has answered.
_CANCELED = "Canceled future for "
#: What one of its questions to the server ends with, or a part of JupyterLab itself, where Chromium has dropped it.
_NOT_FETCHED = re.compile(r"Failed to fetch|Loading chunk \S+ failed")


class Tab:
    """A tab of a browser, which notes whatever must not happen in it.

    Args:
        browser: The browser.
        server: The JupyterLab that it may talk to, and nobody else.
        workspace: The name of JupyterLab's workspace, which remembers what is open.
        **options: Of Playwright's `new_context`.
    """

    def __init__(self, browser: Browser, server: Server, workspace: str, **options: Any) -> None:
        self.workspace = workspace
        #: What must not happen, in words: foreign requests, uncaught errors, dialogs of the browser.
        self.faults: list[str] = []
        #: What the page wrote to its console.
        self.console: list[str] = []
        self._dropped: list[str] = []
        self._server = server
        self._context = browser.new_context(**{"viewport": VIEWPORT} | options)
        self._context.set_default_timeout(PAGE_SECONDS * 1000)
        self._context.on("request", lambda request: self._look_at(request.url))
        self.page = self._context.new_page()
        self.page.on("websocket", lambda socket: self._look_at(socket.url.replace("ws://", "http://", 1)))
        self.page.on("pageerror", self._uncaught)
        self.page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        self.page.on("crash", lambda _: self._fault("the page crashed"))
        self.page.on("requestfailed", lambda request: self._dropped.append(f"{request.failure}: {request.url}"))
        self.page.on("dialog", self._answer)
        # Chromium drops what it is loading whenever a network interface comes or goes, as with each container
        # that starts; JupyterLab tells of it and tries again.
        self.page.add_locator_handler(
            self.page.locator(".jp-Dialog", has_text="Server Connection Error"),
            lambda dialog: dialog.get_by_role("button", name="Close").click(),
        )

    def _uncaught(self, error: Error) -> None:
        if _NOT_FETCHED.match(error.message) and self._was_dropped():
            return
        if not error.message.startswith(_CANCELED):
            self._fault(f"uncaught error in the page: {error}")

    def goto(self, path: str = "") -> None:
        """Load JupyterLab afresh, with a notebook if one is named."""
        where = f"lab/workspaces/{self.workspace}" + (f"/tree/{path}" if path else "")
        poll_for(lambda: self._loaded(self._server.url(where)), 2 * PAGE_SECONDS)

    def _loaded(self, url: str) -> bool:
        """Load JupyterLab, and return whether all of it has come.

        Chromium drops whatever it is loading where a network interface comes or goes, as with each new container.
        """
        from playwright.sync_api import Error

        self._dropped.clear()
        try:
            self.page.goto(url)
            self.page.wait_for_function("() => window.jupyterapp")
            self.page.evaluate("async () => { await jupyterapp.restored; jupyterapp.shell.collapseLeft(); }")
        except Error as error:
            self._dropped.append(str(error))
            if not self._was_dropped():
                raise
        return not self._was_dropped()

    def _was_dropped(self) -> bool:
        return any("ERR_NETWORK_CHANGED" in each for each in self._dropped)

    def clear(self) -> None:
        """Leave JupyterLab as a test wants to find it: nothing open, nothing noted, the light theme."""
        if self.page.locator(".jp-Dialog").count():
            self.goto()
        self.page.evaluate(
            """async () => {
                for (const widget of [...jupyterapp.shell.widgets("main")]) widget.dispose();
                await jupyterapp.commands.execute("apputils:change-theme", {theme: "JupyterLab Light"});
            }"""
        )
        self.page.emulate_media(reduced_motion="no-preference", forced_colors="none", color_scheme="light")
        self.page.set_viewport_size(VIEWPORT)
        self.faults.clear()
        self.console.clear()

    def close(self) -> None:
        self._context.close()

    def _fault(self, text: str) -> None:
        self.faults.append(text)
        self.console.append(text)

    def _look_at(self, url: str) -> None:
        if not url.startswith(f"{self._server.address}/") and not _LOCAL.match(url):
            self._fault(f"a request to {url[:200]}")

    def _answer(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
            return
        self._fault(f"the browser showed a dialog: {dialog.type} {dialog.message!r}")
        dialog.dismiss()


class Lab:
    """One test's JupyterLab.

    Args:
        server: The JupyterLab, shared by all tests.
        browser: The browser.
        tab: A tab where JupyterLab is loaded already, which takes longer than most tests.
        name: Names files and pictures.
    """

    def __init__(self, server: Server, browser: Browser, tab: Tab, name: str) -> None:
        self.server = server
        self.name = name
        self._browser = browser
        self._tolerated: list[str] = []
        self._tabs = [tab]
        self._opened = False

    # -- notebooks

    def write(self, cells: Sequence[str]) -> str:
        """Write a notebook with these code cells, and return its path below the server's root."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source, id=f"cell-{index}") for index, source in enumerate(cells)],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
        )
        path = f"{self.name}.ipynb"
        self.server.write(path, nbformat.writes(notebook))
        return path

    def copy(self, source: Path) -> str:
        """Copy a notebook of the course, with what lies beside it, below the root, and return its path there."""
        shutil.copy(source, self.server.root / source.name)
        for beside in ("programs", "pictures"):
            shutil.copytree(source.parent / beside, self.server.root / beside, dirs_exist_ok=True)
        return source.name

    def open(self, path: str, **options: Any) -> Notebook:
        """Open a notebook: the first in the tab that is there, each other one as a second person would.

        Args:
            path: Its path below the server's root.
            **options: Of the second person's `Tab`.
        """
        if self._opened:
            tab = Tab(self._browser, self.server, f"{self.name}-{len(self._tabs)}", **options)
            self._tabs.append(tab)
            notebook = Notebook(self.server, tab, path)
            notebook.load()
        else:
            self._opened = True
            notebook = Notebook(self.server, self._tabs[0], path)
            notebook.reopen()
        return notebook

    # -- what must not happen

    def tolerate(self, pattern: str) -> None:
        """Let a fault pass that the test brings about itself."""
        self._tolerated.append(pattern)

    def faults(self) -> list[str]:
        """Return what happened that must not, but for what the test brought about."""
        every = [fault for tab in self._tabs for fault in tab.faults]
        return [fault for fault in every if not any(re.search(known, fault) for known in self._tolerated)]

    # -- the end

    def keep_evidence(self) -> None:
        """Keep pictures of every tab, and what the pages wrote."""
        folder = SCREENSHOTS / "failed"
        folder.mkdir(parents=True, exist_ok=True)
        for number, tab in enumerate(self._tabs):
            # A page that hangs or crashed has no picture to give.
            with contextlib.suppress(Exception):
                (folder / f"{self.name}-{number}.png").write_bytes(tab.page.screenshot(timeout=5000))
            (folder / f"{self.name}-{number}.console.txt").write_text("\n".join(tab.console))

    def close(self) -> None:
        """Close every notebook and end every kernel."""
        for tab in self._tabs[1:]:
            tab.close()
        self._tabs[0].clear()
        self.server.end_kernels()


class Notebook:
    """A notebook open in a tab.

    Args:
        server: The JupyterLab it is in.
        tab: The tab.
        path: The notebook's path below the server's root.
    """

    def __init__(self, server: Server, tab: Tab, path: str) -> None:
        self.server = server
        self.page = tab.page
        self.path = path
        self._tab = tab

    # -- the page

    def load(self) -> None:
        """Load its page, as the browser's reload button does."""
        self._tab.goto(self.path)
        self.wait_until_open()

    def wait_until_open(self) -> None:
        """Wait until JupyterLab shows the notebook and has heard from its kernel."""
        self.page.wait_for_function(
            "path => jupyterapp.shell.currentWidget?.context?.path === path"
            " && jupyterapp.shell.currentWidget.context.isReady",
            arg=self.path,
        )
        self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook").wait_for()
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Wait until the kernel answers; ask for one again where the request for it came to nothing."""
        poll_for(self._hears_from_kernel, CELL_SECONDS)

    def _hears_from_kernel(self) -> bool:
        heard = bool(
            self.script(
                """seconds => Promise.race([
                    session().ready.then(() => session().session.kernel.info).then(() => true, () => false),
                    new Promise(resolve => setTimeout(resolve, 1000 * seconds, false)),
                ])""",
                KERNEL_SECONDS,
            )
        )
        if not heard:
            self.script(_ASK_AGAIN)
        return heard

    def save(self) -> None:
        """Save it."""
        self.command("docmanager:save")

    def close(self) -> None:
        """Save it and close its tab in JupyterLab; the kernel goes on."""
        self.save()
        panels = self.page.locator(".jp-NotebookPanel")
        others = panels.count() - 1  # JupyterLab may have brought back what an earlier test had open
        self.command("application:close")
        panels.nth(others).wait_for(state="detached")

    def reopen(self) -> None:
        """Open it in the JupyterLab that the tab shows."""
        self.command("docmanager:open", path=self.path)
        self.wait_until_open()

    def set_theme(self, theme: str) -> None:
        """Change JupyterLab's theme: ``"light"`` or ``"dark"``."""
        self.command("apputils:change-theme", theme=f"JupyterLab {theme.title()}")
        self.page.locator(f"body[data-jp-theme-light='{str(theme == 'light').lower()}']").wait_for(state="attached")

    def dismiss(self) -> None:
        """Close JupyterLab's dialog, such as the one that tells of a dead kernel."""
        dialog = self.page.locator(".jp-Dialog")
        dialog.locator("button.jp-mod-accept").last.click()
        dialog.wait_for(state="detached")

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.page.set_viewport_size({"width": width, "height": height})

    def screenshot(self, name: str) -> None:
        """Keep a picture of the page, for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        # Playwright would write the file in a thread of its own, which stays.
        (SCREENSHOTS / f"{name}.png").write_bytes(self.page.screenshot())

    # -- cells

    def run_all(self) -> None:
        """Run every cell and wait until the last is done."""
        self._run("notebook:run-all-cells")

    def run(self, index: int) -> None:
        """Run one cell and wait until it is done."""
        self.select(index)
        self._run("notebook:run-cell")

    def begin(self, index: int) -> None:
        """Run one cell and don't wait for it."""
        self.select(index)
        self._begin("notebook:run-cell")

    def queue(self, source: str) -> None:
        """Have a program run as the next cell, after the one that runs."""
        self.script("code => { session().session.kernel.requestExecute({code}); }", source)

    def runs(self, index: int) -> bool:
        """Whether a cell runs at this moment."""
        return bool(self.script("index => panel().content.model.cells.get(index).executionState === 'running'", index))

    def wait_until_done(self) -> None:
        """Wait until the cells that were begun are done."""
        self.page.wait_for_function("() => window.ranCells", timeout=CELL_SECONDS * 1000)

    def select(self, index: int) -> None:
        """Make a cell the active one."""
        self.script("index => { panel().content.activeCellIndex = index; }", index)

    def show(self, index: int) -> None:
        """Scroll to a cell."""
        self.script("async index => { await panel().content.scrollToItem(index, 'start'); }", index)

    def set_source(self, index: int, source: str) -> None:
        """Put a program into a cell."""
        self.script("([at, text]) => panel().content.model.cells.get(at).sharedModel.setSource(text)", [index, source])

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return what a cell showed, as the notebook holds it."""
        found: list[dict[str, Any]] = self.script("index => outputs(index)", index)
        return found

    def errors(self) -> list[str]:
        """Return every error that a cell ended with."""
        found: list[str] = self.script(
            "() => [...panel().content.model.cells].flatMap((_, index) => outputs(index))"
            ".filter(output => output.output_type === 'error').map(output => `${output.ename}: ${output.evalue}`)"
        )
        return found

    def counts(self) -> list[int | None]:
        """Return the execution count of every code cell that holds something."""
        found: list[int | None] = self.script(
            "() => [...panel().content.model.cells]"
            ".filter(cell => cell.type === 'code' && cell.sharedModel.getSource().trim())"
            ".map(cell => cell.executionCount)"
        )
        return found

    def _run(self, command: str) -> None:
        self._begin(command)
        self.wait_until_done()

    def _begin(self, command: str) -> None:
        self.script(
            "command => { window.ranCells = false; "
            "jupyterapp.commands.execute(command).then(() => { window.ranCells = true; }); }",
            command,
        )

    # -- the kernel

    def evaluate(self, expression: str) -> Any:
        """Return what a Python expression is in the kernel; the notebook doesn't change by it.

        The answer must be something that JSON can carry.
        """
        answer: dict[str, Any] = self.script(
            """async code => {
                const future = session().session.kernel.requestExecute(
                    {code: '', silent: true, store_history: false, user_expressions: {value: code}});
                const reply = await future.done;
                return reply.content.user_expressions?.value ?? reply.content;
            }""",
            f"__import__('json').dumps({expression})",
        )
        assert answer["status"] == "ok", f"{expression} raised {answer.get('ename')}: {answer.get('evalue')}"
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    @property
    def kernel(self) -> str:
        """The id of its kernel."""
        return self.server.kernel_of(self.path)

    def kernel_process(self) -> psutil.Process:
        """Return its kernel's process."""
        return self.server.process_of(self.kernel)

    def restart_kernel(self) -> None:
        """Restart the kernel as JupyterLab's button does, and wait until it answers again."""
        self.script("async () => { await session().restartKernel(); }")
        self.wait_for_kernel()

    # -- scripts

    def command(self, name: str, **arguments: Any) -> None:
        """Run one of JupyterLab's commands."""
        self.page.evaluate(
            "([name, args]) => jupyterapp.commands.execute(name, args).then(() => null)", [name, arguments]
        )

    def script(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function in the page, with `panel`, `session` and `outputs` at hand."""
        body = f"([path, argument]) => {{ {_HELPERS} return ({function})(argument); }}"
        return self.page.evaluate(body, [self.path, argument])
