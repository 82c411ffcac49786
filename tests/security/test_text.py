"""Bodies, names and output are text: they can't inject HTML, escapes of a terminal, formulas, markup or shell."""

from __future__ import annotations

import ast
import html.parser
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from workq_helpers import Broker, Lesson
from workq_helpers.broker.virtual_hosts import _named
from workq_helpers.classroom import commands
from workq_helpers.classroom.classroom import Presence
from workq_helpers.classroom.roster import read_roster
from workq_helpers.cli.course_copy import copy_course
from workq_helpers.cli.main import main
from workq_helpers.clients.console import Console
from workq_helpers.errors import InvalidArgumentError, QueueError, WorkqError
from workq_helpers.lessons.mistakes_and_long_work.rabbitmqctl import Printed
from workq_helpers.lessons.putting_it_together.task_stories import TaskStories, read_task_stories
from workq_helpers.lessons.putting_it_together.web import Latencies, Response
from workq_helpers.log import tables
from workq_helpers.log.details import CloseReason, ConsumeOptions
from workq_helpers.log.events import EventLog
from workq_helpers.log.messages import task_text
from workq_helpers.pictures.queue_depth import queue_depth
from workq_helpers.pictures.timeline import timeline
from workq_helpers.rabbitmq.translation import translate
from workq_helpers.rabbitmq.url import address_of, endpoint_from_url
from workq_helpers.stage.calls import call_for
from workq_helpers.teaching.check import CheckResult
from workq_helpers.text import printable

TAG = "<img src=x onerror=alert(1)>"
MATH = r"$\frac{1}{0}$ and $\bad"
ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe"
HOSTILE = (TAG, MATH, ESCAPE, "`id` $(id) ; id | id & id", "'\"><script>", "../../etc/passwd", "a\r\nb")

ANY = st.text(max_size=60)


def steers(text: str) -> list[str]:
    """Return what in a text would steer a terminal, or turn its direction."""
    return re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


class Elements(html.parser.HTMLParser):
    """Which elements, and which attributes, there are in HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def hostile_log() -> EventLog:
    """Return the log of a lesson where every name and every body is somebody's bad joke."""
    log = EventLog()
    for number, text in enumerate(HOSTILE):
        worker, queue = printable(text), text
        log.record("connected", worker, queue, detail=ConsumeOptions(prefetch_count=1))
        log.record("published", "lesson", queue, f"id-{number}", task_text(text.encode()))
        log.record("delivered", worker, queue, f"id-{number}", task_text(text.encode()), delivery_tag=1)
        log.record("started", worker, queue, f"id-{number}", task_text(text.encode()), delivery_tag=1)
        log.record("channel closed", worker, queue, detail=CloseReason(406, f"PRECONDITION_FAILED - queue '{text}'"))
        log.record("requeued", worker, queue, f"id-{number}", task_text(text.encode()), delivery_tag=1, detail="lost")
    return log


# -- one function that all of it goes through


@given(ANY)
def test_printable_text_steers_nothing(text: str) -> None:
    assert steers(printable(text)) == []
    assert steers(printable(text, lines=True)) == []
    assert "\n" not in printable(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=60))
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_it_shows_what_was_there() -> None:
    assert printable("a\x1b[31mb\x07") == "a␛[31mb␇"
    assert printable("one\r\ntwo\tthree", lines=True) == "one\ntwo\tthree"
    assert printable("né 雨 🐇 👩\u200d🔬 ") == "né 雨 🐇 👩\u200d🔬 "


# -- a terminal


@pytest.mark.parametrize("body", HOSTILE)
def test_a_body_in_the_log_is_one_line_of_text(body: str) -> None:
    assert steers(task_text(body.encode())) == []
    assert "\n" not in task_text(body.encode())


def test_tables_in_a_terminal() -> None:
    log = hostile_log()
    with pd.option_context("display.max_colwidth", None, "display.width", 10_000, "display.max_columns", None):
        for table in (tables.events, tables.deliveries, tables.tasks, tables.workers, tables.queue_counts):
            text = repr(table(log)) + table(log).to_string()
            assert steers(text) == [], table.__name__
            assert "frac" in text


@pytest.mark.parametrize("written", HOSTILE)
def test_a_console_shows_text_and_keeps_what_was_printed(written: str) -> None:
    console = Console()
    console.write(f" [x] Received {written}\n [x] Done\n")
    assert steers(repr(console)) == []
    assert repr(console).count("\n") >= 1
    assert written.replace("\r\n", "\n").split("\n")[0] in console.text.replace("\r", "")


