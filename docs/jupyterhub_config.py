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

    The column ``login`` is what the user is called here. Somebody who is not in the class gets nothing: then the
    lessons look for a RabbitMQ as on any other machine.
    """
    with CLASS_FILE.open(encoding="utf-8", newline="") as file:
        rows = {row["login"]: row for row in csv.DictReader(file)}
    row = rows.get(spawner.user.name)
    if row is None:
        spawner.log.warning("%s is not in %s and gets no broker", spawner.user.name, CLASS_FILE)
        return
    own = {"WORKQ_BROKER_URL": row["broker_url"]}
    if row["management_url"]:
        own["WORKQ_MANAGEMENT_URL"] = row["management_url"]
    # A new dictionary: the one that there is may be shared by all users.
    spawner.environment = {**spawner.environment, **own}


c = get_config()  # noqa: F821 - JupyterHub has it there when it reads this file
c.Spawner.pre_spawn_hook = give_broker_url
