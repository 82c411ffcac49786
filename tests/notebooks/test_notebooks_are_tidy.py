from __future__ import annotations

import ast
import hashlib
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.chapters import EXERCISES, PREDICTIONS
from tests.notebooks.conftest import FILTERS, Notebooks, compares, turns
from workq_helpers.lessons import CHAPTERS

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
EXPECTED = Path(__file__).with_name("expected")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
assert NOTEBOOKS, "no notebook, no test"


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of six words or more, without markup, case and punctuation."""
    plain = re.sub(r"<[^>]*>|[`*_#>\[\]()]", " ", html.unescape(text))
    for sentence in re.split(r"(?<=[.!?:])\s+|\n\s*\n|\n\s*-\s", plain):
        words = re.findall(r"[a-z0-9']+", sentence.lower())
        if len(words) >= 6:
            yield " ".join(words)


notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@notebooks
def test_it_is_valid_and_its_cells_keep_their_ids(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"(text|code)-\d\d\d?", each) for each in ids)


TAGS = {"nbval-ignore-output", "raises-exception", "hide-output", "your-turn"}


@notebooks
def test_its_metadata_says_nothing_about_who_ran_it(path: Path) -> None:
    notebook = read(path)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        assert set(cell.metadata.get("tags", ())) <= TAGS


@notebooks
def test_code_cells_are_short(path: Path) -> None:
    for cell in code_cells(read(path)):
        lines = cell.source.splitlines()
        assert 1 <= len(lines) <= 10, cell.source
        assert max(map(len, lines)) <= 100, cell.source


def positional(code: str) -> list[str]:
    """Return the calls of pika's methods that name their arguments by place."""
    calls = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    return [
        ast.unparse(call)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and re.match(r"(basic|queue|exchange|tx)_\w+$", call.func.attr)
        and call.args
    ]


@notebooks
def test_pika_gets_its_arguments_by_keyword(path: Path) -> None:
    for cell in code_cells(read(path)):
        assert not positional(cell.source)


@notebooks
def test_what_a_learner_completes_is_a_line_or_two(path: Path) -> None:
    notebook = read(path)
    sources = {cell.id: cell.source for cell in code_cells(notebook)}
    for cell, answered in turns(notebook).items():
        assert len(answered.splitlines()) - len(sources[cell].splitlines()) <= 1
        assert not positional(answered)


def bare_publishes(code: str) -> list[str]:
    """Return the calls of `basic_publish` that give their message no properties."""
    calls = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    return [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).endswith(".basic_publish")
        and not any(each.arg in ("properties", None) for each in call.keywords)
    ]


def test_what_is_published_after_durability_has_properties() -> None:
    later = [path for path in NOTEBOOKS if path.name > "05"]
    programs = list((ROOT / "notebooks" / "programs").glob("*.py"))
    codes = [cell.source for path in later for cell in code_cells(read(path))]
    codes += [code for path in later for code in turns(read(path)).values()]
    codes += [path.read_text(encoding="utf-8") for path in programs]
    codes += [exercise.read().solution for exercise in EXERCISES.values()]
    found = [
        call for code in codes if "def empty_outbox(database, channel):" not in code for call in bare_publishes(code)
    ]
    assert found == []
    assert bare_publishes('channel.basic_publish(exchange="", routing_key="hello", body=body)')


def test_programs_and_exercises_name_their_arguments_too() -> None:
    programs = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks" / "programs").glob("*.py")]
    assert programs
    for code in [*programs, *(part for exercise in EXERCISES.values() for part in exercise.read())]:
        assert not positional(code)
    assert positional('channel.basic_publish("", "hello", body)')


