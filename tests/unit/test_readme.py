"""Every link into the repository leads somewhere, and every command that the README names is run by a test.

A new command in the README needs a line in `RUN_BY`: the test that runs it, or why none can.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]

COMPOSE = "tests/anywhere/test_compose.py"
FRESH = "tests/endurance/test_two_at_once.py::test_two_make_lab_at_once_in_a_fresh_checkout_make_one_environment"

#: The test that runs each command, as ``file::test``; or the reason why no test does, after "not here:".
RUN_BY = {
    "make lab": FRESH,
    'make lab LAB_ARGS="--no-browser --port 8899"': "tests/broker/test_lab.py::lab",
    'make lab LAB_ARGS="--port 8899"': "tests/broker/test_lab.py::lab",
    "make test": "not here: it runs this test; every part of CI is it",
    "make lab PYTHON=python3.13": FRESH,
    "make lab PYTHON=python3.12": FRESH,
    "make setup": FRESH,
    "make up": f"{COMPOSE}::test_one_node_keeps_what_is_durable",
    'make up UP="--profile lab"': f"{COMPOSE}::test_every_lesson_runs_inside_the_lab",
    'make up UP="--profile cluster"': f"{COMPOSE}::test_every_lesson_runs_on_a_cluster",
    "docker compose restart rabbitmq": f"{COMPOSE}::test_one_node_keeps_what_is_durable",
    "set -a; . ./.env; set +a; make lab": f"{COMPOSE}::test_one_node_keeps_what_is_durable",
    "make badges": "tests/unit/test_badges.py::test_without_an_address_it_says_how_to_give_one",
    "make badges REPO=https://github.com/you/course": "tests/unit/test_badges.py::"
    "test_one_command_makes_badges_and_lessons_for_colab",
    "make site": "tests/broker/test_commands.py::test_make_site_runs_lessons",
    "make clean": "tests/broker/test_commands.py::test_make_clean_leaves_what_is_ours",
    "make help": "tests/broker/test_commands.py::test_make_help_names_every_target",
    "workq doctor": "tests/broker/test_commands.py::test_doctor_finds_the_broker",
    ".venv/bin/workq doctor": "tests/broker/test_commands.py::test_doctor_finds_the_broker",
    ".venv/bin/workq broker logs": "tests/broker/test_commands.py::test_a_broker_is_started_looked_at_and_stopped",
    ".venv/bin/workq broker start": "tests/broker/test_commands.py::test_a_broker_is_started_looked_at_and_stopped",
    ".venv/bin/workq broker stop": "tests/broker/test_commands.py::test_a_broker_is_started_looked_at_and_stopped",
    ".venv/bin/workq broker url": "tests/broker/test_commands.py::test_a_broker_is_started_looked_at_and_stopped",
    "workq class create roster.csv --broker amqp://admin@rabbit.example:5672/": "tests/broker/test_class.py::"
    "test_a_teacher_types_it_all",
    "workq class status --broker ...": "tests/broker/test_class.py::test_a_teacher_types_it_all",
    'workq class reset "Ada Lovelace" --broker ...': "tests/broker/test_class.py::test_a_teacher_types_it_all",
    "workq class remove --broker ...": "tests/broker/test_class.py::test_a_teacher_types_it_all",
    "pip install": "tests/broker/test_installed.py::installed",
    "workq course copy work-queues && cd work-queues && workq lab": "tests/broker/test_installed.py::"
    "test_the_copy_is_opened_by_workq_lab",
    "WORKQ_BROKER=node make lab": "tests/broker/test_lab.py::lab",
    "apt-get install rabbitmq-server": "not here: it changes the machine; .ci/images installs it into its images",
    "brew install rabbitmq": "not here: it is for macOS",
    "sudo apt-get install python3-venv": "not here: it changes the machine; CI runs `make setup` without it",
}


def text_of(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def commands(text: str) -> set[str]:
    """Return the commands in blocks for a console and between backticks, without what follows a `#`."""
    blocks = re.findall(r"```(?:console|bash|sh|shell)\n(.*?)```", text, re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {line for line in lines if line} | {each for each in inline if is_command(each)}


def is_command(text: str) -> bool:
    """Return whether words between backticks are a command: several, of which the first may be a program's name."""
    words = re.sub(r"^(?:[A-Z_]+=\S* )+", "", text).split()
    return len(words) > 1 and re.fullmatch(r"[\w./][\w./-]*;?", words[0]) is not None


