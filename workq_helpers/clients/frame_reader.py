"""`FrameReader`: cuts one direction of an AMQP connection into methods with their content, as the bytes come."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pika import frame, spec
from pika.amqp_object import Method
from pika.spec import Basic, BasicProperties

from workq_helpers.clients.odd_header import readable_header

__all__ = ["KEPT_BODY_BYTES", "Content", "FrameReader", "Read", "UnreadableError"]

#: How much of a body is kept; the rest is only counted, however large it is.
KEPT_BODY_BYTES = 64 * 1024

#: The largest frame that is no part of a body. RabbitMQ takes 128 KiB unless its administrator says otherwise.
_LARGEST_FRAME_BYTES = 4 * 1024 * 1024

_WITH_CONTENT = (Basic.Publish, Basic.Deliver, Basic.GetOk, Basic.Return)
_HEAD = struct.Struct(">BHL")
_GREETING, _HELLO = b"AMQP", b"AMQP\x00\x00\x09\x01"
_END = bytes([spec.FRAME_END])


class UnreadableError(Exception):
    """The bytes are no AMQP 0-9-1; the message says what is wrong with them."""


class Content(NamedTuple):
    """What came with a method.

    Attributes:
        properties: The message's.
        body: Its body, or its first `KEPT_BODY_BYTES`.
        size: How long the body is in all.
    """

    properties: BasicProperties
    body: bytes
    size: int


class Read(NamedTuple):
    """A method, whole with its content."""

    channel: int
    method: Method
    content: Content | None


class _Coming:
    """A message that is coming, frame by frame."""

    __slots__ = ("kept", "method", "missing", "properties", "size")

    def __init__(self, method: Method) -> None:
        self.method = method
        self.properties: BasicProperties | None = None
        self.size = self.missing = 0
        self.kept = b""


class FrameReader:
    """Reads the bytes of one direction, cut into pieces wherever it may be.

    pika's own decoder reads methods and headers. Of bodies no more is held than is kept.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._greeted = False
        self._coming: dict[int, _Coming] = {}
        self._body_of = 0  # the channel of the body frame that is coming
        self._body_left = 0  # how much of it, its end included

    def feed(self, data: bytes) -> Iterator[Read]:
        """Take in more bytes, and yield each method that is whole with them.

        Raises:
            UnreadableError: They are no AMQP 0-9-1.
        """
        buffer = self._rest + data if self._rest else data
        at = 0
        while True:
            used, read = self._step(buffer, at)
            if not used:
                break
            at += used
            if read is not None:
                yield read
        self._rest = buffer[at:]

    def _step(self, buffer: bytes, at: int) -> tuple[int, Read | None]:
        """Take one frame, or as much of a body as there is; return how many bytes, and what is whole with them."""
        if self._body_left:
            return self._more_of_the_body(buffer, at)
        if not self._greeted:
            self._greeted = not _GREETING.startswith(buffer[: len(_GREETING)])  # the broker begins without
        if not self._greeted:
            return self._greeting(buffer)
        if len(buffer) - at < _HEAD.size:
            return 0, None
        kind, channel, size = _HEAD.unpack_from(buffer, at)
        if kind == spec.FRAME_BODY:
            self._body_of, self._body_left = channel, size + 1
            return _HEAD.size, None
        if kind not in (spec.FRAME_METHOD, spec.FRAME_HEADER, spec.FRAME_HEARTBEAT):
            raise UnreadableError(f"there is no frame of type {kind}")
        if size > _LARGEST_FRAME_BYTES:
            raise UnreadableError(f"a frame says that it is {size} bytes long")
        whole = _HEAD.size + size + 1
        if len(buffer) - at < whole:
            return 0, None
        return whole, self._whole(buffer[at : at + whole])

    def _greeting(self, buffer: bytes) -> tuple[int, Read | None]:
        if len(buffer) < len(_HELLO):
            return 0, None
        if not buffer.startswith(_HELLO):
            raise UnreadableError(f"it begins with {buffer[: len(_HELLO)]!r}")
        self._greeted = True
        return len(_HELLO), None

    def _whole(self, data: bytes) -> Read | None:
        try:
            decoded = frame.decode_frame(data)[1]
        except Exception as error:
            if (found := readable_header(data)) is not None:  # what can't be read of it may be to its program
                return self._header(found[0])
            # pika raises whatever its decoders stumble over: struct.error, KeyError, UnicodeDecodeError and more.
            raise UnreadableError(f"{type(error).__name__}: {error}") from error
        if isinstance(decoded, frame.Method):
            if isinstance(decoded.method, _WITH_CONTENT):
                self._coming[decoded.channel_number] = _Coming(decoded.method)
                return None
            return Read(decoded.channel_number, decoded.method, None)
        return self._header(decoded) if isinstance(decoded, frame.Header) else None

    def _header(self, header: frame.Header) -> Read | None:
        coming = self._coming.get(header.channel_number)
        if coming is None:
            return None
        coming.properties = header.properties
        coming.size = coming.missing = header.body_size
        return self._if_whole(header.channel_number)

    def _more_of_the_body(self, buffer: bytes, at: int) -> tuple[int, Read | None]:
        piece = buffer[at : at + self._body_left - 1]
        coming = self._coming.get(self._body_of)
        if piece:
            self._body_left -= len(piece)
            if coming is not None:
                coming.kept += piece[: KEPT_BODY_BYTES - len(coming.kept)]
                coming.missing -= len(piece)
            return len(piece), None
        if self._body_left > 1 or at == len(buffer):
            return 0, None
        if buffer[at : at + 1] != _END:
            raise UnreadableError("a frame does not end where it should")
        self._body_left = 0
        return 1, self._if_whole(self._body_of)

    def _if_whole(self, channel: int) -> Read | None:
        coming = self._coming.get(channel)
        if coming is None or coming.properties is None or coming.missing > 0:
            return None
        del self._coming[channel]
        return Read(channel, coming.method, Content(coming.properties, coming.kept, coming.size))
