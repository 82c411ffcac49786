"""Downloads the wheel of one version from the index that pip would ask, in a tenth of pip's time.

pip judges each of the thousands of files that an index has of uv; here it is those of one version. What goes wrong is
left to pip, and so is what pip may be told beside the index's address, its certificate and a proxy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

#: How long the index may say nothing, in seconds; pip, which has its turn then, waits longer.
SECONDS = 5.0


def download_wheel(name: str, version: str, folder: Path, environ: Mapping[str, str], pip: Path | None = None) -> bool:
    """Put the wheel that fits this machine best into a folder, and say whether that went well.

    Args:
        name: The package.
        version: Its version.
        folder: Where the wheel goes to.
        environ: pip's settings among the variables.
        pip: The wheel of a pip, where Python has none; of pip come the index's address and what fits this machine.
    """
    if environ.get("PIP_NO_INDEX") or any(variable.lower() == "all_proxy" for variable in environ):
        return False
    if "@" in environ.get("PIP_INDEX_URL", ""):  # urllib takes a login for the name of a host, and asks others for that
        return False
    try:
        with _importable(pip):
            wheel, content = _found(name, version, environ)
    except Exception:  # noqa: BLE001 - pip is asked next, and says in its own words what is wrong
        return False
    (folder / wheel).write_bytes(content)
    return True


def _found(name: str, version: str, environ: Mapping[str, str]) -> tuple[str, bytes]:
    from pip._internal.models.index import PyPI  # noqa: PLC0415 - there may be none

    opener = _opener(environ)
    page = f"{(environ.get('PIP_INDEX_URL') or PyPI.simple_url).rstrip('/')}/{name}/"
    files = json.loads(_get(opener, page))["files"]
    file = _best([file for file in files if file["filename"].startswith(f"{name}-{version}-")])
    content = _get(opener, urljoin(page, file["url"]))
    if hashlib.sha256(content).hexdigest() != file["hashes"]["sha256"]:
        raise ValueError("that is another file than the index lists")
    return Path(file["filename"]).name, content


def _best(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the wheel with the first of the tags that this Python takes."""
    from pip._vendor.packaging.tags import sys_tags  # noqa: PLC0415 - as above
    from pip._vendor.packaging.utils import parse_wheel_filename  # noqa: PLC0415

    by_tag = {
        tag: file
        for file in files
        if file["filename"].endswith(".whl")
        for tag in parse_wheel_filename(file["filename"])[3]
    }
    return next(by_tag[tag] for tag in sys_tags() if tag in by_tag)


def _opener(environ: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Return what speaks TLS and nothing else, wherever an index or its redirects point to."""
    import ssl  # noqa: PLC0415 - there are Pythons without it, of which pip says so

    authorities = environ.get("PIP_CERT") or environ.get("REQUESTS_CA_BUNDLE") or None
    proxy = environ.get("PIP_PROXY")
    proxies = {"https": proxy} if proxy else urllib.request.getproxies()
    if proxies.get("https", "").startswith("https:"):
        raise ValueError("urllib would tell such a proxy its login without TLS")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authorities)),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("Accept", "application/vnd.pypi.simple.v1+json, */*;q=0.1")]
    return opener


def _get(opener: urllib.request.OpenerDirector, address: str) -> bytes:
    """Return what an index answers in JSON, or a file of it."""
    with opener.open(address, timeout=SECONDS) as answer:
        return bytes(answer.read())


@contextlib.contextmanager
def _importable(pip: Path | None) -> Iterator[None]:
    before = list(sys.path)
    sys.path += [str(pip)] if pip else []
    try:
        yield
    finally:
        sys.path[:] = before
