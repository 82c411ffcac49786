"""Runs the parts of the gate, or of the night, three at a time, and says what became of each.

    parts.py gate       what must hold before a change lands
    parts.py nightly    everything, with every version

``.ci/run`` starts it, on a machine that has what they need. The last lines are a line for each part and a table; the
same goes to ``build/ci.json``, with the slowest tests. A part begins when those that it needs have ended well. Where a
few tests of it fail they are run once more: those that pass then are named, to be looked into.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import report

#: In seconds. What hangs must not cost the others their time, and all of it must not cost the summary.
PART_LIMIT = {"gate": 3000, "nightly": 10_000}
WHOLE_LIMIT = {"gate": 4900, "nightly": 30_000}  # CI is ended after 5400
STOP_LIMIT = 45  # for pytest to report what it had, once it is told to stop
SAID = 10  # lines of a part that failed, in the summary
#: Tests wait more than they compute: three parts at a time, and in each two workers, keep two processors busy.
SLOTS = 3
WORKERS = 2

ROOT = Path(__file__).resolve().parents[1]
WORK = Path(os.environ.get("CI_WORK", "/nonexistent"))  # a folder of this run alone
SCREENSHOTS = ROOT / "build" / "screenshots"  # of the browser tests, a folder for each part; they stay

NOTHING_LEFT = "timeout 60 bash -c 'until {0} >/dev/null; do sleep 1; done' || {0}"  # a minute after the last test
TIDY = "tests/notebooks/test_notebooks_are_tidy.py"  # all of that folder that is about text; the others are cells
FOLDERS = "tests/notebooks tests/broker tests/security tests/chaos tests/unit"  # the quick ones fill what is left over

#: What a part runs of the tests, as pytest's -m has it; tests/conftest.py and pyproject.toml say what the marks mean.
ALL = "not text and not alone"
ONCE = "not text and not alone and not nightly"
DOCKER = f"{ONCE} and (root or not machine)"  # the ordinary user has the others
LOWEST = "(dependencies or rabbitmq or lessons or smoke) and not nightly and not pinned"
#: RabbitMQ 4.0 stands between those of the other parts: the gate runs the lessons on it, the night everything.
USER = "(dependencies or lessons or machine or smoke) and not nightly and not pinned and not root"


class Part(NamedTuple):
    """Something to be done.

    Args:
        name: What the summary calls it.
        command: For bash; ``$OPTIONS`` are pytest's.
        needs: The parts before it, by name.
        marks: Which tests it runs, if it runs any.
        workers: How many tests at a time.
        environ: What it is told besides.
    """

    name: str
    command: str
    needs: tuple[str, ...] = ()
    marks: str | None = None
    workers: int = WORKERS
    environ: dict[str, str] = {}  # noqa: RUF012 - nobody changes it

    @property
    def folder(self) -> Path:
        """Where it keeps what it needs and what it says."""
        return WORK / self.name.replace(" ", "-")


class Ended(NamedTuple):
    """What became of a part."""

    part: Part
    began: float
    seconds: float
    good: bool
    lines: list[str]
    again: list[str]


# ---- what there is to be done -----------------------------------------------------------------------------------


def image(version: str) -> Part:
    """Return the building of an image of RabbitMQ."""
    return Part(f"image of RabbitMQ {version}", f".ci/images {version}")


def in_docker(version: str, name: str, command: str, **options: Any) -> Part:
    """Return a part on a RabbitMQ in a container."""
    options["needs"] = ("make setup", f"image of RabbitMQ {version}", *options.get("needs", ()))
    environ = {"WORKQ_BROKER": "docker", "WORKQ_RABBITMQ_IMAGE": f"workq-rabbitmq:{version}"}
    return Part(name, command, environ=environ | options.pop("environ", {}), **options)


def tests(folders: str) -> str:
    """Return the command that runs tests."""
    return f'make test TESTS="{folders}" TEST_ARGS="$OPTIONS"'


def copy(name: str, versions: str) -> Part:
    """Return the making of a checkout with other versions of what the course needs."""
    packed = "git -c safe.directory=$PWD ls-files -z | tar --null --files-from=- -c"
    made = f"mkdir -p {WORK}/{name}/checkout && {packed} | tar -x -C {WORK}/{name}/checkout"
    return Part(f"{name}'s make setup", f"{made} && make -C {WORK}/{name}/checkout setup", environ=at(versions))


def at(versions: str) -> dict[str, str]:
    """Return what asks for some versions of what the course needs."""
    return {"WORKQ_VERSIONS": versions}


def in_copy(version: str, versions: str, folders: str, marks: str) -> list[Part]:
    """Return the parts of a RabbitMQ with other versions of what the course needs."""
    name = f"docker-{version}"
    setup = copy(name, versions)
    run = f"cd {WORK}/{name}/checkout && {tests(folders)}"
    return [
        image(version),
        setup,
        in_docker(version, name, run, needs=(setup.name,), marks=marks, environ=at(versions)),
    ]


def users(folders: str, marks: str) -> list[Part]:
    """Return the parts of an ordinary user of Debian 13: RabbitMQ 4.0, unpacked without root."""
    name, told = "node", {"WORKQ_BROKER": "node", "WORKQ_SCREENSHOTS": str(SCREENSHOTS / "node"), **at("newest")}
    told["LEARNER_SETTINGS"] = " ".join(told)
    machine, setup = "an ordinary user of Debian 13", "the user's make setup"
    return [
        Part(machine, f".ci/learner start {WORK}/{name} {SCREENSHOTS}/{name}"),
        Part(setup, ".ci/learner run make setup", needs=(machine,), environ=told),
        Part(name, f".ci/learner run {tests(folders)}", needs=(setup,), marks=marks, environ=told),
    ]


def before() -> list[Part]:
    """Return what the others need, and what needs no RabbitMQ meanwhile."""
    ready = ("make setup", "tools of the stage")
    return [
        Part("make setup", "make setup"),
        image("4.3"),
        Part("tools of the stage", "make node_modules/.package-lock.json"),  # at once: two parts want them
        Part("make lint", "make lint", needs=ready),
        # One process: each reads all tests before it runs its share, which takes as long as half of these.
        Part("text", tests(f"tests/unit {TIDY}"), needs=ready, marks="text", workers=0),
    ]


def anywhere(marks: str) -> list[Part]:
    """Return the parts of the other ways in: Binder, and at night Compose, Colab, brokers of others."""
    binder = Part("image of Binder", ".ci/course_image")  # it takes longer than a test may
    needs = (binder.name,)
    return [binder, in_docker("4.3", "anywhere", tests("tests/anywhere"), needs=needs, marks=marks)]


def gate() -> list[Part]:
    """Return the parts of the gate: each test where it can fail; the long ones first."""
    binder, *elsewhere = anywhere(ONCE)
    return [
        *before(),
        binder,  # what needs it waits more than it computes, one lesson after the other: it must not be the last
        in_docker("4.3", "browser", tests("tests/browser"), needs=("tools of the stage",), marks=ONCE),
        in_docker("4.3", "docker-4.3", tests(FOLDERS), marks=DOCKER),
        *elsewhere,
        *in_copy("3.10", "lowest", f"{FOLDERS} tests/browser", LOWEST),
        *users(f"{FOLDERS} tests/browser", USER),
        in_docker("4.3", "endurance", tests("tests/endurance"), marks=ONCE),
        in_docker("4.3", "chaos", ".ci/campaign 25"),
    ]


def nightly() -> list[Part]:
    """Return the parts of the night: every test with every version, and what takes long."""
    return [
        *before(),
        in_docker("4.3", "docker-4.3", tests(FOLDERS), marks=ALL),
        *users(f"{FOLDERS} tests/browser", f"{ALL} and not once and not root"),
        in_docker("4.3", "browser", tests("tests/browser"), needs=("tools of the stage",), marks=ALL),
        *anywhere(ALL),
        *in_copy("3.10", "lowest", f"{FOLDERS} tests/browser", f"{ALL} and not once"),
        *in_copy("4.0", "newest", f"{FOLDERS} tests/browser", f"{ALL} and not once"),
        in_docker("4.3", "endurance", tests("tests/endurance"), marks=ALL),
        in_docker("4.3", "chaos", ".ci/campaign 200"),
    ]


PARTS = {"gate": gate, "nightly": nightly}


def after(kind: str, parts: list[Part]) -> list[Part]:
    """Return what wants the machine for itself, at night alone, and a look at what is left."""
    alone = []
    if kind == "nightly":
        alone.append(in_docker("4.3", "alone", tests("tests/browser"), marks="alone", workers=0))
        alone.append(in_docker("4.3", "make endurance", "make endurance MINUTES=30 KERNELS=100"))
    left = [("nothing left behind", NOTHING_LEFT.format(".ci/leftovers"))]
    for part in parts:
        if (checkout := f"{part.folder}/checkout") in part.command:
            left.append((f"nothing left of {part.name}", NOTHING_LEFT.format(f"{checkout}/.ci/leftovers")))
    left.append(("nothing left of the user", NOTHING_LEFT.format(".ci/learner left")))
    return [*alone, *(Part(name, command) for name, command in left)]


# ---- how it is done ---------------------------------------------------------------------------------------------


class Run:
    """One run of many parts.

    Args:
        kind: The gate, or the night.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.ended: list[Ended] = []
        self._began = time.monotonic()
        self._processors = processor_times()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._futures: dict[str, Future[bool]] = {}
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    @property
    def busy(self) -> float:
        """How much of the processors' time was used so far, by whatever ran on this machine, from 0 to 1."""
        busy, all_of_it = (now - then for now, then in zip(processor_times(), self._processors, strict=True))
        return busy / all_of_it if all_of_it else 0.0

    @property
    def good(self) -> bool:
        """Whether everything that has run was good."""
        return all(ended.good for ended in self.ended)

    def do(self, parts: list[Part], slots: int) -> None:
        """Run parts, so many at a time, and return when the last has ended."""
        with ThreadPoolExecutor(slots) as pool:
            try:
                for part in parts:
                    self._futures[part.name] = pool.submit(self._do, part)
                for part in parts:
                    self._futures[part.name].result()
            except BaseException:
                self._stop()
                raise

    def _do(self, part: Part) -> bool:
        missing = [name for name in part.needs if name in self._futures and not self._futures[name].result()]
        began = self.seconds
        if missing:
            ended = Ended(part, began, 0, False, [f"FAIL  {part.name}: not begun, as {missing[0]} failed"], [])
        else:
            self._say([f"== {part.name}"])
            part.folder.mkdir(exist_ok=True)
            step = self._step(part) if part.marks is None else self._tests(part)
            ended = step._replace(began=began)
        with self._lock:
            self.ended.append(ended)
        self._say(ended.lines)
        return ended.good

    def _step(self, part: Part) -> Ended:
        status, log, seconds = self._call(part)
        if status:
            self._show(part, log)
        notes = part.folder / "notes"
        again = notes.read_text().splitlines() if notes.exists() else []
        if status:
            said = [f"        {line}" for line in log.splitlines()[-SAID:]]
            lines = [f"FAIL  {part.name}: exit status {status}, {seconds:.0f} s", *said]
        else:
            lines = [f"ok    {part.name}: {seconds:.0f} s"]
        return Ended(part, 0, seconds, not status, lines + [note(part, name) for name in again], again)

    def _tests(self, part: Part) -> Ended:
        status, log, seconds = self._call(part)
        notes: list[tuple[str, str]] = []
        found = report_of(part)
        if status and report.ran_to_its_end(log) and report.are_few(found):
            self._show(part, log)
            first = found.rename(part.folder / "first.xml")
            status, log, more = self._call(part, again=True)
            seconds += more
            second = found.rename(part.folder / "again.xml") if found.exists() else part.folder / "again.xml"
            notes = report.merge(first, second, found)
        good, lines = report.part(part.name, status, seconds, found)
        if not good:
            self._show(part, log)
        lines += [note(part, f"{name}: {why}") for name, why in notes]
        return Ended(part, 0, seconds, good, lines, [name for name, _ in notes])

    def _call(self, part: Part, again: bool = False) -> tuple[int, str, float]:
        """Run a part's command for as long as it may take; return its exit status, what it said and the seconds."""
        began, log = time.monotonic(), part.folder / "log"
        limit = int(min(PART_LIMIT[self.kind], WHOLE_LIMIT[self.kind] - self.seconds))
        if limit <= 2 * STOP_LIMIT or self._stopped:
            return 124, f"not begun: everything together may take {WHOLE_LIMIT[self.kind]} s, and they are over", 0
        # A shell has signals of the keyboard ignored in the background; what tests interrupt must not inherit that.
        command = ["timeout", "--signal=INT", f"--kill-after={STOP_LIMIT}", str(limit)]
        command += ["env", "--default-signal=INT,QUIT", "bash", "-euo", "pipefail", "-c", part.command]
        with log.open("wb") as output, self._known(command, self._environ(part, limit, again), output) as process:
            status = process.wait()
        return status, log.read_text(errors="replace"), time.monotonic() - began

    @contextlib.contextmanager
    def _known(self, command: list[str], environ: dict[str, str], output: Any) -> Iterator[subprocess.Popen[bytes]]:
        said = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=ROOT, env=environ, **said)
        self._running.add(process)
        yield process
        self._running.discard(process)

    def _environ(self, part: Part, limit: int, again: bool) -> dict[str, str]:
        workers = "--again" if again else f"--numprocesses={part.workers} --dist=loadfile --no-loadscope-reorder"
        options = [workers, f"--junitxml={report_of(part)}", f"-o cache_dir={part.folder}/cache"]
        told = {
            "OPTIONS": f"-m '{part.marks}' {' '.join(options)}",
            "LIMIT": str(limit - STOP_LIMIT),
            "NOTES": str(part.folder / "notes"),
            "WORKQ_SCREENSHOTS": str(SCREENSHOTS / part.name),
            "HYPOTHESIS_PROFILE": self.kind,
            "LEARNER_SETTINGS": "",
        }
        return os.environ | told | part.environ

    def _stop(self) -> None:
        """Tell what runs to end, and wait for it; `timeout` passes the signal on."""
        self._stopped = True
        for future in self._futures.values():
            future.cancel()
        for process in list(self._running):
            process.send_signal(signal.SIGINT)
        for process in list(self._running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2 * STOP_LIMIT)

    def _say(self, lines: list[str]) -> None:
        with self._lock:
            print("\n".join(lines), flush=True)

    def _show(self, part: Part, log: str) -> None:
        last = log.splitlines()[-400:]
        self._say([f"-------- the end of the log of {part.name}", *last, "--------"])


