"""`Settling`: the methods that settle a delivery, and where each has it go."""

from __future__ import annotations

from typing import Literal

from pika.amqp_object import Method
from pika.spec import Basic

from workq_helpers.log.details import Handback

__all__ = ["ANSWERS", "KINDS", "Settling", "handback", "takes_away"]

Settling = Basic.Ack | Basic.Nack | Basic.Reject

#: What the log calls it that one was sent.
KINDS: dict[type[Method], str] = {Basic.Ack: "acked", Basic.Nack: "nacked", Basic.Reject: "rejected"}

#: What pika calls the three.
ANSWERS: dict[type[Method], str] = {Basic.Ack: "ack", Basic.Nack: "nack", Basic.Reject: "reject"}


def handback(method: Settling) -> Handback | Literal[""]:
    """Return what a method asks of the broker to do with a delivery; nothing for one that is done."""
    if isinstance(method, Basic.Ack):
        return ""
    return Handback.REQUEUE if method.requeue else Handback.DISCARD


def takes_away(method: Method) -> bool:
    """Whether a method takes deliveries from their queue for good."""
    return isinstance(method, Settling) and handback(method) is not Handback.REQUEUE
