"""`Course`: the lessons in the order in which they are taken, each imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from workq_helpers.teaching.chapter import Chapter

__all__ = ["Course"]


class Course(Sequence["Chapter"]):
    """The chapters of a package, a folder a lesson."""

    def __init__(self, package: str, *folders: str) -> None:
        self._package = package
        self.folders = folders

    def __len__(self) -> int:
        return len(self.folders)

    @overload
    def __getitem__(self, at: int) -> Chapter: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Chapter, ...]: ...

    def __getitem__(self, at: int | slice) -> Chapter | tuple[Chapter, ...]:
        if isinstance(at, slice):
            return tuple(map(self._chapter, self.folders[at]))
        return self._chapter(self.folders[at])

    def _chapter(self, folder: str) -> Chapter:
        chapter: Chapter = importlib.import_module(f"{self._package}.{folder}").CHAPTER
        return chapter
