"""A learner's function copied with a memory of its own."""

from __future__ import annotations

from typing import Any

from workq_helpers.teaching.another_program import as_another_program

CELL = """
import threading

served, lock, count = set(), threading.Lock(), 0

def remember(name):
    served.add(name)

def callback(name, seen=[], *, also={}):
    global count
    count += 1
    with lock:
        remember(name)
    seen.append(name)
    also[name] = True
    callback.calls.append(name)
    return len(served), len(seen), len(also), len(callback.calls), count

callback.calls = []
"""


def cell(text: str = CELL) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(text, names)  # noqa: S102 - our own text, run as a notebook would
    return names


def test_two_programs_share_no_memory() -> None:
    names = cell()
    one, memory = as_another_program(names["callback"])
    other, _ = as_another_program(names["callback"])
    assert one("soup") == (1, 1, 1, 1, 1)
    assert one("tea") == (2, 2, 2, 2, 2)
    assert other("tea") == (1, 1, 1, 1, 1)
    assert names["served"] == set()
    assert names["count"] == 0
    assert set(memory.altered) == {"served", "seen", "also", "callback.calls", "count"}


def test_what_it_closes_over_is_copied_and_what_it_is_given_is_not() -> None:
    names = cell(
        "def make():\n    seen = []\n    def callback(plates):\n        seen.append(1)\n"
        "        plates.append(len(seen))\n    return callback\ncallback = make()\n"
    )
    plates: list[int] = []
    for _ in range(2):
        copied, memory = as_another_program(names["callback"])
        copied(plates)
        assert memory.altered == ["seen"]
    assert plates == [1, 1]


def test_an_object_of_the_notebook_and_its_method_keep_their_own_memory() -> None:
    names = cell(
        "class Cook:\n    def __init__(self):\n        self.seen = []\n    def __call__(self):\n"
        "        self.seen.append(1)\n        return len(self.seen)\n    serve = __call__\n\ncook = Cook()\n"
    )
    for callback in (names["cook"], names["cook"].serve):
        one, memory = as_another_program(callback)
        assert (one(), one()) == (1, 2)
        assert memory.altered == ["self"]
    assert names["cook"].seen == []


def test_a_function_that_remembers_nothing_has_altered_nothing() -> None:
    names = cell("menu = ['Tea']\n\ndef callback(order):\n    return order in menu\n")
    copied, memory = as_another_program(names["callback"])
    assert copied("Tea") is True
    assert memory.altered == []


WRAPPED = """
import functools

seen = set()

def with_list(known, name, also):
    known.append(name)
    also.append(name)
    return len(known) + len(also)

callback = functools.partial(with_list, [], also=[])

def announced(function):
    @functools.wraps(function)
    def call(name):
        return function(name)
    return call

@announced
def decorated(name):
    seen.add(name)
    return len(seen)
"""


def test_what_a_partial_was_given_is_another_programs_own() -> None:
    names = cell(WRAPPED)
    one, memory = as_another_program(names["callback"])
    other, _ = as_another_program(names["callback"])
    assert (one("soup"), one("tea"), other("bread")) == (2, 4, 2)
    assert memory.altered == ["known", "also"]


def test_what_a_function_below_a_decorator_remembers_is_another_programs_own() -> None:
    names = cell(WRAPPED)
    one, memory = as_another_program(names["decorated"])
    other, _ = as_another_program(names["decorated"])
    assert (one("soup"), one("tea"), other("bread")) == (1, 2, 1)
    assert memory.altered == ["seen"]


def test_what_a_class_keeps_and_what_its_methods_use_is_copied_too() -> None:
    names = cell(
        "served = set()\n\nclass Cook:\n    seen = []\n    def __call__(self, order):\n        served.add(order)\n"
        "        self.seen.append(order)\n        return len(served), len(self.seen)\n\ncook = Cook()\n"
    )
    one, memory = as_another_program(names["cook"])
    other, _ = as_another_program(names["cook"])
    assert (one("soup"), one("tea"), other("tea")) == ((1, 1), (2, 2), (1, 1))
    assert set(memory.altered) == {"seen", "served"}
    assert (names["served"], names["Cook"].seen) == (set(), [])


def test_what_a_cache_remembers_is_not_known_to_another_program() -> None:
    names = cell(
        "import functools\nlog = []\n\n@functools.lru_cache\ndef once(order):\n    log.append(order)\n"
        "    return len(log)\n\ndef callback(order):\n    return once(order)\n"
    )
    one, _ = as_another_program(names["callback"])
    assert (one("soup"), one("soup"), one("tea")) == (1, 1, 2)
    assert names["once"].cache_info().currsize == 0
