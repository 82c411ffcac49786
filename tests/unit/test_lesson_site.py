"""The site of the lessons: whole, offline, with words for pictures, and with answers folded away."""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from workq_helpers.lessons import CHAPTERS
from workq_helpers.stage.saved_run import SavedRun
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.comparison import PredictionComparison
from workq_helpers.teaching.estimate import Counted, EstimateComparison, Number
from workq_helpers.teaching.prediction import Answer, Seen

pytestmark = [pytest.mark.text, pytest.mark.timeout(330)]  # the site is made once, for all of them

KEPT = Path(__file__).parents[1] / "runs"
LESSONS = [Path(chapter.notebook).stem for chapter in CHAPTERS]
assert LESSONS
lessons = pytest.mark.parametrize("lesson", LESSONS)

#: What a browser fetches by itself.
FETCHED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data", "embed": "src"
}  # fmt: skip


@cache
def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_every_lesson_has_its_page_and_the_first_page_leads_there(lesson_site: Path) -> None:
    leads_to = {link["href"] for link in page(lesson_site / "index.html").select("article a[href]")}
    pages = {*LESSONS, "cheat_sheet", "glossary"}
    assert {f"lessons/{name}.html" for name in pages} <= leads_to
    assert {path.stem for path in (lesson_site / "lessons").glob("*.html")} == pages


def test_the_first_page_has_a_run_and_says_of_each_lesson_what_it_takes_and_gives(lesson_site: Path) -> None:
    first = page(lesson_site / "index.html")
    assert len(first.select(".course-stage[data-autoplay] script[data-workq-run]")) == 1
    sections = [link.find_parent("section") for link in first.select("article h3 a[href^=lessons]")]
    assert len(sections) == len(LESSONS)
    for section in sections:
        assert section is not None
        assert re.search("[Aa]bout .* minutes|[Aa]n hour", section.get_text())
        assert len(section.find_all("li")) >= 2


@lessons
def test_each_kept_run_plays_once_in_its_lesson(lesson_site: Path, lesson: str) -> None:
    kept = KEPT / lesson.partition("_")[2]
    wanted = {f"stage-{file.name.partition('.')[0].replace('_', '-')}" for file in kept.glob("*.json.gz")}
    stages = page(lesson_site / "lessons" / f"{lesson}.html").select(".course-stage")
    assert sorted(str(stage["id"]) for stage in stages) == sorted(wanted)
    for stage in stages:
        (packed,) = stage.select("script[data-workq-run]")
        run = SavedRun.parse(gzip.decompress(base64.b64decode(packed.get_text())).decode())
        assert run.file["recorded"] in stage.get_text()
        assert run.file["rabbitmq"] in stage.get_text()
        (place,) = stage.select(".course-player")
        opened_at = float(str(place["data-at-seconds"]))
        shown = [moment.shown for moment in run.moments if moment.seconds <= opened_at]
        assert shown[-1]["cluster"] is not None or run.moments[-1].shown["cluster"] is None, "its nodes are in view"


@lessons
def test_each_answer_is_compared_by_the_notebooks_texts(lesson_site: Path, lesson: str) -> None:
    file = KEPT / lesson.partition("_")[2] / "lesson.json"
    seen = json.loads(file.read_text(encoding="utf-8"))["seen"] if file.is_file() else {}
    read = page(lesson_site / "lessons" / f"{lesson}.html")
    known = {each.name: each for chapter in CHAPTERS for each in chapter.predictions}
    for name in seen.keys() & known.keys():
        place = read.find(id="compare-" + re.sub(r"\W+", "-", name))
        assert place is not None, name
        for at, template in enumerate(place.find_all("template")):
            comparison = PredictionComparison(known[name], Answer(at), Seen(**seen[name]), "")
            table = BeautifulSoup(template.decode_contents(), "html.parser")
            rows = [squeezed(cell.get_text()) for cell in table.find_all("td")]
            shown = [squeezed(text).lstrip("✔✗") for text in rows]
            assert shown == [squeezed(text) for _, text in comparison.rows()]


@lessons
def test_a_number_is_asked_for_and_compared_by_the_notebooks_texts(lesson_site: Path, lesson: str) -> None:
    kept = json.loads((KEPT / lesson.partition("_")[2] / "lesson.json").read_text(encoding="utf-8"))
    counted = kept.get("counted", {})
    read = page(lesson_site / "lessons" / f"{lesson}.html")
    (chapter,) = (each for each in CHAPTERS if Path(each.notebook).stem == lesson)
    for estimate in chapter.estimates:
        (form,) = read.select(f"form[data-prediction={estimate.name.replace(' ', '-')}]")
        assert len(form.select("input[type=number]")) == 1
        if estimate.name not in counted:
            continue
        seen = Counted(**counted[estimate.name])
        for answer, off in {"near": 0, "far": estimate.tolerance + 1}.items():
            (table,) = read.select(f"#{form.a['href'][1:]} template[data-answer={answer}]")  # type: ignore[index]
            rows = EstimateComparison(estimate, Number(seen.number + off), seen, "").rows()
            cells = BeautifulSoup(table.decode_contents(), "html.parser").find_all("td")
            assert [squeezed(cell.get_text()) for cell in cells] == [squeezed(text) for _, text in rows]


def test_it_is_small_and_no_picture_is_blank(lesson_site: Path) -> None:
    assert sum(file.stat().st_size for file in lesson_site.rglob("*") if file.is_file()) <= 15_000_000
    for lesson in LESSONS:
        for picture in page(lesson_site / "lessons" / f"{lesson}.html").find_all("img"):
            source = str(picture["src"])
            assert (
                len(source if source.startswith("data:") else (lesson_site / "lessons" / source).read_bytes()) > 2_000
            )


