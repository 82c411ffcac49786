"""Writes .env for docker-compose.yml, with passwords of its own; one that is there is left as it is."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

__all__ = ["write"]

FILE = Path(__file__).resolve().parent.parent / ".env"

_TEXT = """\
# For docker-compose.yml, and for the lessons: set -a; . ./.env; set +a
WORKQ_RABBITMQ_PASSWORD={password}
WORKQ_ERLANG_COOKIE={cookie}
WORKQ_LAB_TOKEN={token}
WORKQ_BROKER_URL=amqp://workq:{password}@127.0.0.1:5672/
WORKQ_RESTART_BY_HAND="docker compose restart rabbitmq"
WORKQ_CRASH_BY_HAND="docker compose kill rabbitmq && docker compose start rabbitmq"
"""


def write(file: Path) -> bool:
    """Write the file so that nobody else can read it, and return whether it was missing."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    # Letters and digits alone: they mean themselves in a URL, in a shell and to Compose.
    password, cookie, token = (secrets.token_hex(20) for _ in range(3))
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(_TEXT.format(password=password, cookie=cookie, token=token))
    except OSError:
        file.unlink()  # half of it would be believed the next time
        raise
    return True


if __name__ == "__main__":
    try:
        made = write(FILE)
    except OSError as error:
        sys.exit(
            f"make up: {FILE} can't be written ({error.strerror}), where the passwords are kept; free some room, or "
            "put the course into a folder that you may write to"
        )
    if made:
        print(f"==> {FILE.name} holds new passwords, which only you can read")
    elif FILE.stat().st_mode & 0o077:
        print(f"==> others on this machine can read the passwords in {FILE.name}: chmod 600 {FILE.name}")
