"""The supervisor: the process that owns the course broker, and ends it when nobody uses it any more.

``python -m workq_helpers.broker.supervisor RUNTIME CACHE`` listens in the runtime folder; with one more word,
``cluster``, what it owns is a cluster. A *share* in the broker is a
connection there: the kernel ends it however its process dies, so the supervisor always knows who is there. Some seconds
after the last one it puts everything away; so it does at once when told to stop.

Threads: one starts and stops the server, one thing after the other (a child is bound to the thread that made it); one
accepts connections; each connection has its own; the main one waits until nobody needs the broker any more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workq_helpers import rabbitmq
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.locking import locked
from workq_helpers.broker.protocol import BEAT_SECONDS, GONE, JsonObject, Link, Ready, Status, describe_error
from workq_helpers.broker.server import Server
from workq_helpers.broker.sources import start_server
from workq_helpers.broker.sweep import sweep, sweep_under_lock
from workq_helpers.errors import BrokerError, BrokerStartError, BrokerUnreachableError, WorkqError
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.broker.cluster_server import ClusterServer

__all__ = ["SLOW_SECONDS", "Supervisor", "main"]

#: How long a broker that runs may accept nobody before whoever attaches is told so, in seconds.
SLOW_SECONDS = 60.0
#: How long those who still wait for an answer have to take it in when the supervisor ends, in seconds.
FAREWELL_SECONDS = 5.0

_log = logging.getLogger("workq.supervisor")


#: What the worker's thread does to the server, one thing after another; to a node only where it has some.
_DEEDS: dict[str, Callable[[Any, JsonObject], Any]] = {
    "restart": lambda server, _: server.restart(),
    "crash": lambda server, _: server.crash(),
    "rabbitmqctl": lambda server, said: server.rabbitmqctl(said["arguments"]),
    "node": lambda server, said: server.do(said["deed"], said["node"]),
}


class Supervisor:
    """Owns one server from its start to its end."""

    def __init__(self, folders: Folders, environ: dict[str, str]) -> None:
        self._folders = folders
        self._environ = environ
        self._choice = BrokerChoice.from_environ(environ)
        self._server: Server | None = None
        self._worker = ThreadPoolExecutor(1)
        self._booted: Future[Ready] = Future()
        self._answers: dict[str, Callable[[Link], Any]] = {
            "status": lambda _: asdict(self._status()),
            "ready": lambda _: self._ready.to_json() if self._ready else None,
            "logs": lambda _: self._server.logs() if self._server else "",
            "nodes": lambda _: cast("ClusterServer", self._started()).nodes(),
            "pin": self._pin,
            "revive": self._revive,
            "stop": self._stop_for,
        }
        # Everything below is guarded by the condition; the main thread waits on it.
        self._changed = threading.Condition()
        self._waiting: set[Link] = set()  # for an answer
        self._shares: set[Link] = set()
        self._stoppers: set[Link] = set()  # wait for the end, or hear what is left
        self._left: BrokerError | None = None  # why something could not be put away
        self._steps: list[JsonObject] = []
        self._pinned = False
        self._expected = True  # whoever started it, until they come or it is up
        self._stopping = False  # from then on nobody is let in, and nothing is begun
        self._idle_since = time.monotonic()

    def run(self) -> None:
        """Start the broker, serve until nobody needs it, put everything away."""
        self._worker.submit(self._boot)
        self._wait_until_unused()
        given_up = self._give_up_start()
        while not given_up and not self._worker.submit(self._put_away).result():
            self._wait_until_unused()
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or (self._left and self._stoppers)), FAREWELL_SECONDS)
        if given_up:
            self._die()

    def stop(self) -> None:
        """Ask the main thread to put everything away now; not on that thread, which a signal may have interrupted."""
        with self._changing():
            self._stopping = True

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()

    def _wait_until_unused(self) -> None:
        with self._changed:
            while not self._stopping:
                wanted = self._shares or self._pinned or self._expected
                left = None if wanted else self._idle_since + self._choice.linger_seconds - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)

    def _give_up_start(self) -> bool:
        """Have whoever waits for a start hear that it ends, if it is under way, and return whether it was."""
        stopped = BrokerStartError("The course broker was stopped while it started. Start it again when you like.")
        try:
            self._booted.set_exception(stopped)
        except InvalidStateError:
            return False  # it is up, or has failed
        _log.info("nobody waits for the broker any more: giving up its start")
        self.stop()
        return True

    def _die(self) -> None:
        """End this process in the middle of a start, which may be waiting for a slow download."""
        from workq_helpers.broker import packages, processes  # noqa: PLC0415 - psutil, which a start has no use for

        processes.kill(processes.children())
        packages.remove_scratch(self._folders.cache)
        os._exit(1)  # whoever swept after a supervisor that died does it now

    # -- the worker's thread

    def _boot(self) -> None:
        try:
            ready = self._start_server()
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            _log.error("%s", error, exc_info=error)
            with contextlib.suppress(InvalidStateError):  # given up already
                self._booted.set_exception(error)
            self.stop()
        else:
            with self._changing():
                self._booted.set_result(ready)
                self._expected = False

    def _start_server(self) -> Ready:
        endpoint = start_server(self._choice, self._folders, self._environ, self._progress, self._record)
        server = self._started()
        version = rabbitmq.connecting.probe(endpoint)
        ready = Ready(endpoint, server.source, server.description, version, server.image)
        _log.info("up: RabbitMQ %s, %s", ready.version, ready.description)
        return ready

    def _record(self, server: Server) -> None:
        self._server = server

    def _progress(self, text: str, done: int = 0, total: int = 0) -> None:
        if not total:
            _log.info("%s", text)
        with self._changing():
            if self._steps and self._steps[-1]["progress"] == text:
                self._steps.pop()
            self._steps.append({"progress": text, "done": done, "total": total})

    def _put_away(self) -> bool:
        """End everything, unless somebody came in the last moment."""
        with contextlib.ExitStack() as until_the_end:
            try:
                until_the_end.enter_context(locked(self._folders))
            except BrokerStartError as error:
                # The server on which the folder is has gone, say. Nobody can start another broker there, either.
                _log.warning("putting everything away without the lock: %s", error)
            with self._changed:
                if not self._stopping and (self._shares or self._pinned):
                    return False
                self._stopping = True
            _log.info("putting everything away")
            with contextlib.suppress(OSError):
                self._folders.socket.unlink()  # whoever comes now waits for the lock, and starts another
            try:
                if self._server is not None:
                    self._server.stop()
                sweep_under_lock(self._folders)
                self._folders.remove_runtime()
            except (BrokerError, OSError) as error:
                _log.error("%s", error, exc_info=error)  # what is left is found by whoever sweeps next
                if isinstance(error, BrokerError):
                    with self._changing():
                        self._left = error
        return True

    # -- connections

    def attend(self, link: Link) -> None:
        """Answer who has connected; returns when that is done, for a share when it has ended."""
        message = link.receive()
        if message is None:
            return
        with self._changing():
            self._waiting.add(link)
        try:
            if message["op"] == "share":
                self._share(link)
            elif message["op"] in _DEEDS:
                link.send({"answer": self._await(link, self._do, message)})
            else:
                link.send({"answer": self._answers[message["op"]](link)})
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            with contextlib.suppress(OSError):  # who may be gone
                link.send({"error": describe_error(error)})
        finally:
            self._has_answer(link)

    def _has_answer(self, link: Link) -> None:
        with self._changing():
            self._waiting.discard(link)
            self._stoppers.discard(link)

    def _share(self, link: Link) -> None:
        with self._changed:
            if self._stopping:
                if self._booted.done():
                    self._booted.result()  # raises what it failed with, if it did
                return  # without an answer, so that whoever asks tries again
            self._shares.add(link)
            self._expected = False
        virtual_hosts: set[str] = set()
        try:
            link.send({"answer": self._ready_for(link).to_json()})
            self._has_answer(link)
            while (said := link.receive()) is not None:
                change = virtual_hosts.add if said["made"] else virtual_hosts.discard
                change(said["virtual_host"])
        finally:
            self._end_share(link, virtual_hosts)

    def _ready_for(self, link: Link) -> Ready:
        """Wait until the broker accepts logins, with a word on what is being waited for."""
        told = 0

        def is_news() -> bool:
            return len(self._steps) > told or self._booted.done()

        while not self._booted.done():
            with self._changed:
                self._changed.wait_for(is_news, BEAT_SECONDS)
                steps = self._steps[told:] or self._steps[-1:] or [{}]  # at least a sign of life
                told = len(self._steps)
            for step in steps:
                link.send(step)
        ready = self._booted.result()
        if not self._accepts(ready):
            link.send({"progress": "The course broker is down: waiting for it", "done": 0, "total": 0})
            self._revive(link)
        return ready

    def _end_share(self, link: Link, virtual_hosts: set[str]) -> None:
        with self._changing():
            self._shares.discard(link)
            self._idle_since = time.monotonic()
            if virtual_hosts and not self._stopping:
                self._worker.submit(self._drop, virtual_hosts)

    def _await(self, link: Link, deed: Callable[..., Any], *arguments: object) -> Any:
        """Have the worker do something, with signs of life meanwhile; return or raise what it does."""

        def do() -> Any:
            if self._stopping or link.has_ended():
                raise BrokerUnreachableError(GONE)  # nothing comes after the end, of the broker or of who asked
            return deed(*arguments)

        outcome = self._worker.submit(do)
        while not wait([outcome], BEAT_SECONDS).done:
            link.send({})
        return outcome.result()

    # -- what is asked

    def _do(self, message: JsonObject) -> Any:
        _log.info("%s", message["op"])
        return _DEEDS[message["op"]](self._started(), message)

    def _started(self) -> Server:
        if self._server is None:
            raise BrokerUnreachableError(GONE)
        return self._server

    def _pin(self, _: Link) -> None:
        with self._changing():
            self._pinned = True

    def _stop_for(self, link: Link) -> None:
        with self._changing():
            self._waiting.discard(link)
            self._stoppers.add(link)
        self.stop()
        while self._left is None:  # there is no other answer but the end of the connection, and of this process
            with self._changed:
                self._changed.wait_for(lambda: self._left is not None, BEAT_SECONDS)
            link.send({})
        raise self._left

    def _runs(self, ready: Ready) -> bool:
        return self._accepts(ready) or self._started().is_running() is True

    def _accepts(self, ready: Ready) -> bool:
        # Whoever lets this login in is the broker, whatever Docker says of it, or does not say.
        return rabbitmq.connecting.accepts(ready.endpoint)

    def _revive(self, link: Link) -> None:
        """Return once the broker accepts again: started again if it has died, waited for if it is only slow.

        What was asked for before is over by then.
        """
        server, ready = self._started(), self._booted.result()

        def has_settled() -> bool:
            link.send({})
            return self._accepts(ready) or server.is_running() is False

        wait_until(has_settled, SLOW_SECONDS, interval_seconds=BEAT_SECONDS)
        # If it runs and still does not accept, the one who asked will see that better than we can say it.
        self._await(link, self._restart_dead)

    def _restart_dead(self) -> None:
        if not self._started().is_running():
            self._do({"op": "restart"})

    def _drop(self, virtual_hosts: set[str]) -> None:
        with rabbitmq.management.Management(self._booted.result().endpoint) as management:
            for name in virtual_hosts:
                try:
                    management.delete_virtual_host(name)
                except WorkqError as error:
                    _log.warning("virtual host %s stays until the broker ends: %s", name, error)

    @property
    def _ready(self) -> Ready | None:
        return None if not self._booted.done() or self._booted.exception() else self._booted.result()

    def _status(self) -> Status:
        ready, server = self._ready, self._server
        endpoint = ready.endpoint if ready else None
        return Status(
            phase="starting" if ready is None else "up" if self._runs(ready) else "down",
            description=server.description if server else "",
            version=str(ready.version) if ready else "",
            address=endpoint.place if endpoint else "",
            management_url=(endpoint.management_url or "") if endpoint else "",
            shares=len(self._shares),
            pinned=self._pinned,
            supervisor=os.getpid(),
            folder=str(self._folders.runtime),
        )


class _Listener(socketserver.ThreadingUnixStreamServer):
    """Hands each connection to the supervisor, in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128
    supervisor: Supervisor

    def finish_request(self, request: Any, _client_address: object) -> None:
        self.supervisor.attend(Link(request))


