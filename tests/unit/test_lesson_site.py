"""The site of the lessons: whole, offline, with words for pictures, and with answers folded away."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.chapter import Chapter

pytestmark = [pytest.mark.text, pytest.mark.timeout(330)]  # the site is made once, for all of them

LESSONS = [Path(chapter.notebook).stem for chapter in CHAPTERS]
assert LESSONS

#: What a browser fetches by itself.
FETCHED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data", "embed": "src"
}  # fmt: skip
lessons = pytest.mark.parametrize("lesson", LESSONS)


@cache
def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_every_lesson_has_its_page_and_the_first_page_leads_there(lesson_site: Path) -> None:
    leads_to = {link["href"] for link in page(lesson_site / "index.html").select("article a[href]")}
    assert {f"lessons/{lesson}.html" for lesson in LESSONS} <= leads_to
    assert {path.stem for path in (lesson_site / "lessons").glob("*.html")} == set(LESSONS)


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
    for question in chapter.questions:
        assert squeezed(question.question) in open_text
        for choice in (question.right, *question.wrong):
            assert squeezed(choice.text) in open_text
            assert squeezed(choice.why) in folds
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
