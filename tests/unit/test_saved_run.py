from __future__ import annotations

import errno
import json
import os
import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.made_up_runs import MadeUpRun
from tests.properties import examples
from workq_helpers.cli.main import main
from workq_helpers.clients.console import Console
from workq_helpers.errors import InvalidArgumentError, RunFileError
from workq_helpers.log.events import Rows
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.routes import Routes
from workq_helpers.stage import saved_run, saving
from workq_helpers.stage.composition import shown_routes
from workq_helpers.stage.recorder import lines_by, moments_of, task_rows, without_address
from workq_helpers.stage.run_diff import compare
from workq_helpers.stage.run_page import packed, page, unpacked
from workq_helpers.stage.saved_run import SavedRun, TaskRow
from workq_helpers.stage.scene import Scene
from workq_helpers.text import printable

pytestmark = pytest.mark.pinned  # of the course alone

DOT = 0.2
ABOUT = {"lesson": "round-robin", "recorded": "2026-01-31", "rabbitmq": "4.3.6"}


def saved(
    made: MadeUpRun,
    begin_seconds: float = 0.0,
    end_seconds: float | None = None,
    stretch_seconds: float = 0.0,
    **more: object,
) -> SavedRun:
    moments = moments_of(
        made.log,
        made.answers,
        lines_by(made.lines),
        made.written_seconds,
        {},
        Routes(),
        DOT,
        begin_seconds,
        end_seconds,
        stretch_seconds,
    )
    tasks = task_rows(made.log, begin_seconds, end_seconds)
    return SavedRun.of(moments, **{**ABOUT, "marks": [], "tasks": tasks, **more})  # type: ignore[arg-type]


