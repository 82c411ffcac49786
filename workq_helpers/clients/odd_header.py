"""`readable_header`: what can be read of a message's header that pika can't read, and what that is which can't.

Programs in other languages may write what Python has no value for, such as a timestamp after the year 9999.
"""

from __future__ import annotations

import struct

from pika import frame
from pika.data import decode_short_string, decode_value
from pika.spec import FRAME_HEADER, FRAME_HEADER_SIZE, BasicProperties

from workq_helpers.text import said

__all__ = ["readable_header"]

#: The head of a header's frame: class, weight, size of the body, flags.
_HEAD = struct.Struct(">HHQH")
_SIZE = struct.Struct(">L")

_TIMESTAMP, _SECONDS = b"T", struct.Struct(">Q")
_NESTED = (b"F", b"A")


def readable_header(data: bytes) -> tuple[frame.Header, str] | None:
    """Return a header without the headers that pika can't read, and what is the matter with the first of those.

    Args:
        data: A whole frame that pika could not decode.

    Returns:
        ``None`` if it is no message's header, or it is not for such a header that pika can't read it.
    """
    if data[0] != FRAME_HEADER:
        return None
    payload = data[FRAME_HEADER_SIZE:-1]
    content, _, body_size, flags = _HEAD.unpack_from(payload)
    if content != BasicProperties.INDEX or flags & 1 or not flags & BasicProperties.FLAG_HEADERS:
        return None
    at = _HEAD.size
    for flag in (BasicProperties.FLAG_CONTENT_TYPE, BasicProperties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            at += 1 + payload[at]
    table, complaint, end = _readable_table(payload, at)
    properties = BasicProperties()
    properties.decode(payload[_HEAD.size - 2 : at] + _SIZE.pack(len(table)) + table + payload[end:])
    channel = int.from_bytes(data[1:3])
    return frame.Header(channel, body_size, properties), complaint


def _readable_table(payload: bytes, at: int) -> tuple[bytes, str, int]:
    """Return the entries that can be read, what is the matter with the first that can't, and where the table ends."""
    (size,) = _SIZE.unpack_from(payload, at)
    at += _SIZE.size
    end, table, complaint = at + size, b"", ""
    while at < end:
        key, value_at = decode_short_string(payload, at)
        try:
            _, after = decode_value(payload, value_at)
            table += payload[at:after]
        except Exception as error:  # noqa: BLE001 - pika raises whatever its decoders stumble over
            complaint = complaint or f"its header {key!r} is {_told(payload, value_at)} ({said(error)})"
            after = _after(payload, value_at) or end
        at = after
    return table, complaint, end


def _told(payload: bytes, at: int) -> str:
    kind = payload[at : at + 1]
    if kind == _TIMESTAMP:
        return f"a timestamp of {_SECONDS.unpack_from(payload, at + 1)[0]} seconds"
    return "a table or a list with such a value in it" if kind in _NESTED else f"of the type {kind!r}"


def _after(payload: bytes, at: int) -> int:
    """Return where the value ends that begins with its type, 0 if that can't be told."""
    kind = payload[at : at + 1]
    if kind == _TIMESTAMP:
        return at + 1 + _SECONDS.size
    return int(at + 1 + _SIZE.size + _SIZE.unpack_from(payload, at + 1)[0]) if kind in _NESTED else 0
