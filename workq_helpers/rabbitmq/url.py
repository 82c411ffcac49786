"""A broker that somebody else runs, named by WORKQ_BROKER_URL."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.hidden import ENVIRON, Secret
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["BROKER_URL", "MANAGEMENT_URL", "Address", "address_of", "endpoint_from_url"]

BROKER_URL = "WORKQ_BROKER_URL"
MANAGEMENT_URL = "WORKQ_MANAGEMENT_URL"
TLS_VERIFY = "WORKQ_TLS_VERIFY"
TLS_CA_FILE = "WORKQ_TLS_CA_FILE"

_EXAMPLE = "amqp://user:password@host:5672/virtual-host"
_AMQP_PORTS = {"amqp": 5672, "amqps": 5671}
_MANAGEMENT_PORTS = {"amqp": ("http", 15672), "amqps": ("https", 15671)}


def endpoint_from_url(environ: Mapping[str, str] = ENVIRON) -> Endpoint:
    """Read the broker's address and login from the environment.

    Args:
        environ: Where to look for ``WORKQ_BROKER_URL``, and beside it for ``WORKQ_MANAGEMENT_URL``,
            ``WORKQ_TLS_VERIFY`` (``yes`` or ``no``) and ``WORKQ_TLS_CA_FILE``.

    Returns:
        The endpoint they describe. A part that the URL leaves out is RabbitMQ's default: user and password
        ``guest``, port 5672 (5671 with TLS), virtual host ``/``.

    Raises:
        InvalidArgumentError: If a variable is missing or can't be understood.
    """
    address = Secret(environ.get(BROKER_URL, "").strip())
    if not address:
        raise InvalidArgumentError(f"{BROKER_URL} is not set. Set it to an address such as {_EXAMPLE}.")
    parts, port = _split(BROKER_URL, address, schemes=tuple(_AMQP_PORTS), example=_EXAMPLE)
    host = parts.hostname or ""
    return Endpoint(
        host=host,
        port=port or _AMQP_PORTS[parts.scheme],
        username=_decoded(parts.username, "user name") if parts.username is not None else "guest",
        password=_password(parts),
        management_url=_management_url(environ, parts.scheme, host),
        virtual_host=_virtual_host(parts),
        tls=parts.scheme == "amqps",
        verify=_verify(environ),
        ca_file=_ca_file(environ),
        named_by=BROKER_URL,
    )


class Address(str):
    """An address with its login, which a cell shows without; ``print`` shows all of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_without_login(self))


def address_of(endpoint: Endpoint) -> str:
    """Return an endpoint as an address for `pika.URLParameters`, with its password."""
    user, password = quote(endpoint.username, safe=""), Secret(quote(endpoint.password, safe=""))
    scheme = "amqps" if endpoint.tls else "amqp"
    address = Secret(f"{scheme}://{user}:{password}@{endpoint.place}/{quote(endpoint.virtual_host, safe='')}")
    options = _tls_options(endpoint)
    return Secret(f"{address}?ssl_options={quote(repr(options), safe='')}" if options else address)


def _tls_options(endpoint: Endpoint) -> dict[str, str | int]:
    """Return what pika must be told about TLS: nothing where a certificate is verified as everywhere else."""
    if not endpoint.tls or (endpoint.verify and endpoint.ca_file is None):
        return {}
    # pika loads authorities in any case once there are options, so it needs the name of some.
    authorities = endpoint.ca_file or ssl.get_default_verify_paths().openssl_cafile
    if endpoint.verify:
        return {"cafile": authorities, "server_hostname": endpoint.host}
    return {"protocol": int(ssl.PROTOCOL_TLS), "capath": str(Path(authorities).parent)}  # this one verifies nothing


class _Parts(SplitResult):
    """The parts of an address, one of which may be a password."""

    def __repr__(self) -> str:
        return "<parts of an address>"


