"""Where the command `workq` begins: what it is made of may be missing, or be somebody else's."""

from __future__ import annotations

import os
import sys

from workq_helpers.cli import streams
from workq_helpers.errors import ImpostorError
from workq_helpers.impostors import explain_failed_import, refuse_impostors
from workq_helpers.mounts import is_noexec

__all__ = ["main"]


def main() -> None:
    """Run `workq`, or say in a sentence why it can't be imported."""
    streams.prepare()
    if os.path.expanduser("~") == "~":  # noqa: PTH111 - to ask pathlib would raise
        sys.exit(
            f"Error: user {os.geteuid()} has no home folder: HOME is not set, and the system does not know this user. "
            "Set HOME to a folder that you may write to: HOME=/path/to/it make lab"
        )
    try:
        refuse_impostors()
        try:
            from workq_helpers.cli.python_settings import pass_on_nothing_that_is_ignored  # noqa: PLC0415 - as the next

            pass_on_nothing_that_is_ignored()
            from workq_helpers.cli.main import main as workq  # noqa: PLC0415 - this import is what may fail

            workq(prog_name="workq")  # and it imports more
        except Exception as error:
            if sentence := _sentence(error):
                sys.exit(f"Error: {sentence}")
            raise
    except ImpostorError as error:
        sys.exit(f"Error: {error}")


def _sentence(error: Exception) -> str:
    """Return what is to be said of an error that is no mistake of the course's, ``""`` of one that may be."""
    if isinstance(error, OSError) and (reason := streams.why_unwritten()):
        return f"what this prints can't be written where it goes ({reason}). Send it elsewhere."
    explain_failed_import()
    if isinstance(error, ImportError):
        return _of_an_import(error)
    from workq_helpers.broker import process_limit  # noqa: PLC0415 - what it is made of may be what can't be imported

    if process_limit.is_meant_by(error):
        return process_limit.sentence(error)
    return ""


def _of_an_import(error: ImportError) -> str:
    folder = os.path.dirname(error.path or "")  # noqa: PTH120 - pathlib may be what can't be imported
    if folder and is_noexec(folder):
        return (
            f"{error.path} can't be imported, because its file system is mounted noexec (`findmnt -T {folder}` shows "
            "it). Put the course into a folder on another."
        )
    return (
        f"What the course needs can't be imported ({error}). Install it anew: in a checkout `make clean`, then "
        "`make setup`; elsewhere pip install --force-reinstall workq-helpers"
    )


if __name__ == "__main__":
    main()
