"""Our exceptions as JSON, so that what went wrong in the keeper is raised where somebody reads it."""

from __future__ import annotations

import inspect

from workq_helpers import errors
from workq_helpers.broker.wire import Message
from workq_helpers.errors import BrokerError, WorkqError

__all__ = ["describe_error", "revive_error"]


def describe_error(error: BaseException) -> Message:
    """Return what `revive_error` makes the same exception of."""
    if isinstance(error, WorkqError):
        return {"type": type(error).__name__, "text": str(error)}
    text = f"The course broker's keeper failed: {type(error).__name__}: {error}. Run `workq broker logs`."
    return {"type": BrokerError.__name__, "text": text}


def revive_error(message: Message) -> WorkqError:
    """Return the exception that `describe_error` was given, or a `BrokerError` where it is not one of ours."""
    kind = getattr(errors, str(message.get("type")), BrokerError)
    text = str(message.get("text"))
    simple = inspect.isclass(kind) and issubclass(kind, BrokerError)
    return kind(text) if simple else BrokerError(text)
