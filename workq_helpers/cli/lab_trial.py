"""Prepares the JupyterLab that `make lab` would open, up to its port, and ends, for `workq doctor`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyterlab.labapp import LabApp

from workq_helpers.broker import open_files
from workq_helpers.cli.jupyter_folders import put_stand_ins
from workq_helpers.cli.lab import lab_arguments

__all__ = ["main"]


def main() -> int:
    """Try it for the folder that is given; if it fails, print how, after what settings may have printed, return 1."""
    open_files.allow_enough()  # as `make lab` does
    put_stand_ins(os.environ)
    try:
        LabApp.initialize_server(argv=lab_arguments([], Path(sys.argv[1]), os.geteuid() == 0))
    except OSError as error:
        failure = error.strerror or type(error).__name__
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of any kind; its words may quote a secret of the user's
        failure = type(error).__name__
    else:
        return 0
    print(failure)  # noqa: T201 - for `workq doctor` to read
    return 1


if __name__ == "__main__":
    sys.exit(main())
