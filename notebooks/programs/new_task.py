"""Sends one task to the queue "task_queue", for example one that takes three seconds.

    python new_task.py Roast with potatoes...

--queue-type quorum declares a quorum queue; all programs have to declare the queue alike.
WORKQ_BROKER_URL says where RabbitMQ is, for example amqp://user:password@host:5672/virtual-host.
"""

import argparse
import os
import sys
import uuid

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

URL = os.environ.get("WORKQ_BROKER_URL", "amqp://guest:guest@localhost:5672/%2F")
QUEUE = "task_queue"


def send(channel: BlockingChannel, task: str, queue_type: str | None) -> None:
    """Return once RabbitMQ has the task safe; raise if it does not take it."""
    arguments = {"x-queue-type": queue_type} if queue_type else None
    channel.queue_declare(queue=QUEUE, durable=True, arguments=arguments)  # a queue that outlives a restart
    # From here on basic_publish waits for RabbitMQ's word. Without it this program could only hope.
    channel.confirm_delivery()
    channel.basic_publish(
        exchange="",
        routing_key=QUEUE,
        body=task.encode(),
        properties=pika.BasicProperties(
            delivery_mode=pika.DeliveryMode.Persistent,  # and a message that does
            message_id=str(uuid.uuid4()),  # by which a worker knows it again; nobody else sets one
        ),
        mandatory=True,  # a task for no queue comes back as an error
    )


def main() -> None:
    """Send the command line as one task, and say so."""
    parser = argparse.ArgumentParser(description="Sends one task.")
    parser.add_argument("--queue-type", choices=["classic", "quorum"], help="by default the broker's own")
    parser.add_argument("words", nargs="*", default=["Hello", "World!"], help="the task; each dot is a second")
    given = parser.parse_args()
    task = " ".join(given.words)
    parameters = pika.URLParameters(URL)
    try:
        with pika.BlockingConnection(parameters) as connection:
            send(connection.channel(), task, given.queue_type)
    except (pika.exceptions.AMQPConnectionError, OSError) as error:
        where = f"{parameters.host}:{parameters.port}"
        sys.exit(f"No connection to RabbitMQ at {where} ({type(error).__name__}). Is WORKQ_BROKER_URL right?")
    except pika.exceptions.AMQPError as error:
        sys.exit(f"RabbitMQ did not take {task!r}: {error}")
    print(f" [x] Sent {task}")


if __name__ == "__main__":
    main()
