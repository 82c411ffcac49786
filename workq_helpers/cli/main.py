"""The command `workq`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workq_helpers import broker as brokers
from workq_helpers import cli
from workq_helpers.anonymity import anonymous
from workq_helpers.classroom.commands import classroom
from workq_helpers.cli.runs import runs
from workq_helpers.errors import WorkqError
from workq_helpers.text import printable

if TYPE_CHECKING:
    from workq_helpers.broker import Finding, Status

__all__ = ["main"]

_MARKS = {"ok": ("ok  ", "green"), "warn": ("note", "yellow"), "bad": ("BAD ", "red")}


class _Sentences(click.Group):
    """Shows an exception of ours as its sentence; any other is a mistake of ours, with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WorkqError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="workq-helpers", message="workq %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Learn RabbitMQ's work queues by watching the real thing.

    `workq lab` opens the lessons. If something does not work, `workq doctor` says what is missing.

    \b
    Environment variables:
      WORKQ_BROKER_URL        use this broker, such as amqp://user:password@host:5672/
      WORKQ_BROKER            url, docker or node: use only this one
      WORKQ_RABBITMQ_IMAGE    the image for Docker
      WORKQ_SECONDS_PER_DOT   how long one dot of work takes, 1.0 unless set
      NO_COLOR                print without colors
    """  # noqa: D301 - click's mark for lines that stay as they are is a real backspace
    if os.environ.get("NO_COLOR"):
        context.color = False
    try:
        Path.cwd()
    except OSError as error:
        raise click.ClickException(
            f"The folder that this command is run in can't be used ({error.strerror}). Change to another one: cd FOLDER"
        ) from error


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--end-with-process", type=int, metavar="PID", help="Stop when that process has ended.")
@click.argument("jupyterlab_options", nargs=-1, type=click.UNPROCESSED)
def lab(end_with_process: int | None, jupyterlab_options: tuple[str, ...]) -> None:
    """Open the lessons in JupyterLab.

    There is a RabbitMQ for as long as it runs.
    JUPYTERLAB_OPTIONS are handed on, such as --no-browser or --port 8899.
    """
    if end_with_process is not None:
        cli.lab.end_with_process(end_with_process)
    cli.lab.open_lab(jupyterlab_options, click.echo, _progress())


@main.command()
@click.option("--try", "try_sources", is_flag=True, help="Start RabbitMQ too, privately and in Docker, and end it.")
def doctor(try_sources: bool) -> None:
    """Say what was found and how to mend what is wrong.

    It looks at Python, the packages and the lessons, starts a kernel and imports in it what a lesson imports, prepares
    JupyterLab, asks Docker and a broker that runs, and says which RabbitMQ will be used. What it prints may be shown to
    anybody. The exit status is 0 if the lessons will run, 1 if something keeps them from it.
    """
    findings = cli.doctor.examine(try_sources)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        _show(finding, width)
    raise click.exceptions.Exit(any(finding.verdict == "bad" for finding in findings))


@main.group()
def broker() -> None:
    """Start, look at and stop the course's own RabbitMQ.

    The lessons start it by themselves, share it, and it ends with the last of them.
    """


@broker.command()
def start() -> None:
    """Start it, or find it running, and keep it until `stop`."""
    started = time.monotonic()
    _tell(brokers.start(_progress()))
    click.echo(f"It took {time.monotonic() - started:.1f} s, and stays until `workq broker stop`.")


@broker.command()
def status() -> None:
    """Say whether it runs, where it comes from and who uses it.

    The exit status is 0 if it is up and 1 if not.
    """
    found = brokers.status()
    if found is None:
        click.echo("No course broker runs.")
        raise click.exceptions.Exit(1)
    _tell(found)
    raise click.exceptions.Exit(found.phase != "up")


@broker.command()
def stop() -> None:
    """Stop it for everyone, and put away all that it left."""
    click.echo("The course broker is stopped." if brokers.stop() else "No course broker ran.")


@broker.command()
def url() -> None:
    """Print its address with the password, for other programs of yours."""
    click.echo(brokers.url())


@broker.command()
def logs() -> None:
    """Print what it and its supervisor have logged."""
    click.echo(printable(brokers.logs(), lines=True), nl=False)


main.add_command(classroom)
main.add_command(runs)


@main.group()
def course() -> None:
    """Put the lessons where you want them."""


@course.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
def copy(folder: Path) -> None:
    """Copy the lessons into a folder of yours.

    Nothing of yours is overwritten. Run it again after an update of the course: a lesson that you have not
    changed is updated; beside one that you have, the new version is put.
    """
    for copied in cli.course_copy.copy_course(folder):
        click.echo(f"{copied.path}: {copied.done}")
    click.echo(f"To open them: cd {shlex.quote(str(folder))} && workq lab")


def _progress() -> Callable[[str], None] | None:
    """Say steps in lines where there is no terminal to draw a progress bar in."""
    return None if sys.stderr.isatty() else lambda step: click.echo(f"    {printable(step)}")


def _show(finding: Finding, width: int) -> None:
    mark, color = _MARKS[finding.verdict]
    indent = " " * (width + 8)
    found = printable(anonymous(finding.found), lines=True)
    lines = [*found.splitlines(), *(f"-> {line}" for line in anonymous(finding.mend).splitlines())]
    click.echo(f"{click.style(mark, fg=color, bold=True)}  {finding.name:{width}}  " + f"\n{indent}".join(lines))


def _tell(status: Status) -> None:
    version = f"RabbitMQ {status.version} · " if status.version else ""
    click.echo(f"{version}{status.description or 'the course broker'} · {status.phase}")
    if status.address:
        click.echo(f"  AMQP         {status.address}")
    if status.management_url:
        click.echo(f"  management   {status.management_url}")
    kept = ", kept until `workq broker stop`" if status.pinned else ""
    click.echo(f"  used by      {status.shares or 'nobody'}{kept}")
    click.echo(f"  folder       {status.folder}")
