"""What is used and never shown: a `Secret`, and an `Environment`, in which secrets may be.

Whatever shows values shows their repr: a traceback with them, such as IPython's after ``%xmode Verbose``, a debugger, a
log. So the repr of these gives nothing away, wherever they are handed on to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

__all__ = ["ENVIRON", "Environment", "Secret"]


class Secret(str):
    """A text that every use takes as it is, and whose repr is not that text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class Environment(Mapping[str, str]):
    """Environment variables, of which the repr tells how many there are.

    Args:
        variables: They; what changes in them later changes here.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __or__(self, others: Mapping[str, str]) -> Environment:
        return Environment({**self._variables, **others})

    def without(self, *names: str) -> Environment:
        """Return the same without some variables."""
        return Environment({name: value for name, value in self._variables.items() if name not in names})

    def __repr__(self) -> str:
        return f"<{len(self)} environment variables>"


#: This process's own.
ENVIRON = Environment(os.environ)
