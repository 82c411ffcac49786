"""Servers that are no RabbitMQ, or an odd one: they answer in a thread, on a free port of loopback."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pika.frame
import pika.spec

from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["amqp_server", "endpoint_at", "listening", "said"]

Talk = Callable[[socket.socket], None]


def endpoint_at(port: int, **changes: object) -> Endpoint:
    """Return an endpoint on loopback with a password that must never be seen."""
    fields: dict[str, object] = {"host": "127.0.0.1", "port": port, "username": "anna", "password": "s3cret!pw"}
    fields |= {"named_by": "WORKQ_BROKER_URL"} | changes
    return Endpoint(**fields)  # type: ignore[arg-type]  # whatever a test wants


@contextlib.contextmanager
def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Let `talk` have each connection to the port this yields, one after another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                # A client that goes away in the middle is what these tests are about.
                with contextlib.suppress(OSError), server.accept()[0] as client:
                    client.settimeout(5.0)
                    if stop.is_set():
                        return
                    if tls is None:
                        talk(client)
                    else:
                        with tls.wrap_socket(client, server_side=True) as secured:
                            talk(secured)

        thread = threading.Thread(target=serve, name="fake server")
        thread.start()
        port: int = server.getsockname()[1]
        try:
            yield port
        finally:
            stop.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 5.0).close()  # wakes accept()
            thread.join()


def said(answer: bytes) -> Talk:
    """Return a talk that waits for the first words of a client, answers, and hangs up."""

    def talk(client: socket.socket) -> None:
        client.recv(65_536)
        client.sendall(answer)

    return talk


def amqp_server(
    product: str = "RabbitMQ", version: str = "4.1.0", hang_up_at: type[pika.amqp_object.Method] | None = None
) -> Talk:
    """Return a talk that speaks AMQP well enough to let anybody in and out again, or that hangs up at some method."""

    def talk(client: socket.socket) -> None:
        client.recv(8)
        properties = {"product": product, "version": version, "capabilities": {}}
        _send(client, 0, pika.spec.Connection.Start(0, 9, properties, "PLAIN", "en_US"))
        answers: dict[type, pika.amqp_object.Method] = {
            pika.spec.Connection.StartOk: pika.spec.Connection.Tune(0, 131_072, 0),
            pika.spec.Connection.Open: pika.spec.Connection.OpenOk(),
            pika.spec.Connection.Close: pika.spec.Connection.CloseOk(),
            pika.spec.Channel.Open: pika.spec.Channel.OpenOk(),
            pika.spec.Channel.Close: pika.spec.Channel.CloseOk(),
            pika.spec.Basic.Consume: pika.spec.Basic.ConsumeOk("w"),
        }
        for channel, method in _methods(client):
            if type(method) is hang_up_at:
                return
            answer = answers.get(type(method))
            if answer is not None:
                _send(client, channel, answer)

    return talk


def _send(client: socket.socket, channel: int, method: pika.amqp_object.Method) -> None:
    client.sendall(pika.frame.Method(channel, method).marshal())


def _methods(client: socket.socket) -> Iterator[tuple[int, object]]:
    received = b""
    while chunk := client.recv(65_536):
        received += chunk
        while True:
            size, frame = pika.frame.decode_frame(received)
            if not size:
                break
            received = received[size:]
            if isinstance(frame, pika.frame.Method):
                yield frame.channel_number, frame.method
