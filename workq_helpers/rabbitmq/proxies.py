"""`proxy_for`: which of the user's proxies, if any, an address is asked for through."""

from __future__ import annotations

import ipaddress
import sys
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["is_loopback", "proxy_for"]


def proxy_for(url: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """Return the proxy for an address, as the environment names it, or ``None`` to go there directly.

    What runs on this machine is never asked for through a proxy. An entry of NO_PROXY may be a name, which stands for
    all that end with it, an address, or a network such as ``10.0.0.0/8`` or ``::1/128``; what is none of these is
    passed over.

    Args:
        url: What is asked for.
        proxies: By scheme, with ``"all"`` for every scheme and ``"no"`` for what none is for; by default the
            environment's, and on macOS those of the system's settings with their exceptions.
    """
    named = urllib.request.getproxies() if proxies is None else proxies
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or is_loopback(host) or _is_exempt(host, parts.port, named.get("no", "")):
        return None
    if proxies is None and sys.platform == "darwin" and urllib.request.proxy_bypass(host):
        return None  # the settings' exceptions are told by nothing else
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself, by name or by address.

    Args:
        host: A name or an address, without brackets.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    mapped = getattr(address, "ipv4_mapped", None)
    return address is not None and (mapped or address).is_loopback


def _is_exempt(host: str, port: int | None, exempt: str) -> bool:
    return any(_is_meant(host.lower(), port, entry) for entry in exempt.lower().replace(",", " ").split())


def _is_meant(host: str, port: int | None, entry: str) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        return address is not None and address.version == network.version and address in network
    name, colon, only = entry.rpartition(":")
    if colon and only.isdigit():
        entry = name.strip("[]")
        if port is None or int(only) != port:
            return False
    suffix = entry.removeprefix("*").strip(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