def test_of_each_stretch_the_last_moment_is_kept_as_it_was() -> None:
    made = MadeUpRun(1)
    every = saved(made).moments
    last = {each.seconds // 0.5: each for each in every[1:]}
    assert saved(made, stretch_seconds=0.5).moments == [every[0], *last.values()]
    assert len(last) < len(every) / 2


@pytest.mark.parametrize("seed", range(examples(20)))
def test_a_moment_of_it_is_what_the_stage_computes_then(seed: int) -> None:
    made = MadeUpRun(seed)
    run = SavedRun.parse(saved(made).text)
    choose = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    for moment in choose.sample(list(run.moments), 50):
        scene = Scene(DOT)
        rows = [row for row in made.rows if row[0] <= moment.seconds + 2e-6]
        scene.update(Rows.of(rows))
        answer = [each for each in made.answers if each.seconds <= moment.seconds + 2e-6][-1]
        expected = scene.picture(moment.seconds, answer, lambda *about: made.console(*about[:2], about[2] + 2e-6))
        assert without_elapsed(moment.shown) == without_elapsed({**expected, **shown_routes(Routes())})
        assert moment.events == len(rows)


def without_elapsed(shown: object) -> object:
    """Leave out what moves between two millionths of a second."""
    return json.loads(re.sub(r'"elapsed_seconds": [\d.]+', '"elapsed_seconds": 0', json.dumps(shown)))


def test_the_lines_of_a_moment_are_those_that_a_console_had_then() -> None:
    seconds = iter([1.0, 2.0, 2.0, 3.5, 4.0])
    console = Console(lambda: next(seconds))
    for text in ("one\n", "two\nthree\n", "four\x1b\n", "half", " and half"):
        console.write(text)
    tail = lines_by({"worker-1": console.written})
    for moment in (0.5, 1.0, 2.0, 3.0, 3.5, 4.0, 9.0):
        for count in (0, 1, 3, 9):
            shown = [printable(line) for line in console.tail(count, moment)]
            assert tail("worker-1", count, moment) == shown
    assert tail("worker-1", 2, 9.0) == ["four␛", "half and half"]
    assert tail("nobody", 3, 9.0) == []


@settings(max_examples=examples(40))
@given(st.text().filter(lambda text: "{" not in text and "}" not in text), st.integers(0, 1000))
def test_it_is_the_same_after_a_page_whatever_was_in_it(text: str, seed: int) -> None:
    run = saved(MadeUpRun(seed, events=20, text=text + "{}"))
    html = page(run)
    assert SavedRun.parse(unpacked(html)).file == run.file
    assert SavedRun.parse(run.text).file == run.file


def test_hostile_text_is_never_markup() -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{}"
    run = saved(MadeUpRun(1, text=hostile), lesson="<b>bold</b>")
    html = page(run)
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "<b>bold" not in html
    assert html.count("<script") == 2  # the run and its player
    assert "&lt;img src=x" in html


@pytest.mark.parametrize(
    ("events", "most_bytes"), [(500, 60_000), pytest.param(10_000, 1_000_000, marks=pytest.mark.nightly)]
)
def test_it_is_small(events: int, most_bytes: int) -> None:
    assert len(packed(saved(MadeUpRun(3, events=events, workers=2)))) <= most_bytes


def test_a_page_fetches_nothing() -> None:
    html = page(saved(MadeUpRun(2)))
    assert re.findall(r"""(?:src|href)=["'][^"'#]""", html) == []
    assert "default-src 'none'" in html
    assert not re.search(r"\bimport\s*\(|\bfetch\s*\(|XMLHttpRequest|https?://(?!www\.w3\.org/)", html)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda file: file.pop("parts"), "it has the fields"),
        (lambda file: file.update(format="other"), "does not say that its format"),
        (lambda file: file.update(version=2), "is of version 2 of its format, and this course knows version 1"),
        (lambda file: file.update(version=True), "is of version True"),
        (lambda file: file.update(fields=file["fields"][1:]), "a moment of it has"),
        (lambda file: file["moments"].clear(), "has 0 moments"),
        (lambda file: file["moments"][0].pop(), "a moment is not its seconds, its events and its parts"),
        (lambda file: file["moments"][1].__setitem__(0, -1), "comes before the one that it follows"),
        (lambda file: file["moments"][1].__setitem__(0, "x"), "a moment is not its seconds"),
        (lambda file: file["moments"][1].__setitem__(2, 10**9), "names a part that there is not"),
        (lambda file: file["moments"][1].__setitem__(2, -1), "names a part that there is not"),
        (lambda file: file["moments"][1].__setitem__(2, "__proto__"), "names a part that there is not"),
        (
            lambda file: file["parts"].__setitem__(file["moments"][0][2], {"x": 1}),
            "its publishers: it has the fields x",
        ),
        (lambda file: file["tasks"][0].update(deliveries="2"), "its tasks: its deliveries: there is '2'"),
    ],
)
def test_what_is_not_whole_is_told_in_a_sentence(change: object, why: str) -> None:
    file = json.loads(saved(MadeUpRun(4)).text)
    change(file)  # type: ignore[operator]
    with pytest.raises(RunFileError, match=re.escape(why)):
        SavedRun.parse(json.dumps(file))


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "1" * 40, '"\\ud800"', "[" * 5000 + "]" * 5000, "-1"])
@pytest.mark.parametrize("where", [("moments", 0, 0), ("moments", 0, 1), ("tasks", 0, "task"), ("lesson",)])
def test_what_no_browser_can_count_or_write_is_told_in_a_sentence(value: str, where: tuple[str | int, ...]) -> None:
    file: object = json.loads(saved(MadeUpRun(4)).text)
    *path, last = where
    inner: object = file
    for name in path:
        inner = inner[name]  # type: ignore[index]
    inner[last] = "HERE"  # type: ignore[index]
    with pytest.raises(RunFileError):
        SavedRun.parse(json.dumps(file).replace('"HERE"', value))


def test_what_no_moment_names_is_left_out() -> None:
    file = json.loads(saved(MadeUpRun(4)).text)
    file["parts"].append("HERE")
    run = SavedRun.parse(json.dumps(file).replace('"HERE"', "[" * 500 + "]" * 500))
    assert run.file["parts"][-1] is None


