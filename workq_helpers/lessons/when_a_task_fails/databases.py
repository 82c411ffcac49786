"""`Database`: an SQLite file of a lesson's own, which outlives workers and programs."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

__all__ = ["Database"]


class Database:
    """A new SQLite file with some tables, gone with its last user.

    Args:
        *tables: Each as SQL has it, such as "served (key TEXT PRIMARY KEY, plate TEXT)".
    """

    def __init__(self, *tables: str) -> None:
        folder = tempfile.mkdtemp(prefix="workq-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        #: The file's path.
        self.path = str(Path(folder) / "lesson.db")
        with self.transaction() as connection:
            for table in tables:
                connection.execute(f"CREATE TABLE {table}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for one transaction, which is committed in the end; an error takes all of it back."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            yield connection

    def rows(self, table: str) -> pd.DataFrame:
        """Return what is in a table."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - a lesson's own table
            return pd.DataFrame(found.fetchall(), columns=[column[0] for column in found.description])

    def __repr__(self) -> str:
        return f"<Database {Path(self.path).name}>"