def test_an_error_with_the_brokers_words_in_it() -> None:
    import pika.exceptions

    words = f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{ESCAPE}' in vhost 'x': received true but"
    error = translate(pika.exceptions.ChannelClosedByBroker(406, f"{words} current is false"), queue=ESCAPE)
    assert isinstance(error, QueueError)
    assert steers(str(error)) == []
    assert steers("".join(error._render_traceback_())) == []
    assert steers(str(WorkqError(ESCAPE))) == []


def test_the_commands_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workq_helpers.broker.logs", lambda: f"[info] queue {ESCAPE}\n")
    shown = CliRunner().invoke(main, ["broker", "logs"], color=True)
    assert "[info] queue" in shown.output
    assert steers(shown.output) == []
    line = commands._line(Presence(ESCAPE, "user", 1, history_use(), ""), 10, 10)
    assert steers(line) == []


def history_use() -> Any:
    from workq_helpers.rabbitmq.administration import Use

    return Use()


@pytest.mark.once
def test_names_that_would_steer_a_terminal_are_refused(lesson: Lesson) -> None:
    with pytest.raises(InvalidArgumentError, match="no name for a worker") as caught:
        lesson.start_worker(lambda *_: None, "hello", name=ESCAPE)
    assert steers(str(caught.value)) == []
    with pytest.raises(InvalidArgumentError, match="no name for a publisher"):
        lesson.start_publisher(["one"], "hello", name=ESCAPE)


# -- HTML


def test_tables_in_a_notebook() -> None:
    log = hostile_log()
    frames = [table(log) for table in (tables.events, tables.deliveries, tables.tasks, tables.workers)]
    pages = [str(frame._repr_html_()) for frame in frames]
    told = TaskStories(read_task_stories(log))
    pages.append(told._repr_mimebundle_()["text/html"])
    for page in pages:
        assert not Elements(page).found & {"img", "script", "onerror", "a", "href"}
        assert "&lt;img" in page
        assert "jax_ignore" in page  # JupyterLab would typeset what is between dollar signs, links and all


@pytest.mark.parametrize("text", HOSTILE)
def test_sentences_in_a_notebook(text: str) -> None:
    page = CheckResult("round robin", f"worker-1 got {task_text(text.encode())!r}")._repr_html_()
    assert Elements(page).found == {"p", "strong", "class", "style"}
    assert 'class="mathjax_ignore"' in page
    assert steers(page) == []
    assert steers(repr(Printed(text))) == []


def test_a_pictures_words_in_a_notebook() -> None:
    page = timeline(hostile_log())._repr_mimebundle_()["text/html"]
    assert Elements(page).found == {"img", "alt", "class", "width", "src"}


# -- pictures


@pytest.mark.parametrize("text", HOSTILE)
def test_figures_draw_text_and_typeset_nothing(text: str) -> None:
    log = hostile_log()
    answers = [Response(200, 0.01), Response(202, 0.02)]
    for picture in (timeline(log), queue_depth(log, text), Latencies({text: answers, "other": answers}).picture()):
        assert picture.png().startswith(b"\x89PNG")
        drawn = picture.figure.findobj(lambda each: hasattr(each, "get_parse_math"))
        assert drawn
        assert not [each.get_text() for each in drawn if "$" in each.get_text() and each.get_parse_math()]


# -- Python that the stage shows, to be copied


@given(
    task=st.text(min_size=1, max_size=40).filter(str.strip), queue=st.text(min_size=1, max_size=20).filter(str.strip)
)
def test_the_call_that_the_stage_shows_is_one_call(task: str, queue: str) -> None:
    call = call_for({"do": "send", "task": task, "queue": queue}, None)  # type: ignore[arg-type]  # no lesson is asked
    (statement,) = ast.parse(call.code).body
    assert isinstance(statement, ast.Expr)
    called = statement.value
    assert isinstance(called, ast.Call)
    assert ast.unparse(called.func) == "lesson.start_publisher"
    given_values = [ast.literal_eval(each) for each in (*called.args, *(keyword.value for keyword in called.keywords))]
    assert queue.strip() in given_values
    assert steers(call.code) == []


# -- shell, paths and addresses