def processor_times() -> tuple[int, int]:
    """Return how long the processors have worked so far, and all their time, in the kernel's ticks."""
    user, nice, system, idle, iowait, *others = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    busy = user + nice + system + sum(others)
    return busy, busy + idle + iowait


def note(part: Part, what: str) -> str:
    """Return the line for a test that failed once, to be looked into."""
    return f"note  {part.name}: failed, and passed when it was run once more: {what}"


def report_of(part: Part) -> Path:
    """Return the file that pytest writes for a part."""
    return part.folder / "report.xml"


def summary(run: Run) -> list[str]:
    """Return the last lines: how each part ended, and a table of what ran."""
    lines = [line for ended in run.ended for line in ended.lines]
    rows = [(ended.part.name, report_of(ended.part)) for ended in run.ended if ended.part.marks]
    whole = (
        f"---- {run.kind}: {run.seconds // 60:.0f} min {run.seconds % 60:.0f} s in all, processors busy {run.busy:.0%}"
    )
    return ["", whole, *lines, "", *report.table(rows), report.total([file for _, file in rows])]


def as_json(run: Run) -> dict[str, Any]:
    """Return what is kept of a run: how long each part and the slowest tests took, and what was tried again."""
    parts = []
    for ended in run.ended:
        known: dict[str, Any] = {"name": ended.part.name, "good": ended.good, "began": round(ended.began)}
        known |= {"seconds": round(ended.seconds, 1), "again": ended.again}
        parts.append(known | (report.as_json(report_of(ended.part)) if ended.part.marks else {}))
    reports = {ended.part.name: report_of(ended.part) for ended in run.ended if ended.part.marks}
    return {
        "kind": run.kind,
        "good": run.good,
        "seconds": round(run.seconds, 1),
        "processors": os.cpu_count(),
        "busy": round(run.busy, 2),
        "again": sum(len(ended.again) for ended in run.ended),
        "parts": parts,
        "slowest": report.slowest(reports, 50),
    }


def main(kind: str) -> int:
    """Run the gate or the night and return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parts = PARTS[kind]()
    run = Run(kind)
    try:
        run.do(parts, SLOTS)
        run.do(after(kind, parts), 1)
    finally:
        print("\n".join(summary(run)), flush=True)
        kept = ROOT / "build" / "ci.json"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(as_json(run), indent=1) + "\n")
    return 0 if run.good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
