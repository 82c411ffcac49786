"""A widget's messages are handled in the subshell that the page names, whatever ipykernel remembers."""

from __future__ import annotations

import inspect

import pytest
from ipykernel.comm.comm import BaseComm

from workq_helpers.stage.subshells import take_where_sent


def test_what_ipykernel_remembers_is_not_asked() -> None:
    if not hasattr(BaseComm, "_reply_subshell_for"):
        pytest.skip("this ipykernel remembers nothing")
    assert list(inspect.signature(BaseComm._reply_subshell_for).parameters) == ["self", "data", "default"]
    comm = BaseComm.__new__(BaseComm)
    take_where_sent(comm)
    comm._reply_subshell_id = "a subshell that is gone"
    assert [comm._reply_subshell_for({}, where) for where in ("a", None)] == ["a", None]


def test_where_there_is_no_kernel_there_is_nothing_to_do() -> None:
    take_where_sent(None)
