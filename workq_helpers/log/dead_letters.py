"""`DeadLetters`: what queues hand on, and where it comes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from workq_helpers.log.copies import Death, Message, goes_in_a_circle
from workq_helpers.log.details import PublishOptions, QueueOptions
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.register import Register

__all__ = ["REJECTED", "DeadLetters"]

#: Why a message is handed on that a client turned away for good.
REJECTED = "rejected"

#: Where a message is, as far as was seen, that turns out to be dead-lettered.
_MAY_BE_DEAD = ("waiting", "unknown", "discarded")

_IN_A_CIRCLE = ", and RabbitMQ ends what would go round in a circle as a dead letter"


class DeadLetters:
    """Ends messages that their queues hand on, and puts copies into the queues that get them.

    Args:
        register: Where the messages are.
        exchanges: Where exchanges lead to.
    """

    def __init__(self, register: Register, exchanges: Exchanges) -> None:
        self._register = register
        self._exchanges = exchanges

    def hand_on(self, message: Message, options: QueueOptions, reason: str, seconds: float) -> list[str]:
        """End a message that its queue hands on, and put copies into the queues that get it, where they are known.

        Returns:
            Those queues.
        """
        targets = self.led_to(message, options)
        onward = [target for target in targets or () if not goes_in_a_circle(_deaths(message, reason), target)]
        if targets and not onward:
            self._register.arrive(message, "discarded", reason + _IN_A_CIRCLE)
        elif not targets:
            self._had_nowhere_to_go(message, options, reason, targets)
        else:
            self._register.arrive(message, "dead-lettered", reason)
        for target in onward:
            copy = self._copy(message, target, reason)
            copy.queued_seconds = seconds
            self._register.queues[target].fresh[copy] = None
        return onward

    def may_have_gone(self, message: Message, target: str) -> Message | None:
        """Return a copy of a message that had nowhere to go, for a queue that may have got it after all, if it may."""
        if goes_in_a_circle(_deaths(message, message.reason), target):
            return None
        return self._copy(message, target, message.reason)

    def _copy(self, message: Message, target: str, reason: str) -> Message:
        copy = self._register.copy_of(message, target)
        # RabbitMQ takes its time off, lest it expire again.
        copy.options = replace(message.options or PublishOptions(), ttl_seconds=None)
        copy.deaths = _deaths(message, reason)
        self._register.queues[target].letters += 1
        return copy

    def led_to(self, message: Message, options: QueueOptions) -> list[str] | None:
        """Return the queues that get what a queue hands on, or ``None`` where that can't be told."""
        keys = _keys(message, options)
        if options.dead_letter_exchange:
            headers = message.options.headers if message.options else ()
            return self._exchanges.route(options.dead_letter_exchange, keys, headers)
        return [key for key in keys if key in self._register.queues and not self._register.queues[key].absent]

    def _had_nowhere_to_go(
        self, message: Message, options: QueueOptions, reason: str, targets: list[str] | None
    ) -> None:
        """End a message that its queue hands on, and nobody knows of a queue that gets it: RabbitMQ drops it then."""
        exchange = options.dead_letter_exchange or ""
        keys = [exchange] if exchange else _keys(message, options)
        are_gone = self._exchanges.is_gone(exchange) if exchange else all(map(self._is_gone, keys))
        if are_gone and not options.keeps_dead_letters:
            self._register.arrive(message, "discarded", reason + _had_nowhere(exchange, keys))
        else:
            self._register.letters[message] = options
            self._register.arrive(message, "unknown", reason + _may_have_gone(exchange, keys, seen=targets is not None))
            self._register.queues[message.queue].gone_for_good.add(message)

    def _is_gone(self, queue: str) -> bool:
        return queue in self._register.queues and self._register.queues[queue].absent

    def arrived(self, queue: str, mark: str | None, reason: str) -> None:
        """Learn from where it arrives that a message was taken from another queue."""
        copies = [copy for copy in self._register.copies(mark) if copy.queue == queue]
        message = next((copy for copy in copies if copy.place in _MAY_BE_DEAD), None)
        if message is None:
            return
        if message.place == "waiting":
            self._register.queues[message.queue].remove(message)
        else:
            self._register.leave_its_end(message)
        self._register.arrive(message, "dead-lettered", reason)


def _deaths(message: Message, reason: str) -> tuple[Death, ...]:
    """Return how a message came where its queue hands it on, for that reason."""
    return Death(message.queue, rejected=reason.startswith(REJECTED)), *message.deaths


def _keys(message: Message, options: QueueOptions) -> list[str]:
    """Return the routing keys with which a queue hands a message on."""
    if options.dead_letter_routing_key:
        return [options.dead_letter_routing_key]
    published = message.options or PublishOptions()
    return list(dict.fromkeys((published.routing_key or message.queue, *published.further_keys)))


def _had_nowhere(exchange: str, names: Iterable[str]) -> str:
    """Return what became of a dead letter for an exchange that is gone, or for queues that are."""
    return (
        f"; its queue's dead letters had nowhere to go: {_named('exchange' if exchange else 'queue', names)} was gone"
    )


def _may_have_gone(exchange: str, names: Iterable[str], *, seen: bool) -> str:
    """Return where a dead letter may have gone: to an exchange, or to queues.

    Args:
        exchange: The exchange, ``""`` for the default one.
        names: Its name, or the queues'.
        seen: Whether it is known where it leads to.
    """
    told = f"; its queue's dead letters go to {_named('exchange' if exchange else 'queue', names)}, "
    if not exchange:
        return f"{told}of which nothing was seen here"
    return told + ("and no binding for it was seen here" if seen else "and nobody here saw where that leads")


def _named(kind: str, names: Iterable[str]) -> str:
    return f"the {kind} " + " and ".join(repr(name) for name in names)
