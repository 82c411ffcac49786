"""`read_roster`: who is in the class, from a CSV file."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workq_helpers.errors import InvalidArgumentError

__all__ = ["Learner", "Roster", "read_roster", "spelling"]

LONGEST_NAME = 100

#: What a spreadsheet that opens the teacher's file would take for a formula.
_FORMULA = ("=", "+", "-", "@")


class Learner(NamedTuple):
    """One row of a roster.

    Attributes:
        name: The learner's name, as people write it.
        login: What the learner is called where the notebooks run, such as on a JupyterHub; ``""`` if that is not known.
    """

    name: str
    login: str = ""


class Roster(NamedTuple):
    """Who is in the class."""

    learners: list[Learner]
    complaints: list[str]


def read_roster(path: Path) -> Roster:
    """Read a CSV file with the column ``name`` and perhaps ``login``; other columns don't matter.

    Args:
        path: The file, in UTF-8; its columns are separated by commas, or by semicolons or tabs as some spreadsheets do.

    Raises:
        InvalidArgumentError: It can't be read, or has no such column.
    """
    text = _text(path)
    header_line = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((each for each in ",;\t" if each in header_line), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next((row for row in rows if any(cell.strip() for cell in row)), [])
        columns = [cell.strip().casefold() for cell in header]
        if "name" not in columns:
            raise InvalidArgumentError(
                f"The roster {path} has no column 'name': its first line is {header_line[:80]!r}. Write 'name' into "
                "the first line and a learner into each line below."
            )
        return _read(_numbered(rows), columns, separator)
    except csv.Error as error:
        raise InvalidArgumentError(
            f"The roster {path} is not CSV: {error}, in line {rows.line_num}. Does a quotation mark have no partner?"
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"The roster {path} is not in UTF-8. Save it again as 'CSV UTF-8', or convert it."
        ) from error
    except OSError as error:
        raise InvalidArgumentError(
            f"The roster {path} can't be read: {error.strerror}. Name a CSV file with the column 'name'."
        ) from error


def _numbered(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it ends in."""
    for row in rows:
        yield rows.line_num, row  # type: ignore[attr-defined]  # csv's reader has it


def _read(rows: Iterator[tuple[int, list[str]]], columns: list[str], separator: str) -> Roster:
    learners: list[Learner] = []
    complaints: list[str] = []
    names: dict[str, int] = {}
    logins: dict[str, int] = {}
    for number, row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if not any(cells):
            continue
        learner = Learner(_cell(cells, columns, "name"), _cell(cells, columns, "login"))
        name, login = spelling(learner.name), spelling(learner.login)
        trouble = _trouble(learner, cells, columns, separator)
        if not trouble and name in names:
            trouble = (
                f"{learner.name!r} stands in line {names[name]} already. If they are two people, add something that "
                "tells them apart."
            )
        elif not trouble and login in logins:
            trouble = f"the login {learner.login!r} stands in line {logins[login]} already, and one of them is wrong."
        if trouble:
            complaints.append(f"Line {number} is left out: {trouble}")
            continue
        names[name] = number
        if login:
            logins[login] = number
        learners.append(learner)
    return Roster(learners, complaints)


def spelling(name: str) -> str:
    """Return what two spellings of one name have in common."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _cell(cells: list[str], columns: list[str], column: str) -> str:
    place = columns.index(column) if column in columns else len(cells)
    return cells[place] if place < len(cells) else ""


def _trouble(learner: Learner, cells: list[str], columns: list[str], separator: str) -> str:
    """Say in a sentence why a row can't be used; ``""`` if it can."""
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        return (
            f"it has {len(cells)} columns and the first line has {len(columns)}. Put quotation marks around a name "
            f'with {separator!r} in it: "Lovelace{separator} Ada".'
        )
    if not learner.name:
        return "it has no name. Write one, or delete the line."
    if len(learner.name) > LONGEST_NAME:
        return f"its name has {len(learner.name)} characters, and more than {LONGEST_NAME} are no name. Shorten it."
    if any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in learner.name + learner.login):
        return f"{learner.name!r} has characters in it that can't be written. Type it anew."
    for cell in learner:
        if unicodedata.normalize("NFKC", cell).startswith(_FORMULA):
            return (
                f"{cell!r} begins as a formula does, and a spreadsheet would run it. Write it without the {cell[0]!r}."
            )
    return ""
