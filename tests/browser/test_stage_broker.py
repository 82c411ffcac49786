"""The broker restarted and crashed from the stage."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import open_stage
from tests.support import need
from workq_helpers import Broker

WORKER_AND_STORE = """
worker = lesson.start_worker(callback, queue="hello", prefetch_count=1)
with lesson.connect() as connection:
    connection.channel().queue_declare(queue="store", durable=True)
"""

# The same broker by its address, which is how somebody else's is used.
BY_ADDRESS = """
from workq_helpers import broker
os.environ |= {
    "WORKQ_BROKER": "url",
    "WORKQ_BROKER_URL": broker.url(),
    "WORKQ_MANAGEMENT_URL": lesson.broker.endpoint.management_url,
}
lesson = Lesson(lesson.name)
with lesson.connect() as connection:
    connection.channel().queue_declare(queue="hello", durable=True)
"""


def test_a_persistent_message_in_a_durable_queue_outlives_a_restart(lab: Lab, broker: Broker) -> None:
    need(broker.ours, "only a broker of the course's own is restarted")
    stage = open_stage(lab, before_stage=WORKER_AND_STORE)
    stage.field("queue").select_option("store")
    stage.field("persistent").check()
    stage.field("confirm").check()
    stage.send("Survivor.")
    stage.expect_counts(ready=1, unacknowledged=0, queue="store")
    stage.record()
    stage.press("restart")
    expect(stage.broker).not_to_have_attribute("data-state", "up")
    stage.expect_worker("worker-1", "reconnecting")
    stage.screenshot("stage-broker-down")
    expect(stage.broker).to_have_attribute("data-state", "up", timeout=60_000)
    stage.expect_worker("worker-1", "idle")
    stage.expect_counts(ready=1, unacknowledged=0, queue="store")
    expect(stage.message("Survivor.", "waiting")).to_be_visible()
    states = stage.states_of_broker()
    assert states[0] == states[-1] == "up"
    assert set(states) <= {"up", "stopping", "down", "coming back"}
    assert "reconnecting" in stage.states_of("worker-1")
    stage.field("queue").select_option("hello")
    stage.send("After the restart.")
    expect(stage.message("After the restart.", "done")).to_be_visible()
    stage.expect_alive()


def test_a_broker_of_somebody_else_is_not_restarted(lab: Lab, broker: Broker) -> None:
    need(broker.ours, "only the course's own broker has its address at hand")
    stage = open_stage(lab, before_stage=BY_ADDRESS)
    for do in ("restart", "crash"):
        expect(stage.button(do)).to_have_attribute("aria-disabled", "true")
    expect(stage.root).to_contain_text("does not restart or crash it")
    stage.button("restart").click(force=True)
    stage.send("It is still up.")
    expect(stage.message("It is still up.", "waiting")).to_be_visible()
    expect(stage.broker).to_have_attribute("data-state", "up")


#: Nodes that only the log knows of, and what was done to them.
NODES = """
from workq_helpers.lessons.one_of_three_dies.diary import Diary
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture

class Nodes:
    why_not = ""

    def __init__(self):
        self.states = {"node-1": "up", "node-2": "up", "node-3": "up"}
        self.diary = Diary(lesson.log)
        self.look()

    def look(self):
        self.diary.look(lambda: ClusterPicture(dict(self.states), ()))

    def kill(self, name):
        with self.diary.doing("node killed", [name], f"killed {name}"):
            self.states[name] = "down"
        self.look()

    def start(self, name):
        with self.diary.doing("node started", [name], f"started {name}"):
            self.states[name] = "up"
        self.look()

lesson.nodes = Nodes()
"""


def test_a_node_is_killed_and_started_from_the_stage_while_a_cell_runs(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=NODES)
    stage.notebook.set_source(2, "lesson.log.wait_for(lambda: lesson.nodes.states['node-1'] == 'down', 60)")
    stage.notebook.begin(2)
    node = stage.root.locator("[data-node='node-2']")
    node.get_by_role("button", name="Kill node-2").click()
    expect(node).to_have_attribute("data-state", "down")
    node.get_by_role("button", name="Start node-2").click()
    expect(node).to_have_attribute("data-state", "up")
    assert stage.notebook.runs(2)
    stage.root.get_by_role("button", name="Kill node-1").click()
    stage.notebook.wait_until_done()
    expect(stage.root.locator(".workq-story-line[data-mark='kill']")).to_contain_text(["node-2", "node-1"])
    stage.screenshot("stage-nodes")
    stage.root.get_by_role("button", name="node-2 was killed").click()
    expect(node).to_have_attribute("data-state", "down")
    expect(stage.root).to_have_attribute("data-mode", "paused")