@pytest.mark.parametrize("name", [*HOSTILE, "..", "/", "", "%2e%2e", "a" * 500, "\0"])
def test_a_lessons_name_becomes_a_tame_virtual_host(name: str) -> None:
    assert re.fullmatch(r"workq\.[A-Za-z0-9_-]{1,60}\.\d+\.[0-9a-f]{6}", _named(name))


@given(name=st.text(min_size=1, max_size=20))
def test_a_virtual_host_in_an_address_is_that_virtual_host(name: str) -> None:
    endpoint = endpoint_from_url({"WORKQ_BROKER_URL": "amqp://a:b@localhost"}).on(name)
    assert endpoint_from_url({"WORKQ_BROKER_URL": address_of(endpoint)}).virtual_host == name


@pytest.mark.parametrize(
    "name", [*HOSTILE[:2], *HOSTILE[3:6], "a/b", "a%2Fb", "..", ".", "?x=1", "#x", "ü 雨", "\\", ";x"]
)
def test_a_name_in_a_call_of_management_reaches_that_name_alone(name: str, broker: Broker) -> None:
    if not broker.ours:
        pytest.skip("virtual hosts of any name are made on a broker of our own alone")
    from workq_helpers.rabbitmq.management import Management

    with Management(broker.endpoint) as api, Lesson("bystander", broker) as bystander:
        before = set(api.virtual_hosts())
        with bystander.connect() as connection:
            connection.channel().queue_declare(queue=name, durable=True)
            connection.channel().queue_declare(queue="hello", durable=True)
        assert set(api.queue_counts(bystander.virtual_host)) == {name, "hello"}
        if name in (".", ".."):
            # In a path these mean something else, however they are written, so no call is made at all.
            for call in (api.create_virtual_host, api.delete_virtual_host, api.empty_virtual_host, api.queue_counts):
                with pytest.raises(InvalidArgumentError, match="can't be named in a call"):
                    call(name)
            assert set(api.virtual_hosts()) == before
            return
        api.create_virtual_host(name)
        try:
            assert set(api.virtual_hosts()) == before | {name}
            assert api.queue_counts(name) == {}
            api.empty_virtual_host(name)
        finally:
            api.delete_virtual_host(name)
        assert set(api.virtual_hosts()) == before
        assert set(api.queue_counts(bystander.virtual_host)) == {name, "hello"}
        api.empty_virtual_host(bystander.virtual_host)
        assert api.queue_counts(bystander.virtual_host) == {}


@pytest.mark.pinned
@pytest.mark.parametrize("argument", HOSTILE[:6])
def test_a_programs_arguments_reach_no_shell(lesson: Lesson, argument: str, tmp_path: Path) -> None:
    script = tmp_path / "said; touch planted.py"
    script.write_text("import sys; print(ascii(sys.argv[1:]))\n")
    program = lesson.start_program(script, argument)
    program.wait()
    assert ast.literal_eval(program.console.lines[0]) == [argument]
    assert [path.name for path in tmp_path.iterdir()] == [script.name]


def test_what_to_type_next_can_be_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "a; touch planted $(id)"
    shown = CliRunner().invoke(main, ["course", "copy", str(folder)]).output.splitlines()[-1]
    assert shown.startswith("To open them: cd ")
    command = shown.removeprefix("To open them: ").removesuffix(" && workq lab")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert not (tmp_path / "planted").exists()


def test_a_manifest_names_no_file_outside(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "00.ipynb").write_text("{}")
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "mine").write_text("mine")
    (target / ".workq-course.json").write_text(
        '{"format": "workq course copy", "version": 1, "files": {"../mine": "0"}}'
    )
    copy_course(target, source)
    assert (tmp_path / "mine").read_text() == "mine"


# -- a spreadsheet


@pytest.mark.parametrize("cell", ['=HYPERLINK("http://example.org")', "+1", "-1", "@SUM(A1)", "\uff1d1+1"])
@pytest.mark.parametrize("column", ["name", "login"])
def test_the_teachers_file_holds_no_formula(cell: str, column: str, tmp_path: Path) -> None:
    row = {"name": "Ada", "login": "ada"} | {column: '"' + cell.replace('"', '""') + '"'}
    (tmp_path / "roster.csv").write_text(f"name,login\n{row['name']},{row['login']}\nBob,bob\n", encoding="utf-8")
    roster = read_roster(tmp_path / "roster.csv")
    assert [learner.name for learner in roster.learners] == ["Bob"]
    assert "begins as a formula does" in roster.complaints[0]
