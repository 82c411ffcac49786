"""Every link into the repository leads somewhere, and every command that the README names is run by a test.

A new command in the README needs a line in `RUN_BY`: the test that runs it, or why none can.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
COMMANDS = ("make", "workq", ".venv/bin/workq", "apt-get", "sudo", "brew", "docker", "pip", "jupyter", "git")

COMPOSE = "tests/anywhere/test_compose.py"

#: The test that runs each command, as ``file::test``; or the reason why no test does, after "not here:".
RUN_BY = {
    "make lab": "tests/broker/test_lab.py::test_it_opens_the_first_lesson_for_who_has_the_token",
    'make lab LAB_ARGS="--no-browser --port 8899"': "tests/broker/test_lab.py::lab",
    'make lab LAB_ARGS="--port 8899"': "tests/broker/test_lab.py::lab",
    "make test": "not here: it runs this test; every part of CI begins with it",
    "make lab PYTHON=python3.13": "tests/unit/test_bootstrap.py::test_another_python_counts_only_if_it_was_asked_for",
    "make lab PYTHON=python3.12": "tests/unit/test_bootstrap.py::test_another_python_counts_only_if_it_was_asked_for",
    "make setup": "tests/unit/test_bootstrap.py::test_another_python_counts_only_if_it_was_asked_for",
    "make up": f"{COMPOSE}::test_make_up_makes_passwords_and_starts_one_node",
    'make up UP="--profile lab"': f"{COMPOSE}::test_the_lab_has_the_course_inside",
    'make up UP="--profile cluster"': f"{COMPOSE}::test_a_cluster_keeps_a_quorum_queue_when_a_node_is_killed",
    "docker compose restart rabbitmq": f"{COMPOSE}::test_one_node_runs_a_lesson_and_keeps_what_is_durable",
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
    "test_the_lessons_are_copied_and_found",
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
    words = re.sub(r"^(?:[A-Z_]+=\S* )+", "", text).split()
    return len(words) > 1 and words[0] in COMMANDS


def anchors(path: Path) -> set[str]:
    """Return what a link into a page may name, as GitHub derives it from the headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(text: str, page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    dead = []
    for target in (first or second for first, second in targets):
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
    assert dead_links(text, ROOT / "README.md") == ["GONE.md", "docs/gone.png", "README.md#gone", "#gone"]


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
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), runner


def test_commands_are_found_in_blocks_and_between_backticks() -> None:
    text = "Run `make lab` or `pika`:\n```console\nA=1 workq doctor   # looks\n```\n`WORKQ_BROKER=node make x`, `make`"
    assert commands(text) == {"make lab", "A=1 workq doctor", "WORKQ_BROKER=node make x"}
