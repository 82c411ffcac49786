"""`anonymous`: a text that may be shown to anybody, because it names nobody."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping

from workq_helpers.hidden import ENVIRON

__all__ = ["anonymous"]


def anonymous(text: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """Return what may be shown to anybody: the home folder as ``~``, no user's name, no password.

    Args:
        text: What was to be shown.
        environ: The environment variables.
    """
    home = environ.get("HOME", "").rstrip("/")
    for folder in {home, os.path.realpath(home) if home else ""} - {"", "/"}:
        text = re.sub(rf"{re.escape(folder)}(?=/|\W|$)", "~", text)
    text = re.sub(r"//[^/@\s]*@", "//", text)
    login = re.match(r"\w+://([^:@/]*)", environ.get("WORKQ_BROKER_URL", ""))
    for name in filter(None, {_user(environ), login[1] if login else ""}):
        text = re.sub(rf"(?<=[/'\"]){re.escape(name)}(?=[/'\"]|$)", "USER", text)
    return text


def _user(environ: Mapping[str, str]) -> str:
    try:
        return environ.get("USER") or environ.get("LOGNAME") or getpass.getuser()
    except (OSError, KeyError):
        return ""  # a user id without a name, as in some containers
