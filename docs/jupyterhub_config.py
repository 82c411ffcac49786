"""JupyterHub for a class: each learner's server starts with the learner's own WORKQ_BROKER_URL.

A worked example for `jupyterhub --config jupyterhub_config.py`. Put the file that `workq class create` wrote where
the user that runs the hub can read it and nobody else, and name it in ``WORKQ_CLASS_FILE``. It is read whenever a
server starts, so that newcomers and new passwords need no restart of the hub. The hub itself does not need the
course; the learners' servers do: `pip install` the wheel there.
"""

import csv
import os
from pathlib import Path

CLASS_FILE = Path(os.environ.get("WORKQ_CLASS_FILE", "/srv/jupyterhub/class-urls.csv"))


def give_broker_url(spawner):
    """Set the broker's address for the user whose server is about to start.

    The column ``login`` is what the user is called here; JupyterHub writes it in small letters. Somebody who is not in
    the class gets nothing: then the lessons look for a RabbitMQ as on any other machine.
    """
    if CLASS_FILE.stat().st_mode & 0o077:
        spawner.log.warning("others on this machine can read the passwords in %s: chmod 600", CLASS_FILE)
    with CLASS_FILE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["login"].lower() == spawner.user.name.lower()]
    if len(rows) != 1:  # of two that have one login nobody knows whose it is
        spawner.log.warning("%s is %d times in %s and gets no broker", spawner.user.name, len(rows), CLASS_FILE)
        return
    row = rows[0]
    own = {"WORKQ_BROKER_URL": row["broker_url"]}
    if row["management_url"]:
        own["WORKQ_MANAGEMENT_URL"] = row["management_url"]
    # A new dictionary: the one that there is may be shared by all users.
    spawner.environment = {**spawner.environment, **own}


c = get_config()  # noqa: F821 - JupyterHub has it there when it reads this file
c.Spawner.pre_spawn_hook = give_broker_url
