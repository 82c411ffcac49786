"""One notebook's virtual host: everything that goes on in it, and what the broker says of it."""

from workq_helpers.session.nodes import Nodes
from workq_helpers.session.session import Session

__all__ = ["Nodes", "Session"]
