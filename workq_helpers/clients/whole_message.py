"""`whole_message`: reads a message that was delivered, where all of it has come in three frames.

That is nearly every delivery. Frame by frame, as pika reads them, takes several times as long.
"""

from __future__ import annotations

import struct

from pika.data import decode_short_string, decode_table
from pika.spec import FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_METHOD, Basic, BasicProperties

__all__ = ["WholeMessage", "whole_message"]

#: A delivery, and where in the buffer it ends: channel, method, properties and body come first.
WholeMessage = tuple[int, Basic.Deliver, BasicProperties, bytes, int]

#: The frame of a method, up to its arguments: type, channel, size; which method.
_METHOD = struct.Struct(">BHLL")
#: The frame of a header, up to its properties: type, channel, size; class and weight, the body's size, flags.
_HEADER = struct.Struct(">BHLLQH")
#: The frame of a body, up to the body: type, channel, size.
_BODY = struct.Struct(">BHL")
_TAG = struct.Struct(">QB")

#: What a frame has around its content.
_AROUND = _BODY.size + 1
_CONTENT = BasicProperties.INDEX << 16

_HEADERS, _DELIVERY_MODE = BasicProperties.FLAG_HEADERS, BasicProperties.FLAG_DELIVERY_MODE
_UNUSUAL = ~(_HEADERS | _DELIVERY_MODE)


def whole_message(buffer: bytes, at: int) -> WholeMessage | None:
    """Return the delivery that begins at `at`, or ``None`` if it is anything else, or to be read frame by frame."""
    there = len(buffer)
    if there - at < _METHOD.size:
        return None
    kind, channel, size, named = _METHOD.unpack_from(buffer, at)
    header = at + size + _AROUND
    if named != Basic.Deliver.INDEX or kind != FRAME_METHOD or there - header < _HEADER.size:
        return None
    kind, also, size, content, body_size, flags = _HEADER.unpack_from(buffer, header)
    body = header + size + _AROUND
    end = body + body_size + _AROUND
    if kind != FRAME_HEADER or also != channel or content != _CONTENT or there < end:
        return None
    if _BODY.unpack_from(buffer, body) != (FRAME_BODY, channel, body_size):
        return None
    if not buffer[header - 1] == buffer[body - 1] == buffer[end - 1] == FRAME_END:
        return None
    try:
        properties = _properties(buffer, header + _HEADER.size, flags)
    except Exception:  # noqa: BLE001 - pika raises whatever it stumbles over
        return None
    return channel, _deliver(buffer, at + _METHOD.size), properties, buffer[body + _BODY.size : end - 1], end


def _deliver(buffer: bytes, at: int) -> Basic.Deliver:
    consumer_tag, at = decode_short_string(buffer, at)
    delivery_tag, bits = _TAG.unpack_from(buffer, at)
    exchange, at = decode_short_string(buffer, at + _TAG.size)
    routing_key, _ = decode_short_string(buffer, at)
    return Basic.Deliver(consumer_tag, delivery_tag, bool(bits & 1), exchange, routing_key)


def _properties(buffer: bytes, at: int, flags: int) -> BasicProperties:
    properties = BasicProperties()
    if flags & _UNUSUAL:
        properties.decode(buffer, at - 2)
        return properties
    if flags & _HEADERS:
        properties.headers, at = decode_table(buffer, at)
    if flags & _DELIVERY_MODE:
        properties.delivery_mode = buffer[at]
    return properties
