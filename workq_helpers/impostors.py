"""Files that Python imports in the place of what the course means, because they have its name and come first.

This module itself imports nothing that a file could be taken for: what it needs is there before Python looks into any
folder.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "PACKAGES_FOLDERS",
    "explain_failed_import",
    "file_names",
    "find_impostors",
    "refuse_imported_impostors",
    "refuse_impostors",
    "sentence",
]

#: What the course installs and imports by name, itself or through what it installs; and its own package.
INSTALLED = frozenset({
    "IPython", "PIL", "anywidget", "click", "docker", "filelock", "httpx", "ipykernel", "ipywidgets", "jupyter_client",
    "jupyter_core", "jupyterlab", "lazy_loader", "matplotlib", "numpy", "packaging", "pandas", "pika", "platformdirs",
    "psutil", "requests", "slugify", "testcontainers", "tornado", "tqdm", "traitlets", "workq_helpers", "zmq",
})  # fmt: skip

#: What folders of installed packages are called.
PACKAGES_FOLDERS = ("site-packages", "dist-packages")
_PYTHONS_OWN = os.path.dirname(os.__file__)
_PYTHONS_ZIP = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
_THIS_PACKAGE = os.path.dirname(os.path.realpath(__file__))


def find_impostors(names: "Iterable[str] | None" = None, path: "Iterable[str] | None" = None) -> list[str]:
    """Return the files that come first where one of these modules is imported.

    Args:
        names: The modules; by default Python's own and what the course installs.
        path: The folders where modules are looked for, in this order; by default those of this Python.
    """
    wanted = frozenset(sys.stdlib_module_names | INSTALLED if names is None else names)
    wanted -= frozenset(sys.builtin_module_names)  # nothing comes before these
    found = []
    for entry in sys.path if path is None else path:
        if os.path.basename(entry) in PACKAGES_FOLDERS:
            break
        if entry == _PYTHONS_OWN or os.path.basename(entry) == _PYTHONS_ZIP:
            wanted -= sys.stdlib_module_names  # IPython has the notebook's folder after these
        else:
            found += [file for file in _modules_in(os.path.abspath(entry or ".")) if file_names(file) in wanted]
    return found


def file_names(file: str) -> str:
    """Return the name under which a file, or a folder with an ``__init__.py``, is imported."""
    return os.path.basename(file).partition(".")[0]


def sentence(file: str) -> str:
    """Return what is to be said of a file that is in the place of a module."""
    name = file_names(file)
    return (
        f"`import {name}` finds {file} and not the {name} that the course needs, because that folder comes "
        "first: it is in PYTHONPATH, or beside the notebook or program that runs. Rename that file or take the "
        "folder out of PYTHONPATH, then restart the kernel."
    )


def refuse_impostors(names: "Iterable[str] | None" = INSTALLED) -> None:
    """Raise a sentence where a file comes in the place of a module that the course needs.

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
    _refuse([file for file, origin in loaded if origin and (origin == file or origin.startswith(file + os.sep))])


def explain_failed_import() -> None:
    """Raise a sentence where an import of the course's own failed and a file is in the place of a module.

    The command `workq` ends with it: nothing that would show it otherwise could be imported.

    Raises:
        ImportError: There is such a file; an `ImpostorError` where that can be imported.
    """
    found = find_impostors()
    if found and os.path.basename(sys.argv[0]) == "workq":
        sys.exit(f"Error: {sentence(found[0])}")
    _refuse(found)


def _refuse(found: list[str]) -> None:
    if not found:
        return
    try:
        from workq_helpers.errors import ImpostorError  # noqa: PLC0415 - it needs modules that may be the file's
    except Exception:  # noqa: BLE001 - whatever comes of such a file
        raise ImportError(sentence(found[0])) from None
    raise ImpostorError(sentence(found[0]))


def _modules_in(folder: str) -> list[str]:
    try:
        found = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []
    modules = (each for each in found if each.endswith((".py", ".so")) or _is_package(each))
    return [each for each in modules if os.path.realpath(each) != _THIS_PACKAGE]


def _is_package(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "__init__.py"))  # False too where it is closed to us
