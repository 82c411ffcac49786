"""The keeper: the process that owns the course broker, and ends it when nobody uses it any more.

``python -m workq_helpers.broker.keeper DESCRIPTOR SOCKET`` takes over a listening socket from whoever starts it.
A *lease* is a connection to that socket: the kernel ends it however its process dies, so the keeper always knows
who is there. Some seconds after the last lease it puts everything away; so it does at once when told to stop.

Threads: the main one starts and stops the server (a child is bound to the thread that made it); one accepts
connections; each connection has its own, which reads what is asked and hands it to the main one.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workq_helpers.broker.burial import bury
from workq_helpers.broker.choice import DEFAULT_IMAGE, Choice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.locking import locked
from workq_helpers.broker.server import Remains, Server
from workq_helpers.broker.state import State, write_state
from workq_helpers.broker.undertaker import accompany
from workq_helpers.broker.wire import Message, Wire
from workq_helpers.errors import BrokerError, BrokerStartError, WorkqError

if TYPE_CHECKING:
    from workq_helpers.broker.running import Ready
    from workq_helpers.rabbitmq.management import Management

__all__ = ["LINGER_SECONDS", "SLOW_SECONDS", "Keeper", "main"]

#: How long a broker stays after its last lease, in seconds; ``WORKQ_LINGER_SECONDS`` sets another time. Restarting
#: a kernel takes less, so the notebook finds its broker again.
LINGER_SECONDS = 10.0

#: How long a broker that runs may accept nobody before whoever attaches is told so, in seconds.
SLOW_SECONDS = 60.0
_LOOK_SECONDS = 0.1

_log = logging.getLogger("workq.keeper")

#: Something for the main thread to do.
Job = Callable[[], None]


class _Lease:
    """One user of the broker: a connection, and the virtual hosts made for it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.virtual_hosts: set[str] = set()