def _sweep_after(supervisor: int, folders: Folders) -> None:
    """Put away what a supervisor leaves if it dies; it waits in a process of its own, the supervisor's parent.

    Those who share the broker do the same, but a machine that is out of memory may kill them with the supervisor. Then
    a container would run on, and folders stay. A process that only waits takes next to nothing: it shares its memory
    with the supervisor.
    """
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor puts everything away itself, and this ends with it
    os.waitpid(supervisor, 0)
    with contextlib.suppress(WorkqError):
        sweep(folders)


def main(arguments: list[str]) -> None:
    """Run a supervisor as a process of its own; returns in the process that was called as soon as it listens."""
    runtime, cache, *cluster = arguments
    folders = Folders(Path(runtime), Path(cache), cluster=bool(cluster))
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    path = folders.make_socket_path()
    listener = _Listener(str(path), socketserver.BaseRequestHandler)
    path.chmod(0o600)
    if os.fork():
        # The caller waits for this process alone, so the others are nobody's children: no zombie stays in a kernel, and
        # nobody who ends a process with all its children ends the broker of others.
        os._exit(0)
    child = os.fork()
    if child:
        listener.socket.close()  # a supervisor lives as long as somebody listens
        _sweep_after(child, folders)
        return
    supervisor = listener.supervisor = Supervisor(folders, dict(os.environ))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=supervisor.stop, daemon=True).start())
    threading.Thread(target=listener.serve_forever, args=(3600.0,), name="listen", daemon=True).start()
    supervisor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