def anchors(path: Path) -> set[str]:
    """Return what a link into a page may name, as GitHub derives it from the headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(text: str, page: Path) -> list[str]:
    """Return the links of a page, inline, by reference or in HTML, that lead to nothing in the repository."""
    inline, reference, tag = r"\]\(<?([^)>\s]+)", r"^ {0,3}\[[^\]]+\]: +<?([^>\s]+)", r"(?:src|href)=[\"']([^\"']+)"
    found = re.findall(f"{inline}|{reference}|{tag}", text, re.MULTILINE)
    dead = []
    for target in ("".join(groups) for groups in found):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    assert dead_links(text_of(page), page) == []


def test_a_dead_link_is_found() -> None:
    text = "[a](CHANGELOG.md) [b](GONE.md) ![c](docs/gone.png) [d](README.md#more) [e](README.md#gone) [f](#gone)"
    text += '\n[g](GONE.md "a title") <a href="gone.html">\n[h]: gone/h.md\n[i]: LICENSE\n'
    assert dead_links(text, ROOT / "README.md") == [
        *("GONE.md", "docs/gone.png", "README.md#gone", "#gone"),
        *("GONE.md", "gone.html", "gone/h.md"),
    ]


def test_what_a_learner_may_see_is_what_the_course_says() -> None:
    said = "".join(
        path.read_text(encoding="utf-8")
        for pattern in ("scripts/*.py", "workq_helpers/**/*.py", "workq_helpers/stage/js/*.js")
        for path in ROOT.glob(pattern)
    )
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## When something does not work")[2]
    quoted = re.findall(r"(?<!\*)\*([^*\n]+)\*", table.partition("\n## ")[0])
    assert len(quoted) >= 5
    assert [words for words in quoted if words not in said] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    made = ("build/", "bench.md")
    suffixes = "cfg|css|ipynb|js|json|md|py|toml|txt|yml"
    named = re.findall(rf"(?<!`)`([\w./-]+\.(?:{suffixes}))`(?!`)", text_of(page))
    folders = ("", "notebooks", "notebooks/programs", "tests", "tests/security", "tests/unit", "workq_helpers")
    there = {name for name in named if any((ROOT / folder / name).is_file() for folder in folders)}
    unnamed = [name for name in named if re.search("NAME|TITLE", name)]  # of a lesson that is still to come
    assert [name for name in named if name not in there and not name.startswith(made) and name not in unnamed] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_has_words(page: Path) -> None:
    assert [target for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text_of(page)) if not words] == []


@pytest.mark.parametrize("command", sorted(commands(text_of(ROOT / "README.md"))))
def test_every_command_of_the_readme_is_run(command: str) -> None:
    assert command in RUN_BY, "which test runs it? Add it to RUN_BY"
    runner = RUN_BY[command]
    if runner.startswith("not here: "):
        return
    file, _, name = runner.partition("::")
    assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), runner


def words_of(command: str) -> list[str]:
    """Return the words that a command can't be run without, as its targets, subcommands and options; no example."""
    known = re.sub(r'"Ada Lovelace"|\w+://\S+|\S+\.csv|work-queues|PYTHON=\S+', "", command)
    return [word for word in re.findall(r"--[a-z-]+|(?<![\w./])[a-z]{2,}\b", known) if word not in ("make", "workq")]


@pytest.mark.parametrize("command", sorted(RUN_BY))
def test_the_test_of_a_command_has_its_words(command: str) -> None:
    file, _, name = RUN_BY[command].partition("::")
    if not name:
        return
    # What stands before a command is set by CI for a whole part of the tests.
    text = (ROOT / file).read_text(encoding="utf-8") + (ROOT / ".ci" / "parts.py").read_text(encoding="utf-8")
    assert [word for word in words_of(command) if word not in text] == []


def test_words_are_those_without_which_a_command_is_another() -> None:
    assert words_of('workq class reset "Ada Lovelace" --broker ...') == ["class", "reset", "--broker"]
    assert words_of('make up UP="--profile lab"') == ["up", "--profile", "lab"]
    assert words_of(".venv/bin/workq broker url") == ["broker", "url"]
    assert words_of("make badges REPO=https://github.com/you/course") == ["badges"]


def test_no_test_is_listed_for_a_command_that_is_gone() -> None:
    named = commands(text_of(ROOT / "README.md") + text_of(ROOT / "CONTRIBUTING.md"))
    assert sorted(set(RUN_BY) - named) == []


def test_commands_are_found_in_blocks_and_between_backticks() -> None:
    text = "Run `make lab` or `pika`:\n```console\nA=1 workq doctor   # looks\n```\n`WORKQ_BROKER=node make x`, `make`"
    assert commands(text) == {"make lab", "A=1 workq doctor", "WORKQ_BROKER=node make x"}
    assert is_command("uv pip install x")
    assert not is_command("--lessons 2")