def test_a_part_is_looked_at_once_however_often_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    real = saved_run.why_unlike

    def counting(value: object, hint: object) -> str:
        looked.append(value)
        return real(value, hint)

    file = json.loads(saved(MadeUpRun(4)).text)
    file["moments"] = [file["moments"][0]] * 5000
    monkeypatch.setattr(saved_run, "why_unlike", counting)
    SavedRun.parse(json.dumps(file))
    assert len(looked) < 2 * 5000 + 200, "a moment's seconds and events each, and every part once"


def test_a_run_has_every_end_that_a_player_shows() -> None:
    file = json.loads(saved(MadeUpRun(4)).text)
    file["moments"][0][2 + file["fields"].index("ends")] = {}
    with pytest.raises(RunFileError, match="its ends: it has none"):
        SavedRun.parse(json.dumps(file))


@pytest.mark.parametrize(("field", "meaning"), [("cluster", None), ("resting", [])])
def test_a_run_that_was_saved_before_a_field_was_drawn_has_nothing_of_it(field: str, meaning: object) -> None:
    file = json.loads(saved(MadeUpRun(4)).text)
    column = file["fields"].index(field)
    del file["fields"][column]
    for moment in file["moments"]:
        del moment[2 + column]
    shown = [dict(moment.shown)[field] for moment in SavedRun.parse(json.dumps(file)).moments]
    assert shown == [meaning] * len(shown)


@settings(max_examples=examples(100))
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_no_part_of_another_kind_is_taken_for_one(part: object) -> None:
    file = json.loads(saved(MadeUpRun(4, events=12)).text)
    place = file["moments"][0][2 + file["fields"].index("publishers")]
    file["parts"][place] = part
    with pytest.raises(RunFileError):
        SavedRun.parse(json.dumps(file))


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "NaN", "[" * 100_000, '{"format": "workq-run"}'])
def test_other_files_are_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(RunFileError):
        SavedRun.parse(text)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunFileError):
        saving.load(tmp_path / "run.json")


@pytest.mark.parametrize("text", ["<html></html>", '<script type="application/gzip" data-workq-run>AAAA</script>'])
def test_other_pages_are_told(text: str) -> None:
    with pytest.raises(RunFileError):
        unpacked(text)


def write_some(path: Path, text: str, encoding: str) -> None:
    path.write_bytes(text[:1].encode(encoding))
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_files_that_cannot_be_read_or_written_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\xff")
    for name, why in {"none.json": "No such file", "picture.json": "it is not text"}.items():
        with pytest.raises(RunFileError, match=why):
            saving.load(tmp_path / name)
    with pytest.raises(RunFileError, match="can't be written"):
        saving.save(saved(MadeUpRun(1)), tmp_path / "no" / "run.html")
    full = tmp_path / "full.json"
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", write_some)
        with pytest.raises(RunFileError, match=r"No space left on device\. Free some room"):
            saving.save(saved(MadeUpRun(1)), full)
    assert not full.exists()
    with pytest.raises(InvalidArgumentError, match=r"not as 'run\.gif'"):
        saving.save(saved(MadeUpRun(1)), "run.gif")


def test_a_stretch_begins_with_what_was_there(tmp_path: Path) -> None:
    made = MadeUpRun(5, events=100)
    middle, late = made.rows[40][0], made.rows[60][0]
    part = saved(made, middle, late)
    assert part.moments[0].seconds == pytest.approx(middle, abs=1e-3)
    assert part.moments[0].events == 41
    assert part.moments[-1].seconds <= late + 1e-3
    for begin, end in ((5000.0, 6000.0), (3.0, 1.0)):
        with pytest.raises(InvalidArgumentError, match="nothing to save"):
            saved(made, begin, end)