@notebooks
def test_prose_comes_in_small_portions(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            words = re.findall(r"\S+", cell.source)
            assert len(words) <= 75, f"{len(words)} words: {cell.source}"


@notebooks
def test_it_was_not_run(path: Path) -> None:
    """Running a cell changes something that one sees, and nothing tells an answer before its question is asked."""
    for cell in code_cells(read(path)):
        assert cell.execution_count is None
        assert cell.outputs == []


@notebooks
def test_what_it_is_to_show_is_free_of_errors_and_of_who_ran_it(path: Path) -> None:
    for output in expected_outputs(path):
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr"
        assert not output.get("metadata")


@notebooks
def test_at_least_half_of_the_outputs_are_compared(path: Path) -> None:
    tags = {cell.id: cell.metadata.get("tags", ()) for cell in code_cells(read(path))}
    expected = json.loads((EXPECTED / f"{path.stem}.json").read_text(encoding="utf-8"))
    ignored = {each for each in tags if "nbval-ignore-output" in tags[each]}
    assert expected
    assert expected.keys() <= tags.keys() - ignored
    assert len(expected) >= len(ignored)


def test_what_is_compared_can_differ(request: pytest.FixtureRequest) -> None:
    """nbval leaves out pictures, among others; what is left of each output must be able to fail."""
    collected = Notebooks.from_parent(request.session, path=FILTERS).collect()
    cells = [cell for notebook in collected for cell in notebook.collect() if compares(cell)]
    assert len(cells) > len(NOTEBOOKS)
    for cell in cells:
        kept = [nbformat.from_dict(output) for output in cell.cell.outputs]
        assert cell.compare_outputs(kept, kept)
        other = nbformat.from_dict(json.loads(json.dumps(kept)))
        for output in other:
            if "text" in output:
                output.text += "!"
            for kind in set(output.get("data", ())) - {"image/png"}:
                output.data[kind] += "!"
        assert not cell.compare_outputs(other, kept), cell.name


def expected_outputs(path: Path) -> list[dict[str, Any]]:
    expected = json.loads((EXPECTED / f"{path.stem}.json").read_text(encoding="utf-8"))
    return [output for outputs in expected.values() for output in outputs]


@notebooks
def test_a_section_that_predicts_compares(path: Path) -> None:
    predicted = False
    for cell in read(path).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            predicted = False
        if cell.cell_type == "code":
            predicted = predicted or cell.source.startswith("predict(")
            assert "compare(" not in cell.source or predicted, "compare in the section that predicts"


#: Sections whose experiment goes on with what stands above them.
GOES_ON = {"## Fetch it", "## A real kill", "## Asked to leave"}


@notebooks
def test_each_experiment_begins_with_an_empty_lesson(path: Path) -> None:
    """Whoever tried something on the stage before, finds nothing of it in the experiment."""
    opened = section = ""
    for cell in read(path).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            section = cell.source.splitlines()[0]
        elif cell.cell_type == "code":
            if re.search(r"^lesson = \w+\(", cell.source, re.MULTILINE):
                opened = section
            if re.search(
                r"^(predict|compare|estimate|measured|draw|drawn|check)\(lesson|^lesson\.check\(",
                cell.source,
                re.MULTILINE,
            ):
                assert section == opened or section in GOES_ON, f"{section}: {cell.source}"


@notebooks
def test_nothing_in_it_gives_an_answer_away(path: Path) -> None:
    text = " ".join(json.dumps(read(path), ensure_ascii=False).replace('\\"', '"').split())
    for prediction in PREDICTIONS.values():
        assert not [choice for choice in prediction.choices if choice.why in text], prediction.name
    drawn_or_counted = [each for chapter in CHAPTERS for each in (*chapter.estimates, *chapter.drawings)]
    assert not [each.name for each in drawn_or_counted if each.why in text]
    for exercise in EXERCISES.values():
        assert exercise.read().solution not in [cell.source for cell in code_cells(read(path))]
        assert not [hint for hint in exercise.hints if hint in text], exercise.name


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)
def test_a_lesson_and_its_chapter_belong_together(chapter: Any) -> None:
    notebook = read(ROOT / "notebooks" / chapter.notebook)
    sources = [cell.source for cell in code_cells(notebook)]
    code = "\n".join(sources)
    assert notebook.cells[0].source.startswith(f"# {chapter.title}\n")
    folder = Path(chapter.notebook).stem.split("_", 1)[1]
    assert re.search(rf"^from workq_helpers\.lessons\.{folder} import check,.* finish\b", code, re.MULTILINE)
    assert re.search(r"^finish\(\)$", code, re.MULTILINE)
    assert chapter.questions
    assert re.search(r"^quiz\(\)$", code, re.MULTILINE)
    for name in set(chapter.checks) - chapter.optional:
        # Where a broker that isn't ours can't show it, the check is asked in another way.
        assert f'lesson.check("{name}")' in code or f'check(lesson, "{name}")' in code
    for prediction in chapter.predictions:
        assert code.index(f'predict(lesson, "{prediction.name}")') < code.index(f'compare(lesson, "{prediction.name}")')
    for exercise in chapter.exercises:
        # The cell in the notebook is derived from the file that holds the solution too: `make notebooks` writes it.
        assert exercise.read().exercise in sources
        assert f'exercise("{exercise.name}").check({exercise.hands_in})' in code


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)
def test_a_chapter_knows_the_sections_that_ask_for_its_checks(chapter: Any) -> None:
    assert set(chapter.checks) - chapter.optional <= set(chapter.sections)
    asked, section, optional = [], "", set()
    for cell in read(ROOT / "notebooks" / chapter.notebook).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            section = cell.source.splitlines()[0].removeprefix("## ")
            optional |= {section} if "**Optional:**" in cell.source else set()
        asked += [
            (name, section)
            for name in re.findall(r'(?:check|predict|estimate|draw)\((?:lesson, )?"([^"]+)"', cell.source)
        ]
    assert set(chapter.sections.items()) <= set(asked)
    questions = [(each.name, each.section) for each in chapter.asked]
    assert sorted(questions, key=asked.index) == questions
    for name, title in asked:
        assert title not in optional or name in chapter.optional, f"a lesson is done without {title!r}"


