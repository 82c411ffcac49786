"""What is told of a learner's function before it runs, and of its text once it has failed."""

from __future__ import annotations

import functools
import itertools
import linecache
from typing import Any

import pytest

from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching.calls import misspelled
from workq_helpers.teaching.function import clues_in, definitions_beside, endless_loops, look_at, name_of

pytestmark = pytest.mark.pinned  # of the course alone

_cells = itertools.count(1)


def defined(text: str, name: str = "callback") -> Any:
    """Run a cell, and return what it defines; its text is kept as IPython keeps it."""
    cell, names = f"<cell of test_function {next(_cells)}>", {"__name__": "__main__"}
    linecache.cache[cell] = len(text), None, text.splitlines(keepends=True), cell
    exec(compile(text, cell, "exec"), names)  # noqa: S102 - our own text
    return names[name]


@pytest.mark.parametrize(
    "text",
    [
        "def callback(a, b): ...",
        "callback = lambda *what: None",
        "class Cook:\n    def __call__(self, a, b): ...\ncallback = Cook()",
        "class Cook:\n    def serve(self, a, b, c=1): ...\ncallback = Cook().serve",
        "callback = print",
    ],
)
def test_whatever_can_be_called_like_that_may_be_tried(text: str) -> None:
    look_at(defined(text), "callback", "channel, order")


def test_a_partial_of_an_async_function_never_runs_either() -> None:
    async def send(_a: object, _b: object, _c: object) -> None: ...

    with pytest.raises(CheckFailedError, match="is an async function"):
        look_at(functools.partial(send, 1), "send_order", "channel, order")


def test_a_name_without_parentheses_is_told_with_its_words() -> None:
    (clue,) = clues_in(defined("def callback(ch):\n    ch.basic_ack\n"))
    assert clue == "Your code says ch.basic_ack without parentheses, which names it and does not call it."


@pytest.mark.parametrize(
    "text",
    [
        'def callback(ch):\n    """Words."""\n    ch.basic_ack()\n',
        "def callback(ch):\n    return ch.is_open\n",
        "def callback(body):\n    return body == b'Tea'\n",
        "def callback(ch, call):\n    ch.basic_consume('hello', on_message_callback=make(call))\n",
    ],
)
def test_what_may_be_meant_is_no_clue(text: str) -> None:
    assert list(clues_in(defined(text))) == []


@pytest.mark.parametrize(
    ("loop", "endless"),
    [
        ("while True:\n        pass", True),
        ("while 1:\n        try:\n            pass\n        except Exception:\n            pass", True),
        ("while True:\n        break", False),
        ("while True:\n        return", False),
        ("while ready:\n        pass", False),
        ("try:\n        while True:\n            next(ready)\n    except StopIteration:\n        pass", False),
        ("try:\n        next(ready)\n    except StopIteration:\n        while True:\n            pass", True),
        ("try:\n        while True:\n            next(ready)\n    except* StopIteration:\n        pass", False),
        ("with until_empty():\n        while True:\n            ready.pop()", False),
    ],
)
def test_a_loop_that_nothing_leaves_is_seen(loop: str, endless: bool) -> None:
    callback = defined(f"import functools\n\n@functools.cache\ndef callback(ready):\n    {loop}\n")
    loops = endless_loops(callback)
    assert bool(loops) is endless
    assert all(each.function == 3 and each.lines.start >= 5 for each in loops)


def test_a_loop_of_a_function_inside_is_that_ones() -> None:
    (loop,) = endless_loops(defined("def callback():\n    def serve():\n        while True: pass\n    return serve\n"))
    assert (loop.function, loop.lines) == (2, range(3, 4))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("x-mesage-ttl", "x-message-ttl"),
        ("x_max_length", "x-max-length"),
        ("X-Queue-Type", "x-queue-type"),
        ("message-ttl", "x-message-ttl"),
    ],
)
def test_an_argument_that_is_nearly_one_is_told(name: str, meant: str) -> None:
    (clue,) = misspelled({name: 1})
    assert clue.endswith(f"Did you mean {meant!r}?")


@pytest.mark.parametrize("name", ["x-max-length", "x-of-somebody-else", 5])
def test_an_argument_of_its_own_is_let_be(name: object) -> None:
    assert list(misspelled({name: 1})) == []


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("verdict = check()\nassert verdict", ""),
        ("import pika\nimport json as j\nLIMIT = 1\nOTHER = 2", "import pika\nLIMIT = 1\n"),
        ("import pika\nLIMIT: int = len(pika.__name__)\ndef helper(): return LIMIT", "import pika\n"),
    ],
)
def test_a_program_has_what_a_function_needs_and_nothing_that_its_cell_did(text: str, needed: str) -> None:
    cell = f"def check(): return True\n{text}\ndef consume(connection):\n    return pika, LIMIT"
    consume = defined(cell, "consume")
    made = definitions_beside(consume, name_of(consume, "consume"))
    assert needed in made
    assert "verdict" not in made
    assert "OTHER" not in made
    names: dict[str, Any] = {}
    exec(made, names)  # noqa: S102 - our own text
    assert {"json", "j", "check", "helper"}.isdisjoint(names)


@pytest.mark.parametrize(
    "text",
    [
        "import functools\ndef go(limit, connection): return limit\nconsume = functools.partial(go, 1)",
        "class Consumer:\n    def __call__(self, connection): return 1\nconsume = Consumer()",
        "class Consumer:\n    def run(self, connection): return 1\nconsume = Consumer().run",
        "def go(connection): return 1\nconsume = go",
        "try:\n    import json as j\nexcept ImportError:\n    j = None\nconsume = lambda connection: bool(j) + 0",
    ],
)
def test_a_program_has_whatever_stands_for_a_function(text: str) -> None:
    consume = defined(text, "consume")
    names: dict[str, Any] = {}
    exec(definitions_beside(consume, name_of(consume, "consume")), names)  # noqa: S102 - our own text
    assert names["consume"](None) == 1
