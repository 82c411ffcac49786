"""Sends one task to the queue "task_queue", for example one that takes three seconds.

    python new_task.py Roast with potatoes...

WORKQ_BROKER_URL says where RabbitMQ is, for example amqp://user:password@host:5672/virtual-host.
"""

import os
import sys

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

URL = os.environ.get("WORKQ_BROKER_URL", "amqp://guest:guest@localhost:5672/%2F")
QUEUE = "task_queue"


def send(channel: BlockingChannel, task: str) -> None:
    """Return once RabbitMQ has the task safe; raise if it does not take it."""
    channel.queue_declare(queue=QUEUE, durable=True)  # a queue that outlives a restart
    # From here on basic_publish waits for RabbitMQ's word. Without it this program could only hope.
    channel.confirm_delivery()
    channel.basic_publish(
        exchange="",
        routing_key=QUEUE,
        body=task.encode(),
        properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),  # and a message that does
        mandatory=True,  # a task for no queue comes back as an error
    )


def main() -> None:
    """Send the command line as one task, and say so."""
    task = " ".join(sys.argv[1:]) or "Hello World!"
    parameters = pika.URLParameters(URL)
    try:
        with pika.BlockingConnection(parameters) as connection:
            send(connection.channel(), task)
    except (pika.exceptions.AMQPConnectionError, OSError) as error:
        where = f"{parameters.host}:{parameters.port}"
        sys.exit(f"No connection to RabbitMQ at {where} ({type(error).__name__}). Is WORKQ_BROKER_URL right?")
    except pika.exceptions.AMQPError as error:
        sys.exit(f"RabbitMQ did not take {task!r}: {error}")
    print(f" [x] Sent {task}")


if __name__ == "__main__":
    main()
