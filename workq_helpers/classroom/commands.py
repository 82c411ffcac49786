"""`workq class`: what a teacher types."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import click
from tqdm import tqdm

from workq_helpers import classroom as rooms
from workq_helpers.classroom.limits import Limits
from workq_helpers.classroom.roster import read_roster
from workq_helpers.classroom.teachers_file import TeachersFile
from workq_helpers.rabbitmq.url import BROKER_URL, MANAGEMENT_URL, endpoint_from_url
from workq_helpers.text import printable

if TYPE_CHECKING:
    from workq_helpers.classroom import Classroom, Presence

__all__ = ["classroom"]

_USUAL = Limits()


@click.group("class")
def classroom() -> None:
    """Let a class share one RabbitMQ, nobody seeing another.

    Each learner gets a user, virtual hosts and limits, and an address for WORKQ_BROKER_URL.
    """


def _of_a_class(command: Any) -> Any:
    """Add the options that every command has."""
    for option in (
        click.option(
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            default=Path("class-urls.csv"),
            show_default=True,
            metavar="FILE",
            help="The learners' addresses, in a file that you alone can read.",
        ),
        click.option("--management", metavar="URL", help="Its management API, if it is not at the usual port."),
        click.option(
            "--broker",
            "url",
            metavar="URL",
            help="The broker as learners reach it, and an administrator's login; WORKQ_BROKER_URL unless given. "
            "Without the password it asks for it, which keeps it out of the list of processes.",
        ),
    ):
        command = option(command)
    return command


@classroom.command()
@click.argument("roster", type=click.Path(path_type=Path), metavar="ROSTER.CSV")
@_of_a_class
@click.option("--lessons", type=click.IntRange(1, 100), default=_USUAL.lessons, show_default=True, help="Open at once.")
@click.option("--max-connections", type=click.IntRange(1), default=_USUAL.connections, show_default=True)
@click.option("--max-channels", type=click.IntRange(1), default=_USUAL.channels, show_default=True)
@click.option("--max-queues", type=click.IntRange(1), default=_USUAL.queues, show_default=True)
@click.option("--max-messages", type=click.IntRange(1), default=_USUAL.messages, show_default=True, help="In a queue.")
@click.option(
    "--max-megabytes", type=click.IntRange(1), default=_USUAL.megabytes, show_default=True, help="In a queue."
)
def create(
    roster: Path,
    url: str | None,
    management: str | None,
    output: Path,
    lessons: int,
    max_connections: int,
    max_channels: int,
    max_queues: int,
    max_messages: int,
    max_megabytes: int,
) -> None:
    """Take the learners of a roster in.

    The roster is CSV: a column `name`, and perhaps `login`, what each is called on your JupyterHub.
    Run it again to take newcomers in; who is in already keeps address and password.
    The exit status is 1 if a row could not be used.
    """
    learners, complaints = read_roster(roster)
    limits = Limits(lessons, max_connections, max_channels, max_queues, max_messages, max_megabytes)
    with _opened(url, management, output) as opened:
        created = opened.create(learners, limits, _bar)
    for complaint in [*complaints, *created.complaints]:
        click.echo(printable(complaint), err=True)
    click.echo(f"{len(created.new)} new in the class, {len(created.kept)} were in it; their addresses: {output}")
    if created.unlisted:
        names = ", ".join(printable(access.name) for access in created.unlisted)
        click.echo(f"No longer in the roster, and left as they are: {names}")
    raise click.exceptions.Exit(bool(complaints or created.complaints))


@classroom.command()
@_of_a_class
def status(url: str | None, management: str | None, output: Path) -> None:
    """Say who is in the class and what they have open.

    The numbers are RabbitMQ's own, some seconds old. The exit status is 1 if somebody misses something.
    """
    with _opened(url, management, output) as opened:
        found = opened.status()
    if not found:
        click.echo("There is no class on this broker.")
        return
    width = max(len("learner"), *(len(presence.name) for presence in found))
    column = max(len("user"), *(len(presence.user) for presence in found))
    click.echo(f"{'learner':{width}}  {'user':{column}}  connections  queues  messages")
    for presence in found:
        click.echo(_line(presence, width, column))
    raise click.exceptions.Exit(any(presence.missing for presence in found))


def _line(presence: Presence, width: int, column: int) -> str:
    use = presence.use
    name = printable(presence.name)
    line = f"{name:{width}}  {presence.user:{column}}  {use.connections:11}  {use.queues:6}  {use.messages:8}"
    return f"{line}  misses {presence.missing}: run `workq class create` again" if presence.missing else line


@classroom.command()
@click.argument("name")
@_of_a_class
@click.option("--new-password", is_flag=True, help="Make a new password too, and write it to the file.")
def reset(name: str, url: str | None, management: str | None, output: Path, new_password: bool) -> None:
    """Give one learner empty virtual hosts again.

    NAME is the learner's name or user. What was open in them ends; the address stays, unless there is a
    new password.
    """
    with _opened(url, management, output) as opened:
        opened.reset(name, new_password)
    told = f" There is a new password, in {output}." if new_password else ""
    click.echo(f"The virtual hosts of {name} are empty.{told}")


@classroom.command()
@_of_a_class
@click.option("--yes", is_flag=True, help="Don't ask.")
def remove(url: str | None, management: str | None, output: Path, yes: bool) -> None:
    """Delete all users and virtual hosts of the class.

    Nothing else on the broker is touched.
    """
    with _opened(url, management, output) as opened:
        if not yes:
            click.confirm(f"Delete {len(opened.status())} learners' users, queues and messages?", abort=True)
        removed = opened.remove(_bar)
    click.echo(f"Learners removed from the broker: {len(removed)}.")
    if removed and output.exists():
        click.echo(f"Their addresses are still in {output}: keep it to make the same class again, or delete it.")


def _opened(url: str | None, management: str | None, output: Path) -> Classroom:
    given = {BROKER_URL: _with_password(url), MANAGEMENT_URL: management}
    environ = dict(os.environ) | {name: value for name, value in given.items() if value is not None}
    return rooms.Classroom(endpoint_from_url(environ), TeachersFile(output))


def _with_password(url: str | None) -> str | None:
    """Ask for the password that the address leaves out, if there is somebody to ask."""
    if url is None or not sys.stdin.isatty():
        return url
    scheme, separator, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    if not separator or not at or ":" in login:
        return url
    host = urlsplit(url).hostname
    password: str = click.prompt(f"Password of {login} at {host}", hide_input=True)
    return f"{scheme}://{login}:{quote(password, safe='')}@{place}"


class _Bar(tqdm):  # type: ignore[type-arg]  # not subscriptable when the program runs
    monitor_interval = 0  # else a thread of tqdm's own outlives the bar


def _bar(users: Sequence[str]) -> Iterable[str]:
    return _Bar(users, unit=" learners", disable=None)  # None: not where standard error is a file or a pipe
