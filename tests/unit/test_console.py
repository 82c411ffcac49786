from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from workq_helpers.clients.console import KEPT_LINES, Console


def in_thread(function: Any) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(10)


def test_a_captured_thread_prints_to_its_console_and_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    def printing() -> None:
        with console.capture():
            print("mine")
            sys.stderr.write("mine too")
        print("everybody's")

    in_thread(printing)
    assert console.lines == ["mine", "mine too"]
    assert repr(console) == "mine\nmine too"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("everybody's\n", "")


def test_lines_may_come_in_pieces() -> None:
    console = Console()
    console.write("a")
    console.write("b\nc")
    assert console.lines == ["ab", "c"]
    console.write("\n")
    assert console.lines == ["ab", "c"]


def test_only_the_last_lines_are_kept() -> None:
    console = Console()
    console.write("".join(f"{number}\n" for number in range(KEPT_LINES + 5)))
    assert len(console.lines) == KEPT_LINES
    assert console.lines[0] == "5"


def test_a_stream_that_was_replaced_meanwhile_is_routed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    console = Console()
    with console.capture():
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        with console.capture():
            print("still mine")
    assert console.lines == ["still mine"]


def test_a_routed_stream_has_what_the_real_one_has(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().capture():
        pass
    sys.stdout.writelines(["a\n", "b\n"])
    sys.stdout.flush()
    assert sys.stdout.encoding
    assert capsys.readouterr().out == "a\nb\n"


def test_who_records_a_cells_output_hears_nothing_of_a_captured_thread(capsys: pytest.CaptureFixture[str]) -> None:
    """IPython keeps for ever what is written while a cell runs, by putting its own `write` on the stream."""
    console, recorded = Console(), []
    with console.capture():
        pass
    original = sys.stdout.write

    def write(data: str) -> int:
        recorded.append(data)
        return original(data)

    def work() -> None:
        with console.capture():
            print("the worker's")
            sys.stdout.writelines(["its too\n"])

    sys.stdout.write = write  # type: ignore[method-assign]
    in_thread(work)
    print("the cell's")
    sys.stdout.write = original  # type: ignore[method-assign]
    in_thread(work)
    print("the next one's")
    assert console.lines == ["the worker's", "its too"] * 2
    assert "".join(recorded) == "the cell's\n"
    assert capsys.readouterr().out == "the cell's\nthe next one's\n"


def test_the_tail_is_what_was_written_last_by_a_moment() -> None:
    now = 0.0
    console = Console(lambda: now)
    for number in range(5):
        now = float(number)
        console.write(f"line {number}\n")
    now = 5.0
    console.write("unfinished")
    assert console.tail(2) == ["line 4", "unfinished"]
    assert console.tail(2, until_seconds=3.5) == ["line 2", "line 3"]
    assert console.tail(9, until_seconds=-1) == []
    assert console.writes == 6


def test_the_threads_that_are_meant_print_where_they_are_listened_to(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    with console.capture_others(lambda thread: thread is not threading.main_thread()):
        in_thread(lambda: print("mine"))
        print("everybody's")
    in_thread(lambda: print("everybody's, too"))
    assert console.lines == ["mine"]
    assert capsys.readouterr().out == "everybody's\neverybody's, too\n"
