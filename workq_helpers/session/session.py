"""`Session`: one notebook's clean virtual host, and everything that goes on in it."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from workq_helpers.broker import Broker, find_broker
from workq_helpers.clients.consumer import ConsumerOptions
from workq_helpers.clients.program import Program
from workq_helpers.clients.publisher import Publisher, PublisherOptions
from workq_helpers.clients.recording_connection import ACTOR, RecordingConnection
from workq_helpers.clients.schedule import limited, seconds_between
from workq_helpers.clients.worker import Callback, Worker
from workq_helpers.errors import BrokerError, InvalidArgumentError, WorkqError
from workq_helpers.forks import abandon_in_children, unless_forked
from workq_helpers.log.arrivals import Arrivals
from workq_helpers.log.book import Book
from workq_helpers.log.details import BrokerChange
from workq_helpers.log.events import EventLog
from workq_helpers.log.experiments import Experiments
from workq_helpers.log.ledger import Ledger
from workq_helpers.log.stocktaking import STEADY_LOOKS, Stocktaking
from workq_helpers.rabbitmq.translation import translate
from workq_helpers.rabbitmq.url import Address, address_of
from workq_helpers.session.emptying import Emptying
from workq_helpers.session.idleness import Idleness
from workq_helpers.session.nodes import Nodes
from workq_helpers.session.relay_on_demand import RelayOnDemand
from workq_helpers.session.virtual_host import COUNT_INTERVAL_SECONDS, VirtualHost
from workq_helpers.session.workers import Workers, end_all
from workq_helpers.text import printable
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["Session"]

#: How often the counts of a broker that we did not set up must be the same: its quorum queues report every 5 s.
_LOOKS_AT_OTHERS = 60

_open_sessions: dict[str, Session] = {}
_opening = threading.RLock()


class Session:
    """An empty virtual host for a lesson, its connections, workers, publishers and programs, and the log.

    Opening a session again under the same name closes everything that the first one opened. What a learner opens
    is a `Lesson`, which also shows what happened.

    Args:
        name: Names the lesson and its virtual host, for example "round-robin".
        broker: The broker to use; by default one is found or started, with its progress shown.

    Raises:
        BrokerError: There is no broker to use; the message says what to do.
    """

    def __init__(self, name: str, broker: Broker | None = None) -> None:
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgumentError(f'A lesson needs a name, not {name!r}: Lesson("round-robin"), for example.')
        if broker is not None and not isinstance(broker, Broker):
            raise InvalidArgumentError(f"{broker!r} is no broker: leave it out, or pass what find_broker() returns.")
        self.name = name
        with _opening:
            earlier = _open_sessions.pop(name, None)
            if earlier is not None:
                earlier.close()
            _keep_pika_out_of_cells()
            #: Everything that happened, in order.
            self.log = EventLog()
            self.experiments = Experiments(self.log)
            #: The nodes of a cluster beside the broker, where the lesson has opened some.
            self.nodes: Nodes | None = None
            #: Whether a cell has shown its stage.
            self.is_shown = False
            self._book = Book(self.log)
            self._ledger = Ledger()
            self._ledger_lock = threading.Lock()
            self._connections: list[RecordingConnection] = []
            self._workers = Workers(self._new_worker)
            self._publishers: list[Publisher] = []
            self._publisher_numbers = itertools.count(1)
            self._programs: list[Program] = []
            self._owns_broker = broker is None
            #: The broker the lesson runs on.
            self.broker = find_broker(_say) if broker is None else broker
            try:
                #: The name of the lesson's virtual host.
                self.virtual_host = self.broker.create_virtual_host(name)
            except BaseException:
                self._release_broker()
                raise
            self._virtual_host = VirtualHost(self.broker, self.virtual_host, self.ledger)
            self._emptying = Emptying(self.connect, self.queue_counts, self.ledger)
            self._arrivals = Arrivals(self._virtual_host.published)
            self._relay = RelayOnDemand(self.broker.endpoint.on(self.virtual_host), self._book, self._is_taken)
            if self.broker.unmanaged:
                _say(_without_management(self.broker.unmanaged, self.virtual_host))
            self.broker.subscribe(self._record_broker)
            self._closed = self._inherited = False
            _open_sessions[name] = self
            abandon_in_children(self)

    # -- connections ----------------------------------------------------------------------------------

    def connect(self, **overrides: Any) -> RecordingConnection:
        """Open a plain pika connection to the lesson's virtual host, whose messages the log sees too.

        Args:
            **overrides: Arguments of `pika.ConnectionParameters`. Heartbeats are off unless asked for:
                nothing answers them between two cells of a notebook. A connection that RabbitMQ blocks, for want
                of memory or disk, waits for half a minute.

        Raises:
            BrokerError: The connection can't be opened; the message says why.
        """
        self._check_open()
        parameters = self.broker.connection_parameters(self.virtual_host, **(_CONNECTION | overrides))
        connection = RecordingConnection(parameters, endpoint=self.broker.endpoint, book=self._book)
        self._connections = [*(known for known in self._connections if known.is_open), connection]
        return connection

    # -- workers --------------------------------------------------------------------------------------

    @property
    def workers(self) -> list[Worker]:
        """Every worker the lesson has started, in order, the ended ones too."""
        return list(self._workers.all)

    def start_worker(
        self,
        callback: Callback,
        queue: str,
        *,
        auto_ack: bool = False,
        prefetch_count: int = 0,
        arguments: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> Worker:
        """Start a worker in the background and return it once it consumes.

        Args:
            callback: Called as ``callback(ch, method, properties, body)`` for each delivery.
            queue: The queue to consume from; it must exist.
            auto_ack: Whether a delivery counts as acknowledged when RabbitMQ sends it.
            prefetch_count: How many unacknowledged deliveries it may hold; 0 for no limit.
            arguments: Arguments of ``basic_consume``.
            name: Its name; by default worker-1, worker-2, ...

        Raises:
            CallbackSignatureError: The callback can't be called like that.
            InvalidArgumentError: An argument makes no sense.
            QueueNotFoundError: There is no such queue.
            WorkerStartError: It could not begin to consume.
        """
        self._check_open()
        options = ConsumerOptions(queue, auto_ack, prefetch_count, arguments)
        return self._workers.start([name], callback, options)[0]

    def start_workers(
        self,
        count: int,
        callback: Callback,
        queue: str,
        *,
        auto_ack: bool = False,
        prefetch_count: int = 0,
        arguments: dict[str, Any] | None = None,
    ) -> list[Worker]:
        """Start several workers at once, which consume in the order of their names.

        Args:
            count: How many.
            callback: As for `start_worker`, and so are the other arguments.
            queue: The queue to consume from.
            auto_ack: Whether a delivery counts as acknowledged when RabbitMQ sends it.
            prefetch_count: How many unacknowledged deliveries each may hold; 0 for no limit.
            arguments: Arguments of ``basic_consume``.

        Raises:
            WorkqError: As for `start_worker`; then none of them is left.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidArgumentError(f"count is {count!r}. Pass how many workers to start, 1 or more.")
        self._check_open()
        options = ConsumerOptions(queue, auto_ack, prefetch_count, arguments)
        return self._workers.start([None] * count, callback, options)

    def worker(self, name: str) -> Worker:
        """Return the worker of that name, the latest if there were several.

        Raises:
            UnknownWorkerError: There is none.
        """
        return self._workers.named(name)

    def stop(self, name: str) -> None:
        """Stop a worker politely: it finishes the task in hand. Or ask a program to end, by SIGTERM."""
        self._worker_or_program(name).stop()

    def stop_workers(self, workers: Iterable[Worker] | None = None, timeout: float = 60.0) -> None:
        """Stop several workers at once, politely; by default all that are left.

        Args:
            workers: Which.
            timeout: Seconds to wait at most for each.

        Raises:
            WaitTimeoutError: One is frozen, or its task takes longer.
        """
        stopping = list(self._workers.all if workers is None else workers)
        for worker in stopping:
            if worker.state != "frozen":
                worker.request_stop()
        for worker in stopping:
            worker.stop(timeout)

    def kill(self, name: str) -> None:
        """Kill a worker: its TCP connection is cut, as in a crash. Or a program, by SIGKILL."""
        self._worker_or_program(name).kill()

    def freeze(self, name: str) -> None:
        """Make a worker hang without dying."""
        self.worker(name).freeze()

    def thaw(self, name: str) -> None:
        """Let a frozen worker go on."""
        self.worker(name).thaw()

    def _worker_or_program(self, name: str) -> Worker | Program:
        return next((program for program in self._programs if program.name == name), None) or self.worker(name)

    def _new_worker(self, name: str, callback: Callback, options: ConsumerOptions) -> Worker:
        return Worker(
            name,
            callback,
            options,
            parameters=self.broker.connection_parameters(self.virtual_host),
            book=self._book,
            explain=self._explainer(options.queue),
        )

    def _explainer(self, queue: str) -> Callable[[BaseException], WorkqError]:
        def explain(error: BaseException) -> WorkqError:
            known = self.ledger().declarations()
            return translate(error, endpoint=self.broker.endpoint, queue=queue, known_queues=known)

        return explain

    # -- publishers -----------------------------------------------------------------------------------

    @property
    def publishers(self) -> list[Publisher]:
        """Every publisher the lesson has started, in order."""
        return list(self._publishers)

    def start_publisher(
        self,
        tasks: Iterable[str | bytes] | str | bytes,
        queue: str | None = None,
        *,
        exchange: str = "",
        routing_key: str | None = None,
        count: int | None = None,
        interval_seconds: float | None = None,
        rate: float | None = None,
        persistent: bool = False,
        confirm: bool = False,
        mandatory: bool = False,
        name: str | None = None,
    ) -> Publisher:
        """Publish tasks in the background and return at once.

        Args:
            tasks: An iterable of texts or bytes; or one text, which is sent `count` times.
            queue: The queue to send to, through the default exchange.
            exchange: Another exchange, with its `routing_key` in place of `queue`.
            routing_key: The routing key; by default the queue's name.
            count: How many tasks to send at most; by default all, or 1 for a single text.
            interval_seconds: Seconds from one task to the next; by default as fast as it goes.
            rate: The same as tasks a second.
            persistent: Whether messages ask to be kept on disk.
            confirm: Whether RabbitMQ confirms each message.
            mandatory: Whether RabbitMQ returns what it can't route.
            name: Its name; by default publisher-1, publisher-2, ...

        Raises:
            InvalidArgumentError: An argument makes no sense.
        """
        self._check_open()
        key = routing_key if routing_key is not None else queue
        if not isinstance(key, str) or (not key and not exchange):
            raise InvalidArgumentError(
                f'The queue to publish to is {key!r}. Pass the name you declared, for example queue="hello".'
            )
        if name is not None and (not isinstance(name, str) or not name or printable(name) != name):
            raise InvalidArgumentError(f'{name!r} is no name for a publisher. Use a short text, such as "publisher-1".')
        options = PublisherOptions(
            key, exchange, seconds_between(interval_seconds, rate), persistent, confirm, mandatory
        )
        publisher = Publisher(
            name or self._free_publisher_name(),
            limited(tasks, count),
            options,
            parameters=self.broker.connection_parameters(self.virtual_host),
            book=self._book,
            explain=self._explainer(key),
        )
        publisher.launch()
        self._publishers.append(publisher)
        return publisher

    def _free_publisher_name(self) -> str:
        taken = {publisher.name for publisher in self._publishers}
        return next(name for number in self._publisher_numbers if (name := f"publisher-{number}") not in taken)

    # -- programs -------------------------------------------------------------------------------------

    @property
    def programs(self) -> list[Program]:
        """Every program the lesson has started, in order, the ended ones too."""
        return list(self._programs)

    def start_program(self, path: str | Path, *arguments: str) -> Program:
        """Start a Python program as a process of its own, and return at once.

        It finds the address of the lesson's virtual host in ``WORKQ_BROKER_URL``. That leads through the relay, good
        for as long as the program runs, so the log sees what it and RabbitMQ say to each other.

        Args:
            path: Its file, for example "programs/worker.py".
            *arguments: Its command line.

        Raises:
            InvalidArgumentError: There is no such file, or an argument is not a text.
        """
        self._check_open()
        count = 1 + sum(known.path.name == Path(path).name for known in self._programs)
        name = f"{Path(path).name} {count}"
        relay = self._relay.running()

        def tell(status: int | None) -> None:
            relay.program_ended(name, status)

        try:
            program = Program(name, path, arguments, relay.endpoint(name), self.log.seconds, tell)
        except BaseException:
            tell(None)
            raise
        self._programs.append(program)
        return program

    @property
    def address(self) -> Address:
        """The address of the lesson's virtual host for programs of any language, its login in it; print it to see it.

        It leads through the relay, so the log and the stage show what the program does.
        """
        self._check_open()
        return Address(address_of(self._relay.running().endpoint()))

    def _is_taken(self, name: str) -> bool:
        """Whether a name in the log is a worker's, a publisher's or the notebook's."""
        others = {known.name for known in self._workers.all} | {known.name for known in self._publishers}
        return name in (ACTOR, "lesson") or name in others

    # -- queues ---------------------------------------------------------------------------------------

    def queue_counts(self) -> Mapping[str, QueueCounts]:
        """Return what the broker says of each queue in the lesson's virtual host, current to some milliseconds.

        Without its management API it says that of the queues that the lesson declared, and nothing of what is
        unacknowledged: that count is the log's own.
        """
        self._check_open()
        return self._virtual_host.queue_counts()

    def purge(self, queue: str) -> int:
        """Empty a queue of its ready messages; return how many went.

        Raises:
            QueueNotFoundError: There is no such queue.
        """
        return self._emptying.purge(queue)

    def start_over(self) -> None:
        """End every worker, publisher and program, empty every queue and begin a new log; the queues stay declared.

        A stream, which RabbitMQ can't empty, is deleted. Connections that the notebook itself holds stay open, and keep
        what they have not acknowledged, and what is in their exclusive queues.

        Raises:
            ChannelRefusedError: The user may not empty a queue; the log stays as it is then.
        """
        self._check_open()
        self._end_everybody()
        declared = self._emptying.empty()
        self._publishers.clear()
        self._programs.clear()
        self._workers.forget()
        self._publisher_numbers = itertools.count(1)
        with self._ledger_lock:
            self.log.clear()
            self._book.begin_again()
            self._arrivals.begin_again(self._ledger)
            self._ledger = Ledger()
        for queue, options in declared.items():
            self.log.record("declared", "lesson", queue, detail=options)

    # -- waiting --------------------------------------------------------------------------------------

    def wait_until_idle(self, timeout: float = 60.0) -> None:
        """Wait until nothing is left to happen: all is published, delivered and worked on.

        A message that no worker takes (no worker at all, or every worker holds as many as its prefetch
        count allows and acks none) does not count: it would wait for ever. The log and the broker's own counts agree
        then: what differed and will not change became events, as with `take_stock`.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            WaitTimeoutError: Something still went on, or log and broker differ; the message says what, or in what.
        """
        self._check_open()
        Idleness(self._workers.all, self._publishers, self.ledger).wait(timeout, self._stocktaking())

    # -- the log and the broker -----------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """Return where every message is now, as the log has it."""
        with self._ledger_lock:
            self._ledger.catch_up(self.log)
            return self._ledger

    def take_stock(self, timeout: float = 10.0) -> bool:
        """Hold the log against the broker's own counts; what differs, while nothing goes on, becomes events.

        A message that the broker does not have is then unknown, with the reason if there can be but one; messages
        that it has and nobody here has seen are counted.

        Args:
            timeout: Seconds to wait at most until the broker's counts are still.

        Returns:
            Whether log and broker agree now. Where something goes on, or there are no counts, they may not.
        """
        self._check_open()
        stock, events = self._stocktaking(), len(self.log)

        def looked() -> tuple[bool, bool]:
            agree = stock.look()
            return agree, agree or len(self.log) != events

        with contextlib.suppress(BrokerError):
            return wait_until(looked, timeout, accept=lambda seen: seen[1], interval_seconds=COUNT_INTERVAL_SECONDS)[0]
        return False

    def compare_counts(self) -> Callable[[int, Mapping[str, QueueCounts]], bool]:
        """Return what compares counts with the log as `take_stock` does, for who asks for them again and again."""
        return self._stocktaking().compare

    def _stocktaking(self) -> Stocktaking:
        # What AMQP itself tells, without the management API, is never late.
        looks = STEADY_LOOKS if self.broker.ours or self.broker.unmanaged else _LOOKS_AT_OTHERS
        self._arrivals.ask_anew()
        there = self._virtual_host
        asks = self.queue_counts, there.routes, self._arrivals, there.queue_options
        return Stocktaking(self._book, self.ledger, *asks, steady_looks=looks)

    # -- the end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """End everything the lesson opened and remove its virtual host; closing again does nothing.

        In a forked child that does nothing either: all of it is its parent's.
        """
        if self._inherited:
            return
        with _opening:
            if self._closed:
                return
            self._closed = True
            if _open_sessions.get(self.name) is self:
                del _open_sessions[self.name]
        self._end()

    def abandon(self) -> None:
        """Leave everything to the parent in a forked child, the relay's thread too: it gets one of its own."""
        self._inherited = True
        self._relay.abandon()
        _open_sessions.pop(self.name, None)

    def _end(self) -> None:
        self.broker.unsubscribe(self._record_broker)
        self._end_everybody()
        self._relay.close()
        for connection in self._connections:
            # The broker may have closed it, or be gone: then there is nothing left to close.
            with contextlib.suppress(Exception):
                connection.end()
        try:
            self._virtual_host.remove()
        finally:
            self._release_broker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end_everybody(self) -> None:
        end_all([*self._publishers, *self._workers.all])
        for program in self._programs:
            program.end()

    def _record_broker(self, change: str) -> None:
        told = BrokerChange(change)
        if told in (BrokerChange.CRASHING, BrokerChange.DOWN):
            self._book.marks.unmarked.crashed()
        self.log.record("broker", "lesson", detail=told)
        self._relay.learn_of(told)

    def _release_broker(self) -> None:
        if self._owns_broker:
            self.broker.close()

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidArgumentError(
                f"The lesson {self.name!r} is closed. Run the notebook's first cell again to open it anew."
            )

    def __repr__(self) -> str:
        if self._closed:
            return f"<{type(self).__name__} {self.name!r}: closed>"
        alive = sum(worker.alive for worker in self._workers.all)
        return f"<{type(self).__name__} {self.name!r} on {self.broker.describe()}, {alive} workers>"


#: What a connection of the notebook's has that pika would have otherwise.
_CONNECTION = {"heartbeat": 0, "blocked_connection_timeout": 30.0}


def _keep_pika_out_of_cells() -> None:
    """Keep pika's own error lines from landing in whichever cell runs; our events tell the same."""
    logger = logging.getLogger("pika")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _without_management(why: str, virtual_host: str) -> str:
    return (
        f"{why}\nSo this lesson uses the virtual host {virtual_host!r} as it is, with what is in it, and removes in "
        "the end only those of its own queues that are empty and that nobody uses. RabbitMQ's own count of "
        "unacknowledged messages can't be seen: where one is shown, it is the log's."
    )


def _say(text: str, *_: object) -> None:
    print(text)  # noqa: T201 - progress for the learner who waits for the first cell


def _close_open_sessions() -> None:
    for session in list(_open_sessions.values()):
        # One that can't be closed must not keep the others open.
        with contextlib.suppress(Exception):
            session.close()


atexit.register(unless_forked(_close_open_sessions))
