"""What shows why something is not so yet."""

from __future__ import annotations

import pytest
from IPython import display

from tests.logs import round_robin
from workq_helpers.errors import CheckFailedError
from workq_helpers.log.events import EventLog
from workq_helpers.teaching.exercise import Verdict
from workq_helpers.teaching.reason import Reason


def test_it_is_a_small_timeline_with_its_words() -> None:
    html = Reason(round_robin(4, 2)).html()
    assert html.startswith('<p class="workq-reason"><img alt="Timeline: 2 workers, 4 tasks delivered.')
    assert 'width="520"' in html


@pytest.mark.parametrize("log", [EventLog(), round_robin(0, 2)], ids=["empty", "idle"])
def test_where_nobody_got_anything_there_is_nothing_to_see(log: EventLog, capsys: pytest.CaptureFixture[str]) -> None:
    assert Reason(log).html() == ""
    Reason(log).show()
    assert capsys.readouterr().out == ""


def test_what_was_before_the_experiment_is_left_out() -> None:
    log = round_robin(4, 2)
    assert Reason(log, log.seconds()).html() == ""


def test_what_comes_after_a_copy_was_made_is_not_in_it() -> None:
    log = round_robin(4, 2)
    copy = log.copy()
    log.record("killed", "worker-1", "hello")
    assert [event.kind for event in copy] == [event.kind for event in log][:-1]
    assert "killed" not in Reason(copy).html()


def test_a_verdict_that_is_not_yet_one_has_it_below() -> None:
    reason = Reason(round_robin(4, 2))
    html = Verdict("share the work", False, "One cook got it all.", None, reason)._repr_html_()
    assert html.index("One cook got it all.") < html.index("workq-reason")


def test_a_notebook_shows_it_above_the_sentence_of_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(display, "display", lambda html: shown.append(html.data))
    error = CheckFailedError("No task was sent.")
    assert error._render_traceback_() == ["CheckFailedError: No task was sent."]
    assert shown == []
    error.show_why = Reason(round_robin(4, 2)).show
    assert error._render_traceback_() == ["CheckFailedError: No task was sent."]
    assert "workq-reason" in shown[0]
