from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from tests.logs import round_robin
from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.details import ConsumeOptions, Handback, ProgramOptions
from workq_helpers.log.events import EventLog
from workq_helpers.pictures import timeline as timeline_module
from workq_helpers.pictures.chart import MOST_NAMED, MOST_ROWS
from workq_helpers.pictures.palette import DARK_THEME, DRAWN
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.timeline import MOST_BARS, bar_names, timeline, timelines

PNG = b"\x89PNG\r\n\x1a\n"


def kitchen(tasks: int = 4, workers: int = 2, text: str = "Soup {}...") -> EventLog:
    return round_robin(tasks, workers, text, ConsumeOptions(prefetch_count=1))


def texts(picture: Picture) -> list[str]:
    return [text.get_text() for axes in picture.figure.axes for text in axes.texts]


def test_of_a_program_what_it_held_is_drawn_and_no_work() -> None:
    log = EventLog()
    log.record("published", "sender", "hello", "m", "Soup.")
    log.record("connected", "program", "hello", detail=ProgramOptions(prefetch_count=1, program="program"))
    log.record("delivered", "program", "hello", "m", "Soup.", 1)
    log.record("acked", "program", "hello", "m", "Soup.", 1)
    (legend,) = timeline(log).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["delivered to a program, not acknowledged yet"]


def test_a_callback_that_is_still_at_work_is_drawn_up_to_now() -> None:
    log = EventLog()
    log.record("connected", "w", "hello", detail=ConsumeOptions(prefetch_count=1))
    for mark in ("m", "n"):
        log.record("published", "sender", "hello", mark, "Soup.")
    log.record("delivered", "w", "hello", "m", "Soup.", 1)
    log.record("started", "w", "hello", "m", "Soup.", 1)
    begun = log.seconds()
    picture = timeline(log, now_seconds=begun + 3)
    (bar,) = [each for axes in picture.figure.axes for each in axes.patches if each.get_linestyle() == ":"]
    assert bar.get_width() == pytest.approx(3, abs=0.1)
    assert "callback at work so far" in labels(picture)
    log.record("finished", "w", "hello", "m", "Soup.", 1)
    assert "callback at work so far" not in labels(timeline(log, now_seconds=begun + 300))
    _, right = timeline(log, now_seconds=begun + 300).figure.axes[0].get_xlim()
    assert right < 100, "what was forgotten may be in hand for hours"


def labels(picture: Picture) -> list[str]:
    return [text.get_text() for legend in picture.figure.legends for text in legend.get_texts()]


def test_a_notebook_gets_words_a_picture_and_both_together() -> None:
    picture = timeline(kitchen())
    bundle = picture._repr_mimebundle_()
    words = (
        "Timeline: 2 workers, 4 tasks delivered. worker-1: Soup 0... done; Soup 2... done. "
        "worker-2: Soup 1... done; Soup 3... done."
    )
    assert bundle["text/plain"] == repr(picture) == picture.alternative_text == words
    assert base64.b64decode(bundle["image/png"]).startswith(PNG)
    assert bundle["text/html"].startswith(f'<img alt="{words}" ')
    assert f'src="data:image/png;base64,{bundle["image/png"]}"' in bundle["text/html"]
    assert f'class="{DRAWN}"' in bundle["text/html"]
    assert f".{DRAWN} {{ filter" in DARK_THEME


def test_the_words_hold_no_measured_time() -> None:
    assert timeline(kitchen()).alternative_text == timeline(kitchen()).alternative_text


def test_what_a_message_says_is_text_and_nothing_else() -> None:
    log = kitchen(1, 1, '<img src=x onerror="alert(1)">\n$\\frac{{1}}{{2}}$ \x07')
    bundle = timeline(log)._repr_mimebundle_()
    assert "<img src=x" not in bundle["text/html"]
    assert bundle["text/html"].count("<") == 1
    assert "\n" not in bundle["text/plain"]
    assert base64.b64decode(bundle["image/png"]).startswith(PNG)


