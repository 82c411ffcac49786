"""Files that Python imports in the place of what the course means, because they have its name and come first."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from workq_helpers.errors import ImpostorError

__all__ = ["file_names", "find_impostors", "refuse_imported_impostors", "refuse_impostors"]

#: What the course installs and imports by name, itself or through what it installs.
INSTALLED = frozenset({
    "IPython", "PIL", "anywidget", "click", "docker", "filelock", "httpx", "ipykernel", "ipywidgets", "jupyter_client",
    "jupyter_core", "jupyterlab", "lazy_loader", "matplotlib", "numpy", "packaging", "pandas", "pika", "platformdirs",
    "psutil", "requests", "slugify", "testcontainers", "tornado", "tqdm", "traitlets", "zmq",
})  # fmt: skip


def find_impostors(names: Iterable[str] | None = None) -> list[Path]:
    """Return the files that come first where one of these modules is imported.

    Args:
        names: The modules; by default Python's own and what the course installs.
    """
    wanted = frozenset(sys.stdlib_module_names | INSTALLED if names is None else names)
    wanted -= frozenset(sys.builtin_module_names)  # nothing comes before these
    return [
        file for folder in _folders_before_pythons_own() for file in _modules_in(folder) if file_names(file) in wanted
    ]


def file_names(file: Path) -> str:
    """Return the name under which a file, or a folder with an ``__init__.py``, is imported.

    Args:
        file: It.
    """
    return file.name.partition(".")[0]


def refuse_impostors(names: Iterable[str] | None = INSTALLED) -> None:
    """Raise a sentence where a file comes in the place of a module that the course needs.

    Args:
        names: As for `find_impostors`.

    Raises:
        ImpostorError: There is one.
    """
    _refuse(find_impostors(names))


def refuse_imported_impostors() -> None:
    """Raise a sentence where a file was imported in the place of one of Python's own modules.

    Raises:
        ImpostorError: There is one.
    """
    loaded = [(file, getattr(sys.modules.get(file_names(file)), "__file__", None)) for file in find_impostors()]
    _refuse([file for file, origin in loaded if origin and Path(origin).is_relative_to(file)])


def _refuse(found: list[Path]) -> None:
    if found:
        name = file_names(found[0])
        raise ImpostorError(
            f"`import {name}` finds {found[0]} and not the {name} that the course needs, because that folder comes "
            "first: it is in PYTHONPATH, or beside the notebook or program that runs. Rename that file or take the "
            "folder out of PYTHONPATH, then restart the kernel."
        )


def _folders_before_pythons_own() -> Iterator[Path]:
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for entry in sys.path:
        if entry in own or entry.endswith(".zip"):
            return
        yield Path(entry or ".").absolute()


def _modules_in(folder: Path) -> list[Path]:
    try:
        return [each for each in sorted(folder.iterdir()) if each.suffix in (".py", ".so") or _is_package(each)]
    except OSError:
        return []


def _is_package(folder: Path) -> bool:
    try:
        return (folder / "__init__.py").is_file()
    except OSError:
        return False  # nobody imports from a folder that is closed to us
