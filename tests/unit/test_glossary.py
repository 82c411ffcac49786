"""What notebooks/glossary.md says is so: RabbitMQ's words, pika's names, and where a lesson shows them."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import nbformat
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "notebooks" / "glossary.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
][1:]
assert len(ROWS) > 30

#: The words of RabbitMQ's documentation that the course uses in its sense.
WORDS = [
    "broker", "virtual host", "queue", "exchange", "binding", "routing key", "producer", "publisher", "consumer",
    "worker", "delivery", "delivery tag", "redelivered", "acknowledgment", "ack", "negative acknowledgment",
    "nack", "requeue", "prefetch count", "ready", "unacknowledged", "durable", "persistent", "transient",
    "publisher confirm", "round robin", "fair dispatch", "dead letter", "delivery limit", "quorum queue",
    "leader", "follower",
]  # fmt: skip

#: What a callback is given, besides the channel and the body.
GIVEN = {"method": pika.spec.Basic.Deliver(), "properties": pika.BasicProperties()}


def attribute(node: ast.expr) -> object:
    """Return what a name of pika's in code stands for; AttributeError if pika has none."""
    if isinstance(node, ast.Name):
        for place in (BlockingChannel, BlockingConnection):
            if hasattr(place, node.id):
                return getattr(place, node.id)
        raise AttributeError(node.id)
    assert isinstance(node, ast.Attribute)
    if isinstance(node.value, ast.Name) and node.value.id in GIVEN:
        return getattr(GIVEN[node.value.id], node.attr)
    if isinstance(node.value, ast.Name) and node.value.id == "connection":
        return getattr(BlockingConnection, node.attr)
    found: object = pika
    for name in ast.unparse(node).removeprefix("pika.").split("."):
        found = getattr(found, name)
    return found


def look_up(code: str) -> None:
    """Fail if pika has no such name, or the call has an argument that pika doesn't know."""
    node = ast.parse(code, mode="eval").body
    if not isinstance(node, ast.Call):
        attribute(node)
        return
    called = attribute(node.func)
    assert callable(called)
    known = inspect.signature(called).parameters
    unknown = [keyword.arg for keyword in node.keywords if keyword.arg not in known]
    assert not unknown, f"{code}: {unknown}"
    assert not node.args, f"{code}: by keyword"


def test_every_word_is_there_and_in_order() -> None:
    words = [row[0] for row in ROWS]
    assert words == sorted(words)
    assert [word for word in WORDS if word not in {each for row in words for each in row.split(", ")}] == []


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_pika_has_what_is_named(row: list[str]) -> None:
    for code in re.findall(r"`([^`]+)`", row[2]):
        look_up(code)


@pytest.mark.parametrize("code", ["basic_akc(delivery_tag=1)", "basic_ack(tag=1)", "method.tag", "pika.Properties()"])
def test_what_pika_has_not_is_found(code: str) -> None:
    with pytest.raises((AttributeError, AssertionError)):
        look_up(code)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_lesson_has_the_section(row: list[str]) -> None:
    *_, meaning, where = row
    assert meaning.endswith(".")
    if "https://www.rabbitmq.com/docs/" in where:
        return
    link = re.fullmatch(r"\[([^\]]+)\]\((\S+)\): (.+)", where)
    assert link, where
    cells = nbformat.read(PAGE.parent / link[2], as_version=4).cells
    assert cells[0].source.startswith(f"# {link[1]}\n")
    assert any(cell.source.splitlines()[0] == f"## {link[3]}" for cell in cells if cell.cell_type == "markdown"), where
