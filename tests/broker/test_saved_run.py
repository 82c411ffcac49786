"""A run of a real lesson, saved and read again."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from workq_helpers import Broker, Lesson, print_work_and_ack
from workq_helpers.cli.main import main
from workq_helpers.stage import saving


def test_what_a_lesson_showed_is_saved_and_compared(broker: Broker, tmp_path: Path) -> None:
    with Lesson("saved", broker) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare(queue="hello", durable=True)
        lesson.start_worker(print_work_and_ack, queue="hello")
        publisher = lesson.start_publisher(["First.", "Second."], queue="hello")
        lesson.log.wait_for(lambda: any(event.kind == "started" for event in lesson.log), 30)
        early = saving.load(lesson.save_run(tmp_path / "early.json"))  # while it runs
        publisher.wait()
        lesson.wait_until_idle()
        files = [lesson.save_run(tmp_path / name) for name in ("run.html", "run.json")]
        assert "saved" in repr(lesson.replay(files[0]))
    assert early.file["tasks"][0]["task"] == "First."
    page, alone = (saving.load(file) for file in files)
    assert [(row["task"], row["fate"], row["deliveries"]) for row in alone.file["tasks"]] == [
        ("First.", "done", 1),
        ("Second.", "done", 1),
    ]
    assert page.file["tasks"] == alone.file["tasks"]
    last = alone.moments[-1].shown
    assert last["workers"][0]["console"][-1] == " [x] Done"
    assert last["ends"]["done"]["count"] == 2
    for secret in (broker.endpoint.password, f"{broker.endpoint.host}:{broker.endpoint.port}", str(Path.home())):
        assert secret not in files[1].read_text()
    compared = CliRunner().invoke(main, ["run", "diff", *map(str, files), "--page", str(tmp_path / "both.html")])
    assert (compared.exit_code, "differs" in compared.output) == (0, False)
    assert (tmp_path / "both.html").read_text().count("data-workq-run>") == 2
