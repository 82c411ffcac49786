"""Takes one order: writes it into a database, and sends it to the queue "hello".

    python order_desk.py orders.db outbox "Soup."

The second word says how: commit-first, publish-first, or outbox. --halt stands still in the middle, so that it can be
killed there; with outbox, --halt-after-publish does so a step later. Without an order, outbox sends what an earlier run
left. WORKQ_BROKER_URL says where RabbitMQ is.
"""

import argparse
import contextlib
import os
import sqlite3
import time
import uuid

import pika
from pika.adapters.blocking_connection import BlockingChannel

URL = os.environ.get("WORKQ_BROKER_URL", "amqp://guest:guest@localhost:5672/%2F")
QUEUE = "hello"

Row = tuple[str, str]


def halt(where: str, wanted: bool) -> None:
    """Stand still for whoever wants to kill this program here."""
    if wanted:
        print(f" [ ] halted {where}")
        time.sleep(3600)


def publish(channel: BlockingChannel, row: Row) -> None:
    """Return once RabbitMQ has the order safe; raise if it does not take it."""
    key, order = row
    properties = pika.BasicProperties(message_id=key, delivery_mode=pika.DeliveryMode.Persistent)
    channel.basic_publish(exchange="", routing_key=QUEUE, body=order.encode(), properties=properties, mandatory=True)


def commit_first(database: sqlite3.Connection, channel: BlockingChannel, row: Row, halts: bool) -> None:
    """Commit, then publish."""
    with database:
        database.execute("INSERT INTO orders VALUES (?, ?)", row)
    halt("between commit and publish", halts)
    publish(channel, row)


def publish_first(database: sqlite3.Connection, channel: BlockingChannel, row: Row, halts: bool) -> None:
    """Publish, then commit."""
    with database:
        database.execute("INSERT INTO orders VALUES (?, ?)", row)
        publish(channel, row)
        halt("between publish and commit", halts)


def write_both(database: sqlite3.Connection, row: Row) -> None:
    """Commit the order and what is to be sent of it together."""
    with database:
        database.execute("INSERT INTO orders VALUES (?, ?)", row)
        database.execute("INSERT INTO outbox VALUES (?, ?)", row)


def empty_outbox(database: sqlite3.Connection, channel: BlockingChannel, halts: bool) -> None:
    """Send what is in the outbox, and take each out of it once RabbitMQ has it."""
    for row in database.execute("SELECT key, task FROM outbox ORDER BY rowid").fetchall():
        publish(channel, row)
        halt("between publish and commit", halts)
        with database:
            database.execute("DELETE FROM outbox WHERE key = ?", row[:1])


def main() -> None:
    """Take the order on the command line."""
    parser = argparse.ArgumentParser(description="Takes one order.")
    parser.add_argument("database")
    parser.add_argument("how", choices=["commit-first", "publish-first", "outbox"])
    parser.add_argument("order", nargs="?")
    parser.add_argument("--halt", action="store_true", help="between the commit and the publish")
    parser.add_argument("--halt-after-publish", action="store_true", help="before the outbox forgets what was sent")
    given = parser.parse_args()
    row = (str(uuid.uuid4()), given.order or "")
    with (
        contextlib.closing(sqlite3.connect(given.database)) as database,
        pika.BlockingConnection(pika.URLParameters(URL)) as connection,
    ):
        channel = connection.channel()
        channel.confirm_delivery()
        if given.how == "commit-first":
            commit_first(database, channel, row, given.halt)
        elif given.how == "publish-first":
            publish_first(database, channel, row, given.halt)
        else:
            if given.order:
                write_both(database, row)
            halt("between commit and publish", given.halt)
            empty_outbox(database, channel, given.halt_after_publish)
    print(" [x] Done")


if __name__ == "__main__":
    main()