def test_letters_the_font_lacks_become_boxes_in_the_picture_alone() -> None:
    picture = timeline(kitchen(1, 1, "兎🐇..."))
    assert picture.png().startswith(PNG)
    assert "兎🐇..." in picture.alternative_text


def test_ends_and_outcomes_are_marked_and_told() -> None:
    log = EventLog()
    log.record("connected", "w", "hello", detail=ConsumeOptions(auto_ack=True))
    log.record("connected", "v", "hello", detail=ConsumeOptions())
    for number, worker in enumerate("wwvvvvv"):
        log.record("published", "p", "hello", str(number), f"T{number}")
        log.record("delivered", worker, "hello", str(number), f"T{number}", number)
    for number, worker, kind in (
        (0, "w", "lost"),
        (2, "v", "requeued"),
        (3, "v", "failed"),
        (4, "v", "nacked"),
    ):
        log.record("started", worker, "hello", str(number), f"T{number}", number)
        log.record(kind, worker, "hello", str(number), f"T{number}", number, detail=Handback.REQUEUE)
    log.record("lost", "w", "hello", "1", "T1", 1)
    log.record("requeued", "v", "hello", "5", "T5", 5)
    log.record("killed", "w", "hello")
    picture = timeline(log)
    assert picture.png().startswith(PNG)
    assert "w: T0 lost; T1 lost. It was killed." in picture.alternative_text
    assert "v: T2 requeued; T3 failed; T4 nacked; T5 requeued; T6 in hand." in picture.alternative_text
    assert "killed" in texts(picture)
    (legend,) = picture.figure.legends
    named = {text.get_text() for text in legend.get_texts()}
    assert {"cut short, message lost", "cut short, message requeued", "the callback raised"} <= named


def test_every_outcome_differs_in_more_than_its_color() -> None:
    distinct = set(timeline_module._LOOKS.values())
    assert len({(look.hatch, look.line) for look in distinct}) == len(distinct)


def test_many_deliveries_are_counted_instead_of_drawn() -> None:
    picture = timeline(kitchen(MOST_BARS + 2))
    assert len(picture.figure.axes[0].patches) < 20
    assert f"worker-1: {MOST_BARS // 2 + 1} done." in picture.alternative_text
    assert f"{MOST_BARS // 2 + 1} done" in texts(picture)


def test_beyond_some_tasks_the_words_count_too() -> None:
    assert "Soup 0..." in timeline(kitchen(MOST_NAMED)).alternative_text
    assert "Soup 0..." not in timeline(kitchen(MOST_NAMED + 2)).alternative_text


def test_too_many_workers_are_counted() -> None:
    picture = timeline(kitchen(30, MOST_ROWS + 5))
    assert picture.alternative_text.endswith("5 more workers not drawn.")
    assert f"worker-{MOST_ROWS}" in texts(picture)
    assert f"worker-{MOST_ROWS + 1}" not in texts(picture)


@pytest.mark.parametrize("log", [EventLog(), kitchen(0, 1), kitchen(3, 1)], ids=["empty", "idle", "short"])
def test_a_log_with_little_in_it_can_be_drawn(log: EventLog) -> None:
    assert timeline(log).png().startswith(PNG)


def test_a_picture_can_be_saved(tmp_path: Path) -> None:
    picture = timeline(kitchen())
    picture.save(tmp_path / "timeline.png")
    picture.save(str(tmp_path / "timeline.svg"))
    assert (tmp_path / "timeline.png").read_bytes().startswith(PNG)
    assert "<svg" in (tmp_path / "timeline.svg").read_text(encoding="utf-8")


def test_nothing_is_left_with_pyplot() -> None:
    timeline(kitchen()).png()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_several_timelines_share_one_scale() -> None:
    short, long = kitchen(2), kitchen(40)
    picture = timelines({"before": long, "after": short})
    above, below = picture.figure.axes
    assert above.get_xlim() == below.get_xlim()
    assert [axes.get_title(loc="left") for axes in (above, below)] == ["before", "after"]
    assert above.get_position().y0 > below.get_position().y0
    assert picture.png().startswith(PNG)


