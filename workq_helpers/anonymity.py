"""`anonymous`: a text that may be shown to anybody, because it names nobody."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from urllib.parse import unquote

from workq_helpers.hidden import ENVIRON
from workq_helpers.text import without_login

__all__ = ["anonymous"]

#: Which variables have the name of whoever sits there.
_USER_VARIABLES = ("USER", "LOGNAME", "USERNAME", "SUDO_USER", "JUPYTERHUB_USER")


def anonymous(text: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """Return what may be shown to anybody: the home folder as ``~``, no user's name, no password."""
    for folder in _homes(environ):
        text = re.sub(rf"(?<![\w.~-]){re.escape(folder)}(?=/|\W|$)", "~", text)  # not inside another path
    text = without_login(text)
    for name in _users(environ):
        text = re.sub(rf"(?<=['\"]){re.escape(name)}(?=['\"])", "USER", text)
        # Else in a path or before a host alone: one who is called `node` is not meant by every node.
        whole_name = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
        words = re.split(r"(\s+)", text)
        text = "".join(re.sub(whole_name, "USER", word) if re.search("[/@]", word) else word for word in words)
    return text


def _homes(environ: Mapping[str, str]) -> set[str]:
    homes = {environ.get("HOME", "").rstrip("/"), *(account.pw_dir for account in _account())}
    return {folder for home in homes if home for folder in (home, os.path.realpath(home))} - {"/"}


def _users(environ: Mapping[str, str]) -> set[str]:
    login = re.match(r"\s*\w+://([^:@/]*).*@", environ.get("WORKQ_BROKER_URL", ""))
    names = {*map(environ.get, _USER_VARIABLES), *(account.pw_name for account in _account())}
    return {name for name in (*names, login and unquote(login[1])) if name}


def _account() -> list[pwd.struct_passwd]:
    try:
        return [pwd.getpwuid(os.getuid())]
    except KeyError:
        return []  # a user id without a name, as in some containers
