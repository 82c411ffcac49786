"""`Endpoint`: where a broker listens and who we are there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

__all__ = ["Endpoint"]


@dataclass(frozen=True)
class Endpoint:
    """The address of a broker and the login to use there.

    Attributes:
        host: Name or IP address.
        port: The AMQP port.
        username: The RabbitMQ user.
        password: That user's password; left out of the repr.
        management_url: Base URL of the management API without credentials, such as
            ``http://127.0.0.1:15672``, or ``None`` where there is none.
        virtual_host: The virtual host the address itself names.
        tls: Whether AMQP is spoken over TLS (``amqps``).
        verify: Whether the server's certificate is verified where TLS is used.
        ca_file: A file of certificate authorities to verify against; ``None`` for the system's own.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    management_url: str | None = None
    virtual_host: str = "/"
    tls: bool = False
    verify: bool = True
    ca_file: str | None = None

    def on(self, virtual_host: str) -> Endpoint:
        """Return the same endpoint with another virtual host."""
        return replace(self, virtual_host=virtual_host)
