"""What of the user's own settings reaches the setup: where packages come from and how to get there, and nothing else.

pip and uv may be configured to install elsewhere, for another Python, or with other versions; nobody means the course
by that. So their own files are not read by them: what counts in these is read here, and handed on.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

#: pip's settings that count, as in its files; in the environment they are PIP_INDEX_URL and so on.
PIP = frozenset({
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy", "timeout",
    "default-timeout", "retries", "cache-dir", "no-cache-dir", "keyring-provider",
})  # fmt: skip
#: uv's settings that count, as in its files.
UV = frozenset({
    "index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy", "keyring-provider",
    "allow-insecure-host", "native-tls", "system-certs", "cache-dir", "no-cache", "link-mode", "offline", "http-proxy",
    "https-proxy", "no-proxy", "concurrent-downloads",
})  # fmt: skip
#: uv's variables that count, beside those that give the login of one index.
UV_VARIABLES = frozenset({
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY",
    "UV_KEYRING_PROVIDER", "UV_INSECURE_HOST", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_CACHE_DIR", "UV_NO_CACHE",
    "UV_LINK_MODE", "UV_OFFLINE", "UV_HTTP_TIMEOUT", "UV_HTTP_CONNECT_TIMEOUT", "UV_HTTP_RETRIES",
    "UV_CONCURRENT_DOWNLOADS",
})  # fmt: skip
_UV_LOGIN = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")
#: What would have Python itself import, or put, something else.
_PYTHON = re.compile(r"PYTHON(?!DONTWRITEBYTECODE$|UNBUFFERED$|UTF8$)\w+|VIRTUAL_ENV|__PYVENV_LAUNCHER__")
#: Where an index that uv knows of is named; pip's is used where none is.
_UV_INDEX = ("index", "index-url", "extra-index-url", "find-links")
_UV_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


def for_python(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for a Python that must import what is its own."""
    others = re.compile(rf"{_PYTHON.pattern}|(PIP|UV)_\w+")
    return {name: value for name, value in environ.items() if not others.fullmatch(name)}


def for_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for pip: what its files and variables say of where packages come from."""
    named = {f"PIP_{name.replace('-', '_').upper()}": value for name, value in pip_settings(environ).items()}
    return for_python(environ) | named | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def for_uv(environ: Mapping[str, str], file: Path) -> dict[str, str]:
    """The variables for uv, whose configuration is written to a file; pip's index where uv knows of none itself."""
    settings = uv_settings(environ)
    variables = {name: environ[name] for name in environ if name in UV_VARIABLES or _UV_LOGIN.fullmatch(name)}
    if not any(settings.get(name) for name in _UV_INDEX) and not any(variables.get(n) for n in _UV_INDEX_VARIABLES):
        variables |= _uv_variables_of_pip(environ, settings)
    _write_privately(file, _toml(settings))
    # What uv builds, it builds in the checkout: no file there is to be imported in the place of one of Python's own.
    return for_python(environ) | variables | {"UV_CONFIG_FILE": str(file), "PYTHONSAFEPATH": "1"}


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of pip that count: of its files, the later ones first, and before all of its variables."""
    found: dict[str, str] = {}
    for file in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, configparser.Error):
            continue  # pip itself will not do better
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_"):
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return {name: value for name, value in found.items() if name in PIP and value}


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's configuration files, in the order in which each wins over those before."""
    home = _home(environ)
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    yield from (Path(folder) / "pip" / "pip.conf" for folder in _system_folders(environ))
    yield Path("/etc/pip.conf")
    if not named or not Path(named).exists():
        yield home / ".pip" / "pip.conf"
        yield _own_folder(environ, home) / "pip" / "pip.conf"
        if sys.platform == "darwin":
            yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def uv_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings of uv that count, of the one file that a variable names, or of the system's and the user's."""
    home = _home(environ)
    if environ.get("UV_NO_CONFIG"):
        return {}
    if named := environ.get("UV_CONFIG_FILE"):
        files = [Path(named)]
    else:
        systems = [*(Path(folder) / "uv" / "uv.toml" for folder in _system_folders(environ)), Path("/etc/uv/uv.toml")]
        files = [*systems, _own_folder(environ, home) / "uv" / "uv.toml"]
    found: dict[str, Any] = {}
    for file in files:
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        pip = settings.get("pip")
        for part in (pip if isinstance(pip, dict) else {}, settings):
            found |= {name: value for name, value in part.items() if name in UV}
    return found


def uv_cache(environ: Mapping[str, str]) -> Path:
    """The folder of uv's cache."""
    named = environ.get("UV_CACHE_DIR") or uv_settings(environ).get("cache-dir")
    home = _home(environ)
    return Path(named) if named else Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "uv"


def _uv_variables_of_pip(environ: Mapping[str, str], settings: MutableMapping[str, Any]) -> dict[str, str]:
    """What pip is told of where packages come from, in uv's variables."""
    pip = pip_settings(environ)
    more = [address for address in pip.get("extra-index-url", "").split() if not _is_missing_folder(address)]
    links = [address for address in pip.get("find-links", "").split() if not _is_missing_folder(address)]
    told = {
        "UV_DEFAULT_INDEX": pip.get("index-url", ""),
        "UV_INDEX": " ".join(more),
        "UV_INDEX_STRATEGY": "unsafe-best-match" if more else "",  # as pip has it: the best of all of them
        "UV_FIND_LINKS": ",".join(links),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "SSL_CERT_FILE": environ.get("SSL_CERT_FILE") or pip.get("cert", ""),
        "SSL_CLIENT_CERT": environ.get("SSL_CLIENT_CERT") or pip.get("client-cert", ""),
    }
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        settings["no-index"] = True  # there is no variable for it
    if proxy := pip.get("proxy"):
        told |= {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy}
    return {name: value for name, value in told.items() if value}


def _is_missing_folder(address: str) -> bool:
    """Whether it is a folder on this machine that is not there: pip passes over it, uv stops."""
    parts = urlsplit(address)
    return parts.scheme in ("", "file") and not Path(unquote(parts.path)).exists()


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - it raises nothing where there is none


def _own_folder(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _system_folders(environ: Mapping[str, str]) -> list[str]:
    usual = "/Library/Application Support" if sys.platform == "darwin" else "/etc/xdg"
    return [folder for folder in reversed((environ.get("XDG_CONFIG_DIRS") or usual).split(os.pathsep)) if folder]


def _toml(settings: Mapping[str, Any]) -> str:
    """Write settings as TOML: what JSON calls a text, a number, a truth and a list of them is the same there."""
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items() if not _is_tables(value)
    ]
    for name, value in settings.items():
        for table in value if _is_tables(value) else ():
            lines += [
                f"[[{name}]]",
                *(f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in table.items()),
            ]
    return "\n".join(lines) + "\n"


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _write_privately(file: Path, text: str) -> None:
    """Write what may hold a login."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
