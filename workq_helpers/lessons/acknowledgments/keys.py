"""`not_carried`: what keys are made of that no message carries, and that is another one when it comes again."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from workq_helpers.text import shown

__all__ = ["COUNT", "DELIVERY_TAG", "IDENTITY", "Delivery", "Plate", "not_carried"]

DELIVERY_TAG = "the delivery tag, and delivery tags begin at 1 again on every channel"
COUNT = "a count of what was served before"
IDENTITY = "the identity of an object, as id() tells it: another object may have the same one later"

#: What is not so near to a clock is no time: soon after a machine was booted, its clocks show small numbers.
_NEAR_SECONDS = 120.0

#: A number that stands by itself: within a digest there are others.
_NUMBER = re.compile(r"(?<![A-Za-z0-9])(?:0x[0-9a-f]+|\d+(?:\.\d+)?)(?![A-Za-z0-9])")

#: A name that is new each time; not one that is made of something, by hashing it, nor a digest.
_NEW_UUID = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}-?[0-9a-f]{4}-?[147][0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}(?![0-9a-f])"
)


class Delivery(NamedTuple):
    """What a callback was given. As long as it is kept, no other object has the identity of one of these."""

    ch: Any
    method: Any
    properties: Any
    body: bytes


class Plate(NamedTuple):
    """A plate that was served.

    Attributes:
        key: What it stands under.
        number: How many there were before.
        delivery: What the callback was given that served it.
    """

    key: object
    number: int
    delivery: Delivery


def not_carried(plates: Sequence[Plate]) -> str:
    """Say what all of the keys have in common that the messages do not carry; nothing if that can't be told."""
    return next((what for what, is_in in _KINDS.items() if plates and all(map(is_in, plates))), "")


def _numbers(plate: Plate) -> list[float]:
    found = _NUMBER.findall(_text(plate))
    return [int(each, 16) if each.startswith("0x") else float(each) for each in found]


def _text(plate: Plate) -> str:
    """Return a key's text without what the message carries of it."""
    text = plate.key if isinstance(plate.key, str) else shown(plate.key)
    name = plate.delivery.properties.message_id or ""
    for carried in (name, name.replace("-", ""), plate.delivery.body.decode(errors="replace")):
        text = text.replace(carried, "") if carried else text
    return text


def _is_identity(plate: Plate) -> bool:
    return plate.key is plate.delivery.ch or not {*map(id, plate.delivery)}.isdisjoint(_numbers(plate))


def _is_delivery_tag(plate: Plate) -> bool:
    return plate.delivery.method.delivery_tag in _numbers(plate)


def _is_consumer_tag(plate: Plate) -> bool:
    return plate.delivery.method.consumer_tag in _text(plate)


def _is_flag(plate: Plate) -> bool:
    return str(plate.delivery.method.redelivered) in _text(plate)


def _is_time(plate: Plate) -> bool:
    clocks = (time.time(), time.monotonic(), time.perf_counter())
    scaled = (number / scale for number in _numbers(plate) for scale in (1, 1e3, 1e6, 1e9))
    near = any(abs(seconds - clock) < _NEAR_SECONDS for seconds in scaled for clock in clocks)
    return near or isinstance(plate.key, datetime.datetime)


def _is_new_name(plate: Plate) -> bool:
    return bool(_NEW_UUID.search(_text(plate)))


def _is_count(plate: Plate) -> bool:
    return not {plate.number, plate.number + 1}.isdisjoint(_numbers(plate))


_KINDS: dict[str, Callable[[Plate], bool]] = {
    IDENTITY: _is_identity,
    "the consumer tag, which is the worker's": _is_consumer_tag,
    DELIVERY_TAG: _is_delivery_tag,
    COUNT: _is_count,
    "the redelivered flag, which is the same for many": _is_flag,
    "a new name for each delivery": _is_new_name,
    "the time, which is another one when an order comes again": _is_time,
}
