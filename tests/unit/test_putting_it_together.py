"""What the lesson "Putting it together" checks and predicts, on logs and consoles made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.chapters import HandMadeLog, check
from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.putting_it_together.program_reports import program_reports, read_program_reports
from workq_helpers.lessons.putting_it_together.task_stories import TaskStories, read_task_stories, task_stories
from workq_helpers.log.details import BrokerChange, ConsumeOptions
from workq_helpers.rabbitmq.management import QueueCounts

pytestmark = pytest.mark.pinned  # of the course alone

FAIR = ConsumeOptions(prefetch_count=1)


class Kitchen(HandMadeLog):
    """A lesson made by hand: its log, its programs, and what the broker counts."""

    def __init__(self) -> None:
        super().__init__()
        self.programs: list[Any] = []
        self.publishers: list[Any] = []
        self.broker = SimpleNamespace(restartable=True)
        self.counts = (0, 0)
        self._tags: dict[str, int] = {}

    def queue_counts(self) -> dict[str, QueueCounts]:
        return {"task_queue": QueueCounts(*self.counts, True, "classic")}

    def program(self, state: str, *lines: str) -> Kitchen:
        console = SimpleNamespace(lines=[f" [x] {line}" for line in lines])
        self.programs.append(SimpleNamespace(name=f"worker.py {len(self.programs) + 1}", state=state, console=console))
        return self

    def come(self, *names: str, how: ConsumeOptions = FAIR) -> Kitchen:
        for name in names:
            self.log.record("connected", name, "task_queue", detail=how)
        return self

    def send(self, *tasks: str, confirmed: bool = True) -> Kitchen:
        for task in tasks:
            self.log.record("published", "publisher-1", "task_queue", task, task)
            if confirmed:
                self.log.record("confirmed", "publisher-1", "task_queue", task, task)
        return self

    def tell(self, worker: str, task: str, *kinds: str, why: str = "", tag: int | None = None) -> Kitchen:
        if kinds[0] == "delivered":
            self._tags[worker] = self._tags.get(worker, 0) + 1
        for kind in kinds:
            detail = why if kind in ("requeued", "unknown") else ""
            self.log.record(kind, worker, "task_queue", task, task, tag or self._tags[worker], detail=detail)
        return self

    def do(self, worker: str, *tasks: str) -> Kitchen:
        for task in tasks:
            self.tell(worker, task, "delivered", "started", "acked", "finished")
        return self

    def die(self, worker: str, task: str) -> Kitchen:
        self.tell(worker, task, "delivered", "started")
        self.log.record("killed", worker)
        return self.tell(worker, task, "requeued", why="the worker was killed")

    def restart(self) -> Kitchen:
        for change in (BrokerChange.RESTARTING, BrokerChange.UP):
            self.log.record("broker", "lesson", detail=change)
        return self

    def says(self, name: str) -> str:
        return check(self, name).saw  # type: ignore[arg-type]


def storm() -> Kitchen:
    kitchen = Kitchen().come("worker-1", "worker-2").send("Soup..", "Tea..")
    return kitchen.die("worker-1", "Soup..").restart().do("worker-2", "Soup..", "Tea..")


# -- stories of tasks


def test_a_task_that_went_through_has_a_short_story() -> None:
    (told,) = read_task_stories(Kitchen().send("Soup..").do("worker-1", "Soup..").log)
    assert (told.sent, told.confirmed, told.done, told.acknowledged) == (1, True, 1, True)
    assert told.story == "worker-1 did it"


def test_work_that_outlives_its_connection_is_done_twice() -> None:
    kitchen = Kitchen().send("Soup..").tell("worker-1", "Soup..", "delivered", "started")
    kitchen.tell("worker-1", "Soup..", "requeued", why="the connection was lost")
    # The new channel's first tag is the same again; what ends then is the old callback.
    kitchen.tell("worker-1", "Soup..", "delivered", tag=1).tell("worker-1", "Soup..", "finished", tag=1)
    kitchen.tell("worker-1", "Soup..", "started", "acked", "finished", tag=1)
    (told,) = read_task_stories(kitchen.log)
    assert told.story == "worker-1 did it, and the connection was lost; worker-1 did it"
    assert told.done == 2


def test_an_ack_that_may_not_have_arrived_is_told() -> None:
    kitchen = Kitchen().send("Soup..").do("worker-1", "Soup..")
    kitchen.tell("worker-1", "Soup..", "unknown", why="its ack may not have arrived before the connection was lost")
    (told,) = read_task_stories(kitchen.do("worker-2", "Soup..").log)
    assert told.story == (
        "worker-1 did it, and its ack may not have arrived before the connection was lost; worker-2 did it"
    )


def test_a_task_that_was_sent_again_is_one_task() -> None:
    (told,) = read_task_stories(Kitchen().send("Soup..", confirmed=False).send("Soup..").do("worker-1", "Soup..").log)
    assert (told.sent, told.story) == (2, "its confirm never came, so it was sent again; worker-1 did it")


def test_the_table_leaves_out_what_simply_went_through() -> None:
    table = task_stories(storm()).table()  # type: ignore[arg-type]
    assert table.reset_index().to_numpy().tolist() == [
        ["Soup..", True, 2, 1, "worker-1 began, and the worker was killed; worker-2 did it"]
    ]
    assert list(task_stories(storm(), all_tasks=True).table().index) == ["Soup..", "Tea.."]  # type: ignore[arg-type]
    assert repr(TaskStories([])) == "Every task simply went through."


def test_a_task_in_a_table_is_no_html() -> None:
    kitchen = Kitchen().send("<b>")
    assert "&lt;b&gt;" in task_stories(kitchen)._repr_mimebundle_()["text/html"]  # type: ignore[arg-type]


# -- reports of programs


def test_programs_are_taken_at_their_word() -> None:
    kitchen = Kitchen().program("killed", "Received A (b)", "Sent C").program("running", "Received A (b) (again)")
    told = [(each.program.name, each.deed, each.task, each.again) for each in read_program_reports(kitchen.programs)]
    assert told == [("worker.py 1", "Received", "A (b)", False), ("worker.py 2", "Received", "A (b)", True)]
    kitchen.program("running", "Done A (b)")
    table = program_reports(kitchen)  # type: ignore[arg-type]
    assert list(table.loc["A (b)"]) == ["worker.py 1, worker.py 2 (again)", "worker.py 3"]
    assert program_reports(Kitchen()).empty  # type: ignore[arg-type]


# -- real kill


def killed() -> Kitchen:
    return Kitchen().program("killed", "Received Tea.", "Done Tea.", "Received Roast..")


def test_a_real_kill_is_told_by_names() -> None:
    saw = killed().program("running", "Received Roast.. (again)", "Done Roast..").says("real kill")
    assert saw == (
        "worker.py 1 was killed with 'Roast..' in hand, and worker.py 2 did it. RabbitMQ counts nothing ready and "
        "nothing unacknowledged."
    )


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen(), "No program was started"),
        (Kitchen().program("running", "Received Tea."), "No program was killed"),
        (Kitchen().program("killed", "Received Tea.", "Done Tea."), "with nothing in hand"),
        (killed(), "Nobody has done 'Roast..'"),
    ],
    ids=["none", "alive", "idle", "undone"],
)
def test_what_a_real_kill_lacks_is_named(kitchen: Kitchen, message: str) -> None:
    assert message in kitchen.lacks("real kill")


def test_what_rabbitmq_still_counts_is_not_over() -> None:
    kitchen = killed().program("running", "Received Roast..", "Done Roast..")
    kitchen.counts = (1, 2)
    assert "counts 1 ready and 2 unacknowledged" in kitchen.lacks("real kill")


def test_the_fate_of_a_killed_programs_task_is_recognized() -> None:
    assert killed().program("running", "Received Roast.. (again)", "Done Roast..").seen("real kill")[0] == 1
    kitchen = killed()
    with pytest.raises(CheckFailedError, match="Start another"):
        kitchen.seen("real kill")
    kitchen.counts = (0, 1)
    assert kitchen.seen("real kill")[0] == 2
    with pytest.raises(CheckFailedError, match="still at it"):
        kitchen.program("running", "Received Roast..").seen("real kill")


def test_a_program_that_did_the_task_twice_is_named_once() -> None:
    saw = killed().program("running", "Received Roast..", "Done Roast..", "Received Roast..", "Done Roast..")
    assert "in hand, and worker.py 2 did it." in saw.says("real kill")


@pytest.mark.parametrize("prediction", ["real kill", "asked to leave"])
def test_a_worker_of_the_stage_that_took_the_task_is_named(prediction: str) -> None:
    kitchen = killed().program("running").come("worker.py 1", "worker.py 2", "worker-1").send("Roast..")
    kitchen.log.record("played", "worker-1")
    kitchen.tell("worker-1", "Roast..", "delivered")
    with pytest.raises(CheckFailedError, match="worker-1, which was started from the stage, got 'Roast\\.\\.'"):
        kitchen.seen(prediction)


# -- asked to leave


def test_who_does_the_task_of_a_worker_that_is_asked_to_leave_is_recognized() -> None:
    idle = killed().program("ended with status 0", "Received Roast.. (again)", "Done Roast..")
    with pytest.raises(CheckFailedError, match="while it works on a task that is new"):
        idle.seen("asked to leave")  # it had nothing in hand
    assert idle.program("ended with status 0", "Received Bread.").seen("asked to leave")[0] == 2
    assert idle.program("running", "Received Bread. (again)", "Done Bread.").seen("asked to leave")[0] == 1
    stays = Kitchen().program("ended with status 0", "Received Bread.", "Done Bread.")
    assert stays.seen("asked to leave") == (0, "worker.py 1 did 'Bread.' to its end, and left.")


def test_what_crosses_a_restart_is_recognized() -> None:
    kitchen = storm().program("running", "Received Toast.", "Received Toast. (again)", "Done Toast.", "Done Juice.")
    assert kitchen.seen("crossed")[0] == 1
    kitchen.counts = (1, 0)
    with pytest.raises(CheckFailedError, match="something left in the queue"):
        kitchen.seen("crossed")
    kitchen.counts = (0, 0)
    kitchen.program("running", "Done Toast.", "Done Juice.", "Done Hello World!")
    assert kitchen.seen("crossed") == (0, "worker.py 2 did 'Toast.', 'Juice.' and 'Hello World!'.")
    kitchen.program("running", "Done Toast.", "Done Toast.", "Done Juice.", "Done Hello World!")
    assert kitchen.seen("crossed") == (0, "worker.py 3 did 'Toast.', 'Juice.' and 'Hello World!'.")
    assert storm().seen("crossed")[0] == 2


def test_without_a_restart_nothing_has_crossed_one() -> None:
    kitchen = Kitchen().program("running", "Done Toast.", "Done Juice.", "Done Hello World!")
    with pytest.raises(CheckFailedError, match="was not restarted"):
        kitchen.seen("crossed")
    kitchen.broker.restartable = False  # nobody could
    assert kitchen.seen("crossed")[0] == 0


# -- nothing lost


def test_a_storm_is_summed_up() -> None:
    assert storm().says("nothing lost") == (
        "1 worker was killed and RabbitMQ restarted. All 2 tasks that RabbitMQ had confirmed are done: 1 of them was "
        "delivered more than once, and none done more than once. RabbitMQ has nothing left."
    )


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen(), "No task was sent"),
        (Kitchen().send("Tea."), "No worker consumes yet"),
        (Kitchen().come("worker-1").send("Tea.", confirmed=False), "RabbitMQ confirmed no task"),
        (Kitchen().come("worker-1", how=ConsumeOptions(auto_ack=True)).send("Tea."), "worker-1 has auto_ack=True"),
        (Kitchen().come("worker-1").send("Tea.").do("worker-1", "Tea."), "No worker was killed"),
        (Kitchen().come("worker-1").send("Tea.").die("worker-1", "Tea."), "RabbitMQ was not restarted"),
        (storm().send("Bread."), "1 task of 3 confirmed and not done, 'Bread.' for one"),
    ],
    ids=["nothing", "nobody", "unconfirmed", "auto ack", "alive", "no restart", "undone"],
)
def test_what_a_storm_lacks_is_named(kitchen: Kitchen, message: str) -> None:
    assert message in kitchen.lacks("nothing lost")


def test_a_storm_that_left_something_is_not_over() -> None:
    kitchen = storm()
    kitchen.counts = (3, 0)
    assert "counts 3 ready" in kitchen.lacks("nothing lost")
    with pytest.raises(CheckFailedError, match="not over"):
        kitchen.seen("everything at once")


def test_everything_at_once_is_recognized() -> None:
    assert storm().seen("everything at once") == (
        1,
        "Of 2 confirmed orders none got lost, and 1 was delivered more than once.",
    )
    quiet = Kitchen().come("worker-1").send("Tea.").restart().do("worker-1", "Tea.")
    assert quiet.seen("everything at once")[0] == 0
    assert storm().send("Lost.").seen("everything at once")[0] == 2


def test_a_storm_without_a_restart_counts_where_none_can_be_had() -> None:
    kitchen = Kitchen().come("worker-1", "worker-2").send("Tea.").die("worker-1", "Tea.").do("worker-2", "Tea.")
    with pytest.raises(CheckFailedError):
        kitchen.seen("everything at once")
    kitchen.broker.restartable = False
    assert kitchen.seen("everything at once")[0] == 1


# -- answer first


def test_pictures_that_wait_are_counted_at_the_last_confirm() -> None:
    kitchen = Kitchen().come("worker-1").send("picture-1").do("worker-1", "picture-1").send("picture-2", "picture-3")
    assert kitchen.do("worker-1", "picture-2", "picture-3").says("answer first") == (
        "3 pictures were confirmed. When the last of them was, 2 still waited for their thumbnails; worker-1 made them "
        "all."
    )


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen(), "No picture was published"),
        (Kitchen().send("picture-1", confirmed=False), "Call channel.confirm_delivery()"),
        (Kitchen().send("picture-1"), "No worker consumes yet"),
        (Kitchen().come("worker-1").send("picture-1"), "'picture-1' is not done yet"),
    ],
    ids=["nothing", "unconfirmed", "nobody", "undone"],
)
def test_what_an_early_answer_lacks_is_named(kitchen: Kitchen, message: str) -> None:
    assert message in kitchen.lacks("answer first")
