"""scripts/badges.py: what follows from the course's public address, which is kept in one place."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from scripts import badges
from scripts.badges import Address, AddressError
from tests.unit.test_readme import dead_links

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
PUBLISHED = Address("github.com", "you/course")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of what the command reads and writes, not published yet."""
    (tmp_path / "scripts").mkdir()
    for name in ("Makefile", "pyproject.toml", "README.md", "CITATION.cff", "scripts/badges.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(re.sub(r"\[project\.urls\]\n(?:.+\n)*\n", "", pyproject.read_text()))
    readme = tmp_path / "README.md"
    readme.write_text(re.sub(rf"({badges.BEGIN}\n).*({badges.END})", r"\1\2", readme.read_text(), flags=re.DOTALL))
    return tmp_path


def test_what_is_committed_follows_from_the_address_that_is_committed() -> None:
    assert badges.stale(ROOT) == [], "make badges, and commit what it writes"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://github.com/you/course", PUBLISHED),
        ("https://github.com/you/course/", PUBLISHED),
        ("https://github.com/you/course.git", PUBLISHED),
        ("git@github.com:you/course.git", PUBLISHED),
        ("ssh://git@github.com/you/course", PUBLISHED),
        ("https://github.com/you/course/tree/autumn/2", Address("github.com", "you/course", "autumn/2")),
        ("https://gitlab.com/school/it/course/-/tree/autumn", Address("gitlab.com", "school/it/course", "autumn")),
    ],
)
def test_an_address_is_read_however_it_is_written(text: str, address: Address) -> None:
    assert Address.read(text) == address
    assert Address.read(address.page) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "you/course",
        "https://github.com",
        "https://me:secret@github.com/you/course",
        "https://github.com/you/course?x=1 $(reboot)",
        "https://github.com/you",
    ],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match=r"Write it like https://github\.com/you/course"):
        Address.read(text)


def test_one_command_makes_badges_and_lessons_for_colab(course: Path) -> None:
    made = make_badges(course, "REPO=https://github.com/you/course")
    assert made.returncode == 0, made.stderr
    changed = re.findall(r"^==> (\S+)$", made.stdout, re.MULTILINE)
    lessons = sorted(f"colab/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert changed == ["pyproject.toml", "README.md", "CITATION.cff", *lessons]
    assert tomllib.loads((course / "pyproject.toml").read_text())["project"]["urls"] == {
        "Repository": "https://github.com/you/course",
        "Issues": "https://github.com/you/course/issues",
        "Changelog": "https://github.com/you/course/blob/main/CHANGELOG.md",
        "Documentation": "https://you.github.io/course/",
    }
    assert 'repository-code: "https://github.com/you/course"\n' in (course / "CITATION.cff").read_text()
    readme = (course / "README.md").read_text()
    for link in (
        "https://mybinder.org/v2/gh/you/course/main?urlpath=lab",
        "https://codespaces.new/you/course?ref=main",
        "https://colab.research.google.com/github/you/course/blob/main/colab/00_start_here.ipynb",
        "https://you.github.io/course/",
    ):
        assert f"]({link})" in readme
    assert badges.stale(course) == []
    assert badges.write(course, None) == []


@pytest.mark.parametrize(
    ("address", "site"),
    [
        (PUBLISHED, "https://you.github.io/course/"),
        (Address("github.com", "You/Course"), "https://you.github.io/Course/"),
        (Address("github.com", "You/you.github.io"), "https://you.github.io/"),
    ],
)
def test_the_site_is_where_github_publishes_it(address: Address, site: str) -> None:
    assert address.site == site


def test_another_address_leaves_nothing_of_the_first(course: Path) -> None:
    badges.write(course, "https://github.com/you/course")
    badges.write(course, "https://github.com/they/fork/tree/autumn")
    texts = [path.read_text() for path in [course / "README.md", course / "pyproject.toml", *course.glob("colab/*")]]
    assert all("they/fork" in text for text in texts)
    # The command itself is named in the README with an address that is nobody's.
    assert not any("you/course/" in text for text in texts)
    badges.write(course, "https://gitlab.com/school/it/course")
    assert "https://mybinder.org/v2/gl/school%2Fit%2Fcourse/main?urlpath=lab" in (course / "README.md").read_text()
    assert not list(course.glob("colab/*")), "Colab opens lessons from GitHub"


def test_a_lesson_that_was_changed_or_removed_is_noticed(course: Path) -> None:
    badges.write(course, "https://github.com/you/course")
    lesson = course / "notebooks" / "01_round_robin.ipynb"
    lesson.write_text(lesson.read_text().replace("Round robin", "Round and round"))
    (course / "notebooks" / "02_acknowledgments.ipynb").unlink()
    wanted = [course / "colab" / name for name in ("01_round_robin.ipynb", "02_acknowledgments.ipynb")]
    assert badges.stale(course) == wanted
    assert badges.write(course, None) == wanted
    assert badges.stale(course) == []


def test_the_first_cell_sets_up_and_the_others_are_the_lessons(course: Path) -> None:
    badges.write(course, "https://github.com/you/course")
    for path in course.glob("notebooks/*.ipynb"):
        there = nbformat.read(course / "colab" / path.name, as_version=4)
        nbformat.validate(there)
        lesson = nbformat.read(path, as_version=4)
        first, *others = there.cells
        assert "--branch main https://github.com/you/course /content/course" in first.source
        assert first.source.endswith("%run /content/course/scripts/colab.py")
        assert [cell.source for cell in others if cell.cell_type == "code"] == [
            cell.source for cell in lesson.cells if cell.cell_type == "code"
        ]
        prose = "\n".join(cell.source for cell in others if cell.cell_type == "markdown")
        targets = re.findall(r"\]\(([^)]+)\)", prose)
        assert all(re.match(r"https?:|#", target) for target in targets), targets
        for target in targets:
            in_course = re.fullmatch(r"https://github.com/you/course/(blob|raw)/main/([^#]*).*", target)
            assert in_course is None or (ROOT / in_course[2]).exists(), target
            assert (in_course is not None and in_course[1] == "raw") == target.endswith(".png"), target
            if "colab.research" in target:
                assert (course / "colab" / target.rpartition("/")[2]).exists(), target
        assert dead_links(prose, ROOT / "notebooks" / path.name) == []


def test_without_an_address_it_says_how_to_give_one(course: Path) -> None:
    done = make_badges(course)
    assert done.returncode != 0
    told = "make badges: The course has no public address yet: make badges REPO=https://github.com/you/course\n"
    assert told in done.stderr


def make_badges(course: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--old-file=setup", "badges", f"BIN={Path(sys.executable).parent}", *variables]
    return subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)