def sections(path: Path) -> dict[str, list[Any]]:
    """Return the cells of each section, by its title."""
    found: dict[str, list[Any]] = {}
    cells: list[Any] = []
    for cell in read(path).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            cells = found.setdefault(cell.source.splitlines()[0].removeprefix("## "), [])
        cells.append(cell)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_each_section_closes_with_something_to_do(path: Path) -> None:
    """The first one sets the table; an exercise has enough to do."""
    for title, cells in list(sections(path).items())[1:]:
        code = [cell for cell in cells if cell.cell_type == "code"]
        if title not in ("What you have seen", "Read more") and not title.startswith("Exercise: "):
            assert "your-turn" in code[-1].metadata.get("tags", ()), title


def test_every_lesson_asks_and_sets_exercises() -> None:
    assert [chapter.notebook for chapter in CHAPTERS] == [path.name for path in NOTEBOOKS]
    for chapter in CHAPTERS[1:]:
        assert len(chapter.predictions) >= 2
        assert len(chapter.exercises) >= 2


@notebooks
def test_every_picture_has_words(path: Path) -> None:
    for output in expected_outputs(path):
        data = output.get("data", {})
        shown = data.get("text/html", "")
        for picture in re.findall('<img [^>]*src="PNG"[^>]*>', shown):
            # A picture alone has the words of its text; one that gives a verdict's reason has its own.
            alone = shown.startswith("<img")
            assert (f'alt="{html.escape(data["text/plain"])}"' if alone else 'alt="Timeline: ') in picture


@notebooks
def test_no_short_heartbeat_has_to_wait_for_who_reads_on(path: Path) -> None:
    """RabbitMQ gives such a connection up between two cells."""
    for cell in code_cells(read(path)):
        if "connect(heartbeat=" in cell.source:
            assert re.search(r"process_data_events|basic_publish|with lesson\.connect\(", cell.source), cell.id


@notebooks
def test_it_holds_no_secret_and_nothing_of_this_machine(path: Path) -> None:
    for file in (path, EXPECTED / f"{path.stem}.json"):
        assert not re.search(r"amqps?://|/home/|/root/|/tmp/|password", file.read_text(encoding="utf-8"))


@notebooks
def test_it_begins_with_aims_and_ends_with_what_comes_next(path: Path) -> None:
    cells = read(path).cells
    assert cells[0].source.startswith("# ")
    assert "**Afterwards you can**" in cells[1].source
    assert "**Time:**" in cells[1].source
    (recap,) = (at for at, cell in enumerate(cells) if cell.source.startswith("## What you have seen"))
    assert len(cells[recap:]) <= 4, "the recap, the quiz, what comes next, what more there is to read"
    assert any("**Next:**" in cell.source for cell in cells[recap:])


@notebooks
def test_it_links_to_what_rabbitmq_says(path: Path) -> None:
    assert re.search(r"\]\(https://www\.rabbitmq\.com/docs/[\w-]+\)", prose(read(path)))


@notebooks
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", prose(read(path))):
        assert "://" in target or (path.parent / target).exists(), target


@notebooks
def test_typing_is_plain(path: Path) -> None:
    text = prose(read(path))
    assert not re.findall(r"[ \t]+$", text, re.MULTILINE), "no space at the end of a line"
    assert not re.findall(r"\b(\w+) \1\b", text), "no word twice"
    assert not re.findall(r"\w  +\w", text), "no two spaces"
    assert not re.findall(r" [,;:.!?](?:\s|$)", text), "no space before a mark"
    assert "TODO" not in text


@notebooks
def test_its_sentences_are_its_own(path: Path) -> None:
    mine = list(sentences(prose(read(path))))
    assert mine
    assert len(mine) == len(set(mine)), "no sentence twice"
    known = set(json.loads(Path(__file__).with_name("tutorial_sentences.json").read_text(encoding="utf-8")))
    assert not known.intersection(map(fingerprint, mine))


def fingerprint(sentence: str) -> str:
    return hashlib.sha256(sentence.encode()).hexdigest()[:16]
