"""Runs what `make setup` needs: heard while it runs, ended with it, its failure put into a sentence."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: Where there is no terminal for a progress bar there is only noise to see.
ON_A_TERMINAL = sys.stdout.isatty() and sys.stderr.isatty()
#: How much of a program's own words is shown when it failed, in lines.
LAST_LINES = 12

# What pip and uv say, in the order in which one reason is behind another: without a network pip goes on to claim that
# there is no such version.
_REASONS = (
    (
        r"the network was disabled",
        "uv is told to do without the network, and its cache has not all that is needed; unset UV_OFFLINE, or take "
        "`offline` out of uv's configuration",
    ),
    (
        r"Failed to initialize cache at `([^`]+)`",
        "uv can't keep its cache at {value}; name a folder that you may write to: UV_CACHE_DIR=/path/to/it make lab",
    ),
    (
        r"environment variable `(\w+)` with invalid value|invalid value '[^']*' for '(--[\w-]+)",
        "{value} is set to what uv can't use; correct it, or unset it",
    ),
    (
        r"invalid path: (\S+)",
        "there is no file of certificates at {value}; correct that where it is named: SSL_CERT_FILE, "
        "REQUESTS_CA_BUNDLE, PIP_CERT or pip's configuration",
    ),
    (
        r"(?i)not yet valid|not valid yet|NotValidYet|certificate (?:has )?expired|certificate: Expired",
        "this machine's clock says {now}, when the TLS certificate of the package index, or of a proxy, is not valid; "
        "set the clock if it is wrong",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|UnknownIssuer|certificate verify failed",
        "the TLS certificate of the package index is not trusted ({certificates}); if a proxy or a mirror of yours has "
        "one of its own, name its authorities' file: SSL_CERT_FILE=/path/to/ca.pem make lab",
    ),
    (
        r"InvalidURL|InvalidProxyURL|Port could not be cast to integer",
        "the address of a proxy or of the package index is none ({addresses}); correct that, or unset it",
    ),
    (
        r"ProxyError|Cannot connect to proxy|Tunnel connection failed|proxy connect|dependencies for SOCKS|"
        r"Unable to determine SOCKS|error trying to connect: (?:unsuccessful )?tunnel|tunnel error",
        "the proxy did not let it through to the package index ({proxies}); correct that, or unset it",
    ),
    (
        r"getaddrinfo|[Nn]ame resolution|Name or service not known|NameResolutionError|dns error|"
        r"failed to lookup address|NewConnectionError|Failed to establish a new connection|Network is unreachable|"
        r"No route to host|Connection refused|ConnectTimeout|connect timeout|Connection timed out|tcp connect error|"
        r"error sending request|Could not resolve|Could not connect|"
        r"Network connectivity is disabled|Temporary failure|operation timed out|ReadTimeout",
        "the network, or the package index{index}, can't be reached, which the first setup needs; connect this machine "
        "and try again",
    ),
    (
        r"\b40[13]\b.{0,40}(?:[Uu]nauthorized|[Ff]orbidden)|HTTP status client error \(40[13]",
        "the package index refused the login; correct it where pip or uv is configured",
    ),
    (r"No space left|os error 28|Disk quota exceeded|os error 122", "no room is left; free some and try again"),
    (
        r"Permission denied|Read-only file system|os error 13\b|os error 30\b",
        "it may not write there; put the course into a folder that you may write to",
    ),
    (
        r"ResolutionImpossible|No matching distribution|no version of|unsatisfiable|not found in the package registry",
        "no place where pip and uv are configured to look has such a version{index}; see index-url, find-links and "
        "no-index in their configuration",
    ),
)

_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_PROXIES = ("PIP_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


class SetupError(Exception):
    """What went wrong and what to do about it, in one sentence; the failed program's own words after it."""


def runs(command: list[str], folder: Path, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a command succeeds; what it says is not shown, for another way follows."""
    try:
        with _started(command, folder, environ, subprocess.DEVNULL) as process:
            return process.wait() == 0
    except OSError:
        return False


def run(command: list[str], folder: Path, failed: str, environ: Mapping[str, str] | None = None) -> None:
    """Run a command, with its progress bar where there is a terminal; raise SetupError if it fails."""
    try:
        code, words = _heard(command, folder, environ)
    except OSError as error:
        raise SetupError(f"{failed} ({error.strerror})") from error
    if code:
        raise SetupError(_sentence(failed, code, words, os.environ if environ is None else environ))


def _sentence(failed: str, code: int, words: str, environ: Mapping[str, str]) -> str:
    lines = [line.rstrip() for line in _without_escapes(words).splitlines() if line.strip()]
    if any(line.startswith("Traceback ") for line in lines):  # what it was doing helps nobody here
        lines = [line for line in lines if not re.match(r"Traceback |\s", line)]
    own = lines[-LAST_LINES:]
    quoted = "".join(f"\n    {line}" for line in own)
    reason = _reason(words, environ)
    if reason is None:
        return f"{failed} (exit status {code}){'; its own words:' if own else ''}{quoted}"
    return f"{failed}: {reason} (exit status {code}){quoted}"


def _reason(words: str, environ: Mapping[str, str]) -> str | None:
    """Return the reason that a program's words tell, with the value in question, or None where they tell none."""
    for pattern, reason in _REASONS:
        if match := re.search(pattern, words):
            return reason.format(
                certificates=_settings(_CERTIFICATES, environ) or "no variable names its authorities",
                proxies=_settings(_PROXIES, environ) or "as pip is configured",
                addresses=_settings((*_PROXIES, *_INDEXES), environ) or "as pip is configured",
                index=f" ({named})" if (named := _settings(_INDEXES, environ)) else "",
                now=time.strftime("%F %R %Z"),
                value=_without_login(next(filter(None, match.groups()), "")),
            )
    return None


def _settings(names: Iterable[str], environ: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={_without_login(environ[name])}" for name in names if environ.get(name))


def _without_login(text: str) -> str:
    return re.sub(r"//\S*@", "//", text)


def _without_escapes(words: str) -> str:
    """Drop colors and cursor movements, and logins in addresses."""
    return _without_login(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", words).replace("\r", "\n"))


# -- hearing


def _heard(command: list[str], folder: Path, environ: Mapping[str, str] | None) -> tuple[int, str]:
    """Run a command and return its exit status and what it said; a progress bar is shown meanwhile."""
    ours, theirs = _terminal() if ON_A_TERMINAL else os.pipe()
    try:
        with _started(command, folder, environ, theirs) as process:
            os.close(theirs)
            words = b"".join(_shown(ours))
            return process.wait(), words.decode(errors="replace")
    finally:
        os.close(ours)


def _terminal() -> tuple[int, int]:
    """Open a terminal of the size of this one."""
    ours, theirs = os.openpty()
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    return ours, theirs


def _shown(ours: int) -> Iterator[bytes]:
    """Yield what is said, and show it up to the first sign of an error, before which our sentence comes."""
    show = ON_A_TERMINAL
    while chunk := _read(ours):
        show = show and not re.search(rb"error|ERROR|WARNING|warning|\xc3\x97", chunk)
        if show:
            os.write(sys.stderr.fileno(), chunk)
        yield chunk


def _read(ours: int) -> bytes:
    try:
        return os.read(ours, 65_536)
    except OSError:
        return b""  # a terminal whose last program has ended


@contextlib.contextmanager
def _started(
    command: list[str], folder: Path, environ: Mapping[str, str] | None, output: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command that ends with us, out of reach of Ctrl-C, at which each program prints its own traceback."""
    process = subprocess.Popen(
        command,
        cwd=str(folder),
        env=None if environ is None else dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