def test_a_stretch_has_the_tasks_that_something_happened_to_in_it() -> None:
    made = MadeUpRun(5, events=100)
    middle, late = made.rows[40][0], made.rows[60][0]
    touched = {row[5] for row in made.rows[40:61] if row[5]}
    tasks = {row["task"]: row for row in saved(made, middle, late).file["tasks"]}
    assert tasks.keys() == touched
    assert len(saved(made).file["tasks"]) > len(touched)
    finished_by_then = {row[5] for row in made.rows[:61] if row[1] == "acked"}
    assert {name for name, row in tasks.items() if row["fate"] == "done"} == finished_by_then & touched


def test_more_than_a_browser_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workq_helpers.stage.recorder.MOST_MOMENTS", 30)
    with pytest.raises(InvalidArgumentError, match="Choose a stretch"):
        saved(MadeUpRun(6))


def test_nobody_is_named_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("USER", "ada")
    text = "/home/ada/secret.txt amqp://ada:pass-word@10.1.2.3:5672/ 10.1.2.3:5672 is gone {}"
    told = without_address(Endpoint("10.1.2.3", 5672, "ada", "pass-word", "/"))
    found = saved(MadeUpRun(7, text=text), told=told).text
    for secret in ("/home/ada", "pass-word", "10.1.2.3:5672", "ada:"):
        assert secret not in found


@pytest.mark.parametrize(
    "text",
    [
        "/srv/clients/acme/recipe.txt is read",
        "'/srv/clients/acme/recipe.txt'",
        'File "/srv/clients/acme/venv/lib/python3.11/site-packages/pika/x.py", line 3, in work',
        "~/clients/acme/recipe.txt",
        "file:///srv/clients/acme/recipe.txt",
        "rabbit@vm-4711 is down",
        "no route to vm-4711",
        "connection to mq.acme.example refused",
        "amqp://cook:pass-word@mq.acme.example:5672/kitchen",
        "the password is pass-word",
        "environ({'KITCHEN_TOKEN': 'very-secret', 'OTHER': 'x'})",
    ],
)
def test_neither_path_nor_host_nor_secret_is_in_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KITCHEN_TOKEN", "very-secret")
    monkeypatch.setattr("socket.gethostname", lambda: "vm-4711")
    told = without_address(Endpoint("mq.acme.example", 5672, "cook", "pass-word", "/"))
    shown = told(f"{text} \ud800")
    shown.encode()
    for secret in ("/srv", "clients", "vm-4711", "mq.acme.example", "cook", "pass-word", "very-secret"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text", ["Soup and/or tea..", "https://www.rabbitmq.com/docs/nettick", "1/2/3", "a / b", "10:30"]
)
def test_what_names_nobody_stays(text: str) -> None:
    told = without_address(Endpoint("localhost", 5672, "guest", "guest", "/"))
    assert told(text) == text


def test_two_runs_are_compared_task_by_task() -> None:
    def row(task: str, fate: str, deliveries: int = 1) -> TaskRow:
        return {"task": task, "queue": "hello", "deliveries": deliveries, "workers": "worker-1", "fate": fate}

    first = [row("A", "done"), row("B", "lost"), row("B", "done")]
    second = [row("A", "done"), row("B", "lost"), row("B", "done", 2), row("C", "waiting")]
    told = [(each.task, each.differs, each.first is None) for each in compare(first, second)]
    assert told == [("A", False, False), ("B", False, False), ("B", True, False), ("C", True, True)]


def test_a_difference_can_be_seen_also_where_it_is_the_queue_alone(tmp_path: Path) -> None:
    files = []
    for queue in ("hello", "parking"):
        run = saved(MadeUpRun(1, events=10, workers=1))
        for task in run.file["tasks"]:
            task["queue"] = queue
        files.append(str(saving.save(run, tmp_path / f"{queue}.json")))
    told = CliRunner().invoke(main, ["run", "diff", *files])
    first, *rows = told.output.splitlines()
    assert (told.exit_code, first.split()[0]) == (1, "task")
    assert all(" in hello " in row and " in parking " in row and row.endswith("differs") for row in rows)
    assert rows
