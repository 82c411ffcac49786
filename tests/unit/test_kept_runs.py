"""What is compared of a lesson and of its kept run, without running anything."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from workq_helpers.lessons import CHAPTERS

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))  # as Python does for a script: they import each other

from kept_runs import changed, differences  # noqa: E402
from lesson_pictures import BEFORE, moment_before  # noqa: E402
from lesson_site import Lesson, with_outputs  # noqa: E402
from recording import KEPT, Recording, cells_of, fingerprint, folder_of  # noqa: E402

LESSON = ROOT / "notebooks" / CHAPTERS[1].notebook


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("0*.ipynb")), ids=lambda path: path.stem)
def test_the_runs_are_of_the_lessons_as_they_are(notebook: Path) -> None:
    found = changed(notebook, cells_of(KEPT / folder_of(notebook)))
    assert found == [], f"record it anew: make runs NOTEBOOKS={notebook.name}"


def test_each_change_of_code_is_told_and_none_of_words(tmp_path: Path) -> None:
    recorded = cells_of(KEPT / folder_of(LESSON))
    notebook = nbformat.read(LESSON, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source += "\n# one word more\n"
    code[1].source += "\nlesson.close()"
    notebook.cells.remove(code[2])
    notebook.cells.append(nbformat.v4.new_code_cell("1 + 1", id="code-new"))
    nbformat.write(notebook, tmp_path / LESSON.name)
    cells = set(changed(tmp_path / LESSON.name, recorded))
    assert cells == {code[1].id, code[2].id, "code-new"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda node: node.update(state="down"), ["the nodes, started node-1: 3 up -> 3 down"]),
        (lambda node: node.update(copies=[]), []),  # nobody had seen the queues when somebody looked
    ],
)
def test_what_became_of_the_nodes_is_compared(change: Callable[[dict[str, object]], None], told: list[str]) -> None:
    kept = Recording.load(KEPT / "one_of_three_dies")
    again = copy.deepcopy(kept)
    for part in again.runs["to_which_address"].file["parts"]:
        if isinstance(part, dict) and part.get("deed") == "started node-1":
            for node in part["nodes"]:
                change(node)
    found = [f"{each.what}: {each.kept} -> {each.again}" for each in differences(kept, again)]
    assert found[:1] == told


@pytest.mark.parametrize(("experiment", "is_told"), [("to_which_address", False), ("the_leader_s_node_dies", True)])
def test_a_queue_that_stands_still_is_told_where_its_leader_is_waited_for(experiment: str, is_told: bool) -> None:
    kept = Recording.load(KEPT / "one_of_three_dies")
    again = copy.deepcopy(kept)
    for part in again.runs[experiment].file["parts"]:
        for node in part["nodes"] if isinstance(part, dict) and "nodes" in part else []:
            for each in node["copies"]:
                each["role"] = "follower"
    assert bool(differences(kept, again)) == is_told


def test_what_was_counted_is_compared_and_a_speed_only_known() -> None:
    kept = Recording.load(KEPT / "fair_dispatch")
    again = copy.deepcopy(kept)
    for name, counted in kept.counted.items():
        again.counted[name] = counted._replace(number=counted.number + 100)
    assert [each.what for each in differences(kept, again)] == ["twelve guests", "eight offers"]
    again.counted.clear()
    assert [each.what for each in differences(kept, again)] == list(kept.counted)


@pytest.mark.parametrize("same", [True, False])
def test_the_site_shows_what_this_code_did_and_not_what_other_code_did(same: bool) -> None:
    recording = Recording.load(KEPT / folder_of(LESSON))
    code = [cell for cell in nbformat.read(LESSON, as_version=4).cells if cell.cell_type == "code"]
    name = code[1].id
    recording.outputs[name] = [{"output_type": "stream", "name": "stdout", "text": "recorded"}]
    recording.cells[name] = recording.cells[name]._replace(code=fingerprint(code[1].source if same else "other()"))
    (shown,) = (cell for cell in with_outputs(Lesson(LESSON, recording)).cells if cell.id == name)
    assert (recording.outputs[name] == shown.outputs) is same


def test_each_picture_shows_work_before_what_its_run_tells_next() -> None:
    for lesson, (experiment, sentence) in BEFORE.items():
        run = Recording.load(KEPT / lesson).runs[experiment]
        seconds, events = moment_before(run, sentence)
        seen = [each for each in run.moments if each.seconds - run.moments[0].seconds <= seconds]
        assert seen[-1].events == events, lesson
        assert not any(sentence in line["text"] for each in seen for line in each.shown["story"]), lesson
