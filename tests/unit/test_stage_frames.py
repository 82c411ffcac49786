"""What JavaScript knows of a frame is what Python makes of it today."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def stage_frames() -> Iterator[ModuleType]:
    """The script, which imports its neighbors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("stage_frames")
        for name in ("stage_frames", "stage_scenes", "stage_recording"):
            del sys.modules[name]


def test_types_and_frames_are_those_of_today(stage_frames: ModuleType) -> None:
    stale = [name for name, text in stage_frames.made().items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make bundle` and commit what it makes"


@pytest.mark.parametrize(
    ("hint", "declared"),
    [
        (str, "string"),
        (float | None, "number | null"),
        (dict[str, list[int]], "Record<string, number[]>"),
    ],
)
def test_a_type_is_declared_in_javascripts_words(stage_frames: ModuleType, hint: object, declared: str) -> None:
    assert stage_frames.declare(hint) == declared


def test_a_type_that_javascript_has_not_is_refused(stage_frames: ModuleType) -> None:
    with pytest.raises(TypeError, match="No type of JavaScript's is known for <class 'bytes'>"):
        stage_frames.declare(bytes)
