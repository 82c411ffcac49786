from __future__ import annotations

import inspect
import re

import pika
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from workq_helpers import errors
from workq_helpers.rabbitmq import errors as pikas


def all_of_ours() -> list[type[errors.WorkqError]]:
    classes = [getattr(module, name) for module in (errors, pikas) for name in module.__all__]
    return [known for known in classes if inspect.isclass(known)]


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(["WorkqError", *drawn]) == sorted(known.__name__ for known in all_of_ours())
    assert all(issubclass(known, errors.WorkqError) for known in all_of_ours())


@pytest.mark.parametrize("line", ["raise error", "1 / 0"])
def test_a_notebook_shows_our_errors_as_a_sentence(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.user_ns["error"] = errors.UnknownWorkerError("There is no worker named 'x'. Its workers: none yet.")
    shell.run_cell(line)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    if line == "raise error":
        assert shown == "UnknownWorkerError: There is no worker named 'x'. Its workers: none yet.\n"
    else:
        assert "Traceback" in shown


def test_a_cause_is_not_shown_either(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.user_ns.update(errors=errors)
    shell.run_cell(
        "try:\n    1 / 0\nexcept ZeroDivisionError as cause:\n    raise errors.BrokerError('A sentence.') from cause"
    )
    assert capsys.readouterr().out == "BrokerError: A sentence.\n"


def test_queue_errors_are_pikas_too() -> None:
    error = pikas.QueueNotFoundError("There is no queue 'x'.", 404, "NOT_FOUND")
    assert str(error) == "There is no queue 'x'."
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        raise error
    assert (caught.value.reply_code, caught.value.reply_text) == (404, "NOT_FOUND")
    denied = pikas.TransientQueuesDeniedError("Refused.", 541, "INTERNAL_ERROR")
    assert isinstance(denied, pika.exceptions.ConnectionClosedByBroker)


def test_arguments_that_make_no_sense_are_value_errors() -> None:
    assert issubclass(errors.InvalidArgumentError, ValueError)
    assert issubclass(errors.WaitTimeoutError, TimeoutError)
    assert issubclass(errors.CheckFailedError, AssertionError)
