"""`RelayedClient`: what is known of a program from the bytes between it and the broker, one connection of its."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from pika.amqp_object import Method
from pika.spec import Basic, Channel, Connection

from workq_helpers.clients.frame_reader import Content, FrameReader, Read, UnreadableError
from workq_helpers.log.book import Book
from workq_helpers.log.details import CloseReason, ProgramOptions
from workq_helpers.log.messages import mark_of
from workq_helpers.log.observer import Observer
from workq_helpers.text import printable, shortened

__all__ = ["RelayedClient", "Side"]

_logger = logging.getLogger(__name__)

Side = Literal["program", "broker"]

#: Longest name that a program gives itself, as the log has it.
_LONGEST_NAME = 40


class RelayedClient:
    """Reads one connection, and tells an observer.

    Nothing is said to either side, and nothing that they say makes it raise: what can't be read is not recorded.

    Args:
        book: Where its observer writes.
        program: The name of the lesson's program that it is, ``""`` for one that the lesson did not start.
        port: The program's own TCP port.
        free_name: Returns the name for the log, made from one that is wanted.
    """

    def __init__(self, book: Book, program: str, port: int, free_name: Callable[[str], str]) -> None:
        self._book = book
        self._port = port
        self._free_name = free_name
        self._from_program, self._from_broker = FrameReader(), FrameReader()
        self._before: list[tuple[Side, Read]] = []  # what passed before the program said who it is
        self._observer: Observer | None = None
        self._is_readable = True
        self._was_answered = False
        self._reason = ""
        self._end = ""
        #: Its name in the log, once it has one.
        self.name = ""
        #: The name of the lesson's program that it is, or ``""``.
        self.program = program
        #: Whether the program said that it closes the connection.
        self.said_goodbye = False
        #: Whether the connection is over.
        self.is_over = False

    def sent(self, data: bytes) -> None:
        """Read what the program has sent."""
        self._read("program", self._from_program, data)

    def received(self, data: bytes) -> None:
        """Read what the broker has sent."""
        self._read("broker", self._from_broker, data)

    def over(self, first: Side) -> None:
        """Learn that the connection is over, and who ended it first; saying so again does nothing."""
        if self.is_over:
            return
        self.is_over = True
        if self._observer is None:
            return
        if self.said_goodbye:
            self._record("stopped")
            self._observer.connection_closed("the connection was closed", answered=self._was_answered)
        else:
            why = f"{'its program' if first == 'program' else 'RabbitMQ'} hung up{self._reason}"
            self._record("hung up", why)
            # RabbitMQ drops what its channels have not come to by then, though all of it was handed on.
            self._observer.connection_closed(why, answered=False)
            if self._end:
                self._record(self._end)

    def program_ended(self, how: Literal["stopped", "killed", "crashed"]) -> None:
        """Learn how the process ended; whoever inherited its connection may keep that."""
        self._end = how
        if self.is_over and self.awaits_end:
            self._record(how)

    @property
    def awaits_end(self) -> bool:
        """Whether the end of its process will tell more of it."""
        return bool(self.program and self.name and not self.said_goodbye)

    # -- reading --------------------------------------------------------------------------------------

    def _read(self, side: Side, reader: FrameReader, data: bytes) -> None:
        if not self._is_readable or self.is_over:
            return
        try:
            for read in reader.feed(data):
                self._take(side, read)
        except UnreadableError as error:
            self._stop_reading(f"the {side} sent what is no AMQP 0-9-1: {error}")
        except Exception as error:
            # A fault of ours costs the log a connection, and the program nothing.
            _logger.exception("%s can't be recorded any more", self.name or "a connection")
            self._stop_reading(f"recording it failed: {type(error).__name__}: {error}")

    def _stop_reading(self, why: str) -> None:
        self._is_readable = False
        if self._observer is None:
            self._introduce({})
        if self._observer is not None:
            self._observer.lose_sight(f"{self.name} can't be read any more")
        self._record("unreadable", printable(why))

    def _take(self, side: Side, read: Read) -> None:
        if isinstance(read.method, Connection.StartOk):
            self._introduce(read.method.client_properties or {})
        if self._observer is None:
            self._before.append((side, read))
        else:
            self._tell(self._observer, side, read)

    def _introduce(self, properties: dict[str, object]) -> None:
        self.name = self._free_name(_name(properties, self.program, self._port))
        self._observer = Observer(self.name, self._book, ProgramOptions(program=self.program))
        for side, read in self._before:
            self._tell(self._observer, side, read)
        self._before.clear()

    def _tell(self, observer: Observer, side: Side, read: Read) -> None:
        number, method, content = read
        _as_text(method)
        if content is not None:
            self._tell_of_message(observer, number, method, content)
        elif side == "program":
            observer.sent(number, method)
        else:
            observer.received(number, method)
        if isinstance(method, Channel.CloseOk) and side == "broker":
            observer.channel_closed(number, "the channel was closed")
        elif isinstance(method, Connection.Close) and side == "program":
            self.said_goodbye = True
        elif isinstance(method, Connection.CloseOk) and side == "broker":
            self._was_answered = True
        elif isinstance(method, Connection.Close):
            self._reason = f": {CloseReason(method.reply_code, method.reply_text)}"

    def _tell_of_message(self, observer: Observer, number: int, method: Method, content: Content) -> None:
        properties, body, size = content
        if isinstance(method, Basic.Publish):
            # A message that it got may be published again with the headers that it came with.
            mark = mark_of(properties) or observer.next_mark()
            observer.published(number, method, properties, body, mark, size)
        else:
            observer.received_message(number, method, properties, body, size)

    def _record(self, kind: str, detail: str = "") -> None:
        queue = "" if self._observer is None else self._observer.appearance.queue
        self._book.log.record(kind, self.name, queue, detail=detail)


def _name(properties: dict[str, object], program: str, port: int) -> str:
    """Return how a program is called: as it calls its connection, as the lesson does, or by its client library."""
    given = properties.get("connection_name") or program or f"{properties.get('product') or 'connection'} {port}"
    text = printable(given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given))
    return shortened(text, _LONGEST_NAME)


def _as_text(method: Method) -> None:
    """Make names text that pika hands out as bytes, since they are no UTF-8."""
    for field, value in vars(method).items():
        if isinstance(value, bytes):
            setattr(method, field, value.decode("utf-8", "replace"))
