"""A program of somebody else's, in plain pika: it takes tasks from a queue, sends some, and tells each deed first.

`tests.chaos.elsewhere` starts it. A line on its standard input asks it to leave; when that ends, it is gone at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import pika
from pika.exceptions import AMQPConnectionError, AMQPError, ChannelClosedByBroker, NackError

#: How long it waits before it connects again, and for a task before it sends another.
_PAUSE_SECONDS = 0.02


def main(plan: dict[str, Any]) -> None:
    """Work until told to leave, or until there is no such queue any more."""
    leaving = threading.Event()
    threading.Thread(target=_listen, args=(leaving,), daemon=True).start()
    program = _Program(plan, leaving)
    while not leaving.is_set():
        try:
            program.work()
        except ChannelClosedByBroker:
            return
        except AMQPConnectionError:
            leaving.wait(_PAUSE_SECONDS)


class _Program:
    def __init__(self, plan: dict[str, Any], leaving: threading.Event) -> None:
        self._plan, self._leaving = plan, leaving
        self._queue = plan["queue"]
        self._tasks = [f"{plan['name']} {number}" for number in range(1, plan["count"] + 1)]
        self._properties = pika.BasicProperties(delivery_mode=2 if plan["persistent"] else 1)

    def work(self) -> None:
        """Work on one connection."""
        parameters = pika.URLParameters(os.environ["CHAOS_ADDRESS"])
        parameters.client_properties = {"connection_name": self._plan["name"]}
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            _say(opened=self._plan["confirm"], prefetch_count=self._plan["prefetch_count"])
            channel.basic_qos(prefetch_count=self._plan["prefetch_count"])
            if self._plan["confirm"]:
                channel.confirm_delivery()
            self._take_and_send(channel)
            channel.cancel()
            connection.close()
        _say(closed=True)

    def _take_and_send(self, channel: Any) -> None:
        sent, since = 0, 0
        if not self._tasks:
            _say(sent_all=True)
        auto_ack = self._plan["auto_ack"]
        for method, _, body in channel.consume(self._queue, auto_ack, inactivity_timeout=_PAUSE_SECONDS):
            if method is not None:
                _say(got=body.decode(), tag=None if auto_ack else method.delivery_tag)
                since += 1
                if not auto_ack and since % self._plan["ack_every"] == 0:
                    _say(acks=method.delivery_tag)
                    channel.basic_ack(method.delivery_tag, multiple=True)
            if self._tasks:
                sent += 1
                self._send(channel, self._tasks.pop(0), sent)
                if not self._tasks:
                    _say(sent_all=True)
            if self._leaving.is_set():
                return

    def _send(self, channel: Any, task: str, number: int) -> None:
        _say(sends=task)
        try:
            channel.basic_publish("", self._queue, task.encode(), self._properties)
        except NackError:
            _say(confirmed=number)  # answered: it is not under way
            return
        if self._plan["confirm"]:
            _say(confirmed=number)


def _listen(leaving: threading.Event) -> None:
    if not sys.stdin.readline():
        os._exit(1)
    leaving.set()


def _say(**said: Any) -> None:
    os.write(1, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except AMQPError as error:
        sys.exit(f"{type(error).__name__}: {error}")
