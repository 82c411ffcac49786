"""Every word that a reader sees is a word of American English, of RabbitMQ, or of words.txt."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from spellchecker import SpellChecker

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
WORDS = Path(__file__).with_name("words.txt")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "notebooks").glob("*.md"))]
#: Their sentences are what learners are asked, told and shown.
MODULES = sorted(
    file
    for part in (
        "lessons/*/checks.py",
        "lessons/*/exercises.py",
        "lessons/*/quiz.py",
        *(f"teaching/{name}.py" for name in ("calls", "exercise", "function", "patience", "trial")),
    )
    for file in (ROOT / "workq_helpers").glob(part)
)
assert NOTEBOOKS
assert PAGES
assert MODULES

# Spellings that the dictionary has too.
BRITISH = re.compile(
    r"\b(acknowledgement|behaviour|colour|favour|neighbour|honour|centre|analyse|catalogue|grey|programme|"
    r"(?:organ|recogn|real|serial|parallel|initial|summar|visual|optim|minim|maxim|emphas)is(?:e|ed|es|ing)|"
    r"cancelled by|queueing up|whilst|towards)\b",
    re.IGNORECASE,
)

_NO_PROSE = re.compile(
    r"```.*?```"  # code
    r"|`[^`]*`"
    r"|'[^' ]*[_.=][^' ]*'"  # what a message quotes
    r"|<[^>]*>"  # tags
    r"|\]\([^)]*\)"  # where a link leads
    r"|\w+://\S+"
    r"|\S*\w[_./=@]\w\S*"  # names of files, modules and arguments
    r"|\b\w+\(\)",
    re.DOTALL,
)


def words_of(text: str) -> set[str]:
    """Return the words of a text, without code; what has capitals or digits inside is a name."""
    prose = _NO_PROSE.sub(" ", html.unescape(text)).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return {
        word.removesuffix("'s").strip("'").lower()
        for word in re.findall(r"(?<![\w-])[A-Za-z][a-z']+(?!\w)|(?<=-)[a-z][a-z']+(?!\w)", prose)
    } - {""}


@cache
def own_words() -> frozenset[str]:
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def dictionary() -> SpellChecker:
    return SpellChecker(language="en")


def misspelled(text: str) -> list[str]:
    unknown = dictionary().unknown(words_of(text) - own_words())
    british = {found[0].lower() for found in BRITISH.finditer(_NO_PROSE.sub(" ", text))}
    return sorted(unknown | british)


def prose_of(path: Path) -> str:
    """Return what is to read in a notebook, a page or a module."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = path.read_text(encoding="utf-8")
    return "\n".join(sentences_in(text)) if path.suffix == ".py" else text


def sentences_in(program: str) -> Iterator[str]:
    """Yield a program's strings of three words or more; a placeholder counts as code."""
    tree = ast.parse(program)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "`x`"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        if len(text.split()) >= 3:
            yield text


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES, *MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_word_is_spelled_as_in_america(path: Path) -> None:
    assert misspelled(prose_of(path)) == [], f"mend them, or add them to {WORDS.relative_to(ROOT)}"


def test_words_of_our_own_are_used_and_in_order() -> None:
    used = {word for path in (*NOTEBOOKS, *PAGES, *MODULES) for word in words_of(prose_of(path))}
    assert sorted(own_words() - used) == []
    assert not dictionary().known(own_words())
    assert sorted(own_words()) == [
        line for line in WORDS.read_text(encoding="utf-8").splitlines() if line in own_words()
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("The worker recieves a task.", ["recieves"]),
        ("Its behaviour: a grey colour.", ["behaviour", "colour", "grey"]),
        ("A re-delivred message", ["delivred"]),
        ("The queue's `basic_akc` isn't here, see [its page](https://exmaple.org/akc)", []),
        ("RabbitMQ declares `x`; see notebooks/07_tikme.ipynb", []),
    ],
)
def test_a_wrong_word_is_found_and_code_is_left_alone(text: str, wrong: list[str]) -> None:
    assert misspelled(text) == wrong


def test_a_message_is_read_with_its_placeholders_left_out() -> None:
    program = 'def f(n: int) -> str:\n    """Say somehting."""\n    return f"{n} taks were dispached" + "no"\n'
    assert misspelled("\n".join(sentences_in(program))) == ["dispached", "taks"]