def _split(variable: str, address: str, schemes: tuple[str, ...], example: str) -> tuple[SplitResult, int | None]:
    """Split an address and check what both of ours must have: a known scheme, a host, a port if any."""
    parts, port, problem = None, None, ""
    try:
        parts = _Parts(*urlsplit(address))
        port = parts.port
    except ValueError:
        # The parser's own message quotes what it could not read, and that may be half of a password.
        problem = "can't be read as a URL"
    if parts is None:
        problem = problem or "can't be read as a URL"
    elif parts.scheme not in schemes:
        problem = f"does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    elif not problem and not parts.hostname:
        problem = "names no host"
    elif not problem and "@" in parts.path:
        problem = "has an '@' after a '/'"  # so the login holds the slash, and what follows it may be a password
    elif not problem and port == 0:
        problem = "has the port 0"
    elif not problem and (parts.query or parts.fragment):
        problem = "has a '?' or '#' in it"
    if problem or parts is None:
        raise InvalidArgumentError(
            f"{variable} {problem}: {_without_login(address)}. Write it as {example}, and the characters "
            f"@ : / ? # % in a user name, password or virtual host as %40 %3A %2F %3F %23 %25."
        )
    return parts, port


def _without_login(address: str) -> str:
    """Return the address with everything that may be a login left out, however badly it is written."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "", address
    _, at, place = rest.rpartition("@")
    place = place.partition("?")[0].partition("#")[0]
    if at:
        return f"{scheme}{separator}…@{place}"
    # With no @ at all, what follows a colon may be a port or a password somebody forgot to finish.
    host, colon, port = place.partition(":")
    return f"{scheme}{separator}{host}{colon}{port if not colon or port.strip('/').isdigit() else '…'}"


def _decoded(text: str, what: str) -> str:
    decoded = None
    with suppress(UnicodeDecodeError):  # its own message quotes the text, which may be a password
        decoded = type(text)(unquote(text, errors="strict"))  # of a secret, a secret
    if decoded is None:
        raise InvalidArgumentError(
            f"The {what} in {BROKER_URL} is percent-encoded, but not as UTF-8. Encode it again, "
            f"for example with Python's urllib.parse.quote({what.replace(' ', '_')}, safe='')."
        )
    return decoded


def _password(parts: SplitResult) -> str:
    if parts.password is not None:
        return _decoded(Secret(parts.password), "password")
    if parts.username is None:
        return "guest"
    raise InvalidArgumentError(
        f"{BROKER_URL} names a user and no password: {_without_login(parts.geturl())}. Write both, as in {_EXAMPLE}."
    )


def _virtual_host(parts: SplitResult) -> str:
    path = parts.path.removeprefix("/")
    if "/" in path:
        raise InvalidArgumentError(
            f"The virtual host in {BROKER_URL} has a '/' in it: {_without_login(parts.geturl())}. "
            f"Write a slash that belongs to its name as %2F; the virtual host '/' itself needs no path."
        )
    return _decoded(path, "virtual host") or "/"


def _management_url(environ: Mapping[str, str], scheme: str, host: str) -> str:
    address = Secret(environ.get(MANAGEMENT_URL, "").strip())
    if not address:
        web_scheme, port = _MANAGEMENT_PORTS[scheme]
        return f"{web_scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    parts, _ = _split(MANAGEMENT_URL, address, schemes=("http", "https"), example="http://host:15672")
    if parts.username is not None or parts.password is not None:
        raise InvalidArgumentError(
            f"{MANAGEMENT_URL} holds a login: {_without_login(address)}. Leave it out: "
            f"the one in {BROKER_URL} is used for both."
        )
    return address.rstrip("/")


def _verify(environ: Mapping[str, str]) -> bool:
    answer = environ.get(TLS_VERIFY, "").strip().lower()
    if answer not in ("", "yes", "no"):
        raise InvalidArgumentError(
            f"{TLS_VERIFY} is {answer!r}. Set it to 'no' to accept any certificate, which lets others on the "
            f"way read the login, or to 'yes' (the default) to verify it."
        )
    return answer != "no"


def _ca_file(environ: Mapping[str, str]) -> str | None:
    name = environ.get(TLS_CA_FILE, "").strip()
    if name and not Path(name).is_file():
        raise InvalidArgumentError(
            f"{TLS_CA_FILE} names {name!r}, and there is no such file. Set it to a file of certificates in PEM form."
        )
    return name or None
