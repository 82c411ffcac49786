"""Hearing of what ends a learner's threads: for as long as one of them lives, and no longer."""

from __future__ import annotations

import threading

import pytest

from workq_helpers.teaching.threads import overhear_deaths


def usual_hook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a hook there, and return what it is told; within a test, for pytest 8.3 puts its own there before each."""
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type.__name__))
    return told


def fail(after: threading.Event | None = None, error: BaseException | None = None) -> None:
    if after is not None:
        after.wait(10.0)
    raise error or ValueError("too hot.")


def started(*arguments: object) -> threading.Thread:
    thread = threading.Thread(target=fail, args=arguments, daemon=True)
    thread.start()
    return thread


def test_the_hook_goes_with_the_last_thread_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = usual_hook(monkeypatch)
    before, raised, gate = threading.excepthook, list[str](), threading.Event()
    with overhear_deaths(raised):
        started().join()
        late, later = started(gate), threading.Thread(target=gate.wait, args=(10.0,), daemon=True)
        later.start()
    assert raised == ["ValueError: too hot"]
    assert threading.excepthook is not before
    started().join()
    assert usual == ["ValueError"], "of a thread that began later"
    gate.set()
    late.join()
    later.join()
    assert raised == ["ValueError: too hot"] * 2
    with overhear_deaths(raised):
        pass
    assert threading.excepthook is before
    assert usual == ["ValueError"]


def test_a_hook_that_the_answer_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    usual_hook(monkeypatch)

    def own(_: threading.ExceptHookArgs) -> None:
        """Hear of nothing."""

    with overhear_deaths([]):
        threading.excepthook = own
    assert threading.excepthook is own


def test_a_thread_that_exits_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    usual_hook(monkeypatch)
    raised: list[str] = []
    with overhear_deaths(raised):
        started(None, SystemExit()).join()
    assert not raised