def test_it_says_what_is_real_and_when_it_was(lesson_site: Path) -> None:
    text = page(lesson_site / "real.html").get_text()
    assert re.search(r"\d{4}-\d\d-\d\d", text)
    assert "4.3" in text


def test_nothing_comes_from_elsewhere(lesson_site: Path) -> None:
    for path in lesson_site.rglob("*.html"):
        fetched = [
            tag[name] for tag_name, name in FETCHED.items() for tag in page(path).find_all(tag_name, **{name: True})
        ]
        fetched += [tag["href"] for tag in page(path).find_all("link", href=True)]
        assert [each for each in fetched if re.match(r"(?!data:)\w+:|//", str(each))] == [], path
        styles = "".join(tag.get_text() for tag in page(path).find_all("style"))
        assert not re.search(r"url\(|@import", styles), path
    for path in lesson_site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"@import|url\([\"']?(\w+:)?//", text), path


def test_every_link_within_the_site_leads_somewhere(lesson_site: Path) -> None:
    count = 0
    for path in lesson_site.rglob("*.html"):
        tags = page(path).find_all(True)
        for target in (str(tag.get("href") or tag.get("src") or "") for tag in tags):
            if not target or re.match(r"\w+:", target):
                continue
            count += 1
            file, _, anchor = unquote(target).partition("#")
            leads_to = (path.parent / file.partition("?")[0]).resolve() if file else path
            assert leads_to.is_file(), f"{path}: {target}"
            if anchor and leads_to.suffix == ".html":
                assert page(leads_to).find(id=anchor) is not None, f"{path}: {target}"
    assert count > 10 * len(LESSONS)


def test_every_picture_has_words(lesson_site: Path) -> None:
    pictures = [each for lesson in LESSONS for each in page(lesson_site / "lessons" / f"{lesson}.html").find_all("img")]
    assert pictures
    assert [each for each in pictures if len(str(each.get("alt", "")).split()) < 5] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)
def test_questions_are_open_and_answers_folded_away(lesson_site: Path, chapter: object) -> None:
    assert hasattr(chapter, "notebook")
    read = page(lesson_site / "lessons" / f"{Path(chapter.notebook).stem}.html")
    folds = [squeezed(fold.get_text()) for fold in read.find_all("details")]
    opened = BeautifulSoup(str(read), "html.parser")
    for fold in opened.find_all("details"):
        fold.decompose()
    open_text = squeezed(opened.get_text())
    for exercise in chapter.exercises:  # type: ignore[attr-defined]
        solution = squeezed(exercise.read().solution)
        assert sum(solution in fold for fold in folds) == 1, exercise.name
        assert solution not in open_text
        for hint in exercise.hints:
            assert squeezed(hint) in "".join(folds), hint
            assert squeezed(hint) not in open_text, hint
    for prediction in chapter.predictions:  # type: ignore[attr-defined]
        assert squeezed(prediction.question) in open_text
        for choice in prediction.choices:
            assert squeezed(choice.text) in open_text
            assert squeezed(choice.why) not in open_text


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)
def test_a_quiz_is_open_and_its_answers_are_folded_away(lesson_site: Path, chapter: Chapter) -> None:
    read = page(lesson_site / "lessons" / f"{Path(chapter.notebook).stem}.html")
    folds = squeezed("".join(fold.get_text() for fold in read.find_all("details")))
    opened = BeautifulSoup(str(read), "html.parser")
    for fold in opened.find_all("details"):
        fold.decompose()
    open_text = squeezed(opened.get_text())
    assert len(read.select("form.course-question")) == len(chapter.questions)
    for question in chapter.questions:
        assert squeezed(question.question) in open_text
        for choice in (question.right, *question.wrong):
            assert squeezed(choice.text) in open_text
            assert squeezed(question.feedback(choice)) in folds
            assert squeezed(choice.why) not in open_text


@lessons
def test_a_fold_is_closed_and_says_what_is_in_it(lesson_site: Path, lesson: str) -> None:
    for fold in page(lesson_site / "lessons" / f"{lesson}.html").find_all("details"):
        assert not fold.has_attr("open")
        assert fold.summary is not None
        assert not fold.summary.has_attr("aria-label"), "it would be read instead of the text"
        assert fold.summary.get_text(strip=True)


@lessons
def test_it_has_no_widget_and_no_word_of_one(lesson_site: Path, lesson: str) -> None:
    text = (lesson_site / "lessons" / f"{lesson}.html").read_text(encoding="utf-8")
    assert "No buttons below" not in text
    assert "widget-view" not in text
    assert "widget-state" not in text


def test_the_search_knows_every_lesson(lesson_site: Path) -> None:
    text = (lesson_site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {f"lessons/{lesson}" for lesson in LESSONS} <= set(index["docnames"])
    for lesson in LESSONS:
        number = index["docnames"].index(f"lessons/{lesson}")
        words = [word for word, pages in index["terms"].items() if pages == number]
        assert len(words) > 5, f"{lesson} has words that no other lesson has"


def test_what_came_true_is_folded_below_its_question(lesson_site: Path) -> None:
    (prediction,) = (each for each in CHAPTERS[1].predictions if each.name == "five orders")
    folds = page(lesson_site / "lessons" / f"{LESSONS[1]}.html").find_all("details")
    assert any(squeezed(choice.why) in squeezed(fold.get_text()) for fold in folds for choice in prediction.choices)
