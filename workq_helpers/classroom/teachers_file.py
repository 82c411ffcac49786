"""`TeachersFile`: the addresses of a class, in a CSV file that only the teacher can read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.private_files import write_private

__all__ = ["Access", "TeachersFile"]


class Access(NamedTuple):
    """How one learner gets in, a row of the file.

    Attributes:
        name: The learner's name.
        login: What the learner is called where the notebooks run.
        user: The user of RabbitMQ, and the name of the virtual host.
        broker_url: What to set ``WORKQ_BROKER_URL`` to, with the password.
        management_url: What to set ``WORKQ_MANAGEMENT_URL`` to; ``""`` where the course finds it by itself.
    """

    name: str
    login: str
    user: str
    broker_url: str
    management_url: str

    def __repr__(self) -> str:
        return f"<Access of {self.name!r} as {self.user!r}>"


class TeachersFile:
    """The file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Access]:
        """Return its rows; none where there is no such file.

        Raises:
            InvalidArgumentError: It is something else, or can't be read.
        """
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                header, rows = reader.fieldnames or [], list(reader)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InvalidArgumentError(
                f"{self.path}, where the addresses of the class belong, can't be read: {error.strerror}. "
                "Name another with --output."
            ) from error
        except (ValueError, csv.Error) as error:  # what can't be decoded is a ValueError
            raise self._not_ours() from error
        if not set(Access._fields) <= set(header):
            raise self._not_ours()
        found = [Access(*(row[field] or "" for field in Access._fields)) for row in rows]
        if not all(access.user and access.broker_url for access in found):
            raise self._not_ours()
        return found

    def _not_ours(self) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"{self.path} is not a file of this command: it would be overwritten. Name another with --output, "
            "or move it away."
        )

    def write(self, rows: Iterable[Access]) -> None:
        """Replace its rows, in one step and for this user alone.

        Raises:
            InvalidArgumentError: It can't be written.
        """
        text = io.StringIO()
        csv.writer(text).writerows([Access._fields, *rows])
        try:
            write_private(self.path, text.getvalue())
        except OSError as error:
            raise InvalidArgumentError(
                f"The addresses can't be written to {self.path}: {error.strerror}. Name another file with --output."
            ) from error