def test_several_timelines_are_told_one_after_another() -> None:
    one, two = kitchen(2, 1), kitchen(3, 1)
    words = timelines({"before": one, "after <b>": two}).alternative_text
    assert words == (
        f"2 timelines on one scale. before: {timeline(one).alternative_text} "
        f"after <b>: {timeline(two).alternative_text}"
    )
    assert "<b>" not in timelines({"after <b>": two})._repr_mimebundle_()["text/html"]


def test_a_timeline_beside_others_ends_with_its_work() -> None:
    log = kitchen(2, 1)
    worked = log.seconds()
    log.record("killed", "worker-1", "hello")
    assert "It was killed." in timeline(log).alternative_text
    picture = timelines({"before": log, "after": kitchen(0, 1)})
    assert "It was killed." not in picture.alternative_text
    marks = [text for text in texts(picture) if text.endswith(" s")]
    assert f"{worked:.1f} s" in marks


def test_a_worker_that_ended_before_the_last_work_is_marked() -> None:
    log = EventLog()
    for worker in ("v", "w"):
        log.record("connected", worker, "hello", detail=ConsumeOptions())
        log.record("published", "p", "hello", worker, worker)
        log.record("delivered", worker, "hello", worker, worker, 1)
    log.record("killed", "v", "hello")
    for kind in ("started", "acked", "finished"):
        log.record(kind, "w", "hello", "w", "w", 1)
    assert "It was killed." in timelines({"one": log}).alternative_text


def test_no_timeline_at_all_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="There is no log to draw"):
        timelines({})


def test_what_was_over_before_an_experiment_is_left_out_and_so_are_guests() -> None:
    log = kitchen(tasks=2, workers=2)
    for worker in ("worker-1", "worker-2"):
        log.record("stopped", worker, "hello")
    begin = log.seconds()
    later = ConsumeOptions(prefetch_count=1)
    for worker in ("worker-3", "guest"):
        log.record("connected", worker, "hello", detail=later)
        log.record("published", "p", "hello", f"id of {worker}", f"For {worker}")
        for kind in ("delivered", "started", "acked", "finished"):
            log.record(kind, worker, "hello", f"id of {worker}", f"For {worker}", 1)
    words = timeline(log, since_seconds=begin, without={"guest"}).alternative_text
    assert words == "Timeline: 1 worker, 1 task delivered. worker-3: For worker-3 done."
    assert "worker-1" in timeline(log).alternative_text


def test_a_bar_is_named_by_what_tells_tasks_apart() -> None:
    assert bar_names(["Order 7...", "Order 12."]) == {
        "Order 7...": ["Order 7...", "Order 7", "7"],
        "Order 12.": ["Order 12.", "Order 12", "12"],
    }
    assert bar_names(["First message.", "Second message.."])["First message."] == ["First message.", "First message"]
    assert bar_names(["Soup", "Soup of the day"])["Soup"] == ["Soup"]
    assert bar_names(["a  b", "a b"])["a b"] == ["a b"]
    assert bar_names(["..."]) == {"...": ["..."]}
    narrow = [text for text in texts(timeline(kitchen(40))) if "…" in text]
    assert not narrow, "a name that is cut tells nothing"


def test_work_that_outlived_its_connection_is_drawn_as_finished() -> None:
    log = EventLog()
    log.record("connected", "worker-1", "hello", detail=ConsumeOptions(prefetch_count=1))
    log.record("published", "p", "hello", "m", "Long...")
    for kind in ("delivered", "started", "requeued", "finished"):
        log.record(kind, "worker-1", "hello", "m", "Long...", 1)
    legend = timeline(log).figure.legends[0]
    assert "finished after the message went back" in [text.get_text() for text in legend.get_texts()]
