"""Whoever is told that a check can't be made yet is told what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.text

LESSONS = Path(__file__).parents[2] / "workq_helpers" / "lessons"

#: A sentence that begins so says what to do; so does a question.
STEP = re.compile(
    r"(?:^|[.:;,?] (?:and |or |now )?)(?:Acknowledge|Ask|Bind|Call|Check|Declare|Fetch|Give|Go on|Keep|Kill|Leave|Let|"
    r"Look|Measure|Offer|Open|Publish|Put|Restart|Run|Send|Show|Start|Stop|Use|Wait)\b|\?$",
    re.IGNORECASE,
)


def refusals() -> Iterator[tuple[str, str]]:
    """Yield where a lesson's check is refused, and the words, but for those that come from elsewhere."""
    for file in sorted(LESSONS.glob("*/checks.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("CheckFailedError"), args=[ast.Constant(str(said))]):
                    yield f"{file.parent.name}:{node.lineno}", said
                case ast.Call(func=ast.Name("CheckFailedError"), args=[ast.JoinedStr(parts)]):
                    words = [part.value if isinstance(part, ast.Constant) else "..." for part in parts]
                    if words[-1] != "...":
                        yield f"{file.parent.name}:{node.lineno}", "".join(map(str, words))


def test_each_refusal_says_what_to_do() -> None:
    found = list(refusals())
    assert len(found) > 80
    assert [(where, said) for where, said in found if not STEP.search(said)] == []