class Keeper:
    """Owns one server from its start to its end.

    Args:
        listener: A listening Unix socket.
        socket_path: Where it listens.
        folders: Where state and data go.
        environ: The environment variables that say which broker is wanted.
    """

    def __init__(self, listener: socket.socket, socket_path: Path, folders: Folders, environ: dict[str, str]) -> None:
        self._listener = listener
        self._socket_path = socket_path
        self._folders = folders
        self._environ = environ
        self._choice = Choice.from_environ(environ)
        self._linger = float(environ.get("WORKQ_LINGER_SECONDS") or LINGER_SECONDS)
        self._server: Server | None = None
        self._ready: Ready | None = None
        self._management: Management | None = None
        # Everything below is guarded by the condition; the main thread waits on it.
        self._changed = threading.Condition()
        self._jobs: collections.deque[Job] = collections.deque()
        self._leases: set[_Lease] = set()
        self._waiting: list[tuple[_Lease, Wire]] = []
        self._steps: list[Message] = []
        self._failure: Message | None = None
        self._restarts = 0  # begun and ended: odd while one is under way
        self._pinned = False
        self._stopping = False
        self._closed = False
        self._idle_since = time.monotonic()

    def run(self) -> None:
        """Start the broker, serve until nobody needs it, put everything away."""
        self._save()
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        while True:
            try:
                if self._ready is None:
                    self._boot()
                self._serve()
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
                self._fail(error)
            if self._put_away():
                return

    def stop(self) -> None:
        """Ask the main thread to put everything away now; for signal handlers and connections."""
        self._stopping = True  # no lock: a signal handler may have interrupted its holder
        threading.Thread(target=self._wake, daemon=True).start()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # -- main thread

    def _boot(self) -> None:
        from workq_helpers.broker.sources import start_server

        server, endpoint = start_server(self._choice, self._folders, self._environ, self._progress, self._record)
        from workq_helpers.broker.running import Ready
        from workq_helpers.rabbitmq.connecting import probe  # pika is imported by now

        ready = Ready(endpoint, server.source, server.description, probe(endpoint))
        self._save()
        _log.info("up: RabbitMQ %s, %s", ready.version, ready.description)
        with self._changed:
            self._ready = ready
            waiting, self._waiting = self._waiting, []
        for _, wire in waiting:
            _send(wire, {"ready": ready.to_json()})

    def _record(self, server: Server) -> None:
        self._server = server
        self._save()

    def _save(self) -> None:
        try:
            self._write_state()
        except OSError as error:
            # A full disk, say. The file still names what was before, and a broker that works is worth more than it.
            _log.warning("the state file can't be written: %s", error)

    def _write_state(self) -> None:
        remains = self._server.remains() if self._server else Remains()
        if self._socket_path.parent != self._folders.runtime:
            remains += Remains(folders=(str(self._socket_path.parent),))
        write_state(self._folders.state, State(str(self._socket_path), remains))

    def _progress(self, text: str, done: int = 0, total: int = 0) -> None:
        if not total:
            _log.info("%s", text)
            self._save()  # a step of a server's start means that there may be more to bury
        step: Message = {"progress": text, "done": done, "total": total}
        with self._changed:
            if self._steps and self._steps[-1]["progress"] == text:
                self._steps.pop()
            self._steps.append(step)
            waiting = list(self._waiting)
        for _, wire in waiting:
            _send(wire, step)

    def _serve(self) -> None:
        while (job := self._next_job()) is not None:
            job()

    def _next_job(self) -> Job | None:
        with self._changed:
            while not self._stopping:
                if self._jobs:
                    return self._jobs.popleft()
                if self._leases or self._pinned:
                    self._changed.wait()
                    continue
                left = self._idle_since + self._linger - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            return None

    def _fail(self, error: BaseException) -> None:
        from workq_helpers.broker.faults import describe_error

        _log.error("%s", error, exc_info=error)
        with self._changed:
            self._failure = describe_error(error)
            self._stopping = True
            waiting, self._waiting = self._waiting, []
        for _, wire in waiting:
            _send(wire, {"error": self._failure})

    def _put_away(self) -> bool:
        """End everything, unless somebody came in the last moment."""
        with contextlib.ExitStack() as until_the_end:
            try:
                until_the_end.enter_context(locked(self._folders))
            except BrokerStartError as error:
                # The server on which the folder is has gone, say. Nobody can start another broker there, either.
                _log.warning("putting everything away without the lock: %s", error)
            with self._changed:
                if not self._stopping and (self._leases or self._pinned):
                    return False
                self._closed = True
                self._jobs.clear()
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            self._listener.close()
            with contextlib.suppress(OSError):
                self._socket_path.unlink()
            _log.info("putting everything away")
            if self._management is not None:
                self._management.close()
            if self._stop_server():
                with contextlib.suppress(OSError):
                    self._remove_files()
        return True  # lease holders hear of it when this process ends, and with it their connections

    def _stop_server(self) -> bool:
        """End the server; return whether that went well. Where not, the state file tells our heirs what to bury."""
        try:
            if self._server is not None:
                self._server.stop()
        except BrokerError as error:
            _log.error("%s", error, exc_info=error)
            self._save()
            return False
        return True

    def _remove_files(self) -> None:
        if self._socket_path.parent != self._folders.runtime:
            shutil.rmtree(self._socket_path.parent, ignore_errors=True)
        self._folders.remove_runtime()

    # -- connections

    def _listen(self) -> None:
        for number in itertools.count():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed: the keeper ends
            threading.Thread(target=self._attend, args=(Wire(sock),), name=f"user {number}", daemon=True).start()

    def _attend(self, wire: Wire) -> None:
        lease = _Lease(wire)
        try:
            while (message := wire.receive()) is not None:
                if not self._answer(message, lease):
                    break
        finally:
            self._end_lease(lease)
            wire.close()

    def _answer(self, message: Message, lease: _Lease) -> bool:
        """Answer one request, or see that it will be; return whether the connection may stay."""
        operation, number = message.get("op"), message.get("id")

        def reply(answer: Message) -> None:
            _send(lease.wire, answer | {"id": number})

        if operation == "lease":
            return self._begin_lease(lease, Choice.from_json(message["choice"]))
        if operation in ("restart", "crash"):
            self._submit(lambda: self._restart(str(operation), reply))
        elif operation == "rabbitmqctl":
            self._submit(lambda: self._rabbitmqctl(list(message["arguments"]), reply))
        elif operation == "register":
            lease.virtual_hosts.add(str(message["virtual_host"]))
            reply({"ok": True})
        elif operation == "unregister":
            lease.virtual_hosts.discard(str(message["virtual_host"]))
            reply({"ok": True})
        elif operation == "pin":
            with self._changed:
                self._pinned = True
                self._changed.notify_all()
            reply({"ok": True})
        elif operation == "status":
            reply({"status": self._status(lease)})
        elif operation == "restarts":
            reply({"restarts": self._restarts})
        elif operation == "ready":
            reply({"ready": self._ready.to_json() if self._ready else None})
        elif operation == "logs":
            reply({"logs": self._server.logs() if self._server else ""})
        elif operation == "stop":
            reply({"ok": True})
            if self._ready is None:
                self._abandon()
            self.stop()
        else:
            reply({"error": {"type": "BrokerError", "text": f"The keeper does not know {operation!r}."}})
        return True

    def _begin_lease(self, lease: _Lease, choice: Choice) -> bool:
        with self._changed:
            if self._closed or self._stopping:
                if self._failure:
                    _send(lease.wire, {"error": self._failure})
                return False
            self._leases.add(lease)
            ready, server = self._ready, self._server
            if ready is None:
                for step in self._steps:
                    _send(lease.wire, step)
                self._waiting.append((lease, lease.wire))
                return True
        image = (self._choice.image or DEFAULT_IMAGE) if ready.source == "docker" else None
        conflict = choice.refuse(ready.source, ready.description, image)
        if conflict is not None:
            from workq_helpers.broker.faults import describe_error

            _send(lease.wire, {"error": describe_error(conflict)})
            return False
        if server is not None and not self._accepts(server, ready):
            _send(lease.wire, {"progress": "The course broker is down: waiting for it", "done": 0, "total": 0})
            self._submit(lambda: self._revive(server, lease.wire, ready))
        else:
            _send(lease.wire, {"ready": ready.to_json()})
        return True

    def _submit(self, job: Job) -> None:
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def _restart(self, operation: str, reply: Callable[[Message], None]) -> None:
        from workq_helpers.broker.faults import describe_error

        if self._server is None:
            return
        _log.info("%s", operation)
        self._restarts += 1
        outcome: Message = {"ok": True}
        try:
            if operation == "crash":
                self._server.crash()
            else:
                self._server.restart()
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            _log.error("%s failed", operation, exc_info=error)
            outcome = {"error": describe_error(error)}
        self._restarts += 1
        self._save()
        reply(outcome)

    def _rabbitmqctl(self, arguments: list[str], reply: Callable[[Message], None]) -> None:
        from workq_helpers.broker.faults import describe_error

        if self._server is None:
            return
        try:
            reply({"printed": self._server.rabbitmqctl(arguments)})
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            reply({"error": describe_error(error)})

    def _accepts(self, server: Server, ready: Ready) -> bool:
        from workq_helpers.rabbitmq.connecting import accepts

        return server.is_running() and accepts(ready.endpoint)

    def _revive(self, server: Server, wire: Wire, ready: Ready) -> None:
        """Answer once the broker accepts again: started again if it has died, waited for if it is only slow."""
        from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

        def answer(outcome: Message) -> None:
            _send(wire, outcome if "error" in outcome else {"ready": ready.to_json()})

        Retrying(
            retry=retry_if_result(lambda over: not over),
            wait=wait_fixed(_LOOK_SECONDS),
            stop=stop_after_delay(SLOW_SECONDS),
            retry_error_callback=lambda _: None,
        )(lambda: not server.is_running() or self._accepts(server, ready))
        if server.is_running():
            answer({})  # if it still does not accept, the one who asked will see that better than we can say it
        else:
            self._restart("restart", answer)

    def _end_lease(self, lease: _Lease) -> None:
        with self._changed:
            if lease not in self._leases:
                return
            self._leases.discard(lease)
            self._waiting = [(other, wire) for other, wire in self._waiting if other is not lease]
            self._idle_since = time.monotonic()
            if lease.virtual_hosts and not self._stopping:
                self._jobs.append(lambda: self._drop(lease.virtual_hosts))
            booting = self._ready is None and not self._leases and not self._stopping
            self._changed.notify_all()
        if booting:
            timer = threading.Timer(self._linger, self._abandon_if_unwanted)
            timer.daemon = True
            timer.start()

    def _drop(self, virtual_hosts: set[str]) -> None:
        from workq_helpers.rabbitmq.management import Management

        if self._ready is None:
            return
        if self._management is None:
            self._management = Management(self._ready.endpoint)
        for name in virtual_hosts:
            try:
                self._management.delete_virtual_host(name)
            except WorkqError as error:
                _log.warning("virtual host %s stays until the broker ends: %s", name, error)

    # -- a start that nobody waits for any more

    def _abandon_if_unwanted(self) -> None:
        with self._changed:
            unwanted = self._ready is None and not self._leases and not self._pinned and not self._stopping
        if unwanted:
            self._abandon()

    def _abandon(self) -> None:
        """End this process in the middle of a start, which may be waiting for a slow download."""
        from workq_helpers.broker.faults import describe_error
        from workq_helpers.broker.packages import remove_scratch
        from workq_helpers.broker.processes import children

        _log.info("nobody waits for the broker any more: giving up its start")
        with locked(self._folders):
            if self._ready is not None:
                return
            self._socket_path.unlink(missing_ok=True)
            stopped = BrokerStartError("The course broker was stopped while it started. Start it again when you like.")
            for _, wire in list(self._waiting):
                _send(wire, {"error": describe_error(stopped)})
            try:
                bury(Remains(processes=children()))
                if self._server is not None:
                    bury(self._server.remains())
                remove_scratch(self._folders.cache)
                self._remove_files()
            except (BrokerError, OSError):
                _log.exception("what was started could not be put away")  # the state file tells our heirs of it
            finally:
                os._exit(1)

    # -- answers

    def _status(self, asking: _Lease) -> Message:
        from workq_helpers.broker.running import Status

        ready, server = self._ready, self._server
        up = ready is not None and server is not None and server.is_running()
        endpoint = ready.endpoint if ready else None
        return Status(
            phase="starting" if ready is None else "up" if up else "down",
            description=server.description if server else "",
            version=str(ready.version) if ready else "",
            address=f"{endpoint.host}:{endpoint.port}" if endpoint else "",
            management_url=(endpoint.management_url or "") if endpoint else "",
            leases=len(self._leases - {asking}),
            pinned=self._pinned,
            keeper=os.getpid(),
            folder=str(self._folders.runtime),
        ).to_json()


def _send(wire: Wire, message: Message) -> None:
    with contextlib.suppress(OSError):  # it has gone; its own thread notices
        wire.send(message)


def main(arguments: list[str]) -> None:
    """Run a keeper as a process of its own; returns at once in the process that was called."""
    if os.fork():
        # The caller waits for this process alone, so the keeper is nobody's child: no zombie stays in a kernel, and
        # nobody who ends a process with all its children ends the broker of others.
        os._exit(0)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    environ = dict(os.environ)
    listener = socket.socket(fileno=int(arguments[0]))
    listener.set_inheritable(False)
    folders = Folders.from_environ(environ)
    accompany(folders, listener)
    keeper = Keeper(listener, Path(arguments[1]), folders, environ)
    signal.signal(signal.SIGTERM, lambda *_: keeper.stop())
    keeper.run()


if __name__ == "__main__":
    main(sys.argv[1:])
