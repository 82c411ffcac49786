"""`differences`: what fared otherwise in a lesson that was run again than in the recording that is kept of it.

    kept_runs.py FOLDER

says so of each recording in a folder; without one it says without running anything which cells of the lessons are no
longer those that were recorded. The exit status is 1 if there is anything to say.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from recording import KEPT, NOTEBOOKS, CellFacts, Recording, cells_of, fingerprint, folder_of

from workq_helpers.lessons import CHAPTERS
from workq_helpers.stage.frame import ClusterCard, NodeCard, QueueCopyLine
from workq_helpers.stage.run_diff import compare
from workq_helpers.stage.saved_run import SavedRun, TaskRow
from workq_helpers.teaching.estimate import Counted
from workq_helpers.teaching.prediction import Seen

__all__ = ["Difference", "changed", "differences"]

#: Experiments in which RabbitMQ does not promise who gets a task, or how often it is delivered until it is done:
#: whoever is free first gets the next one, also of two that finish at once, and a crash or an outage meets whatever is
#: on its way.
WHO_IS_OPEN = frozenset(
    {
        "a_backlog_that_can_be_shared",
        "a_consumer_by_hand",
        "a_queue_that_fills",
        "an_order_that_nobody_can_cook",
        "one_at_a_time",
        "real_work",
    }
)

#: Experiments in which it does not promise what becomes of a task, nor how many there are before it crashes or the time
#: is over in which they are sent or tried again.
ALL_IS_OPEN = frozenset(
    {
        "everything_at_once",
        "how_much_is_that_worth",
        "later_is_better_than_at_once",
        "the_same_crash_with_confirms",
    }
)

#: Experiments in which the next thing is done to the nodes without a wait for a queue's new leader.
LEADER_IS_OPEN = frozenset({"to_which_address"})

#: Questions for a number that is a speed: the machine's, and of how busy it is.
SPEEDS = frozenset({"a hundred at a time"})

_NODES = "the nodes"

#: So many tasks are named of those that fared otherwise.
_NAMED = 3


class Difference(NamedTuple):
    """Something that fared otherwise.

    Attributes:
        experiment: The experiment's name.
        what: A task, or a prediction.
        kept: How it fared in the recording that is kept.
        again: How it fared when the lesson was run again.
    """

    experiment: str
    what: str
    kept: str
    again: str


def changed(notebook: Path, kept: Mapping[str, CellFacts]) -> list[str]:
    """Return the ids of a lesson's cells whose code was not recorded, and of those recorded that are gone.

    Args:
        notebook: The lesson's.
        kept: What each cell did in the recording that is kept of it.
    """
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    there = {cell.id: fingerprint(cell.source) for cell in cells}
    recorded = {name: facts.code for name, facts in kept.items()}
    return [name for name in {**there, **recorded} if there.get(name) != recorded.get(name)]


def differences(kept: Recording, again: Recording) -> list[Difference]:
    """Return what fared otherwise, of all that is promised to be equal.

    Args:
        kept: The recording that is kept.
        again: A recording of the same lesson.
    """
    found = [
        Difference(name, "the experiment", "recorded" if name in kept.runs else "not there", "not there")
        for name in kept.runs
        if name not in again.runs
    ]
    for name, run in kept.runs.items():
        if name in again.runs and name not in ALL_IS_OPEN:
            found += _of_tasks(name, run.file["tasks"], again.runs[name].file["tasks"])
            found += _of_nodes(name, run, again.runs[name])
    return [*found, *_of_predictions(kept, again)]


def _of_tasks(name: str, before: Sequence[TaskRow], after: Sequence[TaskRow]) -> list[Difference]:
    # In whatever order: a dead letter may arrive before the next task is sent, or after it.
    if sorted(task["task"] for task in before) != sorted(task["task"] for task in after):
        return [Difference(name, "tasks, as they were sent", _listed(before), _listed(after))]
    fared = [
        (each.task, _fared(name, each.first), _fared(name, each.second))
        for each in compare(before, after)
        if _fared(name, each.first) != _fared(name, each.second)
    ]
    if len(fared) <= _NAMED:
        return [Difference(name, *each) for each in fared]
    return [
        Difference(
            name,
            f"{len(fared)} of {len(before)} tasks",
            _counted([fate for _, fate, _ in fared]),
            _counted([fate for _, _, fate in fared]),
        )
    ]


def _of_nodes(name: str, before: SavedRun, after: SavedRun) -> list[Difference]:
    kept, again = _at_rest(before), _at_rest(after)
    if list(kept) != list(again):
        return [Difference(name, "what was done to the nodes", ", ".join(kept), ", ".join(again))]
    # Of the queues those that both saw: a node that was asked at once may not name a new one yet.
    return [
        Difference(name, f"{what}, {deed}", kept[deed][what], again[deed][what])
        for deed in kept
        for what in ([_NODES] if name in LEADER_IS_OPEN else kept[deed])
        if what in again[deed] and kept[deed][what] != again[deed][what]
    ]


def _at_rest(run: SavedRun) -> dict[str, dict[str, str]]:
    """Return how the nodes were when the next thing was done to them, by what had been done; who leads is open."""
    clusters = (moment.shown["cluster"] for moment in run.moments)
    return {cluster["deed"]: _how(cluster) for cluster in clusters if cluster is not None and cluster["deed"]}


def _how(cluster: ClusterCard) -> dict[str, str]:
    """Return what the nodes were, and whether each queue was served."""
    states = Counter(node["state"] for node in cluster["nodes"])
    queues = {copy["queue"]: "stands still" for node in cluster["nodes"] for copy in node["copies"]}
    for node in cluster["nodes"]:
        queues |= {copy["queue"]: "goes on" for copy in node["copies"] if _serves(node, copy)}
    return {_NODES: "; ".join(f"{count} {state}" for state, count in sorted(states.items())), **queues}


def _serves(node: NodeCard, copy: QueueCopyLine) -> bool:
    return node["state"] == "up" and copy["role"] != "follower"


def _fared(name: str, task: TaskRow | None) -> str:
    """Return how a task fared, as far as that is promised."""
    if task is None:
        return "not sent"
    if name in WHO_IS_OPEN:
        return task["fate"]
    deliveries = task["deliveries"]
    times = f"{deliveries} {'delivery' if deliveries == 1 else 'deliveries'}"
    return ", ".join([task["fate"], times, *([task["workers"]] if task["workers"] else [])])


def _of_predictions(kept: Recording, again: Recording) -> Iterator[Difference]:
    for name, seen in kept.seen.items():
        other = again.seen.get(name)
        if other is None or other.choice != seen.choice:
            yield Difference("predictions", name, seen.saw, _said(other))
    tolerances = {each.name: each.tolerance for chapter in CHAPTERS for each in chapter.estimates}
    for name, counted in kept.counted.items():
        number = again.counted.get(name)
        if number is None or (name not in SPEEDS and abs(number.number - counted.number) > tolerances[name]):
            yield Difference("predictions", name, counted.saw, _said(number))


def _said(seen: Seen | Counted | None) -> str:
    return "nothing to compare" if seen is None else seen.saw


def _listed(tasks: Sequence[TaskRow]) -> str:
    texts = [task["task"] for task in tasks]
    return ", ".join(texts if len(texts) <= _NAMED else [*texts[:_NAMED], f"and {len(texts) - _NAMED} more"])


def _counted(fates: Sequence[str]) -> str:
    most = Counter(fates).most_common(_NAMED)
    rest = len(fates) - sum(count for _, count in most)
    return "; ".join([f"{count} {fate}" for fate, count in most] + ([f"{rest} otherwise"] if rest else []))


def main(folder: Path) -> int:
    """Say what fared otherwise in the recordings of a folder, and return the exit status."""
    lessons = sorted(each.name for each in folder.iterdir())
    found = [(name, differences(Recording.load(KEPT / name), Recording.load(folder / name))) for name in lessons]
    for name, all_differences in found:
        for each in all_differences:
            print(f"{name}, {each.experiment}: {each.what}: kept: {each.kept}; now: {each.again}")
        if not all_differences:
            print(f"{name}: all fared the same")
    return int(any(all_differences for _, all_differences in found))


def say_what_changed() -> int:
    """Say which lessons are to be recorded anew, and return the exit status."""
    found = {path: changed(path, cells_of(KEPT / folder_of(path))) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    for path, cells in found.items():
        if cells:
            print(f"make runs NOTEBOOKS={path.name}  # {', '.join(cells)}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) if len(sys.argv) > 1 else say_what_changed())
