"""`Endpoint`: where a broker listens and who we are there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from workq_helpers.hidden import Secret

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
        named_by: The variable that names it, ``""`` for a broker that the course started; only for what is said of it.
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
    named_by: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "password", Secret(self.password))  # hidden where it is handed on, too

    @property
    def place(self) -> str:
        """Its host and port, as an address has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def on(self, virtual_host: str) -> Endpoint:
        """Return the same endpoint with another virtual host."""
        return replace(self, virtual_host=virtual_host)

    def advice(self, change: str) -> str:
        """Return the next step where something is wrong with the address: what to change, where somebody wrote it.

        Args:
            change: What to change, such as ``"Check the address"``.
        """
        if self.named_by:
            return f"{change} in {self.named_by}, or unset it to have a broker started; see what `workq doctor` says."
        return "See what `workq doctor` says of it, or start it anew: `workq broker stop`, then `workq broker start`."
