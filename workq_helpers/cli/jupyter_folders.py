"""Where JupyterLab keeps its own files, in a home folder that can be written and in one that can't."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from jupyter_core import paths

from workq_helpers.errors import BrokerStartError
from workq_helpers.private_folders import Obstacle, make_private, obstacle_in

__all__ = ["put_stand_ins", "unwritable", "without_saving"]

#: Where Jupyter looks besides, for each folder of its own.
_SEARCHED_TOO = {"JUPYTER_DATA_DIR": "JUPYTER_PATH", "JUPYTER_CONFIG_DIR": "JUPYTER_CONFIG_PATH"}


def without_saving(lessons: Path) -> str:
    """Return a sentence for who can't save in the folder of the lessons, ``""`` for who can."""
    found = obstacle_in(lessons)
    if not found:
        return ""
    copy = "Copy the course to a folder of yours: workq course copy DIR"
    mend = f"{found.mend} before you change anything there." if found.mend else copy
    return f"Nothing can be saved in {lessons} ({found.reason}). {mend}"


def unwritable(environ: Mapping[str, str]) -> dict[str, tuple[Path, str]]:
    """Return the folders that JupyterLab and its kernels would write to and can't, and why not.

    Returns:
        By the variables that name them.
    """
    return {
        variable: (folder, found.reason)
        for variable, folder in _folders(environ).items()
        if (found := obstacle_in(folder))
    }


def put_stand_ins(environ: MutableMapping[str, str]) -> str:
    """Put a temporary folder in the place of each that JupyterLab and its kernels can't write to.

    Args:
        environ: Their environment variables, in which the folders are named; JupyterLab must not be imported yet.

    Returns:
        What a learner should know of it, ``""`` where nothing was done.
    """
    found = unwritable(environ)
    if not found:
        return ""
    folder, reason = next(iter(found.values()))
    stand_in = Path(tempfile.gettempdir()) / f"workq-jupyter-{os.geteuid()}"
    sentence = f"JupyterLab can't keep its own files in {folder} ({reason})."
    try:
        make_private(stand_in)
        obstacle = obstacle_in(stand_in)
    except BrokerStartError as error:
        obstacle = Obstacle(str(error).removesuffix("."))
    if obstacle:
        mend = obstacle.mend or "Set TMPDIR to a folder that you may write to"
        return f"{sentence} {stand_in} is no better ({obstacle.reason}). {mend} first, or it may not start."
    for variable, (usual, _) in found.items():
        environ[variable] = str(stand_in / variable.lower())
        Path(environ[variable]).mkdir(mode=0o700, exist_ok=True)
        if searched := _SEARCHED_TOO.get(variable):  # what is there already is found all the same
            environ[searched] = os.pathsep.join(filter(None, [environ.get(searched), str(usual)]))
    return f"{sentence} They go to {stand_in}: settings and layout are kept no longer than that folder."


def _folders(environ: Mapping[str, str]) -> dict[str, Path]:
    """Return the folders that are written to, by the variables that name them."""
    home = Path(environ.get("HOME") or Path.home())
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    config = Path(paths.jupyter_config_dir())
    usual = {
        "JUPYTER_DATA_DIR": Path(paths.jupyter_data_dir()),
        "JUPYTER_RUNTIME_DIR": Path(paths.jupyter_runtime_dir()),
        "JUPYTER_CONFIG_DIR": config,
        "JUPYTERLAB_SETTINGS_DIR": config / "lab" / "user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": config / "lab" / "workspaces",
        "IPYTHONDIR": home / ".ipython",
        "MPLCONFIGDIR": home / ".matplotlib" if sys.platform == "darwin" else cache / "matplotlib",
    }
    return {variable: Path(environ.get(variable) or folder) for variable, folder in usual.items()}
