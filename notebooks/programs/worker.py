"""Works on the tasks in the queue "task_queue", one at a time, a second for every dot.

    python worker.py

--queue-type quorum declares a quorum queue; all programs have to declare the queue alike.
WORKQ_BROKER_URL says where RabbitMQ is, for example amqp://user:password@host:5672/virtual-host.
Ctrl-C ends the worker when it has done the task in hand.
"""

import argparse
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pika
import pika.exceptions

URL = os.environ.get("WORKQ_BROKER_URL", "amqp://guest:guest@localhost:5672/%2F")
SECONDS_PER_DOT = float(os.environ.get("WORKQ_SECONDS_PER_DOT", "1.0"))
QUEUE = "task_queue"

LOOK_SECONDS = 0.1  # how often to ask whether to leave
RETRY_SECONDS = 1.0  # how long to wait for a RabbitMQ that went away, before trying again


class Worker:
    """Takes tasks over one connection after another, until it is told to leave."""

    def __init__(self, parameters: pika.URLParameters, queue_type: str | None = None) -> None:
        self.parameters = parameters
        self.arguments = {"x-queue-type": queue_type} if queue_type else None
        self.leaving = False
        self.was_connected = False

    def leave(self, *_: object) -> None:
        """Leave after the task in hand; a signal handler does no more than take that down."""
        self.leaving = True

    def run(self) -> None:
        """Consume, and begin anew whenever the connection is lost."""
        while not self.leaving:
            try:
                with self.connect() as connection:
                    self.consume(connection)
            except pika.exceptions.AMQPConnectionError as error:
                if not self.was_connected:
                    raise
                print(f" [!] Lost RabbitMQ ({type(error).__name__}), trying again", flush=True)
                time.sleep(RETRY_SECONDS)

    def connect(self) -> pika.BlockingConnection:
        """Connect; a name that means nothing now, or TLS that fails, is no connection either."""
        try:
            return pika.BlockingConnection(self.parameters)
        except OSError as error:
            raise pika.exceptions.AMQPConnectionError(error) from error

    def consume(self, connection: pika.BlockingConnection) -> None:
        """Work on one task after another for as long as the connection lasts."""
        channel = connection.channel()
        channel.queue_declare(queue=QUEUE, durable=True, arguments=self.arguments)
        channel.basic_qos(prefetch_count=1)  # no second task before the first is acknowledged
        self.was_connected = True
        print(" [*] Waiting for tasks. To leave, press Ctrl-C", flush=True)
        for method, _properties, body in channel.consume(queue=QUEUE, inactivity_timeout=LOOK_SECONDS):
            if self.leaving:
                return  # a task that has just come goes back to the queue with the connection
            if method is None or body is None:
                continue  # nothing came for a while: time to ask again whether to leave
            task = body.decode(errors="replace")
            print(f" [x] Received {task}{' (again)' if method.redelivered else ''}", flush=True)
            self.work(connection, body)
            print(f" [x] Done {task}", flush=True)
            channel.basic_ack(delivery_tag=method.delivery_tag)  # not before: now it may be forgotten

    def work(self, connection: pika.BlockingConnection, body: bytes) -> None:
        """Work in a second thread, for this one must answer RabbitMQ's heartbeats however long it takes."""
        seconds = body.count(b".") * SECONDS_PER_DOT
        with ThreadPoolExecutor(max_workers=1) as second:  # its end waits for the work, which can't be stopped half-way
            working = second.submit(time.sleep, seconds)
            while not working.done():
                connection.process_data_events(time_limit=LOOK_SECONDS)
            working.result()  # raises what the work raised: what has failed is not acknowledged


def main() -> None:
    """Work until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Works on tasks.")
    parser.add_argument("--queue-type", choices=["classic", "quorum"], help="by default the broker's own")
    worker = Worker(pika.URLParameters(URL), parser.parse_args().queue_type)
    signal.signal(signal.SIGINT, worker.leave)
    signal.signal(signal.SIGTERM, worker.leave)
    try:
        worker.run()
    except pika.exceptions.AMQPConnectionError as error:
        where = f"{worker.parameters.host}:{worker.parameters.port}"
        why = type(error.__cause__ or error).__name__
        sys.exit(f"No connection to RabbitMQ at {where} ({why}). Is WORKQ_BROKER_URL right?")
    except pika.exceptions.AMQPError as error:
        sys.exit(f"RabbitMQ refused: {error}")
    print(" [*] Left", flush=True)


if __name__ == "__main__":
    main()
